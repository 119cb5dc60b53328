"""The command line's `particles`: each command, and bad input in one sentence."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
import xarray as xr
from skimage.io import imsave

from chemoscape.cli import main
from chemoscape.particles import generator, maskrcnn
from chemoscape.particles.table import instances_of


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def picture(here):
    """A small ensemble as a microscope's picture."""
    made = generator.make_ensemble(np.random.default_rng(10_000_000), (128, 128), n_wires=5)
    imsave(here / "wires.tif", made.image[::-1], check_contrast=False)
    return made


def complaint(capsys, arguments):
    """Run a command that must fail; return its one sentence."""
    assert main([str(a) for a in arguments]) == 2
    *warned, said = capsys.readouterr().err.strip().splitlines()
    assert all(line.startswith("warning: ") for line in warned)
    assert said.startswith("chemoscape: ")
    return said


@pytest.mark.parametrize("method", ["classical", "maskrcnn"])
def test_segment_a_picture(here, picture, capsys, method):
    if method == "maskrcnn":
        pytest.importorskip("onnxruntime", reason="the extra segment is not installed")
    arguments = ["particles", "segment", "wires.tif", "--pixel-um", "0.04", "--method", method]
    assert main(arguments) == 0
    assert f"method      {method}" in capsys.readouterr().out
    folder = here / "wires-particles"
    names = {"particles.csv", "particles.h5", "overlay.png", "summary.json"}
    assert {one.name for one in folder.iterdir()} == names
    with (folder / "particles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    summary = json.loads((folder / "summary.json").read_text())
    assert len(rows) == summary["n_particles"] > 0
    assert {"area_raw (µm²)", "length (µm)", "border", "score"} <= set(rows[0])
    table = xr.load_dataset(folder / "particles.h5")
    assert len(instances_of(table)) == len(rows)
    assert "--overwrite" in complaint(capsys, arguments)
    assert main([*arguments, "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == summary


def test_segment_results(here, demo_run, capsys):
    arguments = ["particles", "segment", demo_run, "--output", "o", "--method", "classical"]
    assert main([str(one) for one in arguments]) == 0
    assert "particles   1" in capsys.readouterr().out
    assert "no map is called 'gold'" in complaint(capsys, [*arguments, "--map", "gold"])


def test_nothing_found_is_said(here, capsys):
    noise = np.random.default_rng(0).normal(0, 0.05, (64, 64)).astype(np.float32)
    imsave(here / "n.tif", noise, check_contrast=False)
    arguments = ["particles", "segment", "n.tif", "--pixel-um", "0.04", "--method", "classical"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "particles   0" in said.out
    assert "warning: no particle reaches a score of 0.3" in said.err


def test_segment_refuses_in_one_sentence(here, picture, capsys):
    command = ["particles", "segment"]
    assert "--pixel-um" in complaint(capsys, [*command, "wires.tif"])
    asked = [*command, "wires.tif", "--pixel-um", "0.04"]
    assert "no model" in complaint(capsys, [*asked, "--model", "nowhere"])
    assert "too far" in complaint(
        capsys, [*command, "wires.tif", "--pixel-um", "4", "--method", "maskrcnn"]
    )
    assert "wire.hdr" in complaint(capsys, [*command, "wire.hdr"])
    (here / "notes").mkdir()
    (here / "notes" / "mine.txt").write_text("x")
    assert "not overwritten" in complaint(capsys, [*asked, "--output", "notes", "--overwrite"])
    assert not (here / "wires-particles").exists()


def test_evaluate(here, capsys):
    arguments = ["particles", "evaluate", "--method", "classical", "--images", "1"]
    assert main([*arguments, "--csv", "e.csv", "--figure", "e.png"]) == 0
    text = capsys.readouterr().out
    assert "high overlap (1 images" in text
    assert (here / "e.png").stat().st_size > 1000
    assert (here / "e.csv").read_text().startswith("method,condition")
    assert main([*arguments, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"classical"}
    assert "1 or more" in complaint(capsys, ["particles", "evaluate", "--images", "0"])


def test_training_without_torch_says_how_to_get_it(here, monkeypatch, capsys):
    monkeypatch.setattr(maskrcnn, "find_spec", lambda name: None)
    said = complaint(capsys, ["particles", "train", "net"])
    assert "chemoscape[train]" in said
    assert not (here / "net").exists()


def test_train_resume_and_use(here, picture, capsys):
    """The whole way of a network of one's own, on as few images as there can be."""
    pytest.importorskip("torch", reason="the extra train is not installed")
    pytest.importorskip("onnxscript", reason="the extra train is not installed")
    arguments = ["particles", "train", "net", "--images", "4", "--batch", "2", "--workers", "0"]
    assert main([*arguments, "--minutes", "0"]) == 0
    assert "the same command goes on" in capsys.readouterr().err
    assert "another plan" in complaint(capsys, [*arguments, "--seed", "1"])
    assert main(arguments) == 0
    assert "net/model" in capsys.readouterr().out
    again = ["particles", "segment", "wires.tif", "--pixel-um", "0.04", "--model", "net/model"]
    assert main(again) == 0


def test_help_imports_nothing_heavy(capsys):
    """As for the other commands."""
    import subprocess

    code = "import sys; from chemoscape.cli import main; main(['particles', '--help']); " + (
        "print(sorted({'numpy', 'xarray', 'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith("[]")
