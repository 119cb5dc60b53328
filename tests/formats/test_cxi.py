"""CXI reconstructions: COSMIC's real file against its STXM scan, and the other layouts."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, zoom
from skimage.feature import match_template

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeError, FileFormatError
from chemoscape.formats import describe, open_source, open_stack
from chemoscape.formats.cxi._writing import write_cxi

COSMIC = "ptycho-data-cosmic__ptycho-scan-856eV.cxi"
JOULE = 1.602176634e-19


def wave(scale: float = 1.0) -> np.ndarray:
    """ψ of 4 × 5 pixels that all differ in size and phase."""
    numbers = np.arange(20.0).reshape(4, 5)
    return (scale * (0.5 + numbers / 40) * np.exp(1j * (numbers / 10 - 1))).astype(np.complex64)


def cxi(
    path: Path,
    image: np.ndarray | None = None,
    *,
    ev: float | None = 700.0,
    entry: int = 1,
    **items: Any,
) -> Path:
    """A file, or one more entry of one; built from the published layout."""
    content = {
        "image_1/data": wave() if image is None else image,
        "instrument_1/source_1/energy": None if ev is None else ev * JOULE,
        "process_1/Param/pixnm": np.bytes_("6.0"),
        **items,
    }
    with h5py.File(path, "a") as file:
        file.require_dataset("cxi_version", (), int, data=130)
        for name, value in content.items():
            if value is not None:
                file[f"entry_{entry}/{name}"] = value
    return path


def opened(path: Path, **options: Any) -> tuple[Any, str]:
    """The stack and all that was said of it, by `inspect` too."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        stack = open_stack(path, **options)
    options.pop("lazy", None)
    remarks = describe(path, look=False, **options).get("remarks", [])
    return stack, "\n".join([*(str(one.message) for one in said), *remarks])


# --- real file ---


def test_cosmic(data_folder: Path) -> None:
    path = data_folder / "readers" / COSMIC
    with h5py.File(path) as file:
        there = np.asarray(file["entry_1/image_1/data"])
    stack, said = opened(path)
    assert stack.shape == (1, 285, 285)
    np.testing.assert_allclose(stack.energy, [855.906], atol=1e-3)
    np.testing.assert_allclose(stack[0], np.abs(there[::-1]) ** 2, rtol=1e-5)
    assert stack.attrs["quantity"] == "counts"
    assert stack.attrs["pixel_source"] == "detector corner"
    assert "not normalised (intensity 491 in the middle row)" in said
    # λz/(N·dx) with a corner at 14.61 mm and 121 mm: half an Airy disc of that aperture
    np.testing.assert_allclose(stack.x[1] - stack.x[0], 5.999e-3, rtol=1e-3)
    for channel in ("intensity", "amplitude", "phase"):
        stacks.check(opened(path, channel=channel)[0])
    lazy, _ = opened(path, lazy=True)
    np.testing.assert_array_equal(lazy[:, 100:130].compute(), stack[:, 100:130])


def test_cosmic_is_upright(data_folder: Path) -> None:
    """The same particle in a scan of the same microscope, whose rows rise with y."""
    image = opened(data_folder / "readers" / COSMIC)[0][0]
    scan = opened(data_folder / "readers" / "ptycho-data-cosmic__stxm-scan.hdr")[0][0]
    ratio = stacks.pixel_size(image)[0] / stacks.pixel_size(scan)[0]
    small = zoom(gaussian_filter(image.values, 3), ratio, order=1)[8:-8, 8:-8]
    upright, flipped = (
        match_template(scan.values, one).max() for one in (small, small[::-1].copy())
    )
    assert upright > 0.96
    assert flipped < 0.85


# --- channels and values ---


