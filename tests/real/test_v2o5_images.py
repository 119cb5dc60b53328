"""The paper group's own pictures of V2O5 nanowires: no masks are known, so a few wires by eye."""

from __future__ import annotations

import pytest

from chemoscape.particles.segmentation import segment
from chemoscape.particles.sources import open_map
from chemoscape.particles.table import instances_of

pytest.importorskip("onnxruntime", reason="the extra segment is not installed")


@pytest.mark.parametrize("method", ["maskrcnn", "classical"])
def test_wires_that_anybody_sees_are_found(data_folder, method):
    """In the scanning image, pixels assumed to be 40 nm: three lone wires, marked by hand."""
    image = open_map(data_folder / "v2o5_images" / "STXM.png", pixel_um=0.04)
    labels = instances_of(segment(image, method)).labels()
    # rows counted from the bottom, as y is; two points of each wire
    for first, second in [
        ((400, 172), (310, 200)),
        ((140, 258), (115, 235)),
        ((157, 92), (128, 115)),
    ]:
        assert labels[first] >= 0
        assert labels[first] == labels[second]


def test_crossing_wires_are_two(data_folder):
    """In the ptychograph: the upright wire and the diagonal one that lies over it."""
    image = open_map(data_folder / "v2o5_images" / "Ptychography.png", pixel_um=0.02)
    found = instances_of(segment(image, "maskrcnn")).dense()
    height = image.sizes["y"]
    upright, diagonal, crossing = (height - 130, 246), (height - 120, 320), (height - 195, 258)
    over = [one for one in found if one[crossing]]
    assert len(over) == 2
    assert sum(bool(one[upright]) for one in over) == 1
    assert sum(bool(one[diagonal]) for one in over) == 1
