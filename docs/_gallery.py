"""The gallery: figures of the examples made without pyplot, and when they are drawn again.

sphinx-gallery runs every script of examples/figures/. Its own scraper looks for figures that pyplot
holds open; ours takes the `matplotlib.figure.Figure` objects among the script's names.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from chemoscape.report.panels import save_figure

HERE = Path(__file__).parent
SEEN = "_chemoscape_figures_seen"
#: The package that the figures of the last build were drawn by.
MARK = HERE / "gallery" / "package.sha256"

# joblib's word for a worker that it starts anew because it has grown; nothing is lost
warnings.filterwarnings("ignore", message="A worker stopped while some jobs")

#: For conf.py. Without a network: no notebooks in the cloud, nothing that a browser would fetch.
SETTINGS: dict[str, Any] = {
    "examples_dirs": [str(HERE.parent / "examples" / "figures")],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"[\\/]figure_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("_gallery",),
    "capture_repr": (),
    "notebook_extensions": set(),
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "inspect_global_variables": False,
    "parallel": 2,
}


def _get_sg_image_scraper() -> Any:
    """Where sphinx-gallery asks a module for its scraper."""
    return scrape


def scrape(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Save the figures that a block of a script has made."""
    names = variables["example_globals"]
    seen = names.setdefault(SEEN, [])
    paths = []
    for value in list(names.values()):
        if isinstance(value, Figure) and not any(value is one for one in seen):
            seen.append(value)
            path = next(variables["image_path_iterator"])
            save_figure(value, path, dpi=200)
            paths.append(path)
    said = str(names.get("__doc__") or "").partition("\n")[0]
    return figure_rst(paths, conf["src_dir"], fig_titles=said)


def package_changed() -> bool:
    """Whether figures must be drawn again, of scripts that are what they were: the package is not.

    sphinx-gallery compares the scripts; what they call is compared here.
    """
    for page in MARK.parent.glob("figure_*.rst"):
        if not (HERE.parent / "examples" / "figures" / f"{page.stem}.py").exists():
            page.unlink()  # of a script that was renamed, which no list of contents names
    return not MARK.exists() or MARK.read_text(encoding="utf-8") != _state_of_the_package()


def remember_the_package(app: Any, failure: Exception | None) -> None:
    """After a build: these figures are those of the package as it is."""
    if failure is None:
        MARK.write_text(_state_of_the_package(), encoding="utf-8")


def _state_of_the_package() -> str:
    """Checksum of everything that figures depend on."""
    state = hashlib.sha256()
    for file in [*sorted((HERE.parent / "src" / "chemoscape").rglob("*")), Path(__file__)]:
        if file.is_file() and "__pycache__" not in file.parts:
            state.update(str(file.relative_to(HERE.parent)).encode())
            state.update(file.read_bytes())
    return state.hexdigest()
