"""The command line: every command, and bad input in one sentence with nothing written."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import chemoscape as cs
from chemoscape import simulate
from chemoscape import stack as stacks
from chemoscape.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def small_stack(tmp_path_factory):
    """A small noisy particle as a file."""
    path = tmp_path_factory.mktemp("stack") / "wire.h5"
    truth = simulate.core_shell(shape=(36, 48), pixel_um=0.1, poisson=True)
    cs.save_stack(truth.stack, path)
    return path


def complaint(capsys, arguments, status=2):
    """Run a command that must fail; return its one sentence, which comes after any warnings."""
    assert main([str(a) for a in arguments]) == status
    said = capsys.readouterr().err.strip()
    assert "Traceback" not in said
    *warned, said = said.splitlines()
    assert all(line.startswith("warning: ") for line in warned)
    assert said.startswith("chemoscape: ")
    return said


def test_help_of_every_command(capsys):
    for command in ("demo", "inspect", "init", "run", "standards", "particles"):
        assert main([command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_inspect(small_stack, capsys):
    assert main(["inspect", str(small_stack)]) == 0
    text = capsys.readouterr().out
    assert "508" in text
    assert "36" in text
    assert main(["inspect", str(small_stack), "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_standards(capsys):
    assert main(["standards", "list"]) == 0
    assert "lixv2o5-model" in capsys.readouterr().out
    assert main(["standards", "show", "lixv2o5-model"]) == 0
    assert capsys.readouterr().out.count("(synthetic)") >= 6


def test_init_then_run(here, small_stack, capsys):
    """What a new user does: init, run, look."""
    assert main(["init", str(small_stack)]) == 0
    assert main(["run", "wire.toml"]) == 0
    out, err = capsys.readouterr()
    assert "composition" in out
    assert "report.html" in err
    assert (here / "wire-results" / "report.html").exists()
    assert main(["run", "wire.toml"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (
        main(["run", "wire.toml", "--overwrite", "--json", "--set", "clusters.n_clusters=2"]) == 0
    )
    summary = json.loads(capsys.readouterr().out)
    assert summary["input"]["path"] == str(small_stack)
    assert {path.name for path in here.iterdir()} == {"wire.toml", "wire-results"}


def test_the_resolved_recipe_gives_the_same_numbers(here, small_stack, capsys):
    main(["init", str(small_stack)])
    main(["run", "wire.toml"])
    assert main(["run", "wire-results/recipe.toml", "--output", "again"]) == 0
    capsys.readouterr()
    first, again = (
        json.loads((here / name / "summary.json").read_text()) for name in ("wire-results", "again")
    )
    for key in ("composition", "routes", "energy_shift_eV", "phases", "rank"):
        assert first[key] == again[key]


def test_several_stacks_and_one_of_them_broken(here, small_stack, capsys):
    main(["init", str(small_stack)])
    good, bad = here / "good.h5", here / "bad.h5"
    shutil.copy(small_stack, good)
    bad.write_bytes(b"not HDF5")
    assert main(["run", "wire.toml", "--input", str(bad), str(good), "--output", "both"]) == 2
    said = capsys.readouterr().err
    assert "bad.h5" in said
    assert "1 of 2 stacks failed" in said
    assert (here / "both" / "good" / "summary.json").exists()
    assert not (here / "both" / "bad").exists()


def test_missing_stack(here, capsys):
    said = complaint(capsys, ["inspect", "nowhere.hdr"])
    assert "nowhere.hdr" in said
    (here / "r.toml").write_text('[input]\npath = "nowhere.hdr"\n')
    assert "nowhere.hdr" in complaint(capsys, ["run", "r.toml"])
    assert not (here / "r-results").exists()


def test_missing_recipe(here, capsys):
    assert "no such recipe" in complaint(capsys, ["run", "none.toml"])


def test_unknown_key(here, capsys):
    (here / "r.toml").write_text("[clusters]\nn_cluster = 3\n")
    said = complaint(capsys, ["run", "r.toml"])
    assert "n_clusters" in said
    assert "r.toml" in said
    assert not (here / "r-results").exists()


def recipe_for(here, stack, more=""):
    (here / "r.toml").write_text(f'[input]\npath = "{stack}"\n{more}', encoding="utf-8")
    return ["run", "r.toml"]


def test_region_outside_the_image(here, small_stack, capsys):
    more = "[absorbance]\ni0 = {x = [100, 101], y = [100, 101]}\n"
    said = complaint(capsys, recipe_for(here, small_stack, more))
    assert "holds no pixel of the image" in said
    assert not (here / "r-results").exists()


def test_library_that_does_not_cover_the_stack(here, capsys):
    """An iron stack against the vanadium model."""
    truth = simulate.core_shell(shape=(36, 48), poisson=True)
    iron = truth.stack.assign_coords(energy=truth.stack.energy + 192.0)
    cs.save_stack(iron, here / "iron.h5")
    said = complaint(capsys, recipe_for(here, here / "iron.h5"))
    assert "lixv2o5-model" in said
    assert "700.0 to 752.0" in said
    assert not (here / "r-results").exists()


def test_optical_density_passed_as_counts(here, capsys):
    truth = simulate.core_shell(shape=(36, 48))
    density = np.log(truth.i0 / truth.stack).transpose("energy", "y", "x")
    stack = stacks.build(
        density.values, density.energy, density.y, density.x, quantity="optical_density"
    )
    cs.save_stack(stack, here / "od.h5")
    said = complaint(capsys, [*recipe_for(here, here / "od.h5"), "--set", "input.quantity=counts"])
    assert "as in an optical density" in said
    assert 'quantity = "optical_density"' in said


def test_interrupt(here, small_stack, capsys, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("chemoscape.fitting_stages.deconvolve", stop)
    arguments = recipe_for(here, small_stack)
    assert main(arguments) == 130
    assert "interrupted" in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == {"r.toml"}


def test_a_defect_leaves_a_log_not_a_traceback(here, small_stack, capsys, monkeypatch):
    def break_down(*_args, **_options):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("chemoscape.fitting_stages.deconvolve", break_down)
    said = complaint(capsys, recipe_for(here, small_stack), status=1)
    log = said.split("with the file ")[1].rstrip(".")
    with open(log, encoding="utf-8") as file:
        assert "ZeroDivisionError: oops" in file.read()


def test_installed_command_runs():
    done = subprocess.run(
        [sys.executable, "-m", "chemoscape.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == cs.__version__


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "a.toml", "--no-such-option"], "no-such-option"),
        (["inspect"], "PATH"),
        (["nope"], "nope"),
        (["demo", "x"], "x"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, word, capsys):
    said = complaint(capsys, arguments)
    assert word in said
    assert "\n" not in said


def test_init_does_not_replace_a_measurement(here, small_stack, capsys):
    mine = shutil.copy(small_stack, here / "mine.h5")
    said = complaint(capsys, ["init", mine, "--output", mine, "--overwrite"])
    assert "ends in .toml" in said
    assert (here / "mine.h5").read_bytes() == small_stack.read_bytes()


def test_run_does_not_delete_its_input(here, small_stack, capsys):
    """The input lies in the folder of earlier results, which is to be overwritten."""
    arguments = recipe_for(here, "o/in.h5")
    (here / "o").mkdir()
    (here / "o" / "summary.json").touch()
    shutil.copy(small_stack, here / "o" / "in.h5")
    assert "in.h5" in complaint(capsys, [*arguments, "--output", "o", "--overwrite"])
    assert (here / "o" / "in.h5").read_bytes() == small_stack.read_bytes()


QUICK = ("drift.enabled=false", "clusters.enabled=false", "report.enabled=false")


def test_input_without_a_name(here, small_stack, capsys):
    """As a pattern that matches nothing leaves it in some shells: not the recipe's own stack."""
    assert "--input names no file" in complaint(capsys, [*recipe_for(here, small_stack), "--input"])
    assert {path.name for path in here.iterdir()} == {"r.toml"}


