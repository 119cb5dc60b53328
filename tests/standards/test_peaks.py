"""Peak fits: line shapes and derivatives by others' code, lmfit's own fit as a peer, what goes
wrong."""

from __future__ import annotations

from dataclasses import replace

import lmfit
import numpy as np
import pytest
import xarray as xr
from scipy.special import voigt_profile

import chemoscape as cs
from chemoscape.errors import ChemoscapeError, FitError
from chemoscape.standards.atomic import mass_absorption
from chemoscape.standards.peaks import Peak, PeakModel, Step, fit_peaks, peak_model
from chemoscape.standards.peaks.problem import Problem, Spectrum
from chemoscape.standards.peaks.reading import read_peak_model
from chemoscape.standards.peaks.shapes import step, voigt, voigt_fwhm
from chemoscape.standards.peaks.steps import atomic_background


@pytest.fixture(scope="module")
def library():
    return cs.open_library("lixv2o5-model")


def series(seed=0, noise=0.01, shifts=(0.0, 0.2, 0.4), places=(706.0, 707.6), edge=None):
    """Gaussians of sd 0.4 eV, areas 1 and 2, that move up together, on white noise."""
    rng = np.random.default_rng(seed)
    energy = np.arange(700.0, 715.0, 0.05)
    rows = [
        voigt_profile(energy - places[0] - s, 0.4, 0.0)
        + 2 * voigt_profile(energy - places[1] - s, 0.4, 0.0)
        + (0 if edge is None else edge * step(energy - 708.5, 1.4, "erf"))
        + rng.normal(0, noise, energy.size)
        for s in shifts
    ]
    return xr.DataArray(rows, dims=("cluster", "energy"), coords={"energy": energy})


PAIR = PeakModel("pair", (701.0, 714.0), ["low", "high"], lorentz_fwhm=0.0)


def test_voigt_is_scipys_and_its_derivatives_are_right():
    offset = np.linspace(-3, 3, 41)
    sd, gamma, small = np.array(0.4), np.array(0.12), 1e-5
    value, by_offset, by_sd = voigt(offset, sd, gamma)
    np.testing.assert_allclose(value, voigt_profile(offset, 0.4, 0.12), rtol=1e-12)
    for got, high, low in (
        (by_offset, voigt(offset + small, sd, gamma), voigt(offset - small, sd, gamma)),
        (by_sd, voigt(offset, sd + small, gamma), voigt(offset, sd - small, gamma)),
    ):
        np.testing.assert_allclose(got, (high[0] - low[0]) / (2 * small), atol=1e-8)
    half = voigt_fwhm(sd, gamma) / 2
    assert voigt(half, sd, gamma)[0] == pytest.approx(voigt(0 * half, sd, gamma)[0] / 2, rel=1e-3)


@pytest.mark.parametrize("spread", [0.0, 0.1])
@pytest.mark.parametrize("mixing", [np.eye(3), np.array([[1, 0], [0.5, 0.5], [0, 1]])])
def test_the_jacobian_is_that_of_the_model(mixing, spread):
    energy = np.linspace(0, 10, 60)
    part = Spectrum(energy, 1 + np.exp(-((energy - 4) ** 2)), 1 + 0 * energy, np.ones((60, 1)))
    problem = Problem((part,) * 3, np.array([0.1, 0.2]), mixing, spread)
    knots = mixing.shape[1]
    theta = np.r_[np.full(knots, 3.9), np.full(knots, 2.2), 0.7, 1.1]
    theta = np.r_[theta, np.linspace(-0.1, 0.1, 6)] if spread else theta
    full, _ = problem.full_jacobian(theta)

    def model(at):
        rows = []
        for k in range(3):
            found = problem.solve(theta, k)
            rows.append(problem.shapes(at, k)[0] @ found.areas + found.baseline[0])
        return np.concatenate([*rows, problem.prior(at)])

    for j in range(theta.size):
        up, down = theta.copy(), theta.copy()
        up[j] += 1e-6
        down[j] -= 1e-6
        np.testing.assert_allclose(full[:, j], (model(up) - model(down)) / 2e-6, atol=1e-7)


