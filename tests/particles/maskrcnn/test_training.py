"""Training: its schedule, its running mean, and runs that are stopped and resumed."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from chemoscape.errors import ChemoscapeError  # noqa: E402
from chemoscape.particles.maskrcnn import data, export, training  # noqa: E402
from chemoscape.particles.maskrcnn.losses import losses as real_losses  # noqa: E402
from chemoscape.particles.maskrcnn.network import BOX_BINS, FEATURES, MaskRCNN  # noqa: E402
from chemoscape.particles.maskrcnn.training import Plan, learning_rate  # noqa: E402

SIDE = 64
PLAN = Plan(
    images=8, batch=2, rate=1e-3, warm_up=3, memory=0.9, seed=5, validate_every=4, n_validation=3
)


@pytest.fixture(autouse=True)
def seen(monkeypatch):
    """Small images and losses without draws; what the network was trained on, step by step."""
    batches = []

    def quick(network, batch):
        if network.training:
            batches.append(batch)
        *_, logits, deltas = network.backbone(batch.image)
        scores, corrections = network.box_head(torch.ones(2, FEATURES, BOX_BINS, BOX_BINS))
        means = [one.square().mean() for one in (logits - 1, deltas, scores, corrections - 1)]
        return dict(zip(training.PARTS, [*means, means[0] * 0.5], strict=True))

    monkeypatch.setattr(training, "Ensembles", partial(data.Ensembles, side=SIDE))
    monkeypatch.setattr(training, "losses", quick)
    return batches


def train(folder, plan=PLAN, **settings):
    return training.train(folder, plan, workers=0, device="cpu", **settings)


def kept(folder):
    return torch.load(folder / "state.pt", weights_only=True)


def curves(folder):
    with (folder / "curves.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same(first, second):
    """Whether two nests of tensors and numbers are the same, to the last bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def stop_after(monkeypatch, steps):
    """A clock that lets the time run out at a step."""
    ticks = iter([0.0] + [1.0] * (steps - 1) + [1e9] * 1000)
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(ticks)))


# Schedule


def test_the_learning_rate_is_the_closed_form():
    plan = Plan(images=10_000, batch=10, rate=2.0, warm_up=50)
    assert learning_rate(plan, 0) == pytest.approx(2.0 / 50)
    # the middle: past the rise, half the way down to a hundredth
    assert learning_rate(plan, 5_000) == pytest.approx(2.0 * (0.01 + 0.99 / 2))
    assert learning_rate(plan, 10_000) == pytest.approx(0.02)
    assert learning_rate(plan, 20_000) == pytest.approx(0.02)
    third = 2.0 * (0.01 + 0.99 * (1 + math.cos(math.pi / 3)) / 2)
    assert learning_rate(plan, 10_000 / 3) == pytest.approx(third)
    # half of the rise, with next to nothing of the fall
    assert learning_rate(plan, 240) == pytest.approx(1.0, rel=0.01)
    rates = [learning_rate(plan, seen) for seen in range(500, 10_000, 10)]
    assert (np.diff(rates) < 0).all()


def test_the_optimiser_goes_at_that_rate(tmp_path):
    train(tmp_path)
    rate = kept(tmp_path)["optimiser"]["param_groups"][0]["lr"]
    assert rate == learning_rate(PLAN, 6)  # of the last step, which began with six images seen


# A whole run


def test_a_run_leaves_what_it_promises(tmp_path):
    lines = []
    mean = train(tmp_path, progress=lines.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves.csv",
        "state.pt",
        "weights-4.pt",
        "weights-8.pt",
    ]
    rows = curves(tmp_path)
    assert [row["images"] for row in rows] == ["4", "8"]
    assert len(lines) == 2
    assert lines[1].startswith("8 images, ")
    for row in rows:
        assert all(math.isfinite(float(value)) for value in row.values())
        assert {f"{a}_{b}" for a in ("train", "valid") for b in training.PARTS} < set(row)
    state = kept(tmp_path)
    assert state["seen"] == 8
    assert same(dict(mean.state_dict()), dict(state["mean"]))
    for name in ("weights-8.pt", "state.pt"):
        again = export.network_of(tmp_path / name)
        assert not again.training
        assert same(dict(again.state_dict()), dict(state["mean"]))


def test_every_image_is_seen_once_in_order(tmp_path, seen):
    train(tmp_path)
    assert len(seen) == 4
    images = torch.cat([batch.image for batch in seen]).numpy()
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image, data.example(number, PLAN.seed, SIDE)[0])


def test_a_rest_smaller_than_a_batch_is_left(tmp_path, seen):
    train(tmp_path, replace(PLAN, images=7))
    assert kept(tmp_path)["seen"] == 6
    assert [row["images"] for row in curves(tmp_path)] == ["4", "6"]


def test_the_same_plan_gives_the_same_weights(tmp_path):
    first = train(tmp_path / "a")
    torch.rand(17)  # whatever was drawn before
    second = train(tmp_path / "b")
    assert same(dict(first.state_dict()), dict(second.state_dict()))
    third = train(tmp_path / "c", replace(PLAN, seed=6))
    assert not same(dict(first.state_dict()), dict(third.state_dict()))


# The mean