def test_channels(tmp_path: Path) -> None:
    path = cxi(tmp_path / "a.cxi")
    stack, said = opened(path)
    assert "taken as normalised (intensity" in said
    assert stack.attrs["quantity"] == "transmission"
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]) ** 2, rtol=1e-6)
    np.testing.assert_allclose(stack.y, 0.006 * np.arange(4))
    np.testing.assert_allclose(stack.x, 0.006 * np.arange(5))
    assert stack.attrs["pixel_source"] == "process_1/Param/pixnm"
    np.testing.assert_allclose(
        opened(path, channel="amplitude")[0][0], np.abs(wave()[::-1]), rtol=1e-6
    )
    phase, said = opened(path, channel="phase")
    np.testing.assert_allclose(phase[0], np.angle(wave()[::-1]), rtol=1e-5, atol=1e-6)
    assert "phases are in rad" in said
    assert describe(path)["format"] == "cxi"
    read = pickle.loads(pickle.dumps(open_source(path)[0].read))
    np.testing.assert_allclose(
        read(slice(0, 1), slice(1, 3))[0], np.abs(wave()[1:3]) ** 2, rtol=1e-6
    )


@pytest.mark.parametrize("names", [("r", "i"), ("real", "imag")])
def test_pairs_of_real_numbers(tmp_path: Path, names: tuple[str, str]) -> None:
    pairs = np.zeros((4, 5), dtype=[(name, "f4") for name in names])
    pairs[names[0]], pairs[names[1]] = wave().real, wave().imag
    stack, _ = opened(cxi(tmp_path / "a.cxi", pairs), channel="phase")
    np.testing.assert_allclose(stack[0], np.angle(wave()[::-1]), rtol=1e-5, atol=1e-6)


def test_real_image(tmp_path: Path) -> None:
    stack, said = opened(cxi(tmp_path / "a.cxi", np.abs(wave()).astype(float)))
    assert "real numbers, taken as intensities" in said
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]), rtol=1e-6)


def test_shifted_image_and_modes(tmp_path: Path) -> None:
    modes = np.stack([np.fft.ifftshift(wave()), 0 * wave()])
    path = cxi(tmp_path / "a.cxi", modes, **{"image_1/is_fft_shifted": 1})
    stack, said = opened(path)
    assert "2 modes or slices: the first is opened" in said
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]) ** 2, rtol=1e-6)


def test_several_reconstructions(tmp_path: Path) -> None:
    more = {"image_2/data": wave(2), "image_10/data": wave(3)}
    path = cxi(tmp_path / "a.cxi", **more)
    stack, said = opened(path)
    assert "3 regions (reconstruction 1, reconstruction 2, reconstruction 10)" in said
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]) ** 2, rtol=1e-6)
    for region in ("reconstruction 10", "image_10", 2):
        stack, _ = opened(path, region=region)
        np.testing.assert_allclose(stack[0], np.abs(wave(3)[::-1]) ** 2, rtol=1e-6)
    with h5py.File(path, "a") as file:
        file["entry_1/image_latest"] = h5py.SoftLink("/entry_1/image_2")
    stack, said = opened(path)
    assert "'reconstruction 2' was opened" in said
    np.testing.assert_allclose(stack[0], np.abs(wave(2)[::-1]) ** 2, rtol=1e-6)


def test_older_place_of_the_data(tmp_path: Path) -> None:
    path = cxi(tmp_path / "a.cxi", **{"image_1/data": None, "image_1/data_1/data": wave()})
    assert opened(path)[0].shape == (1, 4, 5)


# --- energies and pixels ---


@pytest.mark.parametrize(
    ("items", "ev", "said"),
    [
        ({"instrument_1/source_1/energy": 700 * JOULE}, 700, ""),
        ({"instrument_1/source_1/energy": 700.0}, 700, "no energy in joule and is taken as eV"),
        (
            {
                "instrument_1/source_1/energy": None,
                "instrument_1/source_1/wave length": 1.239841984e-9,
            },
            1000,
            "",
        ),
    ],
)
def test_energies(tmp_path: Path, items: dict[str, Any], ev: float, said: str) -> None:
    stack, text = opened(cxi(tmp_path / "a.cxi", **items))
    np.testing.assert_allclose(stack.energy, [ev])
    assert said in text


