"""The command line's `stress`: a map in, fields and numbers out; bad input in a sentence."""

from __future__ import annotations

import csv
import json

import meshio
import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text
from skimage.io import imsave

from chemoscape.cli import main
from chemoscape.mechanics.fields import stress
from chemoscape.mechanics.material import Material, PhaseModulus
from chemoscape.report.outcomes import stress_figure

PIXEL = ["--pixel-um", "0.1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a map of composition in several kinds of file."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:24, :36]
    rho = np.hypot((x - 17.5) / 16, (y - 11.5) / 10)
    values = np.where(rho < 0.5, 0.4, 0.2)
    inside = rho < 1
    np.save("x.npy", np.where(inside, values, np.nan))
    np.savetxt("x.csv", np.where(inside, values, 0.0), delimiter=",")
    imsave("x.tif", np.where(inside, values, np.nan).astype(np.float32), check_contrast=False)
    imsave("x.png", np.where(inside, values * 500, 0).astype(np.uint8), check_contrast=False)
    np.save("all.npy", values)
    imsave("mask.png", (255 * inside).astype(np.uint8), check_contrast=False)
    return tmp_path


def complaint(capsys, arguments):
    """Run a command that must fail; return its one sentence."""
    assert main(["stress", *map(str, arguments)]) == 2
    *warned, said = capsys.readouterr().err.strip().splitlines()
    assert all(line.startswith("warning: ") for line in warned)
    assert said.startswith("chemoscape: ")
    return said


def numbers(capsys, *arguments):
    assert main(["stress", *map(str, arguments), "--json", "--overwrite"]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_that_is_written(here, capsys):
    arguments = ["stress", "x.npy", *PIXEL, "--sd", "0.02", "--draws", "4"]
    assert main(arguments) == 0
    assert "stress fixed   von Mises" in capsys.readouterr().out
    folder = here / "x-stress"
    names = {"summary.json", "stress.csv", "figures", "stress-free.vtu", "stress-fixed.vtu"}
    assert {one.name for one in folder.iterdir()} == names
    assert (folder / "figures" / "stress.png").stat().st_size > 10_000
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary) == ["free", "fixed"]
    assert summary["fixed"]["material_status"] == "illustrative"
    assert summary["fixed"]["von_mises_p99_sd_MPa"] > 0
    fields = meshio.read(folder / "stress-fixed.vtu").point_data
    assert {"von_mises", "von_mises_sd", "elastic_energy", "stress_xi"} <= set(fields)
    with (folder / "stress.csv").open(newline="") as file:
        rows = {row["quantity"]: row for row in csv.DictReader(file)}
    p99 = "von_mises_p99_MPa"
    assert float(rows[p99]["free"]) == pytest.approx(summary["free"][p99])
    assert "--overwrite" in complaint(capsys, arguments[1:])


def test_every_kind_of_file_gives_the_same(here, capsys):
    known = numbers(capsys, "x.npy", *PIXEL)["fixed"]["von_mises_mean_MPa"]
    for more in (
        ["x.csv"],
        ["x.tif"],
        ["x.png", "--grey", "0", "0.51"],
        ["all.npy", "--mask", "mask.png"],
    ):
        found = numbers(capsys, *more, *PIXEL, "--boundary", "fixed")
        assert list(found) == ["fixed"]
        assert found["fixed"]["von_mises_mean_MPa"] == pytest.approx(known, rel=1e-3), more


def test_the_first_row_is_the_top(here, capsys):
    values = np.load("x.npy")
    values[:8] = np.nan
    np.save("low.npy", values)
    assert numbers(capsys, "low.npy", *PIXEL, "--boundary", "free")
    points = meshio.read("low-stress/stress-free.vtu").points
    assert points[:, 1].max() == pytest.approx(1.6, abs=0.1)


def test_materials(here, capsys):
    fixed = ["x.npy", *PIXEL, "--boundary", "fixed"]
    base = numbers(capsys, *fixed)["fixed"]
    double = numbers(capsys, *fixed, "--young", 86)["fixed"]
    assert double["von_mises_mean_MPa"] == pytest.approx(2 * base["von_mises_mean_MPa"])
    assert "young_GPa: by command" in double["material_source"]
    (here / "wire.toml").write_text(
        "[stress.material]\nyoung_GPa = [60.0, 40.0]\npoisson = 0.3\nshear_GPa = 15.0\n"
        "eigenstrain = [-0.02, 0.04]\nsource = 'a test'\nstatus = 'illustrative'\n"
    )
    turned = numbers(capsys, *fixed, "--material", "wire.toml", "--angle", 30)["fixed"]
    assert (turned["young_GPa"], turned["angle_deg"]) == ([60.0, 40.0], 30.0)
    (here / "cell.csv").write_text("x,a,b,c\n0,10,4,5\n1,9.8,4.2,5\n")
    table = numbers(capsys, *fixed, "--lattice", "cell.csv", "--graded", "--follow-phase", 0.3)
    assert table["fixed"]["eigenstrain"] == "lattice table"
    by_rate = numbers(
        capsys, *fixed, "--eigenstrain", -0.02, 0.05, 0, "--graded", "--follow-phase", 0.3
    )
    for one in (table, by_rate):
        assert one["fixed"]["graded"] == 1
    assert table["fixed"]["von_mises_mean_MPa"] == pytest.approx(
        by_rate["fixed"]["von_mises_mean_MPa"]
    )


