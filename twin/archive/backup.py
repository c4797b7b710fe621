"""A backup of a store: a copy of it as of one moment, read back, with a manifest of its files.

It is made under another name beside its place and renamed at the end, so that what has the name of
a backup is one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sensors.instant import rfc3339
from storage.backup import manifest
from storage.backup.manifest import BackedUpFile, Manifest
from storage.backup.store_copy import Copied, copied_store
from storage.durable import disk
from storage.errors import CorruptError, UnavailableError
from storage.pieces import read_back
from storage.store import JOURNAL, LAYOUT_FILE, beyond, latest_state
from storage.swapping import holds_store
from twin.archive.aside import LOCK, UNFINISHED, made_aside, take_place
from twin.archive.opening import absent
from twin.archive.release import FILE, latest
from twin.archive.remedies import remedied
from twin.archive.verify import checked
from twin.errors import SettingsError


def backed_up(directory: Path, to: Path) -> dict[str, Any]:
    """Make a backup of the store at `directory`, which may be in use, and say what it holds.

    Raises SettingsError where it cannot be made there; StorageError where it was not made, and
    then nothing is left of it.
    """
    began = time.monotonic()
    if not holds_store(directory):
        raise SettingsError(absent(directory))
    if not (directory / JOURNAL).is_file():
        raise CorruptError(f"{directory / JOURNAL} is gone: twin check says what is left")
    _require_place(directory, to)
    reached = latest_state(directory)  # before the copy: the service may go on
    with made_aside(to) as aside, remedied(directory):
        copied = copied_store(directory, aside)
        if lost := beyond(reached, copied.moment.end):
            raise CorruptError(f"{directory / JOURNAL}: {lost}: twin check says what is left")
        found = _looked_at(aside, to, directory, copied)
        made = _manifest(directory, aside, copied, found["problems"])
        manifest.write(aside, made)
        take_place(aside, to)
    moment = copied.moment
    return {
        "backup": str(to),
        "from": str(directory),
        "lines": moment.end - moment.start,
        "end": moment.end,
        "last_commit": rfc3339(moment.committed_ns) if moment.committed_ns else None,
        "dead_letters": found["dead_letters"],
        "images": found["images"],
        "rows": found["rows"],
        "checkpoints": found["checkpoints"],
        "files": len(made.files),
        "bytes": made.size,
        "seconds": round(time.monotonic() - began, 1),
        "losses": found["losses"],
        "problems": found["problems"],
        "notes": list(_notes(directory, to)),
    }


def _require_place(directory: Path, to: Path) -> None:
    """Raises SettingsError where no backup can be made."""
    parent = to.absolute().parent
    if os.path.lexists(to):
        raise SettingsError(f"{to} exists: a backup is never written over, name another place")
    if not parent.is_dir():
        raise SettingsError(f"there is no directory {parent}: is its disk not mounted?")
    if to.resolve().is_relative_to(directory.resolve()):
        raise SettingsError(f"{to} is within {directory}: the next backup would hold this one")


def _looked_at(aside: Path, to: Path, directory: Path, copied: Copied) -> dict[str, Any]:
    """What `twin check` says of the copy; of its problems only those that the store has itself.

    Raises UnavailableError for a copy of the journal that is not what was read.
    """
    report = checked(aside)
    known = {text.removeprefix(f"{directory / JOURNAL}: ") for text in copied.damage}
    journal = report["problems"][: report["damaged"].get("journal", 0)]  # they come first
    beside = tuple(str(aside / name) for name in (LAYOUT_FILE, FILE))  # copied byte for byte
    place = str(directory)
    other = [
        text
        for text in journal
        if text.removeprefix(f"{aside / JOURNAL}: ") not in known and not text.startswith(beside)
    ]
    if other and not known:
        raise UnavailableError(f"the copy is not what was read: {other[0]}: try another disk")
    said = (*report["problems"], *copied.damage)
    return report | {"problems": list(dict.fromkeys(t.replace(str(aside), place) for t in said))}


def _manifest(directory: Path, aside: Path, copied: Copied, damage: list[str]) -> Manifest:
    moment = copied.moment
    with disk():
        found = {
            name: BackedUpFile((aside / name).stat().st_size, read_back(aside / name))
            for name in manifest.files(aside)
            if name != LOCK
        }
    return Manifest(
        release=latest(directory),
        source=str(directory.absolute()),
        made_ns=time.time_ns(),
        start=moment.start,
        end=moment.end,
        committed_ns=moment.committed_ns,
        dead_letters=moment.letters,
        rows=moment.rows,
        checkpoints=[kept.name for kept in moment.checkpoints],
        damage=damage,
        files=found,
    )


def _notes(directory: Path, to: Path) -> Iterator[str]:
    """What whoever relies on the backup should know."""
    with suppress(OSError):
        if to.stat().st_dev == directory.stat().st_dev:
            yield f"{to} is on the same disk as {directory}: it is lost with it, copy it elsewhere"
    left = sorted(to.absolute().parent.glob(f"*{UNFINISHED}"))
    if left:
        names = ", ".join(path.name for path in left)
        yield f"beside it is what a backup left that was cut off, or makes just now: {names}"


def told(report: dict[str, Any]) -> Iterator[str]:
    """A report for a person."""
    yield (
        f"Backed up {report['from']} into {report['backup']}: {report['bytes'] / 1e6:,.1f} MB in "
        f"{report['files']:,} files, all of them read back, in {report['seconds']:,} s."
    )
    last = report["last_commit"]
    until = f", the last of them committed at {last}" if last else ""
    yield f"  {report['lines']:,} lines of the journal up to {report['end']:,}{until}"
    rows = ", ".join(f"{n:,} of {group}" for group, n in report["rows"].items() if n) or "none"
    yield (
        f"  rows of the trajectory: {rows}; {len(report['checkpoints'])} checkpoints, "
        f"{report['images']:,} images, {report['dead_letters']:,} refused messages"
    )
    if report["losses"]:
        yield "What the store has lost before, and knows:"
        yield from (f"  {loss}" for loss in report["losses"])
    if report["problems"]:
        yield "The store itself is damaged, and so is this copy of it; keep the one before:"
        yield from (f"  {problem}" for problem in report["problems"])
        yield f"What to do: stop the service, then twin check --data-dir {report['from']}."
    yield from (f"Note: {note}" for note in report["notes"])
