"""The incident beam: where it is taken from, its unit, and whether it belongs to the images."""

from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from chemoscape.errors import ChemoscapeWarning, FileFormatError, StackError
from chemoscape.formats import save_stack
from chemoscape.preprocess.beam.incident import Levels, find_incident
from chemoscape.region import Region
from chemoscape.stack import build

SIZE, N = 60, 40
ENERGY = np.linspace(510.0, 522.0, N)
RING = np.linspace(400.0, 360.0, N)
Y, X = np.mgrid[:SIZE, :SIZE].astype(float)
DISC = np.hypot(Y - 29.5, X - 29.5) < 15
#: A beam with structure of its own: a dip 1 eV wide.
BEAM = 900 * (1 - 0.1 * np.exp(-(((ENERGY - 516) / 0.6) ** 2))) * np.exp(-0.01 * (ENERGY - 510))
#: A beam without any, which flat images at every third energy can follow.
SMOOTH = 900 * np.exp(-0.01 * (ENERGY - 510))
SPECTRUM = 0.3 + 0.8 / (1 + np.exp(-(ENERGY - 514) / 0.3))


def stack_of(thickness=DISC, *, shape=1.0, beam=BEAM, seed=0, **facts):
    """Poisson counts of a sample in a beam of a given shape across the field."""
    expected = beam[:, None, None] * shape * np.exp(-SPECTRUM[:, None, None] * thickness)
    return build(
        np.random.default_rng(seed).poisson(expected),
        ENERGY,
        0.1 * np.arange(SIZE),
        0.1 * np.arange(SIZE),
        quantity="counts",
        **facts,
    )


def found(stack, i0, unit="auto", dark=0.0):
    return find_incident(stack, i0, unit=unit, dark=dark)[0]


