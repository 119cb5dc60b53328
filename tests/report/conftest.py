"""One small synthetic run in the layout of the steps, so that the report is tested on its own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.spatial import Delaunay

LABELS = ("α-Li0.1V2O5 (synthetic)", "ε-Li0.45V2O5 (synthetic)", "δ-Li0.9V2O5 (synthetic)")
NAMES = ("alpha-Li0.1V2O5", "epsilon-Li0.45V2O5", "delta-Li0.9V2O5")
VALUES = np.array([0.1, 0.45, 0.9])


def peaks(energy: np.ndarray, *lines: tuple[float, float, float]) -> np.ndarray:
    """An absorption step at 517 and 531 eV and Gaussian lines (centre, height, sd), cm2/g."""
    steps = 2000 + 9000 * (energy > 517.4) + 9000 / (1 + np.exp(-(energy - 532.5) / 0.6))
    return steps + sum(h * np.exp(-(((energy - c) / s) ** 2) / 2) for c, h, s in lines)


def make_run(
    shape: tuple[int, int] = (48, 60), *, pixel: float = 0.05, seed: int = 0
) -> SimpleNamespace:
    """Core-shell particle from three made-up spectra; everything by plain NumPy."""
    rng = np.random.default_rng(seed)
    energy = np.round(np.r_[508:514:1.0, 514:534:0.25, 534:560.1:1.0], 3)
    lines = (
        ((516.0, 24e3, 0.6), (518.5, 60e3, 0.9), (525.2, 40e3, 1.4), (529.7, 50e3, 0.8)),
        ((516.3, 14e3, 0.7), (518.8, 52e3, 1.1), (525.3, 40e3, 1.4), (530.0, 38e3, 0.9)),
        ((517.1, 30e3, 0.5), (519.0, 48e3, 1.0), (525.5, 38e3, 1.5), (529.4, 46e3, 0.8)),
    )
    standards = np.array([peaks(energy, *own) for own in lines])
    y, x = (np.arange(n) * pixel for n in shape)
    yy, xx = np.meshgrid(y - y.mean(), x - x.mean(), indexing="ij")
    radius = np.hypot(yy / (0.40 * np.ptp(y)), xx / (0.40 * np.ptp(x)))
    axes = {"y": ("y", y, {"units": "µm"}), "x": ("x", x, {"units": "µm"})}
    labels = np.select([radius < 0.45, radius < 0.7, radius < 1], [0, 1, 2], -1)
    thickness = np.where(radius < 1, np.sqrt(np.clip(1 - radius**2, 0.1, 1)), 0)
    fraction = np.select([labels == 0, labels == 1, labels == 2], [1.0, 0.7, 0.0])
    mass = 3e-5 * thickness * np.array([1 - fraction, fraction, 0 * fraction])
    clean = np.tensordot(standards.T, mass, 1)
    density = clean + rng.normal(0, 0.02, clean.shape)
    stack = {"energy": ("energy", energy, {"units": "eV"}), **axes}
    od = xr.Dataset(
        {
            "optical_density": (("energy", "y", "x"), density.astype("f4")),
            "variance": (("energy", "y", "x"), np.full(density.shape, 4e-4, "f4")),
            "i0": ("energy", 5e4 * (1 - 0.004 * (energy - 508)), {"units": "counts"}),
            "i0_variance": ("energy", np.full(energy.size, 25.0)),
            "background": (("y", "x"), radius > 1.35),
            "flag": (("y", "x"), np.select([radius < 0.2, radius < 0.4], [2, 1], 0).astype("u1")),
        },
        coords=stack,
        attrs={"i0_source": "automatic", "i0_pixels": 500},
    )
    sample = xr.DataArray(radius < 1, coords=axes, dims=("y", "x"))

    design = np.c_[standards.T * 1e-5, np.ones(energy.size)]
    fit, *_ = np.linalg.lstsq(design, density.reshape(energy.size, -1), rcond=None)
    left = density.reshape(energy.size, -1) - design @ fit
    image = ("y", "x")
    maps = xr.Dataset(
        {
            "weight": (("standard", *image), 1e-5 * fit[:3].reshape(3, *shape), {"units": "g/cm2"}),
            "baseline": (image, fit[3].reshape(shape)),
            "residual": (image, left.std(axis=0).reshape(shape)),
            "reduced_chi2": (image, (left**2).sum(0).reshape(shape) / 4e-4 / (energy.size - 4)),
        },
        coords={"standard": list(NAMES), **axes},
        attrs={"energy_shift_eV": -0.4, "energy_shift_sd_eV": 0.004, "condition_number": 61.2},
    )
    known = fraction * VALUES[1] + (1 - fraction) * VALUES[0]
    truth = xr.DataArray(np.where(radius < 1, known, np.nan), coords=axes, dims=image)
    sd = np.where(radius < 1, 0.01 / np.maximum(thickness, 0.2), np.nan)
    comp = xr.Dataset(
        {
            "composition": (image, truth.values + sd * rng.standard_normal(shape)),
            "composition_sd_counting": (image, 0.9 * sd),
            "composition_sd_systematic": (image, 0.1 * sd),
            "composition_sd_total": (image, sd),
            "thickness": (image, 90 * thickness, {"units": "nm"}),
            "mask": (image, radius < 1),
        },
        coords=axes,
        attrs={"variable": "x in LixV2O5", "mean_pixel": 0.262, "mean_mass_weighted": 0.31},
    )

    inside = density[:, sample.values]
    size, vectors = (part[..., ::-1] for part in np.linalg.eigh(inside @ inside.T))
    pcs = xr.Dataset(
        {
            "eigenvalue": ("pc", size[:10]),
            "eigenspectrum": (("pc", "energy"), vectors[:, :10].T),
            "score": (("pc", *image), np.tensordot(vectors[:, :10].T, density, 1)),
        },
        coords={"pc": np.arange(1, 11), **stack},
        attrs={"rank_ind": 2, "rank_mp": 2, "rank_cv": 2, "rank_cumulative": 1},
    )
    spectrum = np.array([density[:, labels == k].mean(axis=1) for k in range(3)])
    groups = xr.Dataset(
        {
            "label": (image, labels),
            "spectrum": (("cluster", "energy"), spectrum),
            "spectrum_se": (("cluster", "energy"), np.full(spectrum.shape, 0.004)),
            "size": ("cluster", [int((labels == k).sum()) for k in range(3)]),
            "linkage": (("merge", "column"), [[0.0, 1.0, 0.4, 2.0], [2.0, 3.0, 1.1, 3.0]]),
        },
        coords={"cluster": np.arange(3), **stack},
        attrs={"silhouette": 0.89},
    )
    table = xr.Dataset(
        {
            "composition": ("cluster", [0.449, 0.352, 0.101]),
            "composition_sd": ("cluster", [0.003, 0.004, 0.003]),
            "ambiguous": ("cluster", [False, True, False]),
            "candidate": (
                ("cluster", "rank"),
                np.array([[NAMES[1]], [f"{NAMES[0]} + {NAMES[1]}"], [NAMES[0]]]),
            ),
        },
        attrs={"variable": "x in LixV2O5"},
    )
    weight = maps["weight"].values[:, sample.values].mean(axis=1)
    spectra = xr.Dataset(
        {
            "i0": od["i0"],
            "mean": ("energy", inside.mean(axis=1)),
            "mean_se": ("energy", np.full(energy.size, 0.02 / np.sqrt(inside.shape[1]))),
            "standards": (("standard", "energy"), standards),
            "weight": ("standard", weight),
            "baseline": ((), float(maps["baseline"].values[sample.values].mean())),
        },
        coords={"standard": list(NAMES), "label": ("standard", list(LABELS)), "energy": energy},
    )
    drift = SimpleNamespace(
        shifts=np.cumsum(rng.normal(0, 0.1, (energy.size, 2)), axis=0),
        energy=energy,
        reference=40,
        quality=1 - 0.1 * rng.random(energy.size),
        replaced=np.arange(energy.size) % 20 == 3,
        linear=None,
    )
    return SimpleNamespace(
        **{"od": od, "sample": sample, "maps": maps, "comp": comp, "pcs": pcs, "groups": groups},
        **{"table": table, "spectra": spectra, "drift": drift, "truth": truth},
        fields=[mesh_field(name, radius, xx, yy, known) for name in ("free", "fixed")],
    )


def mesh_field(
    boundary: str, radius: np.ndarray, xx: np.ndarray, yy: np.ndarray, known: np.ndarray
) -> xr.Dataset:
    """Fields on a triangulated ellipse with the look of a stress, in the layout of StressField."""
    inside = radius < 1
    points = np.c_[xx[inside], yy[inside]]
    factor = {"free": 1.0, "fixed": -2.0}[boundary]
    c = known[inside]
    parts = {
        "von_mises": 250 * abs(factor) * abs(c - 0.2),
        "stress_xx": factor * 200 * (c - 0.2),
        "stress_yy": factor * 150 * (c - 0.3),
        "stress_xy": factor * 80 * points[:, 0] * points[:, 1],
    }
    return xr.Dataset(
        {
            **{name: ("node", value, {"units": "MPa"}) for name, value in parts.items()},
            "triangle": (("element", "vertex"), Delaunay(points).simplices),
        },
        coords={"node_x": ("node", points[:, 0]), "node_y": ("node", points[:, 1])},
        attrs={
            **{"boundary": boundary, "reference": 0.0, "young_GPa": 43.0, "poisson": 0.3},
            **{"eigenstrain": 0.0213, "material_status": "illustrative", "plane": "stress"},
            **{"variable": "x in LixV2O5"},
        },
    )


@pytest.fixture(scope="session")
def make() -> object:
    return make_run


@pytest.fixture(scope="session")
def run() -> SimpleNamespace:
    return make_run()
