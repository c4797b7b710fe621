"""Verification of everything on disk, with the service stopped, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.errors import CorruptError, InUseError
from storage.store import Store
from twin.errors import SettingsError

JOURNAL = "journal.sqlite"


def checked(directory: Path) -> dict[str, Any]:
    """What is there, and a sentence for everything that is wrong with it.

    Raises SettingsError where there are no data, InUseError while another process has them.
    """
    check_data(directory)
    try:
        store = Store(directory)
    except InUseError as exc:
        raise InUseError(
            f"{exc}, a service or a rebuild that runs: nothing was checked, and nothing is known "
            "to be wrong. Stop it and check again; while it runs, /readyz says how it is"
        ) from exc
    except CorruptError as exc:  # nothing else can be looked at without the journal
        return {"directory": str(directory), "problems": [str(exc)], "damaged": {"journal": 1}}
    with store:
        found = store.findings()
        return {
            "directory": str(directory),
            "journal_lines": store.journal.end - store.journal.start,
            "components": len(store.journal.catalogue.components()),
            "dead_letters": len(store.journal.dead_letters),
            "images": len(store.images),
            "checkpoints": [c.name for c in store.journal.catalogue.checkpoints()],
            "rows": _rows(store),
            "damaged": {place: len(problems) for place, problems in found.items() if problems},
            "problems": [problem for problems in found.values() for problem in problems],
        }


def check_data(directory: Path) -> None:
    """Raises SettingsError where there are no data of a twin: opening a store would begin one."""
    if not directory.is_dir():
        raise SettingsError(f"there is no data directory {directory}")
    if not any((directory / name).exists() for name in (JOURNAL, "layout", "trajectories.zarr")):
        raise SettingsError(f"{directory} holds no data of a twin: no {JOURNAL}")


def _rows(store: Store) -> dict[str, int | None]:
    """Rows on disk of each group; None where the group is damaged."""
    found: dict[str, int | None] = {}
    for group in store.trajectories.groups():
        try:
            found[group] = store.trajectories.committed(group)
        except CorruptError:  # `verify` says what it is
            found[group] = None
    return found


_REMEDIES = {
    "journal": "The journal is the truth and cannot be made anew: restore the directory from a "
    "copy. Keep the damaged one: what can still be read of it is not lost.",
    "trajectory": "The trajectory is made anew from the journal by twin rebuild; a service that "
    "starts mends what it can by itself.",
    "checkpoints": "A damaged checkpoint is passed over at the next start, which takes longer; the "
    "service writes new ones.",
    "images": "An image cannot be made anew: restore its file from a copy. No state depends on it: "
    "what was read from it is in the journal.",
}


def told(report: dict[str, Any]) -> Iterator[str]:
    """A report for a person: what was looked at, what is fine, what is damaged, what to do."""
    problems, damaged = report["problems"], report["damaged"]
    yield f"Checked {report['directory']}: every file of it was read."
    for place, what in _contents(report):
        count = damaged.get(place, 0)
        yield f"  {place:<11}  {f'{count} damaged' if count else 'fine':<10}  {what}"
    if not problems:
        yield "Nothing is damaged."
        return
    yield "What is damaged:"
    yield from (f"  {problem}" for problem in problems)
    yield "What to do:"
    yield from (f"  {_REMEDIES[place]}" for place in damaged)


def _contents(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "journal_lines" not in report:
        yield "journal", "it cannot be opened; without it nothing else could be checked"
        return
    letters = report["dead_letters"]
    yield (
        "journal",
        f"{report['journal_lines']:,} lines, {report['components']:,} components, "
        f"{letters:,} refused messages" + (" (twin dead-letters list)" if letters else ""),
    )
    rows = [f"{n:,} record rows of {g}" for g, n in report["rows"].items() if n is not None]
    yield "trajectory", ", ".join(rows) or "no record rows"
    yield "checkpoints", f"{len(report['checkpoints']):,}"
    yield "images", f"{report['images']:,}"
