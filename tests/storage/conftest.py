"""Entries, a small disk, and bytes that flip."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.journal.entry import DeadLetter, Entry
from storage.journal.journal import Journal

NOW = 1_790_000_000_000_000_000  # ns


def entry(seq: int, component: str = "plant/press", boot: int = 1, body: bytes = b"x") -> Entry:
    return Entry("observation", component, "daq", boot, seq, NOW + seq, body)


def letter(payload: bytes = b"{", reason: str = "json") -> DeadLetter:
    return DeadLetter(NOW, "twin/v1/plant/press/load", reason, "it ends at byte 1", payload)


def kept(journal: Journal, offset: int = 0, until: int | None = None) -> list[Entry]:
    return [entry for _, entries in journal.read(offset, until) for entry in entries]


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


@contextmanager
def files_bounded(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal(path) as opened:
        yield opened
