"""Damage that keeps something from being done, with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from storage.errors import CorruptError, StorageError

NAMED = 20  # numbers in a sentence


def left_out(letters: Sequence[int]) -> str:
    """That damaged dead letters are not in a new store."""
    more = f" and {len(letters) - NAMED:,} more" if len(letters) > NAMED else ""
    return (
        f"refused messages cannot be read and are left out, by their numbers before: "
        f"{', '.join(map(str, letters[:NAMED]))}{more}; a copy of the directory may have them"
    )


@contextmanager
def remedied(directory: Path) -> Iterator[None]:
    """CorruptError says what to do with the store at `directory`."""
    try:
        yield
    except CorruptError as exc:
        raise CorruptError(with_remedy(str(exc), directory)) from exc


def with_remedy(sentence: str, directory: Path) -> str:
    """The sentence, and the command that makes a store of what is whole."""
    if "twin salvage" in sentence:
        return sentence
    return (
        f"{sentence}. Nothing was changed. Restore the directory from a copy, or let "
        f"twin salvage --data-dir {directory} make a new store of all that is whole: it names "
        "what is not"
    )


def dropped(start: int, directory: Path, damage: list[str]) -> StorageError:
    """Why a state cannot be had: the journal's beginning is gone, and no checkpoint is whole."""
    why = f" ({'; '.join(damage)})" if damage else ""
    return CorruptError(
        with_remedy(
            f"the journal begins at line {start}, what was before was dropped, and no checkpoint "
            f"that is whole holds what it said{why}",
            directory,
        )
    )
