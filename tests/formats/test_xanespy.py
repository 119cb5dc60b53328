"""Framesets of xanespy: a real one of ALS 5.3.2.1, and the other importers' layouts."""

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

from chemoscape import stack as stacks
from chemoscape.errors import ChemoscapeError, ChemoscapeWarning, FileFormatError
from chemoscape.formats import describe, open_source, open_stack

# small numbers do for energies here
pytestmark = pytest.mark.filterwarnings("ignore:.*are they in keV")

ALS = "ptycho-data-als__NS_160406074-low-energy__testdata.h5"


def images(n_steps: int = 2) -> np.ndarray:
    return 100.0 + np.arange(n_steps * 3 * 4 * 5, dtype=float).reshape(n_steps, 3, 4, 5)


def frameset(
    path: Path,
    intensities: np.ndarray,
    *,
    sample: str = "wire",
    version: str = "imported",
    attrs: dict[str, str] | None = None,
    unit: str = "µm",
    **items: Any,
) -> Path:
    """As the full-field importers write it; built from the published layout."""
    n_steps = len(intensities)
    content = {
        "intensities": intensities,
        "energies": np.tile([8330.0, 8340, 8350], (n_steps, 1)) + np.arange(n_steps)[:, None],
        "pixel_sizes": np.full((n_steps, 3), 0.03),
        "timestep_names": np.array([f"soc{k:03d}" for k in range(n_steps)], dtype="S20"),
        **items,
    }
    with h5py.File(path, "a") as file:
        for name, value in content.items():
            if value is not None:
                file[f"{sample}/{version}/{name}"] = value
        if content["pixel_sizes"] is not None:
            file[f"{sample}/{version}/pixel_sizes"].attrs["unit"] = np.bytes_(unit.encode())
        file[sample].attrs.update(
            attrs
            or {"latest_data_name": np.bytes_(version), "technique": np.bytes_("Full-field TXM")}
        )
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


def test_als_ptychography(data_folder: Path) -> None:
    path = data_folder / "readers" / ALS
    with h5py.File(path) as file:
        wave = np.asarray(file["NS_160406074/imported/intensities"])[0]
    stack, said = opened(path)
    assert "is not normalised (intensity 140 in the middle row)" in said
    assert stack.shape == (2, 228, 228)
    np.testing.assert_allclose(stack.energy, [843.907, 847.9065], rtol=1e-6)
    np.testing.assert_allclose(stack.x[[0, -1]], [0, 227 * 0.00416667])
    # rows are those of the reconstruction, whose first is the top
    np.testing.assert_allclose(stack, np.abs(wave[:, ::-1]) ** 2, rtol=1e-5)
    assert stack.attrs["beamline"] == "ALS 5.3.2.1"
    stacks.check(stack, "counts")
    with pytest.warns(ChemoscapeWarning, match="half of those of the intensity"):
        amplitude = open_stack(path, channel="amplitude")
    np.testing.assert_allclose(amplitude, np.abs(wave[:, ::-1]), rtol=1e-5)
    stacks.check(amplitude)
    phase, said = opened(path, channel="phase")
    assert "phases are in rad" in said
    np.testing.assert_allclose(phase, np.angle(wave[:, ::-1]), rtol=1e-5, atol=1e-6)
    assert stacks.check(phase).attrs["unit"] == "rad"


def test_als_lazy(data_folder: Path) -> None:
    path = data_folder / "readers" / ALS
    lazy, whole = open_stack(path, lazy=True), open_stack(path)
    np.testing.assert_array_equal(lazy[:, 100:120].compute(), whole[:, 100:120])
    read = pickle.loads(pickle.dumps(open_source(path)[0].read))
    np.testing.assert_array_equal(
        read(slice(1, 2), slice(100, 120))[:, ::-1], whole[1:, 108:128].values
    )


# --- layouts of the importers ---


def test_time_steps_are_regions(tmp_path: Path) -> None:
    path = frameset(tmp_path / "f.h5", images())
    with pytest.warns(ChemoscapeWarning, match=r"2 regions \(soc000, soc001\); 'soc000' was"):
        stack = open_stack(path)
    np.testing.assert_array_equal(stack, images()[0])
    stack = open_stack(path, region="soc001")
    np.testing.assert_array_equal(stack, images()[1])
    np.testing.assert_allclose(stack.energy, [8331, 8341, 8351])
    np.testing.assert_allclose(stack.y, 0.03 * np.arange(4))
    assert stack.attrs["quantity"] == "counts"
    assert describe(path, region=1)["format"] == "xanespy"