def test_no_energy(tmp_path: Path) -> None:
    path = cxi(tmp_path / "a.cxi", ev=None)
    with pytest.raises(FileFormatError, match="holds 1 images and no photon energies"):
        open_stack(path)
    assert opened(path, energy=[710.0])[0].energy.item() == 710


@pytest.mark.parametrize(
    ("items", "x_um", "y_um", "source"),
    [
        ({"process_1/Param/pixnm": 7.5}, 0.0075, 0.0075, "process_1/Param/pixnm"),
        ({"process_1/Param/pixnm": "7.5"}, 0.0075, 0.0075, "process_1/Param/pixnm"),
        (
            {"instrument_1/detector_1/corner_position": np.array([0.02, 0.01, 0.1])},
            1.239841984e-3 * 0.1 / 0.04,
            1.239841984e-3 * 0.1 / 0.02,
            "detector corner",
        ),
        (
            {
                "instrument_1/detector_1/distance": 0.1,
                "instrument_1/detector_1/x_pixel_size": 50e-6,
                "instrument_1/detector_1/y_pixel_size": 25e-6,
                "instrument_1/detector_1/data": np.zeros((2, 200, 300), dtype="u1"),
            },
            1.239841984e-3 * 0.1 / (300 * 50e-6),
            1.239841984e-3 * 0.1 / (200 * 25e-6),
            "detector pixels",
        ),
        ({}, 1.0, 1.0, "none"),
        ({"process_1/Param/pixnm": b"about six"}, 1.0, 1.0, "none"),
    ],
)
def test_pixel_sizes(
    tmp_path: Path, items: dict[str, Any], x_um: float, y_um: float, source: str
) -> None:
    path = cxi(tmp_path / "a.cxi", ev=1000, **{"process_1/Param/pixnm": None, **items})
    stack, _ = opened(path)
    np.testing.assert_allclose(stack.x, x_um * np.arange(5))
    np.testing.assert_allclose(stack.y, y_um * np.arange(4), atol=1e-12)
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]) ** 2, rtol=1e-6)
    assert stack.attrs["pixel_source"] == source


def test_resolution_of_the_file(tmp_path: Path) -> None:
    path = cxi(tmp_path / "a.cxi", **{"process_1/Param/pixnm": None})
    with h5py.File(path, "a") as file:
        file["final_res"] = 8e-9
    stack, _ = opened(path)
    np.testing.assert_allclose(stack.x, 0.008 * np.arange(5))
    assert stack.attrs["pixel_source"] == "final_res"


# --- several energies ---


def test_entries_are_energies(tmp_path: Path) -> None:
    path = tmp_path / "a.cxi"
    for entry, ev in ((10, 720.0), (2, 715.0), (1, 710.0)):
        cxi(path, wave(ev / 700), ev=ev, entry=entry)
    with h5py.File(path, "a") as file:
        file["entry_extra"] = 1
        file["entry_3/instrument_1/source_1/energy"] = 717 * JOULE
    stack, said = opened(path)
    assert "entry_3 has no reconstruction and is left out" in said
    np.testing.assert_allclose(stack.energy, [710, 715, 720])
    for image, ev in zip(stack, (710, 715, 720), strict=True):
        np.testing.assert_allclose(image, np.abs(wave(ev / 700)[::-1]) ** 2, rtol=1e-5)
    lazy, _ = opened(path, lazy=True)
    np.testing.assert_array_equal(lazy[:, 1:3].compute(), stack[:, 1:3])


def test_folder_of_files(tmp_path: Path) -> None:
    for k, ev in enumerate((720.0, 700.0, 710.0)):
        cxi(tmp_path / f"s{k}.cxi", wave(ev / 700), ev=ev)
    (tmp_path / "notes.txt").write_text("a word")
    (tmp_path / "broken.cxi").write_bytes(b"\x89HDF\r\n\x1a\n")
    stack, said = opened(tmp_path)
    assert "broken.cxi is left out: it is damaged" in said
    np.testing.assert_allclose(stack.energy, [700, 710, 720])
    np.testing.assert_allclose(stack[2], np.abs(wave(720 / 700)[::-1]) ** 2, rtol=1e-5)
    source, _ = open_source(tmp_path)
    assert [one.name for one in source.files] == ["s0.cxi", "s1.cxi", "s2.cxi"]


