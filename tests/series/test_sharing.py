"""Stacks of a series on the pixels and energies of the first."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from chemoscape import simulate, stack
from chemoscape.errors import ChemoscapeWarning, StackError
from chemoscape.series.mosaic import laid_together, parted
from chemoscape.series.registration import moved_by, shifts_between
from chemoscape.series.sharing import common_energies, common_field, common_sample, on_pixels_of


def counts(energy, *, shape=(6, 8), x0=0.0, pixel=0.04):
    y, x = (np.arange(n) * pixel + x0 for n in shape)
    data = np.full((len(energy), *shape), 100.0)
    return stack.build(data, energy, y, x, quantity="counts")


def test_places_count_from_the_first_stack_and_not_by_the_stage():
    first, later = counts([1.0, 2.0]), counts([1.0, 2.0], x0=3.0)
    moved = on_pixels_of(first, later)
    np.testing.assert_array_equal(moved["x"], first["x"])
    assert later["x"][0] == 3.0  # the input is left as it was


@pytest.mark.parametrize("other", [{"shape": (6, 9)}, {"pixel": 0.05}])
def test_another_field_or_pixel_is_refused(other):
    with pytest.raises(StackError, match=r"6 × \d pixels of .*, those of the first stack 6 × 8"):
        on_pixels_of(counts([1.0, 2.0]), counts([1.0, 2.0], **other))


def test_common_energies_keep_what_each_monochromator_read():
    first = counts([510.0, 515.0, 515.2, 520.0])
    later = counts([510.03, 515.01, 515.21, 519.98, 525.0])
    short = counts([510.0, 515.2, 520.01])
    with pytest.warns(ChemoscapeWarning, match="1 of a, 2 of b$"):
        found = common_energies([first, later, short], ["a", "b", "c"])
    assert [one["energy"].values.tolist() for one in found] == [
        [510.0, 515.2, 520.0],
        [510.03, 515.21, 519.98],
        [510.0, 515.2, 520.01],
    ]


def test_an_image_serves_one_energy_only():
    """Two setpoints nearer to each other than the tolerance."""
    first, later = counts([515.0, 515.03, 520.0, 521.0]), counts([515.01, 520.0, 521.0])
    with pytest.warns(ChemoscapeWarning, match="1 of a"):
        found = common_energies([first, later], ["a", "b"])
    assert [one.sizes["energy"] for one in found] == [3, 3]


def test_images_missing_from_one_stack_take_no_other_along():
    """Every second energy, half a step from the others: nearest to two, it belongs to one."""
    first = counts([515.0, 515.2, 515.4, 515.6, 515.8, 516.0])
    with pytest.warns(ChemoscapeWarning, match="3 of a$"):
        found = common_energies([first, first.isel(energy=slice(0, None, 2))], ["a", "b"])
    assert found[0]["energy"].values.tolist() == [515.0, 515.4, 515.8]


def test_other_energies_are_refused():
    with pytest.raises(StackError, match="only 0 of the 3 energies of the first stack"):
        common_energies([counts([1.0, 2.0, 3.0]), counts([1.5, 2.5, 3.5])], ["a", "b"])


def test_common_field_and_sample():
    one = counts([1.0, 2.0]).to_dataset(name="optical_density")
    _, columns = common_field([one.isel(x=slice(2, None)), one.isel(x=slice(0, 6))])
    assert (columns.start, columns.stop) == (float(one.x[2]), float(one.x[5]))
    with pytest.raises(StackError, match="no common part"):
        common_field([one.isel(x=slice(0, 2)), one.isel(x=slice(5, None))])
    masks = [xr.DataArray(np.arange(10) < n, dims="x") for n in (10, 8)]
    with pytest.warns(ChemoscapeWarning, match="20% of the sample of stack 1 is none at another"):
        assert int(common_sample(masks).sum()) == 8
    with pytest.raises(StackError, match="no pixel holds sample at all times"):
        common_sample([masks[0], ~masks[0]])


def test_shifts_are_found_although_the_core_grows(density_of):
    """The chemistry moves outwards, the particle to and fro."""
    offsets = np.array([(0.0, 0.0), (1.7, -2.3), (-1.2, 3.4)])
    densities = [
        density_of(
            simulate.core_shell(
                shape=(54, 72),
                radii=radii,
                offset_px=tuple(offset),
                poisson=True,
                photons=2000.0,
                energy=np.arange(512.0, 545.0, 2.0),
                seed=k,
            )
        )
        for k, (radii, offset) in enumerate(
            zip(((0.25, 0.45), (0.45, 0.70), (0.65, 0.85)), offsets, strict=True)
        )
    ]
    assert np.abs(shifts_between(densities) + offsets).max() < 0.05


def cut(image, row, column, n=70):
    """Mean optical density of a part of an image, as of one stack."""
    part = np.stack(2 * [image[row : row + n, column : column + n]])
    grid = np.arange(n) * 0.04
    return stack.build(part, [1.0, 2.0], grid, grid, quantity="optical_density").to_dataset(
        name="optical_density"
    )


def test_a_field_that_moved_by_a_third_of_itself_is_found():
    """Parts of one landscape of grains."""
    noise = np.random.default_rng(3).normal(size=(110, 110))
    image = 0.5 + gaussian_filter(noise, 4.0) * 4
    found = shifts_between([cut(image, 0, 0), cut(image, 22, 27), cut(image, 3, 1)])
    np.testing.assert_allclose(found, [[0, 0], [22, 27], [3, 1]], atol=0.1)


def test_another_sample_is_said():
    rng = np.random.default_rng(4)
    images = [0.5 + gaussian_filter(rng.normal(size=(70, 70)), 4.0) * 4 for _ in range(2)]
    with pytest.warns(ChemoscapeWarning, match=r"stack 2 \(0\.\d\d\) hardly looks like the first"):
        shifts_between([cut(one, 0, 0) for one in images])


def test_a_shift_is_added_to_the_drift_of_a_stack():
    energy = np.array([510.0, 520.0])
    alone = moved_by(None, np.array([0.5, -1.0]), energy)
    both = moved_by(alone, np.array([1.0, 2.0]), energy)
    np.testing.assert_allclose(both.shifts, [[1.5, 1.0], [1.5, 1.0]])
    np.testing.assert_allclose(alone.shifts, [[0.5, -1.0], [0.5, -1.0]])


def test_laying_together_and_parting_are_inverse():
    rng = np.random.default_rng(0)
    field = {"y": np.arange(4) * 0.1 + 3.0, "x": np.arange(5) * 0.1}
    densities = [
        stack.build(rng.random((3, 4, 5)), [1.0, 2.0, 3.0], **field, quantity="optical_density")
        .to_dataset(name="optical_density")
        .assign(variance=(stack.DIMS, rng.random((3, 4, 5))))
        for _ in range(3)
    ]
    mosaic = laid_together(densities)
    assert mosaic["optical_density"].shape == (3, 12, 5)
    for name in ("optical_density", "variance"):
        for one, back in zip(densities, parted(mosaic, densities[0], 3), strict=True):
            np.testing.assert_allclose(one[name], back[name], rtol=1e-6)
            np.testing.assert_array_equal(back["y"], field["y"])
