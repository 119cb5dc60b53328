"""The numbers of a series, for summary.json."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import xarray as xr

from chemoscape import results
from chemoscape.journal import Journal
from chemoscape.results import RunSummary
from chemoscape.series.moments import Moments


def summarise_series(
    moments: Moments, table: xr.Dataset, summaries: Sequence[RunSummary], log: Journal
) -> RunSummary:
    """Numbers of all stacks together: those that each has for itself are in ``series.moments``.

    Parameters
    ----------
    moments : Moments
    table : Dataset of `evolution`
    summaries : sequence of RunSummary
        Of each stack.
    log : Journal
        Of what belongs to all of them.
    """
    first = summaries[0]
    alone = dict.fromkeys(("units", "noise", "pixels", "drift", "energy_shift_eV"))
    nothing = np.full(table.sizes["time"], np.nan)
    series = results.SeriesSummary(
        times=tuple(moments.times.tolist()),
        time_unit=moments.unit,
        time_source=moments.source,
        files=tuple(str(path) for path in moments.paths),
        shift_px=tuple(zip(table["shift_y"].values, table["shift_x"].values, strict=True)),
        **{
            name: tuple(table[name].values if name in table else nothing)
            for name in ("composition", "composition_sd", "composition_sd_own")
        },
        moments=tuple(summaries),
    )
    return RunSummary(
        **alone,
        input=first.input.model_copy(update={"sha256": _checksum(summaries, moments)}),
        standards=first.standards,
        condition_number=None,
        rank=first.rank,
        routes={},
        composition=None,
        phases={},
        damage=None,
        stress={},
        warnings=_warnings(summaries, moments, log),
        seconds=_seconds(summaries, log),
        series=series,
    )


def _checksum(summaries: Sequence[RunSummary], moments: Moments) -> str | None:
    """Of the lines that ``sha256sum`` prints for the stacks."""
    sums = [one.input.sha256 for one in summaries]
    if None in sums:
        return None
    named = zip(sums, moments.paths, strict=True)
    lines = "".join(f"{checksum}  {path.name}\n" for checksum, path in named)
    return hashlib.sha256(lines.encode()).hexdigest()


def _warnings(summaries: Sequence[RunSummary], moments: Moments, log: Journal) -> tuple[str, ...]:
    """What belongs to all stacks, then what each says; what several say alike, but for numbers, is
    told once, in the words of the first of them.
    """
    out = list(log.warnings)
    said: dict[str, list[tuple[int, str]]] = {}
    for number, one in enumerate(summaries):
        for text in one.warnings:
            said.setdefault(without_numbers(text), []).append((number, text))
    for alike in said.values():
        (first, text), others = alike[0], {number for number, _ in alike[1:]}
        if {told for _, told in alike} == {text}:
            n, all_ = len(alike), len(summaries)
            who = "every stack" if n == all_ else f"{n} of {all_} stacks"
            who = moments.name_of(first) if n == 1 else who
        else:
            who = f"{moments.name_of(first)}, and alike {len(others)} more of {len(summaries)}"
        out.append(f"{who}: {text}")
    return tuple(out)


def without_numbers(text: str) -> str:
    """A warning as it is said of another stack, or at another place, too."""
    number = r"[-+]?\d[\d.,]*"
    return re.sub(rf"{number}(\s+({number}|…))*", "#", text)


def _seconds(summaries: Sequence[RunSummary], log: Journal) -> dict[str, float]:
    """Wall time of each step, that of all stacks together."""
    total: Counter[str] = Counter()
    for one in summaries:
        total.update(one.seconds)
    total.update(log.seconds)
    return {name: round(seconds, 3) for name, seconds in total.items()}
