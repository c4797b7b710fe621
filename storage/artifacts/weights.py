"""Weights on disk: a safetensors file, and a card beside it that says where they come from.

A card, `<name>.card.json`, holds at least `data`, `seed`, `command` and `figures`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as opened
from safetensors.numpy import save as packed

from storage.durable import disk, make_directory, prepare, swap
from storage.errors import CorruptError, MissingError

MOST_BYTES = 5 * 2**20
NEEDED = ("data", "seed", "command", "figures")

Card = dict[str, Any]
Leaves = dict[str, NDArray[Any]]


class Weights(NamedTuple):
    """Weights, where they come from, and which they are."""

    leaves: Leaves
    card: Card
    sha256: str  # of the file


def card_path(path: Path) -> Path:
    """The card of the weights at `path`."""
    return path.with_suffix("").with_suffix(".card.json")


def save(path: Path, leaves: Mapping[str, NDArray[Any]], card: Card) -> None:
    """Write weights and card, each whole and durable, the card last.

    Raises ValueError for a card that does not say what it must, UnavailableError.
    """
    if missing := [key for key in NEEDED if key not in card]:
        raise ValueError(f"the card of {path.name} has no {', '.join(missing)}")
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    files = {path: packed(dict(leaves)), card_path(path): text.encode()}
    with disk():
        make_directory(path.parent)
        swap(prepare(files, path.parent), files)


def load(path: Path, most_bytes: int = MOST_BYTES) -> Weights:
    """Weights and card; raises MissingError, and CorruptError for what is too large or not ours."""
    if not path.is_file():
        raise MissingError(f"there are no weights at {path.name}")
    if (size := path.stat().st_size) > most_bytes:
        raise CorruptError(f"{path.name} has {size} bytes, more than {most_bytes}")
    try:
        data = path.read_bytes()
        return Weights(opened(data), _card(path), hashlib.sha256(data).hexdigest())
    except (SafetensorError, OSError, ValueError) as exc:
        raise CorruptError(f"{path.name} cannot be read: {exc}") from exc


def _card(path: Path) -> Card:
    card: Card = json.loads(card_path(path).read_text("utf-8"))
    return card
