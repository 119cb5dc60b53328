"""Numbers and texts in the small streams of an Xradia file: plain little-endian numbers, one for
the file or one for each image, and slots of text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from chemoscape.formats.xradia._ole import Compound

_DATE = re.compile(r"(\d\d)/(\d\d)/(\d{4}|\d\d) +(\d\d):(\d\d):(\d\d)(\.\d{1,6})?")


def scalar(file: Compound, name: str, dtype: str) -> float:
    """The first number of a stream, NaN when there is none."""
    content = file.content(name) or b""
    size = np.dtype(dtype).itemsize
    value = float(np.frombuffer(content[:size], dtype)[0]) if len(content) >= size else np.nan
    return value if np.isfinite(value) else np.nan


def per_image(file: Compound, name: str, n: int) -> np.ndarray | None:
    """One number for each image, shape (n,); None when there is another number of them."""
    content = file.content(f"ImageInfo/{name}")
    if content is None:
        return None
    if n > 1 and len(content) == 4 + 40 * (n - 1):  # some writers keep slots of 40 bytes
        content = b"".join(content[40 * k : 40 * k + 4] for k in range(n))
    if len(content) != 4 * n:
        return None
    with np.errstate(invalid="ignore"):
        return np.frombuffer(content, "<f4").astype(np.float64)


def known(values: np.ndarray | None, n: int) -> np.ndarray:
    """Finite numbers, NaN for others or when there are none."""
    return np.full(n, np.nan) if values is None else np.where(np.isfinite(values), values, np.nan)


def positive(values: np.ndarray | None, n: int) -> np.ndarray:
    """Numbers above 0, NaN for others: 0 is what stands where nobody noted anything."""
    finite = known(values, n)
    return np.where(finite > 0, finite, np.nan)


def seconds_of(file: Compound, n: int) -> np.ndarray:
    """When images were taken, s since 1970 in the microscope's local time; NaN where unknown."""
    seconds = np.full(n, np.nan)
    content = file.content("ImageInfo/Date") or b""
    slot = len(content) // n
    for k in range(n if slot else 0):
        text = content[k * slot : (k + 1) * slot].split(b"\0")[0].decode("latin-1")
        match = _DATE.search(text)
        if match is None:
            continue
        month, day, year, hour, minute, second = map(int, match.groups()[:6])
        try:
            when = datetime(year + 2000 * (year < 100), month, day, hour, minute, second)
        except ValueError:
            continue
        seconds[k] = (when - datetime(1970, 1, 1)).total_seconds() + float(match[7] or 0)
    return seconds


def typed_in(file: Compound) -> dict[str, str]:
    """Names that were typed in."""
    facts = {}
    for key, name in (("facility", "Facility"), ("sample", "SampleID")):
        text = (file.content(f"SampleInfo/{name}") or b"").split(b"\0")[0].decode("latin-1")
        if text.strip() and text.isprintable():
            facts[key] = text.strip()
    return facts


def earliest(seconds: Sequence[float]) -> str:
    """ISO text of the earliest time (s since 1970); "" when none is known."""
    noted = [one for one in seconds if np.isfinite(one)]
    if not noted:
        return ""
    return str(np.datetime64(0, "s") + np.timedelta64(int(min(noted)), "s"))
