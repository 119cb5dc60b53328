"""Other programs asked for the same work, in turn with ours, and the table of it."""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

from measure import Cost, Work, cost, failed, row, stacks_of
from targets import Factor

#: Job of peers.py: what it is called in the table, and what is aimed at.
Jobs = dict[str, tuple[str, Factor | None]]


class Peers:
    """The other programs, by the Python that has them."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder = python, folder
        self.broken: dict[str, str] = {}

    def ask(self, job: str, **facts: Any) -> dict[str, Any] | None:
        """Answer of a job of peers.py; None if it failed, now or before."""
        if job in self.broken:
            return None
        environment = {**os.environ, "FACTS": json.dumps(facts), "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            [self.python, "-W", "ignore", Path(__file__).with_name("peers.py"), job, self.folder],
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            self.broken[job] = said[-1] if said else f"exit status {done.returncode}"
            return None
        return json.loads(done.stdout.splitlines()[-1])


def in_turn(
    ours: Work, peers: Peers, jobs: dict[str, Any], repeat: int, **facts: Any
) -> tuple[Cost, dict[str, Cost], dict[str, dict[str, Any]]]:
    """Best cost of ours and of every job, and the last answer of each job."""
    own = Cost(math.inf, math.nan)
    best: dict[str, Cost] = {}
    answers: dict[str, dict[str, Any]] = {}
    for _ in range(repeat):
        own = cost(ours).best(own)
        for job in jobs:
            answer = peers.ask(job, **facts)
            if answer is None:
                continue
            extra = answer["extra_bytes"]
            spent = Cost(answer["seconds"], math.nan if extra is None else extra)
            best[job] = spent.best(best[job]) if job in best else spent
            answers[job] = answer
    return own, best, answers


def show(
    own: Cost,
    best: dict[str, Cost],
    peers: Peers,
    jobs: Jobs,
    stack_bytes: int,
    notes: dict[str, str],
) -> None:
    """Print ours and the peers', with a note on each behind its memory."""
    ours = f"ours{notes.get('how', '')}"
    row(ours, own.seconds, memory=_last_column(own, stack_bytes, notes.get("ours", "")))
    for job, (name, target) in jobs.items():
        if job not in best:
            failed(name, peers.broken.get(job, "not run"))
            continue
        factor = best[job].seconds / own.seconds
        row(
            name,
            best[job].seconds,
            f"{factor:.1f} × ours",
            target.judge(factor) if target else "",
            _last_column(best[job], stack_bytes, notes.get(job, "")),
        )


def _last_column(spent: Cost, stack_bytes: int, note: str) -> str:
    return f"{stacks_of(spent.extra_bytes, stack_bytes):<14}{note}"
