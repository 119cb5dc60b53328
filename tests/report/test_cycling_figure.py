"""The figure of cycling: curves, phases, the map's place, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from chemoscape.electrochemistry import (
    Phase,
    PhaseDiagram,
    lithiation,
    place_on_curve,
    simulate_cycling,
)
from chemoscape.electrochemistry.beside import as_attributes, summarised
from chemoscape.report.cycling import beside_figure, cycling_figure
from chemoscape.report.panels import figure_png


def made(**settings):
    curve, _ = simulate_cycling(interval_s=60.0, **settings)
    return lithiation(curve, mass_mg=1.0, active_fraction=1.0, mass_sd_mg=0.02)


def texts(figure):
    figure.canvas.draw()
    found = [one.get_text() for one in figure.findobj() if hasattr(one, "get_text")]
    return " ".join(text for text in found if text)


@pytest.fixture(scope="module")
def curve():
    return made()


def test_one_curve_with_a_map(curve):
    placement = place_on_curve(curve, 0.62, 0.02, after_half_cycle=1)
    figure = cycling_figure({"cell": curve}, placement=placement)
    said = texts(figure)
    for word in ("α + ε", "δ", "3.330 V", "C/5", "simulated, not measured", "map: 0.620 ± 0.020"):
        assert word in said
    ax = figure.axes[0]
    discharge = ax.lines[0]
    kept = np.isfinite(np.asarray(discharge.get_ydata()))
    np.testing.assert_allclose(
        np.interp(0.2, discharge.get_xdata()[kept], discharge.get_ydata()[kept]), 3.33, atol=0.003
    )
    assert figure_png(figure, dpi=60).startswith(b"\x89PNG")


def test_several_geometries(curve):
    figure = cycling_figure({"sphere": curve, "bulk": made(polarisation_V=0.12, c_rate=2.0)})
    said = texts(figure)
    assert "sphere, C/5" in said
    assert "bulk, 2C" in said
    assert "set apart" in said


def test_other_materials_and_none(curve):
    diagram = PhaseDiagram((Phase("H", 0.0, 0.1), Phase("T", 0.9, 1.0)), source="by hand")
    assert "H + T" in texts(cycling_figure({"cell": curve}, phases=diagram))
    assert "equilibrium" not in texts(cycling_figure({"cell": curve}, phases=None))


def test_what_was_kept_with_results(curve, tmp_path):
    placement = place_on_curve(curve, 0.62, None, after_half_cycle=1)
    kept = summarised(curve).assign_attrs(as_attributes(placement))
    kept.to_netcdf(tmp_path / "a.h5", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.h5", engine="h5netcdf") as data:
        figure = beside_figure(data.load())
    assert "0.620 (sd not known)" in texts(figure)
    assert "map:" not in texts(beside_figure(summarised(curve)))
