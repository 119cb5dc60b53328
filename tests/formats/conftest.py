"""Lets the tests of one format use the small files that are built in those of another."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