def test_json_of_several_stacks_is_one_list(here, small_stack, capsys):
    arguments = recipe_for(here, small_stack)
    for name in ("a.h5", "b.h5"):
        shutil.copy(small_stack, here / name)
    assert main([*arguments, "--input", "a.h5", "b.h5", "--json", "--set", *QUICK]) == 0
    paths = [summary["input"]["path"] for summary in json.loads(capsys.readouterr().out)]
    assert paths == [str(here / "a.h5"), str(here / "b.h5")]


def test_a_defect_does_not_stop_a_batch(here, small_stack, capsys, monkeypatch):
    from chemoscape import fitting_stages

    def fail_once(*args, **options):
        monkeypatch.undo()
        monkeypatch.chdir(here)
        raise ZeroDivisionError("oops")

    arguments = recipe_for(here, small_stack)
    for name in ("a.h5", "b.h5"):
        shutil.copy(small_stack, here / name)
    monkeypatch.setattr(fitting_stages, "deconvolve", fail_once)
    arguments += ["--input", str(here / "a.h5"), str(here / "b.h5"), "--output", str(here / "o")]
    assert main([*arguments, "--set", *QUICK]) == 1
    assert "1 of 2 stacks failed" in capsys.readouterr().err
    table = {"summary.csv", "summary.html", "summary.json"}
    assert {path.name for path in (here / "o").iterdir()} == {"b", *table}


def test_init_warns_in_one_line(here, data_folder, capsys):
    folder = shutil.copytree(data_folder / "readers", here / "readers")
    stack = folder / "ptycho-data-cosmic__stxm-scan.hdr"
    assert main(["init", str(stack), "--output", "r.toml"]) == 0
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: ")
    assert "missing" in first
    assert [line.split(": ")[0] for line in others] == ["warning", "wrote r.toml; run it with"]
    assert main(["inspect", str(stack), "--json"]) == 0
    json.loads(capsys.readouterr().out)


