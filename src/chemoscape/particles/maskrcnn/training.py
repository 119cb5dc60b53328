"""Train Mask R-CNN on synthetic ensembles: a budget of images, a seed, and a folder to resume from.

The rate rises over the first steps and falls along a half cosine over the budget (Loshchilov and
Hutter 2017). What is kept is a running mean of the weights, which is what the validation losses are
measured on. The folder holds `state.pt` (to resume), `curves.csv`, and `weights-<images>.pt`, the
means along the way.
"""

from __future__ import annotations

import csv
import math
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from chemoscape.errors import ChemoscapeError
from chemoscape.particles.evaluation import FIRST_SEED
from chemoscape.particles.maskrcnn.data import Batch, Ensembles, collate
from chemoscape.particles.maskrcnn.losses import losses
from chemoscape.particles.maskrcnn.network import MaskRCNN

#: Numbers of the examples on which validation losses are measured; training begins at zero and
#: stays below.
VALIDATION_FIRST = 900_000_000
#: What torch raises on a file that is none of its own.
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
)
#: Seconds after which the state is saved between validations too.
SAVE_EVERY = 600.0
PARTS = ("objectness", "proposal", "class", "box", "mask")


@dataclass(frozen=True)
class Plan:
    """What a training run is; a resumed one must agree with it.

    Attributes
    ----------
    images : int
        Budget: examples seen in all, none twice.
    batch : int
        Examples of a step.
    rate : float
        Highest learning rate (AdamW).
    warm_up : int
        Steps over which the rate rises.
    decay : float
        Weight decay.
    memory : float
        Share of the running mean that survives a step, once it has settled.
    seed : int
    validate_every : int
        Examples between validations.
    n_validation : int
        Examples of one.
    """

    images: int = 400_000
    batch: int = 32
    rate: float = 1.5e-3
    warm_up: int = 300
    decay: float = 1e-4
    memory: float = 0.999
    seed: int = 0
    validate_every: int = 20_000
    n_validation: int = 512

    def __post_init__(self) -> None:
        for name in ("batch", "warm_up", "validate_every", "n_validation"):
            if getattr(self, name) < 1:
                raise ChemoscapeError(f"{name} is {getattr(self, name)}", remedy="give 1 or more")
        if self.images < self.batch:
            raise ChemoscapeError(
                f"{self.images} images make no batch of {self.batch}",
                remedy="train on more images, or in smaller batches",
            )
        if not 0 <= self.seed < FIRST_SEED:  # numpy gives [s, 0] the state of s: evaluation's
            raise ChemoscapeError(f"the seed is {self.seed}", remedy=f"give 0 to {FIRST_SEED - 1}")


@dataclass
class State:
    """A run at work."""

    plan: Plan
    network: MaskRCNN
    mean: MaskRCNN
    optimiser: torch.optim.Optimizer
    seen: int = 0


def learning_rate(plan: Plan, seen: int) -> float:
    """Rate after that many examples."""
    steps = seen / plan.batch
    rise = min(1.0, (steps + 1) / plan.warm_up)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, seen / plan.images)))
    return plan.rate * rise * (0.01 + 0.99 * fall)


