"""The whole line on the real ALS stack, against the answers that are known for it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chemoscape as cs
from chemoscape.errors import ChemoscapeWarning
from chemoscape.recipe import read_recipe
from chemoscape.results import summary_of

RECIPE = Path(__file__).with_name("als_fe2p.toml")
#: Reduced fraction by mass in data/README.md: unconstrained least squares with a constant.
KNOWN_FRACTION = 0.254


def recipe(als, library, **changes):
    return read_recipe(
        RECIPE,
        {
            "input.path": str(als / "71214078.hdr"),
            "absorbance.i0": str(als / "i0.xsp"),
            "standards.library": str(library),
            **changes,
        },
    )


@pytest.fixture(scope="module")
def result(als, als_library, tmp_path_factory):
    """A full run with the shift fitted."""
    folder = tmp_path_factory.mktemp("run") / "als"
    return cs.run(recipe(als, als_library), output=folder), folder


def test_known_fraction_with_the_shift_held(als, als_library, reach):
    held = recipe(
        als,
        als_library,
        **{
            "calibration.energy_shift": 0.0,
            "deconvolution.route": "direct",
            "clusters.enabled": False,
            "stress.enabled": False,
        },
    )
    summary = summary_of(cs.run(held))
    found = summary.composition.mean_mass_weighted
    assert found == pytest.approx(KNOWN_FRACTION, abs=0.02)
    what = "Fe(II) fraction by mass, known 0.254, shift held, non-negative"
    reach("ALS Fe 2p stack", what, found, within=(0.234, 0.274))
    slope = summary.calibration.composition_per_eV
    reach("ALS Fe 2p stack", "d(fraction)/d(eV), reported", slope, within=(-1.0, 1.0))


def test_published_numbers_to_the_digit(als, als_library, reach):
    """Unconstrained least squares on the naive optical density, total weight above 0.25."""
    stack = cs.open_stack(als / "71214078.hdr")
    energy, i0 = np.loadtxt(als / "i0.xsp", unpack=True)
    naive = np.log(i0[:, None, None] / stack)
    naive.attrs = {"quantity": "optical_density"}
    library = cs.open_library(als_library)
    with pytest.warns(ChemoscapeWarning) as said:
        maps = cs.deconvolve(naive, library, nonnegative=False, energy_shift=0.0)
    assert any("baseline is +0.90" in str(one.message) for one in said)
    reduced, oxidised = maps.weight.values
    inside = reduced + oxidised > 0.25
    assert inside.sum() == 2786
    fraction = reduced[inside] / (reduced + oxidised)[inside]
    by_mass = reduced[inside].sum() / (reduced + oxidised)[inside].sum()
    case = "ALS Fe 2p stack"
    reach(case, "Fe(II) fraction by mass, least squares", by_mass, within=(0.2535, 0.2545))
    median = np.median(maps.residual.values[inside])
    reach(case, "median residual, known 0.0532", median, within=(0.05315, 0.05325))
    assert fraction.mean() == pytest.approx(0.279, abs=5e-4)
    assert np.median(fraction) == pytest.approx(0.177, abs=5e-4)
    np.testing.assert_allclose(stack.energy, energy, atol=1e-3)


def test_units_are_brought_together_and_said(result):
    summary = summary_of(result[0])
    assert "0.433" in summary.units.correction
    assert any("0.433" in warning for warning in summary.warnings)


def test_fitted_shift(result, reach):
    summary = summary_of(result[0])
    shift = abs(summary.energy_shift_eV.value)
    reach("ALS Fe 2p stack", "fitted shift (eV), known 0", shift, most=0.01)
    assert summary.composition.mean_mass_weighted == pytest.approx(KNOWN_FRACTION, abs=0.03)


@pytest.mark.parametrize("injected", [-0.4, 0.4])
def test_an_injected_shift_is_recovered(als, als_library, injected, reach):
    """Move the library's energies: the fitted shift follows, and the fraction stays."""
    library = cs.open_library(als_library)
    moved = replace(
        library,
        standards=tuple(replace(s, energy=s.energy - injected) for s in library.standards),
        energy_window=None,
    )
    stack = cs.open_stack(als / "71214078.hdr")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ChemoscapeWarning
        )  # those of the other tests, and the shift
        od = cs.optical_density(stack, i0=als / "i0.xsp").sel(energy=slice(702.0, 728.0))
        straight = cs.deconvolve(od, library, weights="uniform")
        other = cs.deconvolve(od, moved, weights="uniform")
    difference = other.attrs["energy_shift_eV"] - straight.attrs["energy_shift_eV"]
    case, off = "ALS Fe 2p stack", abs(difference - injected)
    reach(case, "injected ±0.4 eV: error of the difference of shifts (eV)", off, most=0.005)
    fractions = [
        cs.composition(maps, lib).attrs["mean_mass_weighted"]
        for maps, lib in ((straight, library), (other, moved))
    ]
    apart = abs(fractions[1] - fractions[0])
    reach(case, "injected ±0.4 eV: difference of fractions", apart, most=0.003)


def test_every_file_is_there(result):
    folder = result[1]
    names = {path.name for path in folder.iterdir()}
    assert {
        "results.h5",
        "summary.json",
        "report.html",
        "recipe.toml",
        "figures",
        "spectra.csv",
        "stress-free.vtu",
        "stress-fixed.vtu",
    } <= names
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["composition"]["variable"] == "Fe(II) fraction"
    stress = summary["stress"]
    assert stress["fixed"]["von_mises_mean_MPa"] > stress["free"]["von_mises_mean_MPa"]
    assert "illustrative" in (folder / "report.html").read_text(encoding="utf-8")


def test_both_routes_agree_within_their_errors(result):
    """The errors hold how far the authors' end members fit their own stack."""
    tree, _ = result
    summary = summary_of(tree)
    direct, clustered = (summary.routes[name].composition for name in ("direct", "clustered"))
    assert abs(direct - clustered) < summary.composition.sd
    assert 3 < summary.calibration.misfit_scale < 15
    assert any("do not look like the sample" in text for text in summary.warnings)


def test_a_line_under_the_standards_is_asked_for_and_fits_better(als, als_library):
    """The baseline of this stack falls: a constant leaves three times the residual, and moves the
    fraction, by less than its stated error.
    """
    library = cs.open_library(als_library)
    stack = cs.open_stack(als / "71214078.hdr")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ChemoscapeWarning)
        od = cs.optical_density(stack, i0=als / "i0.xsp")
        constant = cs.deconvolve(od, library, weights="uniform")
    assert any('baseline = "linear"' in str(one.message) for one in said)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        line = cs.deconvolve(od, library, weights="uniform", baseline="linear")
    assert line.attrs["residual_of_mean"] < 0.4 * constant.attrs["residual_of_mean"]
    assert line.attrs["misfit_scale"] < 0.6 * constant.attrs["misfit_scale"]
    one, other = (cs.composition(maps, library).attrs for maps in (constant, line))
    apart = abs(one["mean_mass_weighted"] - other["mean_mass_weighted"])
    assert 0.03 < apart < one["mean_sd"]
