"""Training networks on a library: seeded, resumable, never on what is held out.

A run is told by its order: network, samples, seed, schedule. Its progress is kept after every few
epochs, so that the same order goes on from there, bit for bit; another order does not touch it.
What is left at the end are the weights of the best epoch and their card.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.catalogue import RECIPES
from models.recipe import Recipe
from models.training import Examples, Loss, Progress, Schedule, parameters, trained
from storage.artifacts import weights
from storage.artifacts.progress import Identity
from storage.errors import StorageError
from twin.errors import ConflictError, SettingsError, UnknownError
from twin.learning.library_fields import Library
from twin.learning.output_paths import file_to_write, folder_to_write, written
from twin.learning.training_progress import keep, kept, same
from twin.networks import leaves

MOST_BYTES = 2**30  # of weights that somebody names


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What is to be trained."""

    name: str  # a key of RECIPES
    library: Path
    out: Path  # a folder, for progress and, unless `weights` says otherwise, the weights
    seed: int = 0
    held_out: int = 108  # samples at the end of the library that training never sees
    epochs: int | None = None  # None: as the recipe says
    batch: int | None = None
    weights: Path | None = None
    every: int = 1  # epochs between two times that progress is kept

    def weights_path(self) -> Path:
        """Where the best weights go."""
        return self.weights or self.out / f"{self.name}.safetensors"

    def progress_path(self) -> Path:
        """Where a run that is not finished lies."""
        return self.out / f"{self.name}.progress.safetensors"

    def command(self) -> str:
        """What somebody who has the library types to repeat it."""
        given = {"seed": self.seed, "held-out": self.held_out, "epochs": self.epochs,
                 "batch": self.batch, "out": "DIR"}  # fmt: skip  # two lines
        options = (f"--{key} {value}" for key, value in given.items() if value is not None)
        return " ".join((f"twin train {self.name} --library {self.library.name}", *options))


class TrainingStatus(NamedTuple):
    """How far a run is, told after every batch and every epoch."""

    epoch: int  # epochs done
    epochs: int  # at most
    share: float  # of the running epoch
    validation: tuple[float, ...]  # loss of each epoch


Report = Callable[[TrainingStatus], None]


class _Run(NamedTuple):
    order: TrainingJob
    recipe: Recipe
    schedule: Schedule
    library: Library
    identity: Identity


def train(order: TrainingJob, report: Report | None = None) -> weights.Card:
    """Train a network, or go on with it, and write weights and card; the answer is the card.

    A run that is finished is left as it is. Raises UnknownError for a name that is no network's,
    SettingsError for a library, numbers or a folder that cannot be used, ConflictError where
    another run lies in the folder.
    """
    run = _run(order)
    if (card := _finished(run)) is not None:
        return card
    _check_targets(order)
    with arithmetic():
        network = run.recipe.network(order.seed)
        learned, validation = _examples(run)
        tell = report or (lambda _standing: None)
        last, cpu_s = _trained(run, network, learned, validation, tell)
        run.recipe.settled(network, validation)
    card = _card(run, network, last, cpu_s) | {"examples_sha256": _digest(*learned, *validation)}
    with written(order.weights_path()):
        weights.save(order.weights_path(), leaves(network.state_dict()), card)
    order.progress_path().unlink(missing_ok=True)
    return card


def _check_targets(order: TrainingJob) -> None:
    """SettingsError where what comes of the training could not be written."""
    folder_to_write(order.out)
    folder_to_write(order.weights_path().parent)
    file_to_write(order.weights_path())
    file_to_write(weights.card_path(order.weights_path()))


def recipe_of(name: str) -> Recipe:
    """The recipe of that name; UnknownError where there is none."""
    if name not in RECIPES:
        known = ", ".join(sorted(RECIPES)) or "none"
        raise UnknownError(f"there is no network {name!r}; there are {known}")
    return RECIPES[name]


def _run(order: TrainingJob) -> _Run:
    recipe, library = recipe_of(order.name), Library(order.library)
    suited(order.name, recipe, library)
    schedule = replace(
        recipe.schedule,
        seed=order.seed,
        epochs=recipe.schedule.epochs if order.epochs is None else order.epochs,
        batch=recipe.schedule.batch if order.batch is None else order.batch,
    )
    if min(schedule.epochs, schedule.batch, order.every) < 1 or order.seed < 0:
        raise SettingsError(
            f"{schedule.epochs} epochs of batches of {schedule.batch} from seed {order.seed}, kept "
            f"every {order.every}, cannot be run: each must be at least 1, the seed at least 0"
        )
    numbers = {k: v for k, v in asdict(schedule).items() if math.isfinite(v)}  # JSON has no inf
    kept_back = {"trained_on": library.samples - order.held_out, "held_out": order.held_out}
    identity = {"network": order.name, "data": library.card() | kept_back, "seed": order.seed,
                "schedule": numbers}  # fmt: skip  # two lines
    return _Run(order, recipe, schedule, library, identity)


