"""The pages keep up with the program: public names, recipe keys, recipes and commands shown."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import chemoscape as cs
from chemoscape import results
from chemoscape.cli import app
from chemoscape.recipe import Recipe, make_recipe

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]


def fenced(language):
    """Blocks of a language in all pages, with their page and number."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)):
            yield pytest.param(block, id=f"{page.stem}-{number}")


@pytest.fixture(scope="module")
def tables():
    """The module that makes the reference tables."""
    spec = importlib.util.spec_from_file_location("_tables", DOCS / "_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference():
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    missing = [
        name
        for name in cs.__all__
        if not re.search(rf"(chemoscape|cs)\.{name}\b", reference.replace("`", ""))
    ]
    assert not missing


def test_every_recipe_key_is_in_the_generated_reference(tables):
    text = tables.recipe_tables()
    for name, section in Recipe().model_dump(mode="json", by_alias=True).items():
        if isinstance(section, dict):
            _, _, rest = text.partition(f"### `[{name}]`")
            assert rest, name
            assert set(section) <= set(re.findall(r"^\| `(\w+)` \|", rest, re.MULTILINE)), name
        else:
            assert f"| `{name}` |" in text


def test_every_key_of_the_summary_is_in_the_generated_table(tables):
    text = tables.summary_table()
    assert all(f"| `{key}` |" in text for key in results.RunSummary.model_fields)


def test_published_schema_is_that_of_the_program():
    published = json.loads((DOCS / "summary.schema.json").read_text(encoding="utf-8"))
    assert published == results.summary_schema()


@pytest.mark.parametrize("block", list(fenced("toml")))
def test_recipes_shown_are_valid(block):
    table = tomllib.loads(block)
    if "standard" in table:  # a library
        assert {"id", "value", "file"} <= set(table["standard"][0])
    else:
        make_recipe(table)


@pytest.mark.parametrize("block", list(fenced("python")))
def test_public_names_shown_exist(block):
    compile(block, "docs", "exec")
    assert set(re.findall(r"\bcs\.(\w+)", block)) <= set(cs.__all__)


@pytest.mark.parametrize("block", list(fenced("console")))
def test_commands_shown_parse(block):
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["chemoscape"]:
            app.parse_args(words[1:], exit_on_error=False, print_error=False)
