"""Maps on the wire: every pixel within half a level, what is missing stays missing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chemoscape.app.pictures import LEVELS, Picture


def decoded(raw: bytes) -> tuple[dict, np.ndarray]:
    """What the browser makes of it."""
    length = int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4 : 4 + length])
    levels = np.frombuffer(raw, "<u2", offset=4 + length).reshape(header["shape"]).astype(float)
    return header, np.where(levels == 0, np.nan, header["low"] + (levels - 1) * header["step"])


def picture(values, **more) -> Picture:
    """A picture with axes."""
    values = np.asarray(values)
    y, x = (0.1 * np.arange(n) for n in values.shape)
    return Picture(values, x, y, **more)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
        | st.just(np.float32(np.nan)),
    )
)
def test_every_value_returns_within_a_level(values):
    _, seen = decoded(picture(values).encoded())
    known = np.isfinite(values)
    np.testing.assert_array_equal(np.isfinite(seen), known)
    span = np.ptp(values[known]) if known.any() else 0
    assert np.abs(seen - values)[known].max(initial=0) <= 0.6 * span / LEVELS + 1e-6 * np.abs(
        values[known]
    ).max(initial=0)


def test_double_precision_is_kept_where_values_differ_little():
    values = 7e5 + np.linspace(0, 1e-3, 12).reshape(3, 4)
    _, seen = decoded(picture(values).encoded())
    np.testing.assert_allclose(seen, values, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float64])
def test_labels_are_exact(dtype):
    labels = np.array([[-1, 0, 3], [7, 2, -1]], dtype=dtype)
    header, seen = decoded(picture(labels, kind="labels").encoded())
    np.testing.assert_array_equal(seen, labels)
    assert header["step"] == 1


def test_a_mask_is_zero_and_one():
    mask = np.array([[True, False]])
    np.testing.assert_array_equal(decoded(picture(mask, kind="mask").encoded())[1], [[1, 0]])


@pytest.mark.parametrize("values", [[[np.nan, np.inf]], [[4.0, 4.0]], [[-np.inf, 1.0]]])
def test_what_has_no_range(values):
    _, seen = decoded(picture(values).encoded())
    np.testing.assert_allclose(seen, np.where(np.isfinite(values), values, np.nan), atol=1e-6)


def test_the_header_is_read_by_javascript():
    """Data begin at a multiple of four; no NaN in the JSON; axes are those of the outer centres."""
    raw = picture(np.ones((3, 5)), name="µ", unit="nm", extra={"sd": np.nan}).encoded()
    length = int.from_bytes(raw[:4], "little")
    assert length % 4 == 0
    header = json.loads(raw[4 : 4 + length], parse_constant=pytest.fail)
    assert header["x"] == pytest.approx([0, 0.4])
    assert header["y"] == pytest.approx([0, 0.2])
    assert (header["name"], header["unit"], header["sd"]) == ("µ", "nm", None)


def test_thinned_takes_every_nth_pixel_with_its_place():
    whole = picture(np.arange(70.0).reshape(7, 10))
    header, seen = decoded(whole.thinned(3).encoded())
    np.testing.assert_allclose(seen, whole.values[::3, ::3], atol=1e-3)
    assert (header["reduce"], header["shape"]) == (3, [3, 4])
    assert header["x"] == pytest.approx([0, 0.9])