def particle(pixel_um: float, n: int, ramp: float = 0.0) -> np.ndarray:
    """ψ of a smooth particle in the middle of a field of n × n pixels, rows from the top down."""
    at = pixel_um * (np.arange(n) - (n - 1) / 2)
    v, u = -at[:, None], at
    density = 1.2 * np.exp(-((u - 0.03) ** 2 + (v - 0.05) ** 2) / 0.004)
    return np.exp(-density / 2 + 1j * (0.4 * density + ramp * u)).astype(np.complex64)


def test_pixels_that_are_nearly_the_same(tmp_path: Path) -> None:
    cxi(tmp_path / "a.cxi", ev=700)
    cxi(tmp_path / "b.cxi", ev=701, **{"process_1/Param/pixnm": "6.005"})
    stack, said = opened(tmp_path)
    assert stack.shape == (2, 4, 5)  # the same to one part in a thousand
    np.testing.assert_array_equal(stack[0], stack[1])
    assert "brought to" not in said
    assert "noise_gain" not in stack.coords


@pytest.mark.parametrize("channel", ["intensity", "amplitude", "phase"])
def test_folder_whose_pixels_differ(tmp_path: Path, channel: str) -> None:
    """What the particle is on the common pixels is known; the coarsest image is only cropped."""
    coarse = particle(0.0060, 90, ramp=180.0)
    cxi(tmp_path / "a.cxi", coarse, ev=700)
    cxi(tmp_path / "b.cxi", particle(0.0058, 93, ramp=-250.0), ev=720, **pixel(5.8))
    stack, said = opened(tmp_path, channel=channel)
    assert stack.shape == (2, 88, 88)  # 93 × 5.8 nm hold 88 of 6 nm about the middle
    np.testing.assert_allclose(np.diff(stack.x), 0.006)
    assert (
        "(a.cxi 6 nm, 90 × 90; b.cxi 5.8 nm, 93 × 93): they are brought to 6 nm, 88 × 88 pixels, "
        "the fields centred on each other, for a reconstruction has no absolute position; 1 of 2 "
        "are interpolated" in said
    )
    view = {
        "intensity": lambda psi: np.abs(psi) ** 2,
        "amplitude": np.abs,
        "phase": np.angle,
    }[channel]
    cut = slice(1, 89), slice(1, 89)
    np.testing.assert_allclose(stack[0], view(coarse)[::-1][cut], rtol=1e-6, atol=1e-7)
    truth = particle(0.0060, 90, ramp=-250.0)[::-1][cut]
    if channel == "phase":
        apart = np.angle(np.exp(1j * (stack[1].values - np.angle(truth))))
        np.testing.assert_allclose(apart, apart.mean(), atol=2e-4)  # the constant is not known
    else:
        np.testing.assert_allclose(stack[1], view(truth), rtol=2e-4)
    assert stack.noise_gain[0] == 1
    assert 0.3 < stack.noise_gain[1] < 0.9
    lazy, _ = opened(tmp_path, channel=channel, lazy=True)
    np.testing.assert_array_equal(lazy[:, 20:40].compute(), stack[:, 20:40])


def pixel(nm: float) -> dict[str, Any]:
    """The entry of a pixel size."""
    return {"process_1/Param/pixnm": str(nm)}