def test_values_and_errors_are_those_of_lmfit():
    """One spectrum, nothing shared: lmfit's own model of two Gaussians and a constant."""
    data = series(shifts=(0.0,))
    fit = fit_peaks(data, PAIR, widths="free")
    cut = data.sel(energy=slice(701, 714))
    energy, values = cut.energy.values, cut.values[0]
    peer = lmfit.models.ConstantModel()
    for name in ("a", "b"):
        peer += lmfit.models.GaussianModel(prefix=name)
    start = {"acenter": 706.1, "bcenter": 707.5, "asigma": 0.5, "bsigma": 0.5, "c": 0.0}
    done = peer.fit(values, x=energy, aamplitude=1.0, bamplitude=1.0, **start)
    for name, peak in (("a", "low"), ("b", "high")):
        ours = fit.table.isel(standard=0).sel(peak=peak)
        for mine, theirs in (("centre", "center"), ("area", "amplitude"), ("width", "fwhm")):
            other = done.params[name + theirs]
            assert float(ours[mine]) == pytest.approx(other.value, abs=0.02 * other.stderr)
            inflated = other.stderr * np.sqrt(fit.table.variance_inflation)
            assert float(ours[f"{mine}_sd"]) == pytest.approx(inflated, rel=0.01)
    assert float(fit.table.r_squared[0]) == pytest.approx(done.rsquared, abs=1e-6)
    wanted = done.params["acenter"].correl["bcenter"]
    assert float(fit.table.centre_correlation[0, 0]) == pytest.approx(wanted, abs=0.01)


def test_shared_widths_are_shared_and_linear_centres_lie_on_lines():
    fit = fit_peaks(series(), PAIR, widths="shared", centres="linear", values=[0, 0.5, 1.0])
    assert np.ptp(fit.table.width.values, axis=0) == pytest.approx(0, abs=1e-12)
    centre = fit.table.centre.values
    np.testing.assert_allclose(centre[1], (centre[0] + centre[2]) / 2, atol=1e-9)
    trend = fit.trends()[0]
    assert (trend.peak, trend.quantity, trend.direction) == ("low", "centre", "rises")
    assert abs(trend.slope - 0.4) < 4 * trend.slope_sd
    assert trend.slope_sd < 0.01
    with pytest.raises(FitError, match="range runs from 1 to 0"):
        fit.trends(within=(1, 0))
    with pytest.raises(FitError, match="three spectra of known"):
        fit_peaks(series(), PAIR, centres="linear")


def test_the_background_is_tabulated_away_from_the_steps():
    model = replace(peak_model("O K"), step_fwhm=0.5)
    for energy, worst in ((505.0, 0.01), (580.0, 0.01)):
        at = np.array([energy])
        wanted = mass_absorption("V2O5", at)
        np.testing.assert_allclose(atomic_background("V2O5", model, at), wanted, rtol=worst)
    at = np.array([527.0])

    def risen(*energies):
        moved = [replace(s, energy=e) for s, e in zip(model.steps, energies, strict=True)]
        return float(atomic_background("V2O5", replace(model, steps=moved), at)[0])

    none = risen(900, 900, 900)
    assert (risen(517, 900, 900) - none) / (risen(517, 524, 900) - none) == pytest.approx(2 / 3)
    with pytest.raises(FitError, match="has no Fe"):
        atomic_background("V2O5", PeakModel("m", (1, 2), ["a"], [Step("Fe L3", 709.0)]), at)


