"""Judging a network on the samples of a library that it has not seen."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models import weights
from models.recipe import Figures
from twin.errors import SettingsError
from twin.library_fields import Library
from twin.training import MOST_BYTES, arithmetic, recipe_of, usable


def evaluate(name: str, path: Path, chosen: Path | None = None, held_out: int = 108) -> Figures:
    """The figures of the weights `chosen` on the last samples of the library at `path`.

    The committed weights are judged by default. Raises UnknownError for a name that is no
    network's, SettingsError for a library that cannot be used, and for weights that do not fit
    or have learned from these samples.
    """
    recipe, library = recipe_of(name), Library(path)
    _, held = library.parts(held_out)
    network = recipe.network(0)
    _load(network, name, chosen or weights.DEFAULTS / f"{name}.safetensors", library, held_out)
    network.eval()
    with arithmetic(), usable(library), torch.no_grad():
        return recipe.figures(network, held)


def _load(network: nn.Module, name: str, path: Path, library: Library, held_out: int) -> None:
    try:
        tensors, card = weights.load(path, MOST_BYTES)
    except ValueError as exc:
        raise SettingsError(str(exc)) from exc
    _unseen(path, card, library, held_out)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as exc:
        raise SettingsError(f"{path.name} does not fit the network {name}: {exc}") from exc


def _unseen(path: Path, card: weights.Card, library: Library, held_out: int) -> None:
    """SettingsError where the weights have learned from samples that are to judge them."""
    data = card["data"] if isinstance(card.get("data"), dict) else {}
    if any(data.get(key) != library.card()[key] for key in ("seed", "config_sha256")):
        return  # other samples altogether
    seen, first = int(data.get("trained_on", 0)), library.samples - held_out
    if seen > first:
        raise SettingsError(
            f"{path.name} has learned from the first {seen} samples of this library, so that "
            f"{held_out} of {library.samples} cannot judge it"
        )
