"""MISTRAL HDF5: no real file is at hand, so all are built from the published layouts."""

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

ENERGY = np.array([525.0, 520.0, 530.0])


def images(n: int = 3, first: float = 0.1) -> np.ndarray:
    return (first + np.arange(n * 4 * 5).reshape(n, 4, 5) / 100).astype(np.float32)


def specnorm(path: Path, group: str = "SpecNormalized", **items: Any) -> Path:
    """A file of the pipeline, built from the published layout."""
    content = {
        "energy": ENERGY,
        "x_pixel_size": np.array([0.013]),
        "y_pixel_size": np.array([0.012]),
        "Currents": np.array([100.0, 101, 102]),
        "ExpTimes": np.array([1.0, 2, 3]),
        "rotation_angle": np.zeros(3),
        **items,
    }
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if value is not None:
                file[f"{group}/{name}"] = value
    return path


def test_aligned_images_go_first(tmp_path: Path) -> None:
    path = specnorm(
        tmp_path / "m.hdf5",
        spectroscopy_normalized=images(),
        spectroscopy_normalized_aligned=images() + 1,
        spectroscopy_normalized_trans=np.zeros((3, 3, 3)),
    )
    with pytest.warns(ChemoscapeWarning, match=r"2 channels \(aligned, normalised\); 'aligned'"):
        stack = open_stack(path)
    order = [1, 0, 2]
    np.testing.assert_array_equal(stack, (images() + 1)[order])
    np.testing.assert_allclose(stack.energy, ENERGY[order])
    np.testing.assert_allclose(stack.ring_current, [101, 100, 102])
    np.testing.assert_allclose(stack.dwell, [2000, 1000, 3000])  # seconds in the file
    np.testing.assert_allclose(stack.angle, 0)
    np.testing.assert_allclose(stack.x, 0.013 * np.arange(5))
    np.testing.assert_allclose(stack.y, 0.012 * np.arange(4))
    assert stack.attrs["quantity"] == "transmission"
    stacks.check(stack, "transmission")
    stack = open_stack(path, channel="normalised")
    np.testing.assert_array_equal(stack, images()[order])
    assert describe(path, channel=1)["format"] == "mistral"


def test_newer_step_of_the_pipeline(tmp_path: Path) -> None:
    path = specnorm(tmp_path / "m.hdf5", "FastAligned", spec_aligned=images())
    np.testing.assert_array_equal(open_stack(path), images()[[1, 0, 2]])
    assert open_stack(path).attrs["beamline"] == "MISTRAL"


def test_lazy_equals_eager(tmp_path: Path) -> None:
    path = specnorm(tmp_path / "m.hdf5", spectroscopy_normalized=images())
    lazy = open_stack(path, lazy=True)
    np.testing.assert_array_equal(lazy[:, 1:3].compute(), open_stack(path)[:, 1:3])
    read = pickle.loads(pickle.dumps(open_source(path)[0].read))
    np.testing.assert_array_equal(read(slice(1, 2), slice(1, 3)), images()[1:2, 1:3])


def test_scalars_of_older_files(tmp_path: Path) -> None:
    path = specnorm(
        tmp_path / "m.hdf5",
        spectroscopy_normalized=images(),
        x_pixel_size=0.011,
        y_pixel_size=0.011,
        ExpTimes=2.0,
        Currents=None,
        rotation_angle=None,
    )
    stack = open_stack(path)
    np.testing.assert_allclose(stack.x, 0.011 * np.arange(5))
    np.testing.assert_allclose(stack.dwell, 2000)
    assert "ring_current" not in stack.coords


def test_dark_flat_field_is_not_measured(tmp_path: Path) -> None:
    values = images().astype(float)
    values[0, 1, 1], values[1, 2, 2], values[2, 0, 0] = np.inf, -np.inf, 1e300
    stack = open_stack(specnorm(tmp_path / "m.hdf5", spectroscopy_normalized=values))
    assert np.isnan(stack).sum() == 3