def test_places_come_from_the_spectra_and_not_from_a_list(library):
    """A calibration that is off by 2.7 eV moves all centres by 2.7 eV and changes no name."""
    moved = [replace(one, energy=one.energy - 2.7) for one in library.standards]
    model = peak_model("V L3")
    there = replace(
        model,
        window=(508.3, 519.5),
        steps=[replace(one, energy=one.energy - 2.7) for one in model.steps],
    )
    here, elsewhere = fit_peaks(library, model).table, fit_peaks(moved, there).table
    # the table of the background has moved by 2.7 eV against them: some cm2/g
    found = elsewhere.centre.values[:, 1:4] - here.centre.values[:, 1:4]
    np.testing.assert_allclose(found, -2.7, atol=0.02)
    np.testing.assert_array_equal(elsewhere.peak, here.peak)


def test_steps_of_unknown_height_are_fitted():
    model = replace(PAIR, steps=(Step("Fe L3", 708.5),))
    fit = fit_peaks(series(edge=0.3), model, values=[0, 1, 2])
    assert fit.table.steps == "fitted"
    below = fit.curves.below.sel(energy=[703, 713], method="nearest").values
    np.testing.assert_allclose(below[:, 1] - below[:, 0], 0.3, atol=0.01)
    np.testing.assert_allclose(fit.table.centre[0], [706, 707.6], atol=0.02)
    np.testing.assert_allclose(fit.table.area[0], [1, 2], rtol=0.03)
    with pytest.raises(FitError, match="tabulated steps need"):
        fit_peaks(series(), model, steps="tabulated")


def test_given_errors_are_used_and_misfits_are_told():
    data = series(noise=0.01)
    honest, brave = fit_peaks(data, PAIR, sd=0.01), fit_peaks(data, PAIR, sd=0.005)
    assert float(honest.table.reduced_chi2.mean()) == pytest.approx(1, abs=0.1)
    assert not [one for one in honest.warnings if "chi2" in one]
    ratio = honest.table.centre_sd / brave.table.centre_sd
    np.testing.assert_allclose(ratio, 2, rtol=0.1)
    assert any("reduced chi2 is 4" in one for one in brave.warnings)
    unknown = fit_peaks(data, PAIR)
    assert np.isnan(unknown.table.reduced_chi2).all()
    np.testing.assert_allclose(unknown.table.centre_sd, honest.table.centre_sd, rtol=0.3)


def test_a_peak_too_many_is_told():
    near = [Peak("low", 706.2), Peak("high", 707.8), Peak("none", 711.5)]
    fit = fit_peaks(series(), replace(PAIR, peaks=near, reference="high"))
    assert sum(one.startswith("none in") and "area" in one for one in fit.warnings) >= 2
    assert np.isfinite(fit.table.centre).all()
    np.testing.assert_allclose(fit.table.centre[0, :2], [706, 707.6], atol=0.02)


def test_one_spectrum_and_two_alike_have_the_same_peaks(data_folder):
    """The pre-edge of Fe K (measured), on the wing of an edge that lies beyond the window."""
    table = np.loadtxt(data_folder / "spectra_fek" / "FeLibNov2021.nor", encoding="latin-1")
    peaks = ["pre1", "pre2", Peak("edge", outside=True)]
    model = PeakModel("Fe K", (7108.0, 7117.5), peaks)
    one, two = (
        fit_peaks(
            xr.DataArray([table[:, 3]] * n, dims=("any", "energy"), coords={"energy": table[:, 0]}),
            model,
        ).table
        for n in (1, 2)
    )
    np.testing.assert_allclose(two.centre[1, :2], one.centre[0, :2], atol=0.01)
    np.testing.assert_allclose(two.area[1, :2], one.area[0, :2], rtol=0.02)


def test_spectra_that_point_down_are_told():
    fit = fit_peaks(-series(), PAIR)
    assert any("points down" in one for one in fit.warnings)


