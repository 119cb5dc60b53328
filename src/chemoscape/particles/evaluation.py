"""Methods of finding particles, compared on images that none of them has seen.

Images come from `chemoscape.particles.generator`, each from a seed of its own, `FIRST_SEED` and up.
Training draws from pairs of a seed below that and a number.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from chemoscape.errors import RecipeError
from chemoscape.particles.generator import Ensemble, make_ensemble
from chemoscape.particles.masks import Instances
from chemoscape.particles.scores import NUMBERS, Pair, Scores, score

#: Seeds from here up are never used in training.
FIRST_SEED = 10_000_000
#: Held-out conditions: what `make_ensemble` is told in each. All but the second have 40 nm pixels.
CONDITIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "40 nm": {"shape": (256, 256), "pixel_um": 0.04},
        "80 nm": {"shape": (128, 128), "pixel_um": 0.08},
        "low counts": {"shape": (256, 256), "pixel_um": 0.04, "counts": 150.0},
        "high overlap": {"shape": (256, 256), "pixel_um": 0.04, "gathered": 0.9, "n_wires": 30},
    }
)
#: Name of the column that holds all conditions together.
POOLED = "all"
#: Rows of the table: what it says, the score, its factor and its format.
ROWS = (
    ("AP", "ap", 1, ".3f"),
    ("AP50", "ap50", 1, ".3f"),
    ("AP75", "ap75", 1, ".3f"),
    ("PQ", "pq", 1, ".3f"),
    ("SQ", "sq", 1, ".3f"),
    ("precision", "precision", 1, ".3f"),
    ("recall", "recall", 1, ".3f"),
    ("F1", "f1", 1, ".3f"),
    ("area error (%)", "area_error", 100, "+.1f"),
    ("  its spread (%)", "area_error_spread", 100, ".1f"),
    ("size distance", "size_distance", 1, ".3f"),
)

Find = Callable[[np.ndarray, float], Instances]


@dataclass(frozen=True)
class Evaluation:
    """Scores of one method.

    Attributes
    ----------
    conditions : mapping of str to Scores
        Of each condition alone.
    pooled : Scores
        Of the images of all conditions together.
    seconds_per_image : float
        Mean time that the method took.
    """

    conditions: Mapping[str, Scores]
    pooled: Scores
    seconds_per_image: float

    @property
    def scores(self) -> dict[str, Scores]:
        """Each condition's scores, and last the pooled ones as `POOLED`."""
        return {**self.conditions, POOLED: self.pooled}

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, None where there is none, for JSON."""
        scores = {name: one.to_dict() for name, one in self.scores.items()}
        return {"seconds_per_image": self.seconds_per_image, "scores": scores}

    def __str__(self) -> str:
        return "\n\n".join(f"{name}: {one}" for name, one in self.scores.items())


def held_out(
    condition: str | Mapping[str, Any], n_images: int, first_seed: int = FIRST_SEED
) -> Iterator[Ensemble]:
    """Images that no training has seen, with their truth.

    The image of a seed is always the same, whatever is drawn before it. Conditions share their
    seeds: those that differ in the pixel size alone show the same wires.

    Parameters
    ----------
    condition : str or mapping
        A name of `CONDITIONS`, or keyword arguments of `make_ensemble`.
    n_images : int
        How many.
    first_seed : int
        Seed of the first image, `FIRST_SEED` or more; the others follow.

    Raises
    ------
    RecipeError
        Where the condition is unknown, there is no image, or the seed belongs to training.
    """
    if isinstance(condition, str) and condition not in CONDITIONS:
        raise RecipeError(
            f"no held-out condition is called {condition!r}",
            remedy=f"give one of {', '.join(map(repr, CONDITIONS))}",
        )
    if n_images < 1:
        raise RecipeError(f"{n_images} images to evaluate on", remedy="ask for 1 or more")
    if not FIRST_SEED <= first_seed < 2**32:  # larger ones are numpy's names for pairs
        raise RecipeError(
            f"an image of seed {first_seed} may have been trained on",
            remedy=f"give a seed from {FIRST_SEED} to {2**32 - 1}",
        )
    settings = CONDITIONS[condition] if isinstance(condition, str) else condition
    seeds = range(first_seed, first_seed + n_images)
    return (make_ensemble(np.random.default_rng(seed), **settings) for seed in seeds)


def evaluate(
    find: Find,
    conditions: Iterable[str] | Mapping[str, Mapping[str, Any]] = CONDITIONS,
    n_images: int = 50,
    threshold: float = 0.5,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Scores of a method on held-out images of each condition.

    Parameters
    ----------
    find : callable
        ``find(image, pixel_um)`` gives the `Instances` of an image of optical density, shape (y,
        x), with pixels of `pixel_um` µm.
    conditions : iterable of str, or mapping
        Names of `CONDITIONS`, or own names with keyword arguments of `make_ensemble`.
    n_images : int
        Images of each condition.
    threshold : float
        Least score of a particle that counts as found, see `Scores`.
    progress : callable, optional
        Is told the condition and the image before each.

    Raises
    ------
    RecipeError
        Where a condition is unknown, or there is no image or no condition.
    StackError
        Where the method answers with masks of another shape than the image.
    """
    chosen = conditions if isinstance(conditions, Mapping) else {one: one for one in conditions}
    if not chosen:
        raise RecipeError("no condition to evaluate under", remedy="give one or more")
    images = {name: held_out(condition, n_images) for name, condition in chosen.items()}
    scores: dict[str, Scores] = {}
    pairs: list[Pair] = []
    pixels: list[float] = []
    seconds = 0.0
    for name, ensembles in images.items():
        for number, ensemble in enumerate(ensembles, start=1):
            if progress is not None:
                progress(f"{name}, image {number} of {n_images}")
            start = perf_counter()
            found = find(ensemble.image, ensemble.pixel_um)
            seconds += perf_counter() - start
            pairs.append((found, ensemble.instances))
            pixels.append(ensemble.pixel_um)
        scores[name] = score(pairs[-n_images:], pixels[-n_images:], threshold)
    return Evaluation(scores, score(pairs, pixels, threshold), seconds / len(pairs))


