"""Judging a network on the samples of a library that it has not seen."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.recipe import Scores
from storage.artifacts.weights import Card, load
from storage.errors import StorageError
from twin.errors import SettingsError
from twin.learning.library_fields import Library
from twin.learning.training import MOST_BYTES, arithmetic, recipe_of, suited, usable
from twin.networks import DEFAULTS, tensors


def evaluate(name: str, path: Path, chosen: Path | None = None, held_out: int = 108) -> Scores:
    """The scores of the weights `chosen` on the last samples of the library at `path`.

    The committed weights are judged by default. Raises UnknownError for a name that is no
    network's, SettingsError for a library that cannot be used, and for weights that do not fit
    or have learned from these samples.
    """
    recipe, library = recipe_of(name), Library(path)
    suited(name, recipe, library)
    _, held = library.parts(held_out)
    network = recipe.network(0)
    _load(network, name, chosen or DEFAULTS / f"{name}.safetensors", library, held_out)
    network.eval()
    with arithmetic(), usable(name, library), torch.no_grad():
        return recipe.scores(network, held)


def _load(network: nn.Module, name: str, path: Path, library: Library, held_out: int) -> None:
    try:
        found = load(path, MOST_BYTES)
    except StorageError as exc:
        raise SettingsError(str(exc)) from exc
    _unseen(path, found.card, library, held_out)
    try:
        network.load_state_dict(tensors(found.leaves))
    except RuntimeError as exc:
        raise SettingsError(f"{path.name} does not fit the network {name}: {exc}") from exc


def _unseen(path: Path, card: Card, library: Library, held_out: int) -> None:
    """SettingsError where the weights have, or may have, learned from samples that judge them.

    The libraries of one family, such as crack and crack-coherent, draw the same loads for the
    same seed: a sample of the one may be the picture of the other, whatever the configuration.
    """
    family, seed, seen = _learned(path, card)
    if (family, seed) != (_family(library.name), library.seed):
        return  # other samples altogether
    if seen > library.samples - held_out:
        fewer = library.samples - seen
        hold = f"judge it by --held-out {fewer} at most, or " if fewer > 0 else ""
        raise SettingsError(
            f"{path.name} has learned from the first {seen} samples of the {family} libraries of "
            f"seed {seed}, so that the last {held_out} of {library.samples} cannot judge it: "
            f"{hold}judge it by a library of another --seed"
        )


def _learned(path: Path, card: Card) -> tuple[str, int, int]:
    """The family, the seed and the number of the samples that the weights have learned from."""
    try:
        data = card["data"]
        return _family(str(data["library"])), int(data["seed"]), int(data["trained_on"])
    except (KeyError, TypeError, ValueError) as exc:
        raise SettingsError(
            f"the card of {path.name} does not say in `data` from which library, seed and number "
            "of samples it has learned, so that nothing can judge it: train it by `twin train`"
        ) from exc


def _family(library: str) -> str:
    return library.partition("-")[0]