MATERIAL = (
    "stress.enabled=true",
    'stress.material={young_GPa=43.0, poisson=0.3, eigenstrain=0.02, source="", '
    'status="illustrative"}',
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (['composition.from="clustered"'], 'set route = "both"'),
        (["deconvolution.route=clustered"], 'set route = "both"'),
        (["deconvolution.route=both", "clusters.enabled=false"], "[clusters] is off"),
        (["standards.select=matched", "clusters.enabled=false"], "[clusters] is off"),
        ([*MATERIAL, "standards.enabled=false"], "[standards] is off"),
        ([*MATERIAL, "deconvolution.enabled=false"], "[deconvolution] is off"),
        ([*MATERIAL, "composition.enabled=false"], "[composition] is off"),
        (['standards.select=["alpha-V2O"]'], "did you mean 'alpha-V2O5'"),
        (["standards.library=nowhere"], "nowhere"),
        (["input.exclude=[{x=[-99, 99], y=[-99, 99]}]"], "exclude leaves no pixel"),
    ],
)
def test_what_cannot_be_is_said_before_the_work(
    here, small_stack, capsys, monkeypatch, changes, words
):
    def too_late(*_args, **_options):
        raise AssertionError("the work has begun")

    monkeypatch.setattr("chemoscape.stages.find_drift", too_late)
    said = complaint(capsys, [*recipe_for(here, small_stack), "--set", *changes])
    assert words in said
    assert {path.name for path in here.iterdir()} == {"r.toml"}


def test_no_composition_anywhere_is_said(here, small_stack, capsys):
    """An empty map is no result."""
    arguments = [*recipe_for(here, small_stack), "--set", *QUICK]
    said = complaint(capsys, [*arguments, "composition.min_thickness=1e9"])
    assert "the direct route finds a composition in no pixel; " in said
    assert {path.name for path in here.iterdir()} == {"r.toml"}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT there")
@pytest.mark.parametrize("kept", [False, True])
def test_ctrl_c_in_a_real_process(here, small_stack, kept):
    """Stopped while it works; with --overwrite the old results survive."""
    arguments = recipe_for(here, small_stack)
    if kept:
        (here / "r-results").mkdir()
        (here / "r-results" / "summary.json").write_text("old")
        arguments.append("--overwrite")
    before = {path: path.is_file() and path.read_bytes() for path in here.rglob("*")}
    waits = (
        "import signal, sys; from chemoscape import cli, workflow\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "write = workflow.results.write_results\n"
        "def write_and_say(*args, **options):\n"
        "    print('writing', flush=True)\n"
        "    return write(*args, **options)\n"
        "workflow.results.write_results = write_and_say\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", waits, *arguments, "--set", *QUICK]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said == "chemoscape: interrupted; nothing was written.\n"
    assert {path: path.is_file() and path.read_bytes() for path in here.rglob("*")} == before


def test_a_reader_that_has_seen_enough(small_stack):
    command = f"{sys.executable} -m chemoscape.cli inspect '{small_stack}' --json | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_resolution_makes_rivals_closer(here, small_stack, capsys):
    """With fewer independent energies the same misfit separates matches less."""
    main(["init", str(small_stack)])
    quick = ["--set", "drift.enabled=false", "report.enabled=false"]
    assert main(["run", "wire.toml", "--output", "all", *quick]) == 0
    assert main(["run", "wire.toml", "--output", "few", *quick, "clusters.resolution_eV=2.0"]) == 0
    capsys.readouterr()
    every, few = (
        np.nanmax(cs.open_results(here / name)["clustered/match/delta_bic"].values, axis=1)
        for name in ("all", "few")
    )
    assert (few < every).all()


GOLD = ("--sum-to-one", "--baseline", "none", "--energy-shift", "0", "--resolution", "5.3")


@pytest.fixture
def gold_library(data_folder, tmp_path):
    """The six standards of Larch's example as a library."""
    folder = tmp_path / "gold library"
    folder.mkdir()
    text = 'id = "gold"\nname = "gold"\nvariable = "index"\nscale = "optical_density"\n'
    for number in range(1, 7):
        shutil.copy(data_folder / "lcf_gold" / f"s{number}.dat", folder)
        text += f'\n[[standard]]\nid = "s{number}"\nlabel = "s{number}"\n'
        text += f'value = {number}.0\nfile = "s{number}.dat"\n'
    (folder / "library.toml").write_text(text, encoding="utf-8")
    return folder


def test_standards_fit_ranks_combinations(here, data_folder, gold_library, capsys):
    spectrum = str(data_folder / "lcf_gold" / "unknown.dat")
    arguments = ["standards", "fit", spectrum, "--library", str(gold_library), *GOLD]
    arguments += ["--range", "11869.5", "12030"]
    assert main([*arguments, "--figure", "gold.png"]) == 0
    said = capsys.readouterr()
    assert "56 combinations of standards, 160 points" in said.out
    assert "s1 + 46.5 % s2 + 6.4 % s3 + 14.3 % s6" in said.out
    assert (here / "gold.png").read_bytes().startswith(b"\x89PNG")
    assert main([*arguments, "--select", "s1", "--select", "s2", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(found["fits"][0]["weights"], [0.47066003, 0.52933996], atol=1e-5)
    assert main(["standards", "fit", spectrum, "--library", "lixv2o5-model"]) == 2
    assert "chemoscape: " in capsys.readouterr().err