def table(results: Mapping[str, Evaluation]) -> str:
    """Scores of several methods side by side: a block for each condition, a column for each method.

    Parameters
    ----------
    results : mapping of str to Evaluation
        By the method's name. A method that was not evaluated under a condition shows a dash there.
    """
    if not results:
        return ""
    conditions = dict.fromkeys(name for one in results.values() for name in one.scores)
    conditions[POOLED] = conditions.pop(POOLED, None)  # last, whatever came first
    first = max(len(label) for label, *_ in ROWS)
    width = max(8, *(len(name) for name in results)) + 2
    blocks = []
    for name in conditions:
        columns = [one.scores.get(name) for one in results.values()]
        there = next(one for one in columns if one is not None)
        head = f"{name} ({there.n_images} images, {there.n_true} particles)"
        methods = " " * first + "".join(f"{method:>{width}}" for method in results)
        lines = [
            f"{label:<{first}}"
            + "".join(f"{_shown(one, named, factor, how):>{width}}" for one in columns)
            for label, named, factor, how in ROWS
        ]
        blocks.append("\n".join([head, methods, *lines]))
    spent = "".join(f"{one.seconds_per_image:>{width}.3f}" for one in results.values())
    return "\n\n".join([*blocks, f"{'s per image':<{first}}{spent}"])


def to_dict(results: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Plain numbers of several methods, by name, for JSON."""
    return {name: one.to_dict() for name, one in results.items()}


def to_csv(results: Mapping[str, Evaluation], path: str | Path) -> None:
    """Write a row for each method and condition; empty where there is no number.

    Recall against size is not in it: see `to_dict`.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "condition", *NUMBERS])
        for method, one in results.items():
            for condition, scores in one.scores.items():
                numbers = scores.to_dict()
                writer.writerow([method, condition, *(numbers[name] for name in NUMBERS)])


def _shown(scores: Scores | None, name: str, factor: float, how: str) -> str:
    value = math.nan if scores is None else getattr(scores, name)
    return f"{factor * value:{how}}" if math.isfinite(value) else "–"