def train(
    folder: Path,
    plan: Plan | None = None,
    *,
    minutes: float | None = None,
    workers: int = 2,
    device: str = "auto",
    progress: Callable[[str], None] = lambda line: None,
) -> MaskRCNN | None:
    """Train, or go on with the run that the folder holds.

    Parameters
    ----------
    folder : Path
        Where the run is kept.
    plan : Plan, optional
        Its settings, the default ones when None; those of a run to resume must be the same.
    minutes : float, optional
        Stop after that long, to be resumed.
    workers : int
        Processes that make examples.
    device : str
        "auto", "cpu", "cuda".
    progress : callable
        Called with a line at each validation.

    Returns
    -------
    MaskRCNN or None
        The mean network, or None when the time was over first.

    Raises
    ------
    ChemoscapeError
        The folder holds a run with another plan, or one that cannot be read; the device is not
        there; the losses are no longer finite.
    """
    started = time.monotonic()
    if workers < 0 or not (minutes is None or 0 <= minutes < math.inf):
        raise ChemoscapeError(
            f"{workers} workers, {minutes} minutes", remedy="give numbers that are not negative"
        )
    where = torch.device(_device(device))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChemoscapeError(
            f"no folder can be made here ({error.strerror})", str(folder), "choose another"
        ) from error
    state = _begin(folder, plan or Plan(), where)
    plan = state.plan
    validation = _validation(plan, workers)
    sums, steps = dict.fromkeys(PARTS, torch.zeros((), device=where)), 0
    last = plan.images // plan.batch * plan.batch
    goal, saved = _next_goal(plan, state.seen), 0.0
    for batch in _batches(plan, state.seen, workers, where):
        parts = _step(state, batch.to(where))
        sums = {name: sums[name] + parts[name] for name in PARTS}
        steps += 1
        due = state.seen >= goal
        seconds = time.monotonic() - started
        late = minutes is not None and seconds > 60 * minutes
        if not (due or late or seconds - saved > SAVE_EVERY):
            continue
        mean = {name: float(total) / steps for name, total in sums.items()}
        if not all(map(math.isfinite, mean.values())):
            raise ChemoscapeError(
                f"the losses are no longer finite after {state.seen} images",
                str(folder),
                "the state before is kept; train with a lower rate in another folder",
            )
        if due:
            valid = _validate(state, validation, where)
            _log(folder, state, mean, valid, seconds)
            progress(_line(state, mean, valid, seconds))
            _keep(state.mean.state_dict(), folder / f"weights-{state.seen}.pt")
            goal = _next_goal(plan, state.seen)
            sums, steps = dict.fromkeys(PARTS, torch.zeros((), device=where)), 0
        _save(folder, state)
        saved = seconds
        if late and state.seen < last:
            return None
    return state.mean


def _device(wanted: str) -> str:
    there = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("auto", "cpu", "cuda") or (wanted == "cuda" and there == "cpu"):
        raise ChemoscapeError(
            f"there is no device {wanted!r} here", remedy="leave it out, or give cpu"
        )
    return there if wanted == "auto" else wanted


def _begin(folder: Path, plan: Plan, where: torch.device) -> State:
    """A new run, or the one that the folder holds."""
    torch.manual_seed(plan.seed)
    network, mean = MaskRCNN().to(where), MaskRCNN().to(where)
    if where.type == "cuda":
        torch.backends.cudnn.benchmark = True
        network = network.to(memory_format=torch.channels_last)
    mean.load_state_dict(network.state_dict())
    mean.requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=plan.decay)
    state = State(plan, network, mean, optimiser)
    path = folder / "state.pt"
    if path.exists():
        try:
            saved = torch.load(path, map_location=where, weights_only=True)
            begun = saved["plan"]
        except UNREADABLE as error:
            raise ChemoscapeError(
                "the state of this run cannot be read", str(path), "begin another in a new folder"
            ) from error
        if begun != asdict(plan):
            other = [
                f"{name} = {begun.get(name)}, not {value}"
                for name, value in asdict(plan).items()
                if begun.get(name) != value
            ]
            raise ChemoscapeError(
                f"holds a run with another plan ({', '.join(other)})",
                str(folder),
                "give it the settings it began with, or another folder",
            )
        network.load_state_dict(saved["network"])
        mean.load_state_dict(saved["mean"])
        optimiser.load_state_dict(saved["optimiser"])
        state.seen = saved["seen"]
        _forget_rows(folder / "curves.csv", state.seen)
        torch.manual_seed(plan.seed + state.seen)  # other samples than at the start
    return state


