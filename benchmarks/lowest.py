"""Print the lower bounds of pyproject.toml as pip constraints, for `make test-lowest`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["segment"], *extras["app"]]:
    name, bound = re.match(r"([\w.-]+)(?:\[[^\]]*\])?>=([\w.]+)", requirement).groups()
    print(f"{name}=={bound}")