def test_the_mean_follows_the_weights(tmp_path):
    mean = train(tmp_path, replace(PLAN, images=2))
    torch.manual_seed(PLAN.seed)
    start, now = MaskRCNN().state_dict(), kept(tmp_path)["network"]
    keep = (1 + 1) / (10 + 1)  # after one step; less than the memory
    for name, value in mean.state_dict().items():
        if value.dtype.is_floating_point:
            wanted = keep * start[name] + (1 - keep) * now[name]
            torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-7)
        else:
            assert torch.equal(value, now[name])
    assert not mean.training
    assert not any(weight.requires_grad for weight in mean.parameters())


def test_the_mean_forgets_as_slowly_as_the_plan_says(tmp_path):
    # without memory the mean is the network itself
    mean = train(tmp_path / "none", replace(PLAN, memory=0.0))
    assert same(dict(mean.state_dict()), dict(kept(tmp_path / "none")["network"]))
    mean = train(tmp_path / "some")
    assert not same(dict(mean.state_dict()), dict(kept(tmp_path / "some")["network"]))


def test_validation_does_not_change_training(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "losses", real_losses)
    plan = replace(PLAN, images=2, batch=1, n_validation=1)
    often = train(tmp_path / "often", replace(plan, validate_every=1))
    once = train(tmp_path / "once", plan)
    assert same(dict(often.state_dict()), dict(once.state_dict()))
    for row in curves(tmp_path / "often"):
        assert all(math.isfinite(float(value)) for value in row.values())
    # the last validation is of the same weights on the same images with the same draws
    last = [curves(tmp_path / name)[-1] for name in ("often", "once")]
    names = [f"valid_{name}" for name in training.PARTS]
    assert [last[0][name] for name in names] == [last[1][name] for name in names]


# Stopped and resumed


def test_without_time_a_run_stops_and_goes_on(tmp_path, seen):
    assert train(tmp_path, minutes=0) is None
    assert kept(tmp_path)["seen"] == 2  # a step at least, so that it ends some day
    for _ in range(2):
        assert train(tmp_path, minutes=0) is None
    assert train(tmp_path) is not None
    assert kept(tmp_path)["seen"] == 8
    numbers = [data.example(number, PLAN.seed, SIDE)[0] for number in range(8)]
    np.testing.assert_array_equal(torch.cat([batch.image for batch in seen]), numbers)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    wanted = train(whole)
    for images in (2, 6):  # the second time with a validation on the way
        with monkeypatch.context() as patch:
            stop_after(patch, 1 if images == 2 else 2)
            assert train(parts, minutes=1) is None
        assert kept(parts)["seen"] == images
    found = train(parts)
    assert same(dict(found.state_dict()), dict(wanted.state_dict()))
    assert same(kept(parts), kept(whole))
    same_names = ["images", "rate", *(f"valid_{name}" for name in training.PARTS)]
    for name in same_names:
        assert [row[name] for row in curves(parts)] == [row[name] for row in curves(whole)]


@pytest.mark.parametrize("steps", [2, 4])
def test_a_run_stopped_at_a_validation_does_not_lose_it(tmp_path, monkeypatch, steps):
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        first = train(tmp_path, minutes=1)
    assert (first is None) == (steps < 4)
    assert train(tmp_path) is not None
    assert [row["images"] for row in curves(tmp_path)] == ["4", "8"]
    assert (tmp_path / "weights-8.pt").exists()


def test_a_finished_run_is_returned_as_it_is(tmp_path, seen):
    wanted = train(tmp_path)
    steps = len(seen)
    found = train(tmp_path)
    assert len(seen) == steps
    assert same(dict(found.state_dict()), dict(wanted.state_dict()))
    assert len(curves(tmp_path)) == 2


def test_another_plan_is_refused_with_a_sentence(tmp_path):
    train(tmp_path, replace(PLAN, images=2))
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(ChemoscapeError, match="another plan") as caught:
        train(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "another folder" in str(caught.value)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_an_interrupted_save_keeps_the_old_state(tmp_path, monkeypatch):
    train(tmp_path, minutes=0)
    before = (tmp_path / "state.pt").read_bytes()

    def half(whole, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(OSError, match="no space"):
            train(tmp_path, minutes=0)
    assert (tmp_path / "state.pt").read_bytes() == before
    assert train(tmp_path) is not None


def test_a_state_that_is_none_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "state.pt").write_text("images,rate\n", encoding="utf-8")
    with pytest.raises(ChemoscapeError):
        train(tmp_path)


def test_a_budget_below_a_batch_is_refused(tmp_path):
    with pytest.raises(ChemoscapeError):
        train(tmp_path, replace(PLAN, images=1))


def test_losses_that_are_not_finite_do_not_overwrite_the_state(tmp_path, monkeypatch):
    train(tmp_path, minutes=0)
    before = (tmp_path / "state.pt").read_bytes()
    quick = training.losses
    monkeypatch.setattr(
        training, "losses", lambda *given: {k: v * math.nan for k, v in quick(*given).items()}
    )
    with pytest.raises(ChemoscapeError):
        train(tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_the_real_losses_fall_into_line(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "losses", real_losses)
    assert train(tmp_path, replace(PLAN, images=2, n_validation=1)) is not None
    row = curves(tmp_path)[0]
    assert all(math.isfinite(float(value)) for value in row.values())
    assert float(row["train_objectness"]) > 0


@pytest.mark.parametrize(
    ("wanted", "there", "device"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu")],
)
def test_the_device_is_chosen(wanted, there, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert training._device(wanted) == device