def test_it_prints_itself_and_gives_tables(library):
    fit = fit_peaks(library.select("alpha-V2O5", "delta-Li0.9V2O5"), "V L3")
    assert "steps tabulated, sd from the residuals" in str(fit)
    rows = fit.as_csv().splitlines()
    assert len(rows) == 1 + 2 * 6
    assert rows[0].startswith("standard,label,value,peak,nuisance,centre,centre_sd")
    assert fit.as_dict()["spectra"][0]["peaks"][1]["peak"] == "d_xy"
    assert list(fit.findings.peak.values) == ["pre", "d_xy", "d_xz/yz", "main", "high"]
    with pytest.raises(FitError, match="a trend takes three"):
        fit.trends()


TOML = """
name = "pair"
window = [701.0, 714.0]
lorentz_fwhm = 0
[[peak]]
name = "low"
[[peak]]
name = "high"
[[step]]
edge = "Fe L3"
energy = 708.5
"""


def test_models_are_read_from_files(tmp_path):
    path = tmp_path / "pair.toml"
    path.write_text(TOML, encoding="utf-8")
    model = read_peak_model(path)
    assert model == replace(PAIR, steps=(Step("Fe L3", 708.5),))
    for old, new, said in (
        ("window", "windw", "did you mean 'window'"),
        ('name = "low"', "nam = 'low'", "unknown key 'nam'"),
        ("[701.0, 714.0]", "3", "'window' is 3"),
        ("energy = 708.5", "", "says nothing of 'energy'"),
        ("energy = 708.5", "energy = true", "'energy' is True"),
        ("lorentz_fwhm = 0", "lorentz_fwhm = ", "is not TOML"),
        ('"high"', '"low"', "two peaks called 'low'"),
    ):
        path.write_text(TOML.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(FitError, match=said.replace("(", r"\(")):
            read_peak_model(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"peaks": []}, "it has no peak"),
        ({"window": (5, 5)}, "its window"),
        ({"window": None}, "its window"),
        ({"peaks": [Peak("a", 706), "b"]}, "1 of its 2 peaks"),
        ({"peaks": [Peak("a", 708), Peak("b", 706)]}, "rising energy"),
        ({"peaks": [Peak("a", outside=True)]}, "only its first and its last"),
        ({"reference": "c"}, "no peak 'c'"),
        ({"step_shape": "box"}, "step_shape is 'box'"),
        ({"step_fwhm": 0}, "a width is"),
    ],
)
def test_impossible_models_are_refused(change, said):
    with pytest.raises(FitError, match=said):
        replace(PAIR, **{"reference": "", **change})


@pytest.mark.parametrize(
    ("spectra", "model", "options", "said"),
    [
        (3, PAIR, {}, "spectra are needed, not int"),
        ([], PAIR, {}, "there is no spectrum"),
        (series(), "Fe L3", {}, "no peak model is called 'Fe L3'"),
        (series(), 5, {}, "the model is a int"),
        (series(), "V L3", {}, "the window from 511 to 522.2"),
        (series()[:, ::40], PAIR, {}, "too few for 2 peaks"),
        (series() * np.nan, PAIR, {}, "not finite"),
        (series() * 0, PAIR, {}, "flat in the window"),
        (series().rename(energy="e"), PAIR, {}, "the dimensions cluster, e"),
        (series().assign_coords(cluster=[0, 1, 0]), PAIR, {}, "two spectra are called '0'"),
        (series()[:, [0, 0, 1]], PAIR, {}, "an energy twice"),
        (series(), PAIR, {"values": [1]}, "1 values for 3"),
        (series(), PAIR, {"sd": -1}, "not positive"),
        (series(), PAIR, {"sd": [1, 2]}, "do not fit 3"),
        (series(), PAIR, {"widths": "loose"}, "widths is 'loose'"),
        (series(), PAIR, {"widths": -1}, "widths is -1"),
        (series(), PAIR, {"centres": "loose"}, "centres is 'loose'"),
        (series(), replace(PAIR, steps=(Step("Xx L3", 708),), lorentz_fwhm=None), {}, "Xx"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_sentence(spectra, model, options, said):
    with pytest.raises(ChemoscapeError, match=said) as caught:
        fit_peaks(spectra, model, **options)
    assert str(caught.value).endswith(".")
