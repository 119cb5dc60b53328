"""Standards from the ALS Fe 2p stack, beside the authors' own end members as files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from chemoscape.curation.calibrating import anchor_residual, calibrated
from chemoscape.decompose.calibration import Anchor
from chemoscape.errors import ChemoscapeWarning
from chemoscape.formats.spectra import read_spectrum
from chemoscape.library_stages import opened, standards_from_stack
from chemoscape.recipe import read_recipe
from chemoscape.standards.changing import add_to_folder
from chemoscape.standards.folder import read_library
from chemoscape.standards.library import Library, Standard
from chemoscape.standards.writing import save_library

RECIPE = Path(__file__).with_name("als_fe2p.toml")


@pytest.fixture(scope="module")
def end_members(data_folder):
    """The authors' end members as they lie among the soft X-ray spectra."""
    standards = []
    for name, value in (("reduced", 1.0), ("oxidized", 0.0)):
        energy, spectrum = read_spectrum(data_folder / "spectra_soft" / f"{name}.t")
        standards.append(Standard(name, name, value, energy, spectrum, source=f"{name}.t"))
    return Library("als-fe2p", "Fe 2p end members", "Fe(II) fraction", tuple(standards))


@pytest.fixture(scope="module")
def stack(als):
    """The stack, whose optical density is made once for all standards of it."""
    return opened(
        read_recipe(
            RECIPE, {"input.path": str(als / "71214078.hdr"), "absorbance.i0": str(als / "i0.xsp")}
        )
    )


def from_stack(stack, library, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)  # units, thickness, interpolated noise
        return standards_from_stack(stack, library=library, **more)


@pytest.fixture(scope="module")
def parts(stack, end_members):
    """The two largest of three clusters, and a region between."""
    wanted = {
        "cluster-0": {"cluster": 0, "n_clusters": 3},
        "cluster-1": {"cluster": 1, "n_clusters": 3},
        "area": {"region": "{x = [-4733.0, -4729.0], y = [-636.0, -632.0]}"},
    }
    return {
        name: from_stack(stack, end_members, id=name, formula="FeO", **more)
        for name, more in wanted.items()
    }


def test_the_end_members_become_a_library(end_members, tmp_path):
    again = read_library(save_library(end_members, tmp_path / "als"))
    for one, other in zip(again.standards, end_members.standards, strict=True):
        np.testing.assert_allclose(one.energy, other.energy, atol=1e-6)
        np.testing.assert_allclose(one.spectrum, other.spectrum, rtol=1e-6)


def test_what_the_file_knows_is_in_the_record(parts):
    measured = parts["area"][0].record.measurement
    assert measured.edges == "Fe L3, Fe L2"
    assert measured.date == "2007 December 14 18:52:00"
    assert measured.dwell_ms == pytest.approx(0.433)
    assert "i0.xsp" in measured.i0
    assert (measured.detector, measured.mode) == ("counter1", "")  # which says nothing
    assert "0.433" in measured.corrections
    assert "drift of 0.0" in measured.corrections


def test_the_largest_clusters_are_near_the_end_members(parts):
    """Near, not pure: the authors chose theirs by hand, and 6 % is left unexplained."""
    first = {"cluster-0": "oxidized", "cluster-1": "reduced"}
    for name, end in first.items():
        standard, found = parts[name]
        most = found.explanation.shares[0]
        assert most.standard == end
        assert most.share > 0.75
        assert 0.03 < found.explanation.unexplained < 0.1
        assert abs(found.explanation.energy_shift_eV) < 0.1
        assert standard.energy.size == 123
        assert 0 < np.median(standard.spectrum_sd) < 0.005


def test_the_whole_sample_has_the_known_fraction(stack, end_members):
    """Of the standards' weights in the mean spectrum, against 0.254 from pixels (data/README)."""
    _, found = from_stack(stack, end_members, id="whole")
    shares = {one.standard: one.share for one in found.explanation.shares}
    assert shares["reduced"] == pytest.approx(0.254, abs=0.05)


def test_a_natural_film_is_not_one_substance(parts):
    for _, found in parts.values():
        assert found.rank > 1
        assert found.sizes[0] > 0.05
    assert any("share noise" in text for text in parts["area"][1].doubts)


def test_thick_pixels_are_told(parts):
    standard, found = parts["cluster-0"]
    assert standard.record.measurement.max_od == pytest.approx(2.7, abs=0.1)
    assert any("saturat" in text for text in found.doubts)


def test_a_standard_of_it_is_calibrated_and_added(end_members, parts, tmp_path):
    """Goethite's L3 maximum is put at 709.6 eV for the sake of the test."""
    standard = parts["cluster-0"][0]
    anchor = Anchor(709.6, within=(709.0, 710.6))
    moved = calibrated(standard, anchor=anchor, source="this test", uncertainty_eV=0.1)
    assert abs(moved.record.calibration.shift_eV) < 0.5
    assert anchor_residual(moved) == pytest.approx(0.0, abs=1e-5)
    folder = save_library(end_members, tmp_path / "als")
    assert add_to_folder(folder, [moved]).names == ["reduced", "oxidized", "cluster-0"]
    again = read_library(folder).standards[-1]
    assert again.record.evidence.rank == parts["cluster-0"][1].rank
    assert again.record.evidence.lcf == parts["cluster-0"][1].lcf
    assert again.record.remarks == moved.record.remarks
