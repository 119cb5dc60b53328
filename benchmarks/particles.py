"""Particles of a map of 1024² pixels, by the classical method and by the network."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from measure import Cost, cost, heading, note, row

from chemoscape.errors import ChemoscapeError
from chemoscape.particles.generator import make_ensemble
from chemoscape.particles.maskrcnn.inference import Detector, Graph
from chemoscape.particles.segmentation import segment


def particles() -> None:
    """Both methods; of the network the share of time that its graphs alone take."""
    made = make_ensemble(np.random.default_rng(10_000_500), (1024, 1024))
    heading(f"1024² pixels, {len(made.instances)} particles")
    classical = cost(lambda: segment(made.image, "classical", pixel_um=made.pixel_um))
    row("classical method", classical.seconds, memory=_megabytes(classical))
    try:
        detector = Detector.open()
    except ChemoscapeError as error:
        note(str(error))
        return
    inside = [0.0]
    timed = replace(
        detector,
        **{
            part: _timed(getattr(detector, part), inside)
            for part in ("backbone", "box_head", "mask_head")
        },
    )
    with patch.object(Detector, "open", lambda *_: timed):
        network = cost(lambda: segment(made.image, "maskrcnn", pixel_um=made.pixel_um))
    ratio = f"{network.seconds / inside[0]:.1f} × its graphs alone"
    row("the network", network.seconds, ratio, memory=_megabytes(network))


def _timed(graph: Graph, inside: list[float]) -> Graph:
    """The same graph, which adds up the seconds spent in it."""

    def run(*arrays: np.ndarray) -> object:
        start = time.perf_counter()
        given = graph(*arrays)
        inside[0] += time.perf_counter() - start
        return given

    return run


def _megabytes(spent: Cost) -> str:
    return "" if math.isnan(spent.extra_bytes) else f"{spent.extra_bytes / 1e6:.0f} MB"