def test_real_images_and_pairs_on_common_pixels(tmp_path: Path) -> None:
    density = np.abs(particle(0.006, 60)) ** 2
    cxi(tmp_path / "a.cxi", density, ev=700)
    cxi(tmp_path / "b.cxi", np.abs(particle(0.005, 72)) ** 2, ev=710, **pixel(5))
    stack, _ = opened(tmp_path)
    np.testing.assert_array_equal(stack[0], density[::-1])
    np.testing.assert_allclose(stack[1], density[::-1], rtol=2e-4)
    psi = particle(0.005, 72)
    pairs = np.zeros(psi.shape, dtype=[("r", "f4"), ("i", "f4")])
    pairs["r"], pairs["i"] = psi.real, psi.imag
    (tmp_path / "a.cxi").unlink()
    cxi(tmp_path / "a.cxi", particle(0.006, 60), ev=700)
    (tmp_path / "b.cxi").unlink()
    cxi(tmp_path / "b.cxi", pairs, ev=710, **pixel(5))
    stack, _ = opened(tmp_path)
    np.testing.assert_allclose(stack[1], density[::-1], rtol=2e-4)


def test_unknown_pixel_beside_a_known_one(tmp_path: Path) -> None:
    cxi(tmp_path / "a.cxi", ev=700)
    cxi(tmp_path / "c.cxi", ev=710, **{"process_1/Param/pixnm": None})
    with pytest.raises(FileFormatError, match=r"a\.cxi 6 nm, c\.cxi of unknown pixel"):
        open_stack(tmp_path)
    (tmp_path / "a.cxi").unlink()
    cxi(tmp_path / "a.cxi", wave()[:3], ev=700, **{"process_1/Param/pixnm": None})
    with pytest.raises(
        FileFormatError, match=r"no pixel size: a\.cxi \(3, 5\), c\.cxi \(4, 5\); open them one"
    ):
        open_stack(tmp_path)


def test_pixel_falls_with_the_wavelength(tmp_path: Path) -> None:
    corner = {"instrument_1/detector_1/corner_position": np.array([0.01, 0.01, 0.1])}
    for entry, ev in ((1, 700.0), (2, 720.0)):
        items = {"process_1/Param/pixnm": None, **(corner if entry == 1 else {})}
        cxi(tmp_path / "a.cxi", particle(6.2 / ev, 80), ev=ev, entry=entry, **items)
    stack, said = opened(tmp_path / "a.cxi")
    assert "(entry_1 8.856 nm, 80 × 80; entry_2 8.61 nm, 80 × 80): they are brought to" in said
    np.testing.assert_allclose(np.diff(stack.y), 1.239841984 / 700 * 5)


def test_folder_whose_shapes_differ(tmp_path: Path) -> None:
    """Cropped to whole pixels about the centre, and no value changes."""
    cxi(tmp_path / "a.cxi", wave(), ev=700)
    cxi(tmp_path / "b.cxi", np.pad(wave(2), ((1, 2), (2, 2))), ev=710)
    stack, said = opened(tmp_path)
    assert "a.cxi 6 nm, 4 × 5; b.cxi 6 nm, 7 × 9" in said
    assert "0 of 2 are interpolated, the others cropped" in said
    np.testing.assert_array_equal(stack.noise_gain, 1)
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]) ** 2, rtol=1e-6)
    padded = np.pad(np.abs(wave(2)[::-1]) ** 2, ((2, 1), (2, 2)))
    assert any(
        np.allclose(stack[1], padded[k : k + 4, 2:7]) for k in (1, 2)
    )  # half a pixel cannot be said


def test_folder_with_an_energy_missing(tmp_path: Path) -> None:
    cxi(tmp_path / "a.cxi", ev=700)
    cxi(tmp_path / "b.cxi", ev=None)
    with pytest.raises(FileFormatError, match=r"b\.cxi has no photon energy"):
        open_stack(tmp_path)


