"""Mask R-CNN: trained with torch, used with onnxruntime and numpy."""

from __future__ import annotations

from importlib.util import find_spec

from chemoscape.errors import ChemoscapeError


def require_torch() -> None:
    """Raise unless the packages of the extra `train` are installed."""
    missing = [name for name in ("torch", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ChemoscapeError(
            f"training needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed",
            remedy="run pip install 'chemoscape[train]'",
        )