def test_the_figure_shows_the_error_and_the_particle_axes():
    y, x = np.mgrid[:16, :24] * 0.1
    inside = np.hypot((x - 1.15) / 1.0, (y - 0.75) / 0.65) < 1
    names = ("composition", "composition_sd_counting")
    comp = xr.Dataset(
        {name: (("y", "x"), np.where(inside, 0.1, np.nan)) for name in names}
        | {"mask": (("y", "x"), inside)},
        coords={"y": y[:, 0], "x": x[0]},
    )
    phase = PhaseModulus(0.5, 1.0, 30.0, 0.3)
    material = Material(
        (60.0, 40.0), 0.3, (-0.02, 0.04), shear_GPa=15.0, angle_deg=30.0, phases=(phase,)
    )
    both = stress(comp, material, boundary=["free", "fixed"], n_draws=2)
    figure = stress_figure(both)
    titles = [ax.get_title("left") or ax.get_title() for ax in figure.axes]
    assert sum("its sd" in one for one in titles) == 2
    assert sum("σ$_{ξ}$" in one for one in titles) == 2
    assert sum(len(ax.collections) > 1 for ax in figure.axes) == 12
    foot = " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())
    assert "E = 60, 40 GPa" in foot
    assert "-2, 4 % strain per unit" in foot
    assert "Other constants within phases" in foot


def test_results_of_a_run(here, demo_run, capsys):
    found = numbers(capsys, demo_run, "--output", "o", "--draws", "4")
    assert set(found) == {"free", "fixed"}
    assert found["fixed"]["von_mises_p99_sd_MPa"] > 0
    assert "results know their pixel size" in complaint(capsys, [demo_run, *PIXEL, "--output", "p"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.npy", *PIXEL], "there is no such file"),
        (["x.npy"], "--pixel-um"),
        (["x.npy", "--pixel-um", "-1"], "pixels of -1 µm"),
        (["x.txt", *PIXEL], "no map of composition"),
        (["bad.tif", *PIXEL], "cannot be read"),
        (["bad.npy", *PIXEL], "cannot be read"),
        (["cube.npy", *PIXEL], "shape (2, 3, 4) is no map"),
        (["words.csv", *PIXEL], "holds no pixel"),
        (["x.npy", *PIXEL, "--mask", "small.npy"], "the mask has 3 × 4 pixels"),
        (["x.npy", *PIXEL, "--sd", "-1"], "a standard deviation of -1"),
        (["x.npy", *PIXEL, "--young", "-1"], "stress.material.young_GPa: "),
        (["x.npy", *PIXEL, "--young", "60", "40"], "shear modulus"),
        (["x.npy", *PIXEL, "--eigenstrain", "2"], "200% per unit"),
        (["x.npy", *PIXEL, "--draws", "1"], "one draw has no spread"),
        (["x.npy", *PIXEL, "--mesh-size", "0"], "stress.mesh_size_um: "),
        (["x.npy", *PIXEL, "--boundary", "loose"], "loose"),
        (["x.npy", *PIXEL, "--material", "none.toml"], "none.toml"),
        (["x.npy", *PIXEL, "--material", "words.csv"], "not valid TOML"),
        (["x.npy", *PIXEL, "--plane", "strain", "--eigenstrain", "0.1", "0.2"], "three numbers"),
        (["."], "results"),
    ],
)
def test_bad_input_in_one_sentence(here, capsys, arguments, sentence):
    (here / "x.txt").write_text("1 2")
    (here / "bad.tif").write_bytes(b"II*")
    (here / "bad.npy").write_bytes(b"no array")
    (here / "words.csv").write_text("a,b\nc,d\n")
    np.save("cube.npy", np.zeros((2, 3, 4)))
    np.save("small.npy", np.ones((3, 4)))
    assert sentence in complaint(capsys, [*arguments, "--output", "o"])
    assert not (here / "o").exists()
