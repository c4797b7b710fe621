"""Training: one loop for every network, the same under a seed, resumable after any epoch.

What a run depends on is its networks' first weights, the examples and the schedule. The order
of the examples in an epoch is drawn from the seed and the number of the epoch, so that a run
which is resumed goes on bit for bit as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

Examples = Sequence[Tensor]  # all with the same axis 0
Loss = Callable[[nn.Module, Examples], Tensor]  # of a batch; a mean over its examples


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast."""

    epochs: int = 20
    batch: int = 16
    lr: float = 1e-3
    patience: int = 5  # epochs without a better validation loss before the end
    seed: int = 0  # of the order of the examples
    cosine: bool = False  # the rate falls to a hundredth over the epochs
    clip: float = math.inf  # of the norm of the gradient

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch."""
        if not self.cosine:
            return self.lr
        fall = 0.5 * (1.0 + math.cos(math.pi * epoch / max(1, self.epochs)))
        return self.lr * (0.01 + 0.99 * fall)


class Progress(NamedTuple):
    """Where a run stands after an epoch."""

    epoch: int  # epochs done
    weights: dict[str, Tensor]
    best: dict[str, Tensor]  # weights of the epoch with the least validation loss
    moments: dict[str, Tensor]  # what Adam remembers
    train: tuple[float, ...]  # loss of each epoch
    validation: tuple[float, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from one, that `best` comes from."""
        return 1 + self.validation.index(min(self.validation))

    def finished(self, schedule: Schedule) -> bool:
        """Whether nothing is left to do."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= schedule.epochs or waited >= schedule.patience


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """First weights are drawn from `seed` in here; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def trained(
    network: nn.Module,
    train: Examples,
    validation: Examples,
    loss: Loss,
    schedule: Schedule,
    start: Progress | None = None,
) -> Iterator[Progress]:
    """The run after every epoch, by Adam; `network` is left with the best weights.

    Raises ValueError where a loss is not finite: the run cannot go on from there.
    """
    adam = torch.optim.Adam(network.parameters(), lr=schedule.lr, fused=True)
    if start is not None:
        network.load_state_dict(start.weights)
        _restore(adam, network, start.moments)
    now = start
    while now is None or not now.finished(schedule):
        epoch = 0 if now is None else now.epoch
        for group in adam.param_groups:
            group["lr"] = schedule.rate(epoch)
        learned = _epoch(network, adam, train, loss, schedule, epoch)
        now = _after(now, network, adam, learned, mean_loss(network, validation, loss))
        yield now
    network.load_state_dict(now.best)


def _epoch(
    network: nn.Module,
    adam: torch.optim.Adam,
    train: Examples,
    loss: Loss,
    schedule: Schedule,
    epoch: int,
) -> float:
    """The mean loss of one epoch of steps."""
    network.train()
    generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + epoch)
    order = torch.randperm(len(train[0]), generator=generator)
    total = 0.0
    for index in torch.split(order, schedule.batch):
        adam.zero_grad(set_to_none=True)
        value = loss(network, [part[index.to(part.device)] for part in train])
        if not torch.isfinite(value):
            raise ValueError(f"the loss is {float(value.detach())} in epoch {epoch + 1}")
        value.backward()  # type: ignore[no-untyped-call]
        if math.isfinite(schedule.clip):
            nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
        adam.step()
        total += float(value.detach()) * len(index)
    return total / len(order)


@torch.no_grad()
def mean_loss(network: nn.Module, examples: Examples, loss: Loss, batch: int = 256) -> float:
    """The mean of `loss` over all examples; the network is left in evaluation."""
    network.eval()
    count = len(examples[0])
    total = sum(
        float(loss(network, [part[i : i + batch] for part in examples])) * min(batch, count - i)
        for i in range(0, count, batch)
    )
    return total / count


def _after(
    before: Progress | None,
    network: nn.Module,
    adam: torch.optim.Adam,
    train: float,
    validation: float,
) -> Progress:
    weights = {name: leaf.detach().clone() for name, leaf in network.state_dict().items()}
    seen = () if before is None else before.validation
    is_best = before is None or validation < min(seen)
    return Progress(
        epoch=1 if before is None else before.epoch + 1,
        weights=weights,
        best=weights if is_best or before is None else before.best,
        moments=_moments(adam, network),
        train=(*(() if before is None else before.train), train),
        validation=(*seen, validation),
    )


def _moments(adam: torch.optim.Adam, network: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach().clone()
        for name, parameter in network.named_parameters()
        for key, value in adam.state[parameter].items()
    }


def _restore(adam: torch.optim.Adam, network: nn.Module, moments: dict[str, Tensor]) -> None:
    for name, parameter in network.named_parameters():
        adam.state[parameter] = {
            key: moments[f"{name}.{key}"].clone()
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"{name}.{key}" in moments
        }


def packed(progress: Progress) -> dict[str, Tensor]:
    """All of it as named tensors, for a file."""
    trees = {"weights": progress.weights, "best": progress.best, "moments": progress.moments}
    leaves = {f"{tree}/{name}": leaf for tree, part in trees.items() for name, leaf in part.items()}
    losses = torch.tensor([progress.train, progress.validation], dtype=torch.float64)
    return leaves | {"losses": losses}


def unpacked(tensors: dict[str, Tensor]) -> Progress:
    """What `packed` packed; KeyError for tensors that are none."""
    losses = tensors["losses"]

    def part(tree: str) -> dict[str, Tensor]:
        head = f"{tree}/"
        return {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}

    return Progress(
        epoch=losses.shape[1],
        weights=part("weights"),
        best=part("best"),
        moments=part("moments"),
        train=tuple(losses[0].tolist()),
        validation=tuple(losses[1].tolist()),
    )


def parameters(network: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