def _examples(run: _Run) -> tuple[Examples, Examples]:
    fields, _ = run.library.parts(run.order.held_out)
    with usable(run.order.name, run.library):
        learned, validation = run.recipe.examples(fields, run.order.seed)
    if not len(learned[0]) or not len(validation[0]):
        raise SettingsError(
            f"{run.library.samples - run.order.held_out} samples are too few: they give "
            f"{len(learned[0])} examples to learn from and {len(validation[0])} to validate by"
        )
    return learned, validation


def _digest(*tensors: Tensor) -> str:
    """Of what was learned from: one configuration may give other contents by another solver."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _trained(
    run: _Run, network: nn.Module, learned: Examples, validation: Examples, report: Report
) -> tuple[Progress, float]:
    """The last progress, and the CPU-seconds that all of it took."""
    path, every = run.order.progress_path(), run.order.every
    last, cpu_s = kept(path, run.identity)
    started = time.process_time() - cpu_s
    watch = _Watch(run, len(learned[0]), report, last)
    try:
        for now in trained(network, learned, validation, watch.loss, run.schedule, last):
            last, cpu_s = now, time.process_time() - started
            watch.passed(now)
            if now.epoch % every == 0 or now.finished(run.schedule):
                keep(path, now, run.identity, cpu_s)
    except ValueError as exc:
        raise SettingsError(f"the training of {run.order.name} cannot go on: {exc}") from exc
    if last is None:
        raise RuntimeError("a run has at least one epoch")
    return last, cpu_s


class _Watch:
    """Counts the batches that pass through a loss, and tells of them."""

    def __init__(self, run: _Run, count: int, report: Report, last: Progress | None) -> None:
        self._loss: Loss = run.recipe.loss
        self._report, self._done = report, 0
        self._batches = -(-count // run.schedule.batch)
        self._now = TrainingStatus(0, run.schedule.epochs, 0.0, ())
        if last is not None:
            self.passed(last)

    def loss(self, network: nn.Module, batch: Examples) -> Tensor:
        """The loss of the recipe; one to learn from is told."""
        value = self._loss(network, batch)
        if network.training:
            self._done += 1
            self._report(self._now._replace(share=self._done / self._batches))
        return value

    def passed(self, progress: Progress) -> None:
        """An epoch is done."""
        self._done = 0
        self._now = self._now._replace(epoch=progress.epoch, validation=progress.validation)
        self._report(self._now)


def _finished(run: _Run) -> weights.Card | None:
    """The card of this run, if it is finished; ConflictError where it is another's."""
    path = run.order.weights_path()
    if not path.exists() or run.order.progress_path().exists():
        return None
    try:
        card = weights.load(path, MOST_BYTES).card
    except StorageError as exc:
        raise ConflictError(f"other weights are in the way: {exc}") from exc
    same(path, card, run.identity)
    return card


def _card(run: _Run, network: nn.Module, last: Progress, cpu_s: float) -> weights.Card:
    best = last.best_epoch - 1
    return {
        **run.identity,
        "about": run.recipe.about,
        "command": run.order.command(),
        "parameters": parameters(network),
        "epochs": last.epoch,
        "best_epoch": last.best_epoch,
        "cpu_s": round(cpu_s, 1),
        "figures": {"validation_loss": last.validation[best], "train_loss": last.train[best]},
        "losses": {"train": list(last.train), "validation": list(last.validation)},
    }


def suited(name: str, recipe: Recipe, library: Library) -> None:
    """SettingsError where the network knows other plates or pictures than the library's."""
    other = [
        f"{key} is {library.configured(key)}, the network needs {value}"
        for key, value in recipe.needs.items()
        if library.configured(key) != value
    ]
    if other:
        raise SettingsError(f"{library.path} cannot be used by {name}: {'; '.join(other)}")


@contextmanager
def usable(name: str, library: Library) -> Iterator[None]:
    """A recipe that cannot use the arrays of a library says so by ValueError."""
    try:
        yield
    except ValueError as exc:
        raise SettingsError(f"{library.path} cannot be used by {name}: {exc}") from exc


@contextmanager
def arithmetic() -> Iterator[None]:
    """Denormal numbers are zero in here: they cost up to fifteen times as much."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