def test_tilt_series_is_no_stack(tmp_path: Path) -> None:
    for energy in (np.array([520.0]), np.full(3, 520.0)):
        path = specnorm(
            tmp_path / "t.hdf5",
            "TomoNormalized",
            TomoNormalized=images(),
            energy=energy,
            rotation_angle=np.array([-30.0, 0, 30]),
        )
        with pytest.raises(FileFormatError, match="3 images at one energy, 520 eV: a tilt series"):
            open_stack(path)


def test_energies_at_several_angles(tmp_path: Path) -> None:
    path = specnorm(
        tmp_path / "t.hdf5",
        "TomoNormalized",
        TomoNormalized=images(4),
        energy=np.array([520.0, 520, 530, 530]),
        rotation_angle=np.array([-30.0, 30, -30.001, 30]),
        Currents=np.arange(4.0),
        polarisation=np.array([1.0, -1, 1, -1]),
        ExpTimes=None,
    )
    stack = open_stack(path, angle="30 deg")
    np.testing.assert_array_equal(stack, images(4)[[1, 3]])
    np.testing.assert_allclose(stack.ring_current, [1, 3])
    np.testing.assert_allclose(stack.polarisation, -1)
    with pytest.warns(ChemoscapeWarning, match=r"2 angles \(-30 deg, 30 deg\)"):
        stack = open_stack(path, lazy=True)
    np.testing.assert_array_equal(stack.compute(), images(4)[[0, 2]])


def test_stopped_scan(tmp_path: Path) -> None:
    path = specnorm(tmp_path / "m.hdf5", spectroscopy_normalized=images(2))
    with pytest.warns(ChemoscapeWarning, match="3 energies for 2 images: the first 2 are used"):
        assert open_stack(path).energy.values.tolist() == [520, 525]
    path = specnorm(tmp_path / "n.hdf5", spectroscopy_normalized=images(4))
    with pytest.raises(FileFormatError, match="3 energies for 4 images; give the right ones"):
        open_stack(path)
    assert open_stack(path, energy=[1.0, 2, 3, 4]).shape == (4, 4, 5)
    with pytest.raises(FileFormatError, match="holds 4 images, but 2 energies were given"):
        open_stack(path, energy=[1.0, 2])


def test_no_images(tmp_path: Path) -> None:
    path = specnorm(tmp_path / "m.hdf5")
    with pytest.raises(FileFormatError, match="SpecNormalized holds no images: its flat fields"):
        open_stack(path)


def test_raw_images(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "raw.hdf5", "w") as file:
        file["NXtomo/instrument/sample/data"] = images()
        file["NXtomo/instrument/bright_field/data"] = images()
    with pytest.raises(FileFormatError, match="raw images and flat fields that are not normalised"):
        open_stack(tmp_path / "raw.hdf5")


def test_no_pixel_size(tmp_path: Path) -> None:
    path = specnorm(
        tmp_path / "m.hdf5", spectroscopy_normalized=images(), x_pixel_size=0.0, y_pixel_size=None
    )
    with pytest.warns(ChemoscapeWarning, match="no pixel size"):
        assert open_stack(path).x.values.tolist() == [0, 1, 2, 3, 4]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_gives_an_answer_or_our_error(tmp_path: Path, data: st.DataObject) -> None:
    path = specnorm(tmp_path / "whole.h5", spectroscopy_normalized=images().astype(float))
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
    shape=st.lists(st.integers(0, 4), min_size=3, max_size=3),
    sizes=st.tuples(*[st.lists(st.integers(0, 4), max_size=2)] * 4),
    value=st.sampled_from([0.0, np.nan, np.inf, -3.0, 520.0, 1e300]),
)
def test_any_lengths(
    tmp_path: Path, shape: list[int], sizes: tuple[list[int], ...], value: float
) -> None:
    names = ("energy", "x_pixel_size", "rotation_angle", "Currents")
    items = {
        name: value + np.arange(float(np.prod(size))).reshape(size)
        for name, size in zip(names, sizes, strict=True)
    }
    path = specnorm(tmp_path / "a.h5", spectroscopy_normalized=np.full(shape, value), **items)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChemoscapeWarning)
        try:
            stack = open_stack(path)
        except ChemoscapeError:
            return
    assert stack.shape[1:] == tuple(shape[1:])