def test_samples_and_versions(tmp_path: Path) -> None:
    path = frameset(tmp_path / "f.h5", images(1))
    frameset(path, images(1) + 1, version="aligned")
    frameset(path, images(1) + 2, sample="particle")
    with pytest.warns(ChemoscapeWarning, match="wire also holds imported; the latest .* aligned"):
        stack = open_stack(path, region="wire soc000")
    np.testing.assert_array_equal(stack, images()[0] + 1)
    np.testing.assert_array_equal(open_stack(path, region="particle soc000"), images()[0] + 2)


def test_optical_density_is_a_channel(tmp_path: Path) -> None:
    density = images(1) / 1000 - 0.2
    for name in ("optical_depths", "absorbances"):
        path = frameset(tmp_path / f"{name}.h5", images(1), **{name: density})
        stack = open_stack(path, channel="optical density")
        np.testing.assert_allclose(stack, density[0], rtol=1e-6)
        assert stack.attrs["quantity"] == "optical_density"
        assert open_stack(path, channel="intensity").attrs["quantity"] == "counts"


def test_cosmic_was_flipped_already(tmp_path: Path) -> None:
    wave = (images(1) / 100) * np.exp(1j)
    path = frameset(
        tmp_path / "f.h5", wave, attrs={"latest_data_name": "imported"}, unit="nm",
        pixel_sizes=np.full((1, 3), 6.0),
    )  # fmt: skip
    stack, said = opened(path)
    assert "taken as normalised (intensity" in said
    np.testing.assert_allclose(stack, np.abs(wave[0]) ** 2, rtol=1e-6)
    np.testing.assert_allclose(stack.x, 0.006 * np.arange(5))
    assert stack.attrs["quantity"] == "transmission"


def test_fractions_are_transmission(tmp_path: Path) -> None:
    with pytest.warns(ChemoscapeWarning, match="are no counts and are taken as transmission"):
        stack = open_stack(frameset(tmp_path / "f.h5", images(1) / 1000))
    assert stack.attrs["quantity"] == "transmission"


def test_pixel_that_changes(tmp_path: Path) -> None:
    path = frameset(tmp_path / "f.h5", images(1), pixel_sizes=np.array([[0.03, 0.031, 0.032]]))
    with pytest.warns(ChemoscapeWarning, match="pixel size changes .* from 30 to 32 nm"):
        np.testing.assert_allclose(open_stack(path).x, 0.031 * np.arange(5))


def test_lengths_that_do_not_fit(tmp_path: Path) -> None:
    path = frameset(tmp_path / "f.h5", images(1), energies=np.array([[1.0, 2]]))
    with pytest.raises(FileFormatError, match="energies has 2 energies for 3 images"):
        open_stack(path)
    assert open_stack(path, energy=[8.0, 9, 10]).energy.values.tolist() == [8, 9, 10]
    path = frameset(
        tmp_path / "g.h5",
        images(1),
        energies=np.array([[1.0, 2, 3, 4]]),
        timestep_names=np.array(["a", "b"], dtype="S5"),
        pixel_sizes=None,
    )
    with pytest.warns(ChemoscapeWarning, match="4 energies for 3 images: the first 3 are used"):
        assert open_stack(path, pixel_um=1).energy.values.tolist() == [1, 2, 3]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "whole.h5"
    if not path.exists():  # text of fixed length: damage to other text can stop the HDF5 library
        frameset(path, images(1) * (1 + 1j), optical_depths=images(1))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(
                st.integers(0, 7)
            )
    (tmp_path / "damaged.h5").write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            stack = open_stack(tmp_path / "damaged.h5")
        except ChemoscapeError:
            return
    assert min(stack.shape) >= 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    sizes=st.tuples(*[st.lists(st.integers(0, 4), max_size=3)] * 2),
    value=st.sampled_from([0.0, np.nan, np.inf, -3.0, 520.0, 1e300, 1e300j, complex("nan+infj")]),
)
def test_any_lengths(
    tmp_path: Path, shape: list[int], sizes: tuple[list[int], ...], value: complex
) -> None:
    path = tmp_path / "a.h5"
    path.unlink(missing_ok=True)
    energies, pixels = (
        abs(value) + np.arange(float(np.prod(size))).reshape(size) for size in sizes
    )
    frameset(path, np.full(shape, value), energies=energies, pixel_sizes=pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            stack = open_stack(path)
        except ChemoscapeError:
            return
    assert stack.shape == tuple(shape[-3:])
