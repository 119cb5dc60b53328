"""Sphinx configuration: nothing here, and nothing in the pages it makes, needs the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import _gallery  # noqa: E402
from _tables import write_tables  # noqa: E402

import chemoscape  # noqa: E402

project = "chemoscape"
author = "The chemoscape developers"
copyright = author
version = release = chemoscape.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "generated"]
sphinx_gallery_conf = {**_gallery.SETTINGS, "run_stale_examples": _gallery.package_changed()}
default_role = "py:obj"

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say shapes and units, which annotations cannot
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"chemoscape {version}"
html_math_renderer = "mathml"


def render_math(translator: Any, node: nodes.Node) -> None:
    """Equations as MathML, which browsers draw without a script from elsewhere."""
    block = isinstance(node, nodes.math_block)
    mathml = tex2mathml(node.astext(), as_block=block)
    wide = f'<div style="overflow-x: auto; padding: 0.4em 0">{mathml}</div>'
    translator.body.append(wide if block else mathml)
    raise nodes.SkipNode


def make_generated(app: Sphinx) -> None:
    """Reference tables, and the figure that an example draws, from the code as it is."""
    folder = HERE / "generated"
    write_tables(folder)
    example = HERE.parent / "examples" / "stress_convergence.py"
    picture = folder / "stress-convergence.png"
    subprocess.run([sys.executable, example, picture], check=True, capture_output=True)


def setup(app: Sphinx) -> None:
    """Register the equations' renderer, and make the reference tables before pages are read."""
    app.add_html_math_renderer("mathml", (render_math, None), (render_math, None))
    app.connect("builder-inited", make_generated)
    app.connect("build-finished", _gallery.remember_the_package)
