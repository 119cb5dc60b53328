"""NXstxm: the dialects of the beamlines, their traps, line scans, and what we write ourselves."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import nxstxm_files as files
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_source, open_spectra, open_stack, save_stack
from chemoscape.stack import build

ENERGY, Y, X, cube = files.ENERGY, files.Y, files.X, files.cube


def opened(path: Path, **options: Any) -> xr.DataArray:
    """A stack in memory, after the lazy one was found to be the same, also in a band."""
    eager = open_stack(path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        lazy = open_stack(path, lazy=True, **options)
        source, _ = open_source(path, **options)
    xr.testing.assert_identical(lazy.compute(), eager)
    frames, rows = slice(1, min(3, source.shape[0])), slice(1, source.shape[1] - 1)
    band = pickle.loads(pickle.dumps(source.read))(frames, rows)
    there = eager.sel(energy=source.energy[frames], y=source.y[rows], x=source.x)
    np.testing.assert_array_equal(band, there)
    return eager


# --- a real file ---


def test_pollux_image(data_folder: Path) -> None:
    path = data_folder / "readers" / "Sample_Image_2017-10-15_100.hdf5"
    stack = opened(path)
    with h5py.File(path) as file:
        there = file["entry1/counter0/data"][()]
        ring = file["entry1/control/data"][50].mean()
    assert stack.shape == (1, 100, 100)
    np.testing.assert_array_equal(stack[0], there)
    np.testing.assert_allclose(stack.y[[0, -1]], [452.5015, 453.9865])  # row 0 is the lowest y
    np.testing.assert_allclose(stack.x[[0, -1]], [880.7835, 882.2685])
    assert stack.energy.item() == 781.5
    assert stack.dwell.item() == 10
    assert stack.ring_current.item() == pytest.approx(ring)
    assert stack.attrs["polarisation"] == 0.2
    assert stack.attrs["angle_deg"] == 0.0
    assert stack.attrs["monochromator_eV"] == pytest.approx(781.4935, abs=1e-4)
    assert stack.attrs["beamline"] == "SLS PolLux X07DA"
    assert stack.attrs["started"] == "2017-10-15T06:11:28+02:00"
    facts = describe(path)
    assert facts["channels"] == ["counter0"]
    assert facts["regions"] == ["entry1"]
    assert facts["looks_wrong"] == []


# --- dialects ---


def test_pollux_stack(tmp_path: Path) -> None:
    stack = opened(files.pollux(tmp_path / "p.hdf5"))
    np.testing.assert_array_equal(stack, cube())
    np.testing.assert_array_equal(stack.energy, ENERGY)
    np.testing.assert_array_equal(stack.y, Y)
    np.testing.assert_allclose(stack.x, X)  # nm in the file
    np.testing.assert_array_equal(stack.ring_current, [400, 399, 398, 397])
    np.testing.assert_array_equal(stack.dwell, [10, 10, 10, 10])
    assert stack.attrs["dwell_ms"] == 10
    assert stack.attrs["angle_deg"] == 30
    assert stack.attrs["polarisation"] == -0.2
    assert stack.attrs["channel"] == "counter0"
    assert [one.names for one in open_source(tmp_path / "p.hdf5")[0].choices] == [
        ("counter0",),
        ("entry1",),
    ]
    assert "ring_current_mA" not in stack.attrs


def test_single_image_without_energy_axis(tmp_path: Path) -> None:
    stack = opened(files.pollux(tmp_path / "p.hdf5", image=True))
    np.testing.assert_array_equal(stack, cube()[:1])
    np.testing.assert_array_equal(stack.energy, ENERGY[:1])
    assert stack.ring_current.item() == 400


def test_channels_and_regions(tmp_path: Path) -> None:
    path = files.pollux(tmp_path / "p.hdf5", n_counters=2, n_regions=11)
    with pytest.warns(ChemoscapeWarning) as said:
        first = open_stack(path)
    assert len(said) == 2
    assert "11 regions (entry1, entry2, " in str(said[1].message)
    np.testing.assert_array_equal(first, cube())
    for region in ("entry3", 2):
        np.testing.assert_array_equal(
            open_stack(path, channel="counter1", region=region), cube(more=210_000)
        )
    np.testing.assert_array_equal(open_stack(path, channel=0, region=10), cube(more=1_000_000))
    with pytest.raises(FileFormatError, match="there is no channel 'control'"):
        open_stack(path, channel="control", region=0)


def test_true_energies_are_used(tmp_path: Path) -> None:
    path = files.pollux(tmp_path / "p.hdf5")
    true = ENERGY + np.array([0.02, -0.03, 0.01, 0.04])
    with h5py.File(path, "a") as file:
        file["entry1/instrument/energy/data"] = np.repeat(true, 30)
    stack = opened(path)
    np.testing.assert_allclose(stack.energy, true)
    assert stack.attrs["energies"] == "read back"


@pytest.mark.parametrize("wrong", [510.1, 0.0, np.nan, 2000.0])
def test_one_energy_read_back_for_all_frames_is_not_used(tmp_path: Path, wrong: float) -> None:
    path = files.pollux(tmp_path / "p.hdf5")
    with h5py.File(path, "a") as file:
        file["entry1/instrument/energy/data"] = np.full(120, wrong)
    np.testing.assert_array_equal(opened(path).energy, ENERGY)


def test_hermes(tmp_path: Path) -> None:
    stack = opened(files.hermes(tmp_path / "h.hdf5"))
    np.testing.assert_array_equal(stack, cube())
    assert stack.attrs["beamline"] == "Hermes"
    assert set(stack.coords) == {"energy", "y", "x"}
    turned = files.hermes(tmp_path / "t.hdf5", cube().transpose(0, 2, 1))
    np.testing.assert_array_equal(opened(turned), cube())


def test_hermes_square_images_must_be_said(tmp_path: Path) -> None:
    path = files.hermes(tmp_path / "h.hdf5", n_y=6)
    with pytest.raises(FileFormatError, match='say which it is: axes = "eyx" or axes = "exy"'):
        open_stack(path)
    np.testing.assert_array_equal(opened(path, axes="eyx"), cube(4, 6, 6))
    np.testing.assert_array_equal(opened(path, axes="exy"), cube(4, 6, 6).transpose(0, 2, 1))


@pytest.mark.parametrize("order", ["eyx", "yxe", "xye", "exy"])
def test_diamond(tmp_path: Path, order: str) -> None:
    stack = opened(files.diamond(tmp_path / "d.hdf5", order))
    np.testing.assert_array_equal(stack, cube())
    np.testing.assert_allclose(stack.energy, ENERGY)  # keV in the file
    np.testing.assert_allclose(stack.x, X)  # mm in the file
    np.testing.assert_allclose(stack.dwell, 2)


def test_cls(tmp_path: Path) -> None:
    path = files.cls(tmp_path / "c.hdf5", n_regions=2)
    stack = opened(path, region="entry1")
    np.testing.assert_array_equal(stack, cube(more=10_000))
    np.testing.assert_allclose(stack.dwell, 1.5)
    np.testing.assert_allclose(stack.ring_current[[0, -1]], [250, 249], atol=0.15)
    assert stack.attrs["polarisation"] == "circular right"
    assert "writer" not in stack.attrs


def test_cls_aborted(tmp_path: Path) -> None:
    path = files.cls(tmp_path / "c.hdf5", measured=3, rows_of_last=2)
    with pytest.warns(
        ChemoscapeWarning,
        match=r"the last 1 of 4 images, from 514.00 eV on, are empty and image 3 ends after row 2 "
        r"of 5 \(a scan in progress, or aborted\); what is missing is NaN",
    ):
        stack = opened(path)
    there = cube()
    there[3:], there[2, 2:] = np.nan, np.nan
    np.testing.assert_array_equal(stack, there)
    assert describe(path)["complete"] is False


def test_mantis(tmp_path: Path) -> None:
    stack = opened(files.mantis(tmp_path / "m.nxs"))
    np.testing.assert_array_equal(stack, cube(4, 5, 5))


@pytest.mark.parametrize(
    "axes",
    [
        {},
        {"axes": "energy:sample_y:sample_x"},
        {"axes": "[energy,sample_y,sample_x]"},
        {"axes": np.bytes_(b"energy:sample_y:sample_x")},
        {"axes": ["energy", "sample_y", "sample_x"], "signal": "data"},
        {"axes": np.array([b"energy", b".", b"sample_x"]), "signal": np.array([b"data"])},
        {"axes": ["sample_y", "sample_x"]},
        {"axes": 5, "signal": "gone"},
    ],
)
def test_definition(tmp_path: Path, axes: dict[str, Any]) -> None:
    np.testing.assert_array_equal(opened(files.definition(tmp_path / "d.nxs", **axes)), cube())


def test_lengths_are_trusted_over_names(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs", axes=["sample_x", "sample_y", "energy"])
    with pytest.warns(ChemoscapeWarning, match="labels say xye but its lengths eyx"):
        np.testing.assert_array_equal(opened(path), cube())


def test_axes_that_the_file_knows_are_not_asked(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs")
    with pytest.warns(ChemoscapeWarning, match="axes = 'xye' is not used"):
        np.testing.assert_array_equal(opened(path, axes="xye"), cube())


def test_lists_of_other_lengths(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs", cube(4, 5, 7))
    with pytest.warns(ChemoscapeWarning, match="the x axis has 6 labels for 7 pixels"):
        np.testing.assert_array_equal(opened(path), cube(4, 5, 7))
    path = files.definition(tmp_path / "e.nxs", cube(6, 5, 6))
    with (
        pytest.warns(ChemoscapeWarning, match="4 energies for 6 images"),
        pytest.raises(FileFormatError, match="6 images and no photon energies"),
    ):
        warn_and_open(path)
    stack = opened(path, energy=500 + np.arange(6.0))
    np.testing.assert_array_equal(stack, cube(6, 5, 6))


def warn_and_open(path: Path) -> None:
    """Say the notes even when no stack comes of it."""
    from chemoscape.formats import find_format
    from chemoscape.formats._source import Wanted

    known, found = find_format(path)
    for note in known.open(found, Wanted()).notes:
        warnings.warn(note, ChemoscapeWarning, stacklevel=2)
    open_stack(path)


def test_fewer_frames_than_energies_is_a_scan_in_progress(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs", cube(2, 5, 6))
    with pytest.warns(ChemoscapeWarning, match="the last 2 of 4 images"):
        stack = opened(path)
    np.testing.assert_array_equal(stack[:2], cube(2, 5, 6))
    assert np.isnan(stack[2:]).all()
    stack = opened(path, energy=ENERGY[:2])
    np.testing.assert_array_equal(stack, cube(2, 5, 6))


# --- ALS ---


def test_als_pixels(tmp_path: Path) -> None:
    stack = opened(files.als(tmp_path / "a.stxm", "0"))
    np.testing.assert_array_equal(stack, cube())
    np.testing.assert_array_equal(stack.dwell, 2)  # ms though the unit says s
    assert "ring_current" not in stack.coords  # zeros: not recorded
    assert stack.attrs["polarisation"] == 1.0
    assert stack.attrs["writer"] == "pystxmcontrol 0"


def test_als_samples_are_put_on_the_grid(tmp_path: Path) -> None:
    path = files.als(tmp_path / "a.stxm", "2.0", n_regions=2)
    stack = opened(path, region=1)
    np.testing.assert_allclose(stack, cube(more=10_000) * 10 / 9, rtol=1e-6)
    np.testing.assert_array_equal(stack.x, X)
    np.testing.assert_array_equal(stack.y, Y)
    np.testing.assert_array_equal(stack.dwell, 2)


def test_als_pixels_without_samples(tmp_path: Path) -> None:
    path = files.als(tmp_path / "a.stxm", "2.0")
    with h5py.File(path, "a") as file:
        place = file["entry0/counter0/sample_x"]
        place[1, 2, 6:9] = X[3]
        place[2, 3] = 0.0  # a line along which the stage did not move
    with pytest.warns(
        ChemoscapeWarning, match=r"1 of 24 pixels that were looked at \(middle row of 4 images\)"
    ):
        stack = opened(path)
    there = cube() * 10 / 9
    there[1, 2, 3] = there[1, 2, 2:4].mean()
    there[1, 2, 2], there[2, 3] = np.nan, np.nan
    np.testing.assert_allclose(stack, there, rtol=1e-6)


def test_als_unit_and_direction_of_the_positions(tmp_path: Path) -> None:
    path = files.als(tmp_path / "a.stxm", "2.0")
    with h5py.File(path, "a") as file:
        measured, requested = (
            file["entry0/counter0/sample_x"],
            file["entry0/requested_values/sample_x"],
        )
        measured[...] = -measured[()] / 1e3
        measured.attrs["units"] = "mm"
        requested[...] = -requested[()]
    stack = opened(path)
    np.testing.assert_array_equal(stack.x, -X[::-1])
    np.testing.assert_allclose(stack, cube()[:, :, ::-1] * 10 / 9, rtol=1e-6)


def test_als_scan_in_progress(tmp_path: Path) -> None:
    counts = cube()
    counts[2, 3:], counts[3:] = 0, 0
    path = files.als(tmp_path / "a.stxm", "2.0", data=counts)
    with h5py.File(path, "a") as file:
        file["entry0/counter0/data"][3] = 0
        file["entry0/counter0/data"][2, 3:] = 0
    with pytest.warns(ChemoscapeWarning, match="last 1 of 4 images.*image 3 ends after row 3"):
        stack = opened(path)
    there = counts * 10 / 9
    there[2, 3:], there[3:] = np.nan, np.nan
    np.testing.assert_allclose(stack, there, rtol=1e-6)


def test_als_binned_by_its_writer(tmp_path: Path) -> None:
    stack = opened(files.als(tmp_path / "a.stxm", "2.1"))
    np.testing.assert_array_equal(stack, cube() + 1)
    np.testing.assert_array_equal(stack.x, X)


def test_als_binned_left_empty(tmp_path: Path) -> None:
    stack = opened(files.als(tmp_path / "a.stxm", "2.1", binned=False))
    np.testing.assert_allclose(stack, cube() * 10 / 9, rtol=1e-6)


def test_arrays_that_were_made_and_never_written(tmp_path: Path) -> None:
    path = files.als(tmp_path / "a.stxm", "2.1")
    with h5py.File(path, "a") as file:
        for name in ("binned_values/data", "control/data", "energy/data"):
            del file[f"entry0/{name}"]
            file["entry0"].create_dataset(name, (4, 5, 6), "f8", chunks=(1, 5, 6))
    np.testing.assert_allclose(opened(path), cube() * 10 / 9, rtol=1e-6)


def test_als_3(tmp_path: Path) -> None:
    path = files.als3(tmp_path / "a.stxm")
    with pytest.warns(
        ChemoscapeWarning, match=r"2 channels \(XRF, default\); 'default' was opened"
    ):
        stack = opened(path)
    np.testing.assert_array_equal(stack, cube())
    np.testing.assert_array_equal(stack.dwell, 1.5)
    assert stack.attrs["writer"] == "pystxmcontrol 3"
    assert stack.attrs["polarisation"] == -1.0
    assert "angle_deg" not in stack.attrs
    np.testing.assert_array_equal(open_stack(path, channel="xrf"), cube(more=10_000))


def test_als_3_early(tmp_path: Path) -> None:
    stack = opened(files.als3(tmp_path / "a.stxm", early=True))
    np.testing.assert_array_equal(stack, cube())
    np.testing.assert_array_equal(stack.dwell, 1.5)


# --- traps ---


def test_dark_images_are_no_missing_ones(tmp_path: Path) -> None:
    counts = cube()
    counts[1] = 0  # the beam was off
    counts[3, 2] = 0  # a dark middle row in the last image
    counts[3, 4], counts[2, 4] = 0, 0  # a bar of the grid at the edge of all images
    path = files.definition(tmp_path / "d.nxs", counts)
    np.testing.assert_array_equal(opened(path), counts)
    assert open_source(path)[0].complete


def test_nothing_measured_yet(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs", np.zeros((4, 5, 6)))
    with pytest.warns(ChemoscapeWarning, match="none of its 4 images has been measured"):
        assert np.isnan(opened(path)).all()


def test_frames_never_written(tmp_path: Path) -> None:
    path = tmp_path / "d.nxs"
    files.definition(path)
    with h5py.File(path, "a") as file:
        group = file["entry/detector_1"]
        del group["data"]
        data = group.create_dataset("data", (4, 5, 6), "u4", chunks=(1, 5, 6), compression="gzip")
        data[:2] = cube()[:2]
    with pytest.warns(ChemoscapeWarning, match="the last 2 of 4 images"):
        stack = opened(path)
    np.testing.assert_array_equal(stack[:2], cube()[:2])
    source, _ = open_source(path)
    assert source.framewise
    assert source.rows_per_read == 5


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Focus", "is a focus scan"),
        ("OSA Focus", "is a scan of the order-sorting aperture"),
        ("osa image", "is a scan of the order-sorting aperture"),
        ("detector_image", "is an image of the detector"),
        ("Single Motor", "is a scan of one motor"),
    ],
)
def test_other_scans_are_named(tmp_path: Path, kind: str, message: str) -> None:
    path = files.als(tmp_path / "a.stxm", "0", kind=kind)
    for open_ in (open_stack, open_spectra):
        with pytest.raises(FileFormatError, match=message):
            open_(path)


def test_spiral_that_is_on_no_grid(tmp_path: Path) -> None:
    path = files.als(tmp_path / "a.stxm", "2.0", kind="Spiral Image")
    with pytest.raises(FileFormatError, match="is a spiral scan that was not put on a grid"):
        open_stack(path)


def test_frames_of_a_camera(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs", np.ones((4, 5, 6, 6)))
    with pytest.raises(FileFormatError, match="frames of a camera"):
        open_stack(path)


def test_complex_numbers(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs", cube() * 1j)
    with pytest.raises(FileFormatError, match="complex numbers, as ptychography gives"):
        open_stack(path)


def test_an_entry_without_images(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.nxs", "w") as file:
        entry = files.of_class(file, "entry1", "NXentry")
        entry["definition"] = "NXstxm"
        entry["ccd0/exp/0"] = np.ones((4, 4))
    with pytest.raises(FileFormatError, match=r"has no images in its entries \(entry1\)"):
        open_stack(tmp_path / "d.nxs")


def test_other_nexus_files_are_not_taken(tmp_path: Path) -> None:
    for name in ("NXtomo", "NXxas"):
        path = files.definition(tmp_path / f"{name}.nxs")
        with h5py.File(path, "a") as file:
            file["entry/definition"][...] = name
        with pytest.raises(FileFormatError, match="in a format known here"):
            open_stack(path)


def test_links_out_of_the_file(tmp_path: Path) -> None:
    files.definition(tmp_path / "d.nxs")
    with h5py.File(tmp_path / "l.nxs", "w") as file:
        entry = files.of_class(file, "entry", "NXentry")
        entry["definition"] = "NXstxm"
        group = files.of_class(entry, "counter0", "NXdata")
        for name in ("energy", "sample_y", "sample_x"):
            group[name] = {"energy": ENERGY, "sample_y": Y, "sample_x": X}[name]
        group["data"] = h5py.ExternalLink("d.nxs", "/entry/detector_1/data")
    with pytest.raises(FileFormatError, match="is a link to another file"):
        open_stack(tmp_path / "l.nxs")


def test_a_small_file_cannot_claim_a_large_array(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs")
    with h5py.File(path, "a") as file:
        group = file["entry/detector_1"]
        del group["data"]
        data = group.create_dataset("data", (4, 50_000, 60_000), "f4", chunks=(1, 100, 100))
        data[0, 0, 0] = 1
    with pytest.raises(FileFormatError, match="more than its 40000 bytes can hold"):
        open_stack(path)


def test_impossible_positions(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs")
    with h5py.File(path, "a") as file:
        file["entry/detector_1/sample_x"][2] = 1e300
    with pytest.raises(FileFormatError, match="holds a position that is no number"):
        open_stack(path)


def test_what_is_noted_for_each_frame(tmp_path: Path) -> None:
    path = files.cls(tmp_path / "c.hdf5")
    with h5py.File(path, "a") as file:
        entry = file["entry0"]
        for name in ("epu_polarization", "count_time"):
            del entry[f"counter0/{name}"]
        entry["counter0/epu_polarization"] = np.array([0.0, 1, 2, 5])
        entry["instrument/epu/linear_inclined_angle"] = 45.0
        files.put(entry, "counter0/count_time", np.array([1.0, 1, 2, 3]), "ms")
        entry["sample/rotation_angle"] = np.array([0.0, 10, 20, 30])
        del entry["control"]
        entry["instrument/control/data"] = np.repeat([200.0, 0, np.nan, 199], 30)
    stack = opened(path)
    named = ["circular left", "circular right", "linear 45°", "linear 45°"]
    assert stack.polarisation.values.tolist() == named
    np.testing.assert_array_equal(stack.dwell, [1, 1, 2, 3])
    np.testing.assert_array_equal(stack.angle, [0, 10, 20, 30])
    np.testing.assert_array_equal(stack.ring_current, [200, np.nan, np.nan, 199])
    assert "dwell_ms" not in stack.attrs


def test_energies_that_repeat_keep_their_first_image(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs")
    with h5py.File(path, "a") as file:
        file["entry/detector_1/energy"][...] = [511.0, 510, 511, 510]
    with pytest.warns(ChemoscapeWarning, match="2 images repeat an energy"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack, cube()[[1, 0]])


def test_texts_of_a_type_that_none_has(tmp_path: Path) -> None:
    path = files.definition(tmp_path / "d.nxs")
    with h5py.File(path, "a") as file:
        group = file["entry/detector_1"]
        lists = np.empty(1, dtype=object)
        lists[0] = np.array([1, 2], dtype="i4")
        group.attrs.create("axes", lists, dtype=h5py.vlen_dtype(np.int32))
        group["sample_x"].attrs.create("units", lists, dtype=h5py.vlen_dtype(np.int32))
        group["sample_y"].attrs["units"] = h5py.Empty("f4")
    np.testing.assert_array_equal(opened(path), cube())


def test_a_heap_of_texts_with_zeros_does_not_hang(tmp_path: Path) -> None:
    path = files.cls(tmp_path / "c.hdf5")
    content = path.read_bytes()
    at = content.find(b"NXstxm", content.find(b"GCOL"))
    path.write_bytes(content[: at + 8] + bytes(64) + content[at + 72 :])
    with pytest.raises(FileFormatError, match=r"damaged.*zeros where it goes on"):
        open_spectra(path)
    with pytest.raises(FileFormatError):
        open_stack(path)


# --- spectra ---


@pytest.mark.parametrize("new", [True, False])
def test_line_scan(tmp_path: Path, new: bool) -> None:
    path = files.pollux_line(tmp_path / "l.hdf5", new=new)
    spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra, cube()[:, :, 0].T)
    np.testing.assert_array_equal(spectra.energy, ENERGY)
    np.testing.assert_allclose(spectra.position, 5 * np.arange(5))
    with pytest.raises(FileFormatError, match=r"holds a line scan: spectra.*open_spectra"):
        open_stack(path)
    assert describe(path)["position_um"] == [0.0, 20.0]


def test_line_scan_with_as_many_points_as_energies(tmp_path: Path) -> None:
    path = files.pollux_line(tmp_path / "l.hdf5")
    with h5py.File(path, "a") as file:
        group = file["entry1/counter0"]
        for name in ("data", "sample_x", "sample_y"):
            values = group[name][()]
            del group[name]
            group[name] = values[..., :4]
        del group.attrs["axes"]
    np.testing.assert_array_equal(open_spectra(path), cube()[:, :4, 0].T)


def test_line_scan_aborted(tmp_path: Path) -> None:
    path = files.pollux_line(tmp_path / "l.hdf5")
    with h5py.File(path, "a") as file:
        file["entry1/counter0/data"][3] = 0
    with pytest.warns(ChemoscapeWarning, match="the last 1 of 4 energies are empty"):
        spectra = open_spectra(path)
    assert np.isnan(spectra[:, 3]).all()


def test_line_scans_of_als(tmp_path: Path) -> None:
    for version, factor in (("2.0", 10 / 9), ("3.0", 1.0)):
        spectra = open_spectra(files.als_line(tmp_path / f"{version}.stxm", version))
        np.testing.assert_allclose(spectra, cube()[:, 0].T * factor, rtol=1e-6)
        np.testing.assert_allclose(spectra.position, 5 * np.arange(6))


def test_point_spectra(tmp_path: Path) -> None:
    path = files.cls_points(tmp_path / "c.hdf5")
    spectra = open_spectra(path)
    np.testing.assert_array_equal(spectra, cube()[:, :3, 0].T)
    assert spectra.spectrum.values.tolist() == ["entry0", "entry1", "entry2"]
    np.testing.assert_array_equal(open_spectra(path, region=1), cube()[:, 1, :1].T)
    with pytest.raises(FileFormatError, match="holds a point spectrum"):
        open_stack(path, region=0)


def test_images_are_no_spectra(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="holds images, no spectra; open it with"):
        open_spectra(files.pollux(tmp_path / "p.hdf5"))


# --- what we write ---


@pytest.fixture
def stack() -> xr.DataArray:
    values = np.random.default_rng(0).poisson(300, (5, 6, 7)).astype(float)
    values[0, 0, 0] = np.nan
    values[4] = 0  # a dark image of ours is a dark image
    return build(
        values,
        510 + 0.2 * np.arange(5)[::-1],
        np.arange(6) * -0.04,
        np.arange(7) * 0.04,
        quantity="counts",
        per_energy={
            "ring_current": [np.nan, 300.1, 300, 299.9, 299.8],
            "time": np.arange(5.0),
            "dwell": np.array([1, 1, 2, 2, 3.3]),
            "noise_gain": np.linspace(0.5, 1, 5).astype(np.float32),
            "polarisation": ["left", "", "linear 45°", "right ", "π\x00"],
            "number": np.arange(5),
            "kept": [True, False, True, True, True],
        },
        attrs={
            "dwell_ms": 1.5,
            "counter_divider": 10,
            "sample": "Probe µ \x00",
            "angle_deg": 30,
            "started": "2020-01-01",
            "channel": "PMT",
            "ghost": float("inf"),
        },
    )


def again(path: Path) -> xr.DataArray:
    """The stack as it was before a reader noted format and source."""
    stack = open_stack(path)
    assert stack.attrs.pop("format") == "nxstxm"
    assert stack.attrs.pop("source") == str(path)
    return stack


@pytest.mark.parametrize("chunks", [None, 2, 4])
def test_round_trip(stack: xr.DataArray, tmp_path: Path, chunks: int | None) -> None:
    written = stack if chunks is None else stack.chunk({"y": chunks})
    assert save_stack(written, tmp_path / "s.nxs") == ""
    read = again(tmp_path / "s.nxs")
    xr.testing.assert_identical(read, stack)
    assert list(read.attrs) != []
    for name in stack.coords:
        assert read[name].dtype.kind == stack[name].dtype.kind
    assert [p.name for p in tmp_path.iterdir()] == ["s.nxs"]
    opened(tmp_path / "s.nxs")


@pytest.mark.parametrize("quantity", ["transmission", "optical_density"])
def test_round_trip_of_quantities(tmp_path: Path, quantity: Any) -> None:
    stack = build(np.full((1, 2, 3), 0.5), [700.0], [0.0, 1.0], [0.0, 1, 2], quantity=quantity)
    save_stack(stack, tmp_path / "s.nxs")
    xr.testing.assert_identical(again(tmp_path / "s.nxs"), stack)


def test_other_programs_find_their_way(stack: xr.DataArray, tmp_path: Path) -> None:
    save_stack(stack, tmp_path / "s.nxs")
    with h5py.File(tmp_path / "s.nxs") as file:
        entry = file[file.attrs["default"]]
        group = entry[entry.attrs["default"]]
        assert entry["definition"][0] == b"NXstxm"
        assert [name.decode() for name in group.attrs["axes"]] == ["energy", "sample_y", "sample_x"]
        assert group.attrs["signal"] == b"data"
        np.testing.assert_array_equal(group["data"], stack)
        np.testing.assert_array_equal(group["energy"], stack.energy)
        np.testing.assert_allclose(group["count_time"], stack.dwell / 1e3)
        assert entry["control/data"].shape == stack.shape
        np.testing.assert_allclose(entry["control/data"][:, 5, 6], stack.ring_current, rtol=1e-6)
        assert json.loads(entry["chemoscape/attributes"][()])["dwell_ms"] == 1.5
        # without our own group it is an ordinary NXstxm file
    with h5py.File(tmp_path / "s.nxs", "a") as file:
        del file["entry1/chemoscape"], file["entry1/counter0"].attrs["chemoscape_quantity"]
    plain = open_stack(tmp_path / "s.nxs")
    np.testing.assert_array_equal(plain, stack)
    np.testing.assert_allclose(plain.dwell, stack.dwell)
    assert plain.attrs["angle_deg"] == 30


def test_what_is_lost_is_said(stack: xr.DataArray, tmp_path: Path) -> None:
    odd = stack.assign_coords(row=("y", np.arange(6)), seen=0.5)
    odd = odd.assign_coords({"a/b": ("energy", np.arange(5))})
    odd.attrs["shifts"] = [1, 2]
    with pytest.warns(ChemoscapeWarning, match="cannot hold the coordinate row"):
        lost = save_stack(odd, tmp_path / "s.nxs")
    for name in ("coordinate row", "coordinate seen", "coordinate a/b", "attribute shifts"):
        assert f"the {name}" in lost
    xr.testing.assert_identical(again(tmp_path / "s.nxs"), stack)


# --- damage ---


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sound")
    made = [
        files.pollux(folder / "pollux.hdf5"),
        files.diamond(folder / "diamond.hdf5", "xye"),
        files.als(folder / "als.stxm", "2.0"),
        files.als3(folder / "als3.stxm", early=True),
        files.pollux_line(folder / "line.hdf5"),
    ]
    save_stack(build(cube(), ENERGY, Y, X, quantity="counts"), folder / "ours.nxs")
    return [*made, folder / "ours.nxs"]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(
    originals: list[Path], tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(originals)).read_bytes())
    if data.draw(st.integers(0, 3)) == 0:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.h5").write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        for open_ in (open_stack, open_spectra, describe):
            try:
                open_(tmp_path / "damaged.h5")
            except ChemoscapeError:
                continue


def test_damage_of_ours_is_found(tmp_path: Path) -> None:
    save_stack(build(cube(), ENERGY, Y, X, quantity="counts"), tmp_path / "s.nxs")
    content = bytearray((tmp_path / "s.nxs").read_bytes())
    at = content.find(np.float32(1120.0).tobytes())
    content[at + 2] ^= 1
    (tmp_path / "s.nxs").write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="is damaged"):
        open_stack(tmp_path / "s.nxs")
