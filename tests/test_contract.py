"""What others call: public names and signatures, nodes of results.h5, keys of summary.json."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import chemoscape as cs
from chemoscape import results

#: name -> parameters that callers may rely on, in order where positional.
SIGNATURES = {
    "open_stack": ["path"],
    "save_stack": ["stack", "path"],
    "measure_drift": ["stack"],
    "align": ["stack", "drift"],
    "crop_common": ["stack"],
    "optical_density": ["stack", "i0"],
    "open_library": ["source"],
    "open_cycling": ["path"],
    "deconvolve": ["od", "spectra", "nonnegative", "baseline", "energy_shift"],
    "principal_components": ["od", "centred"],
    "cluster": ["od", "pcs", "n_clusters", "seed"],
    "merge_clusters": ["od", "groups", "merge"],
    "match": ["groups", "library", "baseline", "energy_shift"],
    "library_from_clusters": ["groups", "table"],
    "linear_combination_fit": ["spectrum", "library"],
    "rank_combinations": ["spectrum", "library"],
    "fit_peaks": ["spectra", "model"],
    "region_spectra": ["od", "regions"],
    "factorise": ["od", "n_parts", "similar_to"],
    "cut_clusters": ["od", "groups", "into", "distance"],
    "split_clusters": ["od", "groups", "split"],
    "target_tests": ["pcs", "library"],
    "group_weights": ["maps", "groups"],
    "composition": ["maps", "library"],
    "stress": ["comp", "material", "boundary"],
    "segment": ["image", "method"],
    "ensemble_statistics": ["table"],
    "run": ["recipe"],
    "open_results": ["path"],
    "Material": ["young_GPa", "poisson", "eigenstrain", "reference", "source", "status"],
    "Springs": ["GPa_per_um"],
    "Cut": ["edges", "ends", "rest"],
    "Supports": ["conditions", "parts", "rest"],
    "von_mises_sd": ["comp", "material", "boundary", "n_draws"],
    "Region": ["x", "y", "polygon"],
}

SUMMARY_KEYS = {
    "input": {"path", "sha256", "format", "shape", "energy_range_eV"},
    "units": {"correction", "i0_source"},
    "noise": {"g", "source", "correlation"},
    "pixels": {
        "total",
        "thick",
        "too_thick",
        "not_positive_values",
        "despiked_values",
        "levelled_values",
    },
    "drift": {"max_px", "rms_px", "applied", "n_replaced"},
    "energy_shift_eV": {"value", "sd"},
    "calibration": {
        "source",
        "significance",
        "composition_per_eV",
        "stretch_per_eV",
        "stretch_seen_per_eV",
        "stretch_seen_sd",
        "edges",
        "misfit_scale",
        "misfit_level",
    },
    "standards": None,
    "condition_number": None,
    "rank": {"ind", "mp", "f", "cv", "cumulative"},
    "routes": {"direct", "clustered"},
    "composition": {"variable", "mean_pixel", "mean_mass_weighted", "sd", "p05", "p95"},
    "phases": None,
    "few_energies": None,
    "damage": {"dx", "sd", "how", "significant", "dose_MGy"},
    "stress": {"free", "fixed"},
    "particles": None,
    "electrochemistry": None,
    "series": None,
    "warnings": None,
    "seconds": None,
}

NODES = {
    "/drift": {"shift_y", "shift_x", "quality", "replaced", "noise_gain"},
    "/absorbance": {"background", "flag", "dose"},
    "/spectra": {"i0", "mean", "standards"},
    "/direct": {
        "weight",
        "weight_covariance",
        "weight_per_eV",
        "baseline",
        "residual",
        "reduced_chi2",
    },
    "/clustered": {"weight", "weight_covariance", "baseline", "residual", "reduced_chi2"},
    "/clustered/components": {"eigenvalue", "eigenspectrum", "score"},
    "/clustered/clusters": {"label", "spectrum", "spectrum_se", "linkage"},
    "/clustered/match": {"composition", "composition_sd", "candidate", "delta_bic", "ambiguous"},
    "/composition": {
        "composition",
        "composition_sd_counting",
        "composition_sd_systematic",
        "composition_sd_total",
        "thickness",
        "mask",
    },
    "/stress/free": {"displacement_x", "strain_xx", "stress_xx", "von_mises"},
    "/stress/free/grid": {"von_mises"},
    "/stress/fixed": {"von_mises"},
}

#: Rooms in the order of the design: each imports only from rooms before it.
ROOMS = [
    "errors",
    "journal",
    "blocks",
    "region",
    "stack",
    "regrid",
    "results",
    "formats",
    "standards",
    "crystals",
    "preprocess",
    "decompose",
    "curation",
    "chemistry",
    "electrochemistry",
    "few_energies",
    "mechanics",
    "particles",
    "simulate",
    "recipe",
    "products",
    "one_pass",
    "summaries",
    "series",
    "report",
    "stages",
    "fitting_stages",
    "few_stages",
    "particle_stages",
    "library_stages",
    "workflow",
    "look",
    "demo",
    "console",
    "telling",
    "batch",
    "cli_reading",
    "app",
    "cli_app",
    "cli_particles",
    "cli_adding",
    "cli_library",
    "cli_crystals",
    "cli_peaks",
    "cli_standards",
    "cli_stress",
    "cli_plan",
    "cli_run",
    "cli_cycling",
    "cli",
    "__main__",
]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    parameters = list(inspect.signature(getattr(cs, name)).parameters)
    wanted = SIGNATURES[name]
    assert [p for p in parameters if p in wanted] == wanted, parameters


def test_every_public_name_can_be_imported():
    for name in cs.__all__:
        assert getattr(cs, name) is not None


def test_no_public_callable_has_the_name_of_a_module():
    package = Path(cs.__file__).parent
    modules = {path.stem for path in package.rglob("*.py")} | {
        path.name for path in package.rglob("*") if path.is_dir()
    }
    assert not {name for name in SIGNATURES if name in modules}


def test_nodes_of_the_results(demo_run):
    tree = cs.open_results(demo_run)
    for path, variables in NODES.items():
        assert variables <= set(tree[path].to_dataset(inherit=False).data_vars), path
    assert {"recipe", "summary", "versions", "seed"} <= set(tree.attrs)
    assert not tree.to_dataset().data_vars
    direct = tree["/direct"]
    assert direct["weight"].dims == ("standard", "y", "x")
    assert direct["weight_covariance"].dims == ("pair", "y", "x")
    assert {"energy_shift_eV", "energy_shift_sd_eV", "condition_number"} <= set(direct.attrs)
    assert tree["/composition"].sizes["x"] == 2 * direct.sizes["x"] - 1
    assert tree["/stress/fixed"].attrs["reference"] == 0.0


def test_keys_of_the_summary(demo_run):
    text = (demo_run / "summary.json").read_text(encoding="utf-8")
    summary = json.loads(text)
    assert "NaN" not in text
    for key, inner in SUMMARY_KEYS.items():
        assert key in summary
        if inner is not None:
            assert set(summary[key]) == inner, key
    for route in summary["routes"].values():
        assert set(route) == {"composition", "residual_rms", "reduced_chi2"}
    for phase in summary["phases"].values():
        assert set(phase) == {"mass_fraction", "area_fraction"}
    for one in summary["stress"].values():
        assert set(one) == {
            "von_mises_max_MPa",
            "von_mises_p99_MPa",
            "von_mises_mean_MPa",
            "reference",
        }
    results.RunSummary.model_validate(summary)


def test_files_of_a_run(demo_run):
    wanted = {
        "results.h5",
        "summary.json",
        "report.html",
        "recipe.toml",
        "figures",
        "spectra.csv",
        "stress-free.vtu",
        "stress-fixed.vtu",
    }
    assert {path.name for path in demo_run.iterdir()} == wanted


def test_shipped_library():
    library = cs.open_library("lixv2o5-model")
    assert library.names == [
        "alpha-V2O5",
        "alpha-Li0.1V2O5",
        "epsilon-Li0.3V2O5",
        "epsilon-Li0.45V2O5",
        "epsilon-Li0.7V2O5",
        "delta-Li0.9V2O5",
    ]
    assert all(label.endswith("(synthetic)") for label in library.labels)
    assert library.variable == "x in LixV2O5"


def room_of(module: str) -> str:
    return module.removeprefix("chemoscape").lstrip(".").split(".")[0]


def imports_of(path: Path) -> set[str]:
    """Rooms that a module imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith("chemoscape")
        ):
            if node.module == "chemoscape":
                found |= {alias.name for alias in node.names}
            else:
                found.add(room_of(node.module))
        elif isinstance(node, ast.Import):
            found |= {room_of(a.name) for a in node.names if a.name.startswith("chemoscape.")}
    return found - {"", "__version__"}


def test_rooms_import_only_from_rooms_above_them():
    package = Path(cs.__file__).parent
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        assert room in ROOMS, f"{room} has no place in the order of rooms"
        below = {other for other in imports_of(path) if ROOMS.index(other) > ROOMS.index(room)}
        assert not below, f"{path.name} imports {below}"


def test_help_imports_only_the_standard_library_and_cyclopts():
    """Measured by sys.modules: whatever is there beyond the standard library and cyclopts's own
    needs.
    """
    script = (
        "import sys, cyclopts; before = set(sys.modules);"
        "from chemoscape.cli import main; status = main(['--help']);"
        "new = {n.split('.')[0] for n in set(sys.modules) - before};"
        "print(status, *sorted(new), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    status, *new = done.stderr.split()
    assert status == "0"
    needs_of_cyclopts = {
        "rich",
        "docstring_parser",
        "attr",
        "attrs",
        "markdown_it",
        "mdurl",
        "pygments",
    }
    assert set(new) <= {"chemoscape", "cyclopts"} | needs_of_cyclopts | set(sys.stdlib_module_names)
    for heavy in ("numpy", "xarray", "numba", "matplotlib"):
        assert heavy not in new


def test_importing_the_package_costs_nothing():
    script = "import sys, chemoscape; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
