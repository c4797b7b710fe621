"""One store takes the place of another, so that at every moment one of them is the truth.

The one in its place is, as long as it is there. Where it is not, because a power cut came between
two renames, the finished one beside it is, which says so by a mark in it; the next opening lets it
take the place. Nothing else that lies beside an empty place is taken for the store.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from storage.durable import disk, sync_directory, write_whole

MARK = "finished"  # in a store that is whole and waits to take its place
_PARTS = ("journal.sqlite", "journal.mark", "layout", "trajectories.zarr", "images", "checkpoints")


def holds_store(directory: Path) -> bool:
    """Whether anything of a store is in a directory."""
    return any((directory / name).exists() for name in _PARTS)


def beside(place: Path) -> Path:
    """Where a store is made that is to take this place."""
    return place.with_name(f"{place.name}.rebuilding")


def left_beside(place: Path) -> list[Path]:
    """The stores that lie beside a place under names that a rebuild gives, the oldest first."""
    found = [*sorted(place.parent.glob(f"{place.name}.before-*")), beside(place)]
    return [path for path in found if holds_store(path)]


def swap_in(new: Path, place: Path, kept: Path) -> None:
    """Let the finished store `new` take `place`, and keep what is there as `kept`.

    Raises UnavailableError; what has happened by then, `settled` brings to an end.
    """
    with disk():
        write_whole(new / MARK, f"takes the place of {place.name}, kept as {kept.name}\n".encode())
        place.rename(kept)
        sync_directory(place.parent)
        _take(new, place)


def settled(place: Path) -> str | None:
    """Bring a swap to its end that was cut off; a sentence where there was one."""
    new = beside(place)
    with disk():
        if holds_store(place):
            if (place / MARK).exists():
                with suppress(OSError):  # it means nothing in its place
                    (place / MARK).unlink()
            if not (new / MARK).exists():
                return None
            (new / MARK).unlink()  # or it might take the place later, without what came since
            return f"{new} was to take the place of {place} and did not: it can be removed"
        if not (new / MARK).exists():
            return None
        if place.exists():
            place.rmdir()  # empty, or OSError: something is there that is none of ours
        _take(new, place)
    return f"{new} has taken the place of {place}, as twin rebuild had begun to let it"


def _take(new: Path, place: Path) -> None:
    new.rename(place)
    sync_directory(place.parent)
    (place / MARK).unlink()
    sync_directory(place)
