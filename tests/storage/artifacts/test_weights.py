"""Weights and their cards: what was written comes back, or is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from storage.artifacts.weights import card_path, load, save
from storage.errors import CorruptError, MissingError, UnavailableError
from tests.storage.conftest import files_bounded

CARD = {"data": "a line", "seed": 0, "command": "pytest", "figures": {}}
ZEROS = {"w": np.zeros(64, np.float32)}


def test_weights_come_back_with_their_card(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "line.safetensors"
    leaves = {"w": np.linspace(0.0, 1.0, 7, dtype=np.float32), "n": np.array(3)}
    save(path, leaves, CARD)
    found = load(path)
    assert found.card == CARD
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.leaves.keys() == leaves.keys()
    assert all(np.array_equal(found.leaves[name], leaf) for name, leaf in leaves.items())


def test_weights_without_a_full_card_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no command, figures"):
        save(tmp_path / "line.safetensors", {}, {"data": "a line", "seed": 0})


def test_weights_that_are_missing_too_large_or_damaged_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.safetensors"
    with pytest.raises(MissingError, match="no weights at"):
        load(path)
    save(path, ZEROS, CARD)
    with pytest.raises(CorruptError, match="more than 100"):
        load(path, most_bytes=100)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CorruptError, match="cannot be read"):
        load(path)
    save(path, ZEROS, CARD)
    card_path(path).write_text("{", "utf-8")
    with pytest.raises(CorruptError, match="cannot be read"):
        load(path)


def test_a_full_disk_leaves_the_weights_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "line.safetensors"
    save(path, ZEROS, CARD)
    with files_bounded(1000), pytest.raises(UnavailableError):
        save(path, {"w": np.zeros(1000)}, CARD | {"seed": 1})
    assert load(path).card == CARD
    assert sorted(p.name for p in tmp_path.iterdir()) == ["line.card.json", "line.safetensors"]
