"""How kernels are compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba

log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile with numba, without the GIL, cached on disk; without a cache where no folder is
    writable.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError as error:  # numba: "cannot cache function …: no locator available"
        log.info("compiling %s without a cache: %s", function.__name__, error)
        return numba.njit(nogil=True)(function)
