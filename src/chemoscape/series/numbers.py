"""The numbers of a series, for summary.json."""

from __future__ import annotations

import hashlib
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
    """What belongs to all stacks, then what several say, then what one says, with its name."""
    said = Counter(text for one in summaries for text in one.warnings)
    out = list(log.warnings)
    for text, times in said.items():
        if times == len(summaries):
            out.append(f"every stack: {text}")
        elif times > 1:
            out.append(f"{times} of {len(summaries)} stacks: {text}")
    for number, one in enumerate(summaries):
        out += [f"{moments.name_of(number)}: {text}" for text in one.warnings if said[text] == 1]
    return tuple(out)


def _seconds(summaries: Sequence[RunSummary], log: Journal) -> dict[str, float]:
    """Wall time of each step, that of all stacks together."""
    total: Counter[str] = Counter()
    for one in summaries:
        total.update(one.seconds)
    total.update(log.seconds)
    return {name: round(seconds, 3) for name, seconds in total.items()}