def _save(folder: Path, state: State) -> None:
    """Keep the run; the old state stays until the new one is whole."""
    path = folder / "state.pt"
    whole = {
        "plan": asdict(state.plan),
        "seen": state.seen,
        "network": state.network.state_dict(),
        "mean": state.mean.state_dict(),
        "optimiser": state.optimiser.state_dict(),
    }
    _keep(whole, path)


def _keep(what: dict[str, Any], path: Path) -> None:
    """Write a file whole: what was there stays until then."""
    torch.save(what, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def _forget_rows(path: Path, seen: int) -> None:
    """Drop what a run that was killed has logged after it last saved its state."""
    if not path.exists():
        return
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    known = [row for row in rows if row.split(",")[0].isdigit() and int(row.split(",")[0]) <= seen]
    path.write_text("\n".join([head, *known]) + "\n", encoding="utf-8")


def _batches(plan: Plan, seen: int, workers: int, where: torch.device) -> Iterator[Batch]:
    """Examples not seen yet, in order."""
    yield from DataLoader(
        Ensembles(seen, plan.images, plan.seed),
        plan.batch,
        num_workers=workers,
        collate_fn=collate,
        drop_last=True,
        pin_memory=where.type == "cuda",
        prefetch_factor=4 if workers else None,
    )


def _validation(plan: Plan, workers: int) -> DataLoader:
    """The same examples each time; made anew, because they would fill half a gigabyte."""
    made = Ensembles(VALIDATION_FIRST, VALIDATION_FIRST + plan.n_validation, plan.seed)
    return DataLoader(made, plan.batch, num_workers=workers, collate_fn=collate)


def _next_goal(plan: Plan, seen: int) -> int:
    """Examples at which the next validation comes; the end is one."""
    last = plan.images // plan.batch * plan.batch
    return min(last, (seen // plan.validate_every + 1) * plan.validate_every)


def _step(state: State, batch: Batch) -> dict[str, torch.Tensor]:
    """One step down the slope."""
    network, plan = state.network, state.plan
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(plan, state.seen)
    network.train()
    kind = batch.image.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
        parts = losses(network, batch)
    total = torch.stack(list(parts.values())).sum()
    state.optimiser.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    state.optimiser.step()
    state.seen += len(batch.image)
    steps = state.seen / plan.batch
    keep = min(plan.memory, (1 + steps) / (10 + steps))
    with torch.no_grad():
        for mean, now in zip(
            state.mean.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)
    return {name: value.detach() for name, value in parts.items()}


@torch.no_grad()
def _validate(state: State, batches: DataLoader, where: torch.device) -> dict[str, float]:
    """Mean losses of the mean network; the random samples are the same each time."""
    devices = [where] if where.type == "cuda" else []
    sums = dict.fromkeys(PARTS, 0.0)
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        for batch in batches:
            with torch.autocast(where.type, torch.bfloat16, enabled=where.type == "cuda"):
                parts = losses(state.mean, batch.to(where))
            for name, value in parts.items():
                sums[name] += float(value) / len(batches)
    return sums


def _log(
    folder: Path,
    state: State,
    mean: dict[str, float],
    valid: dict[str, float],
    seconds: float,
) -> None:
    """One more row of the curves."""
    path = folder / "curves.csv"
    row: dict[str, float] = {"images": state.seen, "rate": learning_rate(state.plan, state.seen)}
    row |= {f"train_{name}": value for name, value in mean.items()}
    row |= {f"valid_{name}": value for name, value in valid.items()}
    row["seconds"] = seconds
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})


def _line(state: State, mean: dict[str, float], valid: dict[str, float], seconds: float) -> str:
    shown = " ".join(f"{name} {mean[name]:.3f}/{valid[name]:.3f}" for name in PARTS)
    total = f"{sum(mean.values()):.3f}/{sum(valid.values()):.3f}"
    return f"{state.seen} images, {seconds:.0f} s: loss {total} (train/validation; {shown})"