def said(stack, i0):
    """I0 and the warnings that came with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        beam = found(stack, i0)
    return beam, [str(one.message) for one in caught]


def spectrum_with_ring(values, ring):
    coords = {"energy": ENERGY, "ring_current": ("energy", ring)}
    return xr.DataArray(values, dims="energy", coords=coords)


# ----------------------------------------------------------------------------- from the image


def test_the_background_tells_how_many_pixels_it_has():
    stack = stack_of()
    beam, background = find_incident(stack, "auto", unit="auto", dark=0.0)
    n = int(background.values.sum())
    share = f"{100 * n / SIZE**2:.2g}"
    assert beam.source == f"automatic background, {n} pixels ({share} % of the image)"
    assert beam.n_pixels == n
    mean = stack.values[:, background.values].mean(axis=1, dtype=float)
    np.testing.assert_allclose(beam.values, mean, rtol=1e-6)


@pytest.mark.parametrize("i0", ["auto", Levels(0.9, 1.1), Region(x=(0, 5), y=(0, 1))])
def test_a_dark_image_is_taken_off_where_the_beam_is_measured(i0):
    dark = np.broadcast_to(50 + Y, (1, SIZE, SIZE))
    stack = stack_of()
    beam, background = find_incident(stack, i0, unit="auto", dark=dark)
    plain, _ = find_incident(stack, i0, unit="auto", dark=0.0)
    np.testing.assert_allclose(plain.values - beam.values, dark[0][background.values].mean())


def test_levels_are_fractions_of_the_brightest_plateau():
    stack = stack_of(DISC + 0.2 * (Y > 50))
    beam, background = find_incident(stack, Levels(0.9, 1.1), unit="auto", dark=0.0)
    assert not background.values[DISC].any()
    assert background.values[~DISC & (Y < 49)].mean() > 0.95
    assert beam.source.startswith("levels 0.9 to 1.1 of the brightest, ")
    np.testing.assert_allclose(beam.values, BEAM, rtol=0.01)
    # the film of thickness 0.2 lets exp(-0.2 · 0.78) = 0.86 through
    _, film = find_incident(stack, Levels(0.82, 0.89), unit="auto", dark=0.0)
    assert film.values[(Y > 50) & ~DISC].mean() > 0.9
    assert film.values[Y < 50].mean() < 0.05


def test_levels_that_hold_nothing():
    with pytest.raises(StackError, match="no pixel has levels 3 to 4"):
        found(stack_of(), Levels(3, 4))
    for low, high in ((1, 1), (0, 1), (0.5, np.nan)):
        with pytest.raises(StackError, match="hold no empty field"):
            Levels(low, high)


def test_pixels_without_value_are_no_part_of_the_mean():
    stack = stack_of()
    stack.values[3, :4] = np.nan
    for i0 in (Region(x=(0, 6), y=(0, 0.9)), Levels(0.9, 1.1)):
        beam = found(stack, i0)
        np.testing.assert_allclose(beam.values, BEAM, rtol=0.01)


def test_lazy_stacks_give_the_same():
    stack = stack_of(shape=1 + 0.003 * X)
    lazy = build(
        da.from_array(stack.values, chunks=(-1, 7, -1)),
        ENERGY,
        stack.y,
        stack.x,
        quantity="counts",
    )
    for i0 in ("auto", Levels(0.8, 1.2), Region(x=(0, 5), y=(0, 1))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChemoscapeWarning)  # it is uneven
            here, mask = find_incident(stack, i0, unit="auto", dark=0.0)
            there, lazy_mask = find_incident(lazy, i0, unit="auto", dark=0.0)
        np.testing.assert_allclose(there.values, here.values, rtol=1e-6)
        xr.testing.assert_identical(mask, lazy_mask)


def test_an_uneven_beam_is_said():
    beam, messages = said(stack_of(shape=1 + 0.2 * (X / SIZE - 0.5)), "auto")
    assert len(messages) == 1
    assert "uneven: from its dark to its bright side the beam changes by 2" in messages[0]
    assert "flat images" in messages[0]
    np.testing.assert_allclose(beam.values, BEAM, rtol=0.01)


def test_a_film_of_sample_taken_for_the_beam_is_said():
    _, messages = said(stack_of(0.2 + DISC, beam=SMOOTH), "auto")
    assert len(messages) == 1
    assert "by 20% of its spectrum" in messages[0]
    assert "film of sample" in messages[0]
    for beam in (SMOOTH, BEAM):
        assert said(stack_of(beam=beam), "auto")[1] == []


# ------------------------------------------------------------------------- spectra and their unit


def test_a_spectrum_in_any_order_and_with_repeated_energies():
    order = np.random.default_rng(0).permutation(N)
    energy, values = np.r_[ENERGY[order], ENERGY[:2]], np.r_[BEAM[order], BEAM[:2] + 2]
    beam = found(stack_of(), (energy, values))
    np.testing.assert_allclose(beam.values[2:], BEAM[2:])
    np.testing.assert_allclose(beam.values[:2], BEAM[:2] + 1)


def test_an_array_of_other_dims_is_refused():
    with pytest.raises(StackError, match="cannot have the dims"):
        found(stack_of(), xr.DataArray(BEAM, dims="time"))


def test_beam_per_ring_current_is_recognised():
    stack = stack_of(per_energy={"ring_current": RING})
    with pytest.warns(ChemoscapeWarning, match="I0 is per mA of ring current, .* at 380 mA"):
        beam = found(stack, (ENERGY, BEAM / RING))
    np.testing.assert_allclose(beam.values, BEAM)


def test_ring_currents_that_both_know_are_divided_frame_by_frame():
    stack = stack_of(per_energy={"ring_current": RING})
    other = np.linspace(300.0, 280.0, N)
    beam, messages = said(stack, spectrum_with_ring(BEAM / RING * other, other))
    assert messages == []
    assert beam.units_correction == "I0 scaled by the ratio of the ring currents, 1.286 to 1.333"
    np.testing.assert_allclose(beam.values, BEAM)


@pytest.mark.parametrize(
    ("values", "words"),
    [(BEAM, "not scaled by the ring current"), (BEAM / RING, "I0 is per mA of ring current")],
)
def test_nothing_is_normalised_twice(values, words):
    stack = stack_of(per_energy={"ring_current": RING})
    beam, _ = said(stack, spectrum_with_ring(values, np.linspace(300.0, 280.0, N)))
    assert words in beam.units_correction
    assert "scaled by the ratio" not in beam.units_correction
    np.testing.assert_allclose(beam.values, BEAM)


def test_the_ring_current_of_the_stack_alone_is_no_reason_to_scale():
    stack = stack_of(per_energy={"ring_current": RING})
    for i0 in ("auto", Region(x=(0, 5), y=(0, 1)), (ENERGY, BEAM)):
        beam, messages = said(stack, i0)
        assert (beam.units_correction, messages) == ("", [])
        np.testing.assert_allclose(beam.values, BEAM, rtol=0.01)


def test_a_table_with_a_column_of_ring_current(tmp_path):
    file, other = tmp_path / "i0.csv", np.linspace(300.0, 280.0, N)
    rows = np.column_stack([ENERGY, BEAM / RING * other, other])
    header = "energy (eV), I0, ring current (mA)"
    np.savetxt(file, rows, delimiter=",", header=header, comments="")
    beam, _ = said(stack_of(per_energy={"ring_current": RING}), file)
    assert beam.source == "file i0.csv"
    np.testing.assert_allclose(beam.values, BEAM, rtol=1e-6)


def test_a_file_that_is_neither_spectrum_nor_image(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of use\n")
    with pytest.raises(FileFormatError):
        found(stack_of(), tmp_path / "notes.txt")


# --------------------------------------------------------------- does it belong to these images?


def moved(shift):
    """The beam measured on an energy axis that is off by `shift`, over a wider range."""
    energy = np.linspace(507.0, 525.0, 400)
    dip = 1 - 0.1 * np.exp(-(((energy - 516) / 0.6) ** 2))
    return energy + shift, 900 * dip * np.exp(-0.01 * (energy - 510))


def test_a_beam_that_fits_is_not_remarked_upon():
    for seed in range(5):
        assert said(stack_of(seed=seed), (ENERGY, BEAM))[1] == []
        small = BEAM * np.exp(-0.004 * np.exp(-((ENERGY - 518) ** 2)))
        assert said(stack_of(seed=seed), (ENERGY, small))[1] == []


@pytest.mark.parametrize("shift", [-0.3, 0.3])
def test_an_energy_axis_that_is_off_is_measured(shift):
    _, messages = said(stack_of(), moved(shift))
    assert len(messages) == 1
    assert "does not have the shape of the beam in this stack" in messages[0]
    assert f"I0 fits after a shift of {-shift:+.2f} eV" in messages[0]


def test_a_slow_trend_is_told_from_sharp_structure():
    _, messages = said(stack_of(), (ENERGY, BEAM * np.exp(0.06 * np.linspace(0, 1, N) ** 2)))
    assert len(messages) == 1
    assert "a slow trend" in messages[0]
    assert "largest at 522.00 eV, +0.04" in messages[0]
    grown = BEAM * np.exp(0.05 * np.exp(-(((ENERGY - 519.08) / 0.7) ** 2)))
    _, messages = said(stack_of(), (ENERGY, grown))
    assert len(messages) == 1
    assert "sharp structure" in messages[0]
    assert "largest at 519.23 eV, +0.04" in messages[0]


def test_structure_within_its_noise_is_no_structure():
    noisy = np.random.default_rng(1).normal(1, 0.02, N) * BEAM
    assert said(stack_of(), (ENERGY, noisy))[1] == []


# ----------------------------------------------------------------------------------- flat images

SHAPE = 1 + 0.3 * (X / SIZE - 0.5) - 0.1 * (Y / SIZE - 0.5)


def shaped_stack(beam=SMOOTH, **facts):
    return stack_of(shape=SHAPE, beam=beam, **facts)


def flat_stack(*, per_image=20, energy=ENERGY[::3], dwell=1.0, **facts):
    beam = np.interp(energy, ENERGY, SMOOTH)
    counts = np.random.default_rng(7).poisson(
        per_image * dwell * beam[:, None, None] * SHAPE, (len(energy), SIZE, SIZE)
    )
    plane = 0.1 * np.arange(SIZE)
    return build(counts / per_image, energy, plane, plane, quantity="counts", **facts)


def test_flat_images_at_several_energies():
    stack, flat = shaped_stack(), flat_stack()
    beam, messages = said(stack, flat)
    assert messages == []
    assert beam.n_pixels == 0
    assert beam.flat.shape == stack.shape
    np.testing.assert_allclose(beam.flat.mean(axis=(1, 2)), 1, rtol=1e-5)
    expected = np.interp(ENERGY, ENERGY[::3], SMOOTH[::3]) * SHAPE.mean()
    np.testing.assert_allclose(beam.values, expected, rtol=1e-3)
    np.testing.assert_allclose(beam.flat[5], SHAPE / SHAPE.mean(), atol=0.05)
    od = np.log(beam.values[:, None, None] * beam.flat / stack.values)
    assert abs(od[:, ~DISC].mean()) < 0.003


def test_the_noise_of_a_flat_image_is_that_of_its_counts():
    beam = found(shaped_stack(), flat_stack(per_image=1))
    scatter = np.var(beam.flat[0] * SHAPE.mean() / SHAPE)  # frame 0 is not interpolated
    assert beam.variance[0] / beam.values[0] ** 2 == pytest.approx(scatter, rel=0.1)


def test_one_flat_image_serves_all_energies():
    level = np.full(N, 900.0)
    image = flat_stack().isel(energy=0, drop=True) / SMOOTH[0] * 900
    beam, messages = said(shaped_stack(level), image)
    assert messages == []
    assert beam.flat.shape == (1, SIZE, SIZE)
    np.testing.assert_allclose(beam.values, 900 * SHAPE.mean(), rtol=1e-3)


def test_dwell_and_ring_current_of_flat_images():
    stack = shaped_stack(attrs={"dwell_ms": 1.0}, per_energy={"ring_current": np.full(N, 400.0)})
    flat = flat_stack(
        dwell=2.0, attrs={"dwell_ms": 4.0}, per_energy={"ring_current": np.full(14, 200.0)}
    )
    beam, messages = said(stack, flat)
    assert messages == []
    assert beam.units_correction == (
        "I0 scaled by the ratio of the dwells, 0.25; I0 scaled by the ratio of the ring currents, 2"
    )
    assert beam.values[0] == pytest.approx(SMOOTH[0] * SHAPE.mean(), rel=0.002)


def test_dead_pixels_of_a_flat_image_have_no_beam():
    flat = flat_stack()
    flat.values[:, 5, 6] = 0
    flat.values[2, 8, 9] = np.nan
    beam = found(shaped_stack(), flat)
    assert np.isnan(beam.flat[:, 5, 6]).all()
    assert np.isnan(beam.flat[6, 8, 9])
    assert np.isfinite(beam.flat[0]).sum() == SIZE**2 - 1


def test_a_dark_image_is_taken_off_flat_images_too():
    dark = np.broadcast_to(50 + Y, (1, SIZE, SIZE))
    stack, flat = shaped_stack(), flat_stack()
    raised = found(
        stack.copy(data=stack.values + dark.astype(np.float32)),
        flat.copy(data=flat.values + dark.astype(np.float32)),
        dark=dark,
    )
    np.testing.assert_allclose(raised.flat, found(stack, flat).flat, rtol=1e-4)


def test_flat_images_from_a_file(tmp_path):
    save_stack(flat_stack(), tmp_path / "open.h5")
    beam = found(shaped_stack(), tmp_path / "open.h5")
    assert beam.source == "file open.h5"
    np.testing.assert_array_equal(beam.flat, found(shaped_stack(), flat_stack()).flat)


@pytest.mark.parametrize(
    ("flat", "why"),
    [
        (flat_stack(energy=ENERGY[:-3]), "I0 covers 510.000 to 521.077 eV"),
        (flat_stack().isel(x=slice(1, None)), "need the pixels of the stack"),
        (flat_stack().isel(x=0, drop=True), "need the pixels of the stack"),
        (flat_stack().assign_attrs(quantity="optical_density"), "are counts"),
        (flat_stack() * 0, "hold no beam"),
    ],
    ids=["energies", "shape", "dims", "quantity", "dark"],
)
def test_flat_images_that_cannot_serve(flat, why):
    with pytest.raises(StackError, match=why):
        found(shaped_stack(), flat)
