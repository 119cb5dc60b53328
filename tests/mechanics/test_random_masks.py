"""Masks as bad as segmentation makes them: each is meshed, or refused with place and reason."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import shapely
import xarray as xr
from scipy import ndimage

from chemoscape.errors import ChemoscapeWarning, MeshError
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble, isotropic_eigenstrain
from chemoscape.mechanics.mesh import triangulate
from chemoscape.mechanics.outline import trace

KINDS = (
    "blobs",
    "disk with salt and pepper",
    "ragged rim",
    "holes",
    "necks",
    "spiral",
    "one-pixel bridges",
    "border contact",
    "checkerboard",
    "thin wires",
    "crossing wires",
    "nested rings",
    "comb",
    "noise",
    "all inside",
    "one pixel",
)


def random_mask(seed):
    """Mask number `seed` (kinds take turns), its kind, and its pixel size in µm."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    rows, columns = (int(n) for n in rng.integers(30, 81, size=2))
    y, x = np.mgrid[:rows, :columns].astype(float)
    half = min(rows, columns) / 2
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * (x - columns / 2) + np.sin(angle) * (y - rows / 2)
    across = -np.sin(angle) * (x - columns / 2) + np.cos(angle) * (y - rows / 2)
    r = np.hypot(along, across)
    theta = np.arctan2(across, along)
    match kind:
        case "blobs":
            field = ndimage.gaussian_filter(rng.standard_normal((rows, columns)), rng.uniform(1, 4))
            inside = field > np.quantile(field, rng.uniform(0.3, 0.8))
        case "disk with salt and pepper":
            share = rng.uniform(0.01, 0.4)
            inside = (r < 0.85 * half) ^ (rng.random((rows, columns)) < share)
        case "ragged rim":
            wave = sum(
                rng.uniform(0, 0.12) * np.sin(k * theta + rng.uniform(0, 6)) for k in range(2, 14)
            )
            inside = r < half * (0.8 + wave)
        case "holes":
            inside = r < 0.95 * half
            for _ in range(int(rng.integers(1, 25))):
                cy, cx, size = rng.uniform(0, rows), rng.uniform(0, columns), rng.uniform(0.5, 7)
                inside &= np.hypot(y - cy, x - cx) > size
        case "necks":
            beads = np.abs(np.sin(along * np.pi / rng.uniform(8, 25)))
            inside = np.abs(across) < rng.uniform(0.3, 2.5) + beads * 0.3 * half
        case "spiral":
            pitch = rng.uniform(3, 10)
            phase = (r / pitch - theta / (2 * np.pi)) % 1
            inside = (phase < rng.uniform(0.2, 0.8)) & (r < 0.95 * half)
        case "one-pixel bridges":
            inside = np.zeros((rows, columns), bool)
            for _ in range(int(rng.integers(2, 8))):
                cy, cx, size = rng.uniform(0, rows), rng.uniform(0, columns), rng.uniform(2, 9)
                inside |= np.hypot(y - cy, x - cx) < size
                inside[int(cy)] |= np.abs(x[0] - cx) < rng.uniform(5, 30)
                inside[:, int(cx)] |= np.abs(y[:, 0] - cy) < rng.uniform(5, 30)
        case "border contact":
            inside = np.zeros((rows, columns), bool)
            for _ in range(int(rng.integers(1, 6))):
                cy, cx = rng.choice([0, rows / 2, rows]), rng.choice([0, columns / 2, columns])
                inside |= np.hypot(y - cy, x - cx) < rng.uniform(3, half)
        case "checkerboard":
            cell = int(rng.integers(1, 9))
            inside = ((y // cell + x // cell) % 2 == 0) & (r < rng.uniform(0.4, 2.0) * half)
        case "thin wires":
            inside = np.zeros((rows, columns), bool)
            for _ in range(int(rng.integers(1, 6))):
                turn, shift = rng.uniform(0, np.pi), rng.uniform(-half, half)
                distance = np.cos(turn) * (y - rows / 2) - np.sin(turn) * (x - columns / 2) - shift
                inside |= np.abs(distance) < rng.uniform(0.5, 2.5)
        case "crossing wires":
            inside = (np.abs(across) < rng.uniform(0.5, 4)) | (np.abs(along) < rng.uniform(0.5, 4))
            inside |= np.abs(across - along * rng.uniform(-1, 1)) < rng.uniform(0.5, 3)
        case "nested rings":
            width = rng.uniform(1.5, 6)
            inside = ((r / width).astype(int) % 2 == 0) & (r < 0.95 * half)
        case "comb":
            inside = (np.abs(across) < 3) | (
                (along % rng.integers(3, 9) < rng.integers(1, 4)) & (np.abs(across) < 0.6 * half)
            )
        case "noise":
            inside = rng.random((rows, columns)) < rng.uniform(0.05, 0.95)
        case "all inside":
            inside = np.ones((rows, columns), bool)
        case _:
            inside = np.zeros((rows, columns), bool)
            inside[rng.integers(rows), rng.integers(columns)] = True
    if seed >= len(KINDS) and kind not in ("all inside", "one pixel"):
        inside = inside ^ (rng.random((rows, columns)) < rng.choice([0.0, 0.005, 0.03]))
    pixel = float(rng.choice([0.005, 0.05, 1.0]))
    mask = xr.DataArray(
        inside,
        dims=("y", "x"),
        coords={"y": 1e3 + pixel * np.arange(rows), "x": -40 + pixel * np.arange(columns)},
    )
    return mask, kind, pixel


def options(seed):
    """Defaults for most; every third mask keeps its specks, necks and pores."""
    loose = {"smallest_particle_px": 1, "smallest_hole_px": 1, "neck_px": 1}
    return loose if seed % 3 == 2 else {}


def traced(mask, **how):
    """Outline without the warnings of what was left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        return trace(mask, **how)


@pytest.mark.parametrize("start", range(0, 48, 16))
def test_unsimplified_contours_hold_the_pixels_of_the_mask_and_no_others(start):
    """Even-odd nesting, islands in holes, contact by corners: pixel by pixel."""
    for seed in range(start, start + 16):
        mask, kind, _ = random_mask(seed)
        if not mask.any():
            continue
        outline = traced(
            mask, tolerance_px=0.0, smallest_particle_px=1, smallest_hole_px=1, neck_px=1
        )
        x, y = np.meshgrid(mask["x"].values, mask["y"].values)
        found = shapely.contains_xy(shapely.union_all(outline.polygons), x, y)
        np.testing.assert_array_equal(found, mask.values, err_msg=f"{seed}: {kind}")
        assert len(outline.polygons) == ndimage.label(mask.values)[1]


def test_simplified_contours_stay_near_and_clear_of_each_other():
    for seed in range(64, 112):
        mask, kind, pixel = random_mask(seed)
        try:
            outline = traced(mask, **options(seed))
        except MeshError:
            continue
        how = {"smallest_particle_px": 30, "smallest_hole_px": 10, "neck_px": 2} | options(seed)
        raw = shapely.union_all(traced(mask, tolerance_px=0.0, **how).polygons)
        simple = shapely.union_all(outline.polygons)
        assert shapely.hausdorff_distance(raw.boundary, simple.boundary) < 0.8 * pixel, (seed, kind)
        assert shapely.minimum_clearance(simple) > 0.29 * pixel, (seed, kind)


# of the 500 masks, 0 to 499, that were tried
@pytest.mark.parametrize("start", range(0, 40, 8))
def test_meshed_or_refused_with_place_and_reason(start):
    refusals = []
    for seed in range(start, start + 8):
        mask, _, pixel = random_mask(seed)
        try:
            outline = traced(mask, **options(seed))
            mesh = triangulate(outline.polygons, (2.0, 1.0, 5.0)[seed % 3] * pixel, time_limit=60.0)
        except MeshError as error:
            refusals.append(error)
            continue
        # `triangulate` checks the rest
        assert mesh.areas.sum() == pytest.approx(outline.area, rel=1e-9)
        assert mesh.particle.max() + 1 == len(outline.polygons)
        if seed % 5 == 0:
            law = 47.0 * np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.35]])
            system = assemble(mesh, law)
            wave = 0.01 * np.sin(mesh.points[:, 0] / (9 * pixel))
            field = solve(system, isotropic_eigenstrain(system, wave), ("free", "fixed")[seed % 2])
            assert np.isfinite(field.stress).all()
    assert len(refusals) <= 2
    assert all("near x = " in str(error) and error.remedy for error in refusals)


@pytest.mark.parametrize("kind", ["one pixel", "noise", "checkerboard"])
def test_refusal_names_the_largest_part_that_was_there(kind):
    inside = np.zeros((40, 50), bool)
    if kind == "one pixel":
        inside[7, 30] = True
    elif kind == "noise":
        inside[3::3, 2::3] = True
        inside[8, 30:33] = True
    else:
        inside[(np.add(*np.mgrid[:40, :50]) % 2) == 0] = True
    mask = xr.DataArray(
        inside, dims=("y", "x"), coords={"y": 0.1 * np.arange(40), "x": 0.1 * np.arange(50)}
    )
    wanted = {
        "one pixel": r"1 pixels, near x = 3, y = 0.7 µm",
        "noise": r"[3-6] pixels, near x = 3.",
        "checkerboard": "1 pixels, near x = 0, y = 0 µm",
    }[kind]
    with pytest.raises(MeshError, match=wanted):
        trace(mask)