def test_folder_does_not_leave_itself(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cxi(tmp_path / "in" / "a.cxi", ev=700)
    (tmp_path / "in" / "b.cxi").symlink_to(cxi(tmp_path / "out.cxi", ev=710))
    stack, said = opened(tmp_path / "in")
    assert stack.sizes["energy"] == 1
    assert "b.cxi is left out: it leads out of the folder" in said


# --- writing ---


def test_written_file_is_read_as_it_was(tmp_path: Path) -> None:
    path = write_cxi(tmp_path / "a.cxi", wave()[::-1], 518.2, 0.01)
    assert [one.name for one in tmp_path.iterdir()] == ["a.cxi"]
    stack, _ = opened(path)
    np.testing.assert_allclose(stack.energy, [518.2])
    np.testing.assert_allclose(stack[0], np.abs(wave()[::-1]) ** 2, rtol=1e-6)  # not turned over
    np.testing.assert_allclose(np.diff(stack.y), 0.01)
    np.testing.assert_allclose(np.diff(stack.x), 0.01)
    assert stack.attrs["pixel_source"] == "detector corner"
    with h5py.File(path) as file:
        assert file["entry_1/instrument_1/source_1/energy"][()] == pytest.approx(518.2 * JOULE)
        np.testing.assert_array_equal(file["entry_1/image_1/data"], wave())  # row 0 is the top
    with pytest.raises(FileFormatError, match="is there already"):
        write_cxi(path, wave(), 518.2, 0.01)
    with pytest.raises(FileFormatError, match="no reconstruction"):
        write_cxi(tmp_path / "b.cxi", np.abs(wave()), 518.2, 0.01)
    with pytest.raises(FileFormatError, match="impossible"):
        write_cxi(tmp_path / "b.cxi", wave(), 518.2, 0.0)
    with pytest.raises(FileFormatError, match="cannot be written"):
        write_cxi(tmp_path / "no" / "b.cxi", wave(), 518.2, 0.01)


# --- what is no reconstruction ---


@pytest.mark.parametrize(
    "items",
    [
        {"image_1/data": np.ones((3, 4, 5)), "image_1/translation": np.zeros((3, 3))},
        {
            "image_1/data": np.ones((3, 4, 5), dtype="c8"),
            "instrument_1/detector_1/translation": np.zeros((3, 3)),
        },
        {"image_1/data": np.ones((4, 5)), "image_1/data_space": "diffraction"},
        {"image_1/data": None, "instrument_1/detector_1/data": np.ones((3, 4, 5))},
    ],
)
def test_raw_diffraction(tmp_path: Path, items: dict[str, Any]) -> None:
    path = cxi(tmp_path / "a.cxi", **items)
    with pytest.raises(
        FileFormatError, match="holds raw diffraction patterns and no reconstructed image; open"
    ):
        open_stack(path)


def test_empty_file(tmp_path: Path) -> None:
    path = cxi(tmp_path / "a.cxi", **{"image_1/data": None})
    with pytest.raises(FileFormatError, match="holds no reconstructed image"):
        open_stack(path)
    with pytest.raises(FileFormatError, match="holds no reconstructed image"):
        open_stack(tmp_path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "whole.h5"
    if not path.exists():  # text of fixed length: damage to other text can stop the HDF5 library
        cxi(path, **{"image_2/data": wave(2)})
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(
                st.integers(0, 7)
            )
    (tmp_path / "damaged.h5").write_bytes(bytes(content))
    try:
        stack, _ = opened(tmp_path / "damaged.h5")
    except ChemoscapeError:
        return
    assert min(stack.shape) >= 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    value=st.sampled_from([0.0, np.nan, -3.0, 1e300, 1e300j, complex("nan+infj"), 1 + 1j]),
    energy=st.sampled_from([0.0, np.nan, np.inf, -1.0, 1e-300, 1e-16, 1e300]),
    corner=st.lists(st.sampled_from([0.0, np.nan, 1e-300, 1e300, 0.1]), max_size=4),
)
def test_any_values(
    tmp_path: Path, shape: list[int], value: complex, energy: float, corner: list[float]
) -> None:
    path = tmp_path / "a.cxi"
    path.unlink(missing_ok=True)
    cxi(
        path,
        np.full(shape, value),
        **{
            "instrument_1/source_1/energy": energy,
            "process_1/Param/pixnm": None,
            "instrument_1/detector_1/corner_position": np.array(corner),
        },
    )
    try:
        stack, _ = opened(path)
    except ChemoscapeError:
        return
    assert stack.shape == (1, *shape[-2:])
