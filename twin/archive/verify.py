"""Verification of everything on disk, with the service stopped, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sensors.instant import rfc3339
from sensors.observation import Snapshot
from storage.errors import CorruptError, InUseError
from storage.images import ImageStore
from storage.journal.catalogue import Loss
from storage.journal.passing import passing_over
from storage.store import JOURNAL, Store
from storage.trajectories.trajectories import Trajectories
from twin.archive.opening import absent
from twin.archive.release import damage
from twin.belief.lines import OBSERVATION, line
from twin.errors import SettingsError


def checked(directory: Path) -> dict[str, Any]:
    """What is there, and a sentence for everything that is wrong with it; changes nothing.

    Raises SettingsError where there are no data, InUseError while another process has them.
    """
    if not directory.is_dir():
        raise SettingsError(absent(directory))
    if not any((directory / name).exists() for name in (JOURNAL, "layout", "trajectories.zarr")):
        raise SettingsError(absent(directory))
    try:
        store = Store(directory, is_look=True)
    except InUseError as exc:
        raise InUseError(
            f"{exc}, a service or a rebuild that runs: nothing was checked, and nothing is known "
            "to be wrong. Stop it and check again; while it runs, /readyz says how it is"
        ) from exc
    except CorruptError as exc:
        return _without_journal(directory, str(exc))
    with store:
        found = store.findings()
        found["images"] += _absent(store)
        found["journal"] += damage(directory)
        return {
            "directory": str(directory),
            "journal_lines": store.journal.end - store.journal.start,
            "components": len(store.journal.catalogue.components()),
            "dead_letters": len(store.journal.dead_letters),
            "images": len(store.images),
            "checkpoints": [c.name for c in store.journal.catalogue.checkpoints()],
            "rows": _rows(store),
            "losses": [f"{rfc3339(x.found_ns)}: {x.sentence}" for x in _losses(store)],
            "damaged": {place: len(problems) for place, problems in found.items() if problems},
            "problems": [problem for problems in found.values() for problem in problems],
        }


def _losses(store: Store) -> list[Loss]:
    try:
        return store.journal.catalogue.losses()
    except CorruptError:  # `findings` say so
        return []


def _without_journal(directory: Path, why: str) -> dict[str, Any]:
    """What can be said of the rest where the journal cannot be opened."""
    trajectories = Trajectories(directory / "trajectories.zarr", is_look=True)
    groups = sorted({*trajectories.groups(), *trajectories.copies()})
    found = {
        "journal": [why],
        "trajectory": [text for group in groups for text in trajectories.verify(group)],
        "images": ImageStore(directory / "images", is_look=True).verify(),
    }
    return {
        "directory": str(directory),
        "losses": [],
        "damaged": {place: len(problems) for place, problems in found.items() if problems},
        "problems": [problem for problems in found.values() for problem in problems],
    }


def _absent(store: Store) -> list[str]:
    """The images that the journal names and that are not there, one sentence each."""
    there, told = set(store.images.names()), set[str]()
    found = []
    for first, entries in passing_over(store.journal, store.journal.start, None, lambda _: None):
        for i, entry in enumerate(entries):
            if entry.kind != OBSERVATION or b"snapshot" not in entry.body[:16]:
                continue
            what = line(entry).what
            if isinstance(what, Snapshot) and what.sha256 not in there | told:
                told.add(what.sha256)
                name = f"image {what.sha256} of {entry.component}"
                found.append(f"{name} is gone: line {first + i} names it")
    return found


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
    "copy, or let twin salvage make a new store of all that is whole. A start passes over damaged "
    "lines that a checkpoint holds already, and mends a damaged log or mark.",
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
    if report["losses"]:
        yield "What was lost before, and is known:"
        yield from (f"  {loss}" for loss in report["losses"])
    if not problems:
        yield "Nothing is damaged."
        return
    yield "What is damaged:"
    yield from (f"  {problem}" for problem in problems)
    yield "What to do:"
    yield from (f"  {_REMEDIES[place]}" for place in damaged)


def _contents(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "journal_lines" not in report:
        yield "journal", "it cannot be opened; of the rest was checked what can be without it"
        yield "trajectory", "by itself"
        yield "images", "by themselves"
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
