"""Verification of everything on disk, with the service stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage.errors import CorruptError, StorageError
from storage.store import Store
from twin.errors import SettingsError


def checked(directory: Path) -> dict[str, Any]:
    """What is there, and a sentence for everything that is wrong with it."""
    if not directory.is_dir():
        raise SettingsError(f"there is no data directory {directory}")
    try:
        store = Store(directory)
    except StorageError as exc:
        return {"directory": str(directory), "problems": [str(exc)]}
    with store:
        return {
            "directory": str(directory),
            "journal_lines": store.journal.end - store.journal.start,
            "components": len(store.journal.catalogue.components()),
            "dead_letters": len(store.journal.dead_letters),
            "images": len(store.images),
            "checkpoints": [c.name for c in store.journal.catalogue.checkpoints()],
            "rows": _rows(store),
            "problems": store.verify(),
        }


def _rows(store: Store) -> dict[str, int | None]:
    """Rows on disk of each group; None where the group is damaged."""
    found: dict[str, int | None] = {}
    for group in store.trajectories.groups():
        try:
            found[group] = store.trajectories.committed(group)
        except CorruptError:  # `verify` says what it is
            found[group] = None
    return found
