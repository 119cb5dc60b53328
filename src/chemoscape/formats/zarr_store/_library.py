"""The zarr library, which is optional, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import _guard


def library(where: Path) -> Any:
    """The zarr library, which is optional."""
    try:
        import zarr
    except ImportError:
        zarr = None
    if zarr is None or int(zarr.__version__.split(".")[0]) < 3:
        raise FileFormatError(
            "needs the zarr library", str(where), "install it: pip install 'zarr>=3'"
        ) from None
    return zarr


@contextmanager
def opened(store: Path, path: str, version: Any) -> Iterator[Any]:
    """An array of a store that was looked at before."""
    zarr = library(store)
    from zarr.storage import LocalStore, ZipStore

    try:
        files: Any = (
            LocalStore(store, read_only=True)
            if store.is_dir()
            else ZipStore(store, mode="r", read_only=True)
        )
        try:
            yield zarr.open_array(files, path=path, mode="r", zarr_format=version)
        finally:
            files.close()
    except ChemoscapeError:
        raise
    except _guard.LIBRARY_ERRORS as error:
        text = " ".join(str(error).split())[:160]
        raise FileFormatError(
            f"{path or 'the array'} cannot be read ({type(error).__name__}: {text})",
            str(store),
            "the store is damaged: copy it again",
        ) from error
