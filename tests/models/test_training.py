"""The training loop: seeds, early stopping, resuming."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from models.training import (
    Examples,
    Progress,
    Schedule,
    mean_loss,
    packed,
    seeded,
    trained,
    unpacked,
)

X = torch.linspace(-1.0, 1.0, 96)[:, None]
TRAIN = (X, 2.0 * X - 0.5)
HELD = (X[::5] * 0.9, 1.8 * X[::5] - 0.5)
SCHEDULE = Schedule(epochs=6, batch=8, lr=3e-2, patience=6)


def squared(network: nn.Module, batch: Examples) -> Tensor:
    return nn.functional.mse_loss(network(batch[0]), batch[1])


def network(seed: int = 0) -> nn.Module:
    with seeded(seed):
        return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def run(schedule: Schedule = SCHEDULE, start: Progress | None = None) -> list[Progress]:
    return list(trained(network(), TRAIN, HELD, squared, schedule, start))


def test_a_line_is_learned() -> None:
    line = network()
    before = mean_loss(line, HELD, squared)
    last = list(trained(line, TRAIN, HELD, squared, Schedule(epochs=60, batch=8, lr=1e-2)))[-1]
    assert mean_loss(line, HELD, squared) == min(last.validation) < 0.01 * before


def test_a_run_is_the_same_under_its_seed_and_another_under_another() -> None:
    first, again = run()[-1], run()[-1]
    other = run(Schedule(epochs=6, batch=8, lr=3e-2, patience=6, seed=1))[-1]
    assert first.validation == again.validation
    assert first.validation != other.validation


def test_a_run_that_is_resumed_equals_one_that_never_stopped() -> None:
    whole = run()[-1]
    stopped = unpacked(packed(run()[2]))
    resumed = run(start=stopped)[-1]
    assert resumed.train == whole.train
    assert all(torch.equal(resumed.weights[k], whole.weights[k]) for k in whole.weights)
    assert all(torch.equal(resumed.best[k], whole.best[k]) for k in whole.best)


def test_a_run_stops_when_validation_gets_no_better() -> None:
    far = (X, -TRAIN[1])
    runs = list(trained(network(), TRAIN, far, squared, Schedule(epochs=50, patience=2, lr=3e-2)))
    assert runs[-1].epoch == runs[-1].best_epoch + 2 < 50


def test_the_best_weights_are_those_of_the_least_validation_loss() -> None:
    line = network()
    last = list(trained(line, TRAIN, HELD, squared, SCHEDULE))[-1]
    assert last.validation[last.best_epoch - 1] == min(last.validation)
    assert all(torch.equal(leaf, last.best[name]) for name, leaf in line.state_dict().items())


def test_a_loss_that_is_not_finite_is_refused() -> None:
    broken = (X, torch.full_like(X, torch.nan))
    with pytest.raises(ValueError, match="loss is nan in epoch 1"):
        list(islice(trained(network(), broken, HELD, squared, SCHEDULE), 1))


def test_the_seed_of_first_weights_leaves_the_generator_alone() -> None:
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    network(seed=1)
    assert torch.equal(torch.rand(3), want)


def test_the_rate_falls_to_a_hundredth_by_the_cosine() -> None:
    schedule = Schedule(epochs=10, lr=1.0, cosine=True)
    assert schedule.rate(0) == 1.0
    assert schedule.rate(5) == pytest.approx(0.505)
    assert schedule.rate(10) == pytest.approx(0.01)
