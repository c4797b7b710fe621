"""Weights on disk: a safetensors file, and a card beside it that says where they come from.

Default weights are committed under `models/default_weights/` as `<name>.safetensors` and
`<name>.card.json`; a card holds at least `data`, `seed`, `command` and `figures`.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

DEFAULTS = Path(__file__).with_name("default_weights")
MOST_BYTES = 5 * 2**20
NEEDED = ("data", "seed", "command", "figures")

Card = dict[str, Any]


def card_path(path: Path) -> Path:
    """The card of the weights at `path`."""
    return path.with_suffix("").with_suffix(".card.json")


def save(path: Path, tensors: dict[str, Tensor], card: Card) -> None:
    """Write weights and card; ValueError for a card that does not say what it must."""
    if missing := [key for key in NEEDED if key not in card]:
        raise ValueError(f"the card of {path.name} has no {', '.join(missing)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: leaf.detach().contiguous() for name, leaf in tensors.items()}, path)
    card_path(path).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")


def load(path: Path, most_bytes: int = MOST_BYTES) -> tuple[dict[str, Tensor], Card]:
    """Weights and card; ValueError for a file that is too large or none of ours."""
    if not path.is_file():
        raise ValueError(f"there are no weights at {path.name}")
    if (size := path.stat().st_size) > most_bytes:
        raise ValueError(f"{path.name} has {size} bytes, more than {most_bytes}")
    try:
        return load_file(path), card_of(path)
    except (SafetensorError, OSError, ValueError) as exc:
        raise ValueError(f"{path.name} cannot be read: {exc}") from exc


def card_of(path: Path) -> Card:
    """The card of the weights at `path`; OSError or ValueError where there is none to be read."""
    card: Card = json.loads(card_path(path).read_text("utf-8"))
    return card


class Identified(NamedTuple):
    """Weights, where they come from, and which they are."""

    tensors: dict[str, Tensor]  # shared, only to be read
    card: Card
    sha256: str


def default(name: str) -> tuple[dict[str, Tensor], Card]:
    """The committed weights of `name`; shared, only to be read."""
    return identified(name)[:2]


def identified(name: str) -> Identified:
    """The committed weights of `name`, which are those of the first time that this was called.

    So that what a process says of its weights is what it works with, whatever an upgrade has put
    into their place on disk since.
    """
    return _identified(DEFAULTS / f"{name}.safetensors")


@cache
def _identified(path: Path) -> Identified:
    tensors, card = load(path)
    return Identified(tensors, card, hashlib.sha256(path.read_bytes()).hexdigest())
