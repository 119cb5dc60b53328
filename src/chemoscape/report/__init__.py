"""Figures at journal size and the one-file HTML report: nothing is computed anew."""

from __future__ import annotations
