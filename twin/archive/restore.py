"""A backup put back where a store was, and what came after it told.

Every file is held against the manifest as it is copied, beside the place, and all of them take the
place at once. What was acknowledged after the backup is in no state then: its senders have dropped
it, and have to send it again. How much that is, only what is left of the lost store can say.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sensors.instant import rfc3339
from storage.backup import manifest
from storage.backup.manifest import Manifest
from storage.backup.reached import Stream, highest
from storage.backup.store_copy import SPARE
from storage.durable import disk, sync_directory, write_whole
from storage.errors import CorruptError, InUseError, StorageError, UnavailableError
from storage.journal.seal import SUFFIX, SealFile
from storage.pieces import Copying, sync_tree
from storage.space import space
from storage.store import JOURNAL, alone
from storage.swapping import holds_store, left_beside
from twin.archive.opening import mark, mark_text
from twin.archive.release import RELEASE, is_later
from twin.errors import SettingsError

RESTORING = ".restoring"  # the suffix of a store that is being put back
LOST = ".lost"  # under which what is left of a store is found beside its place
_NAMED = 20  # streams that are named to a person


def restored(backup: Path, directory: Path, lost: Path | None = None) -> dict[str, Any]:
    """Put a backup in the place of a store, and say what came after it, by what is left in `lost`.

    Raises SettingsError where there is a store or something else, CorruptError for a backup that is
    not as it was written; nothing is in the place then.
    """
    made = manifest.read(backup)
    _require_release(backup, made)
    place = directory.absolute()
    if place.resolve().is_relative_to(backup.resolve()):
        raise SettingsError(f"{place} is within the backup {backup}, which has to stay as it is")
    _require_free(place)
    beside = place.with_name(place.name + LOST)
    lost = lost or (beside if beside.is_dir() else None)
    if differing := manifest.differing(backup, made):
        raise CorruptError(_sentence(backup, differing))
    with _aside(place) as aside:
        _copied(backup, made, aside)
        _rename(aside, place)
    return {
        "store": str(directory),
        "backup": str(backup),
        "release": made.release,
        "made": rfc3339(made.made_ns),
        "lines": made.end - made.start,
        "end": made.end,
        "last_commit": rfc3339(made.committed_ns) if made.committed_ns else None,
        "bytes": made.size,
        "problems": made.damage,
        "missing": None if lost is None else _missing(directory, made, lost),
        "left": [str(path) for path in left_beside(place)],
    }


def _require_release(backup: Path, made: Manifest) -> None:
    if is_later(made.release, RELEASE):
        raise StorageError(
            f"release {made.release} has written {backup}, this is {RELEASE}: restore it with "
            f"{made.release} or later"
        )


def _require_free(place: Path) -> None:
    """Raises SettingsError where a store cannot be put."""
    if place.is_dir():
        try:
            with alone(place):
                pass
        except InUseError as exc:
            raise SettingsError(
                f"a service or another command uses {place}: stop it, and move {place} away"
            ) from exc
    if holds_store(place):
        raise SettingsError(
            f"{place} holds a store, and nothing is put over it. Move it away first: mv {place} "
            f"{place}{LOST}; what it had after the backup is told then"
        )
    if place.is_symlink():
        raise SettingsError(f"{place} is a link: name the directory {place.resolve()} itself")
    if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
        raise SettingsError(f"{place} exists and is not an empty directory: move it away")
    if place.is_dir() and os.path.ismount(place):
        raise SettingsError(
            f"{place} is where a disk is mounted, and cannot be renamed to: keep the data in a "
            "directory below it"
        )
    if not place.parent.is_dir():
        raise SettingsError(f"there is no directory {place.parent}: is its disk not mounted?")


@contextmanager
def _aside(place: Path) -> Iterator[Path]:
    aside = place.with_name(place.name + RESTORING)
    if aside.exists():
        raise SettingsError(
            f"{aside} is there: another restore puts it there just now, or one was cut off; "
            "in that case remove it and try again"
        )
    with disk():
        aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copied(backup: Path, made: Manifest, aside: Path) -> None:
    """Copy all files; raises CorruptError for those that are not as they were written."""
    with disk():
        free = space(aside).free
        if free < made.size + SPARE:
            raise UnavailableError(
                f"the backup takes {made.size / 1e6:,.0f} MB and the disk of {aside.parent} has "
                f"{free / 1e6:,.0f} MB free: nothing was restored"
            )
        copying, wrong = Copying(lambda: None), []
        for name, item in made.files.items():
            if copying.copy(backup / name, aside / name) != item.sha256:
                wrong.append(f"{backup / name} is damaged: it is not what was written")
        if wrong:
            raise CorruptError(_sentence(backup, wrong))
        copying.finish()
        sync_tree(aside)


def _sentence(backup: Path, wrong: list[str]) -> str:
    more = f", and {len(wrong) - 3} more like it" if len(wrong) > 3 else ""
    return (
        f"{'; '.join(wrong[:3])}{more}. Nothing was restored: take an earlier backup. Where there "
        f"is none, twin salvage --data-dir {backup} makes a store of what is whole in this one"
    )


def _rename(aside: Path, place: Path) -> None:
    with disk():
        aside.rename(place)  # refused by the system where there is anything by now
        sync_directory(place.parent)
    with suppress(UnavailableError, OSError):
        write_whole(mark(place), mark_text(place))


def _missing(directory: Path, made: Manifest, lost: Path) -> dict[str, Any]:
    """What a store that is lost had acknowledged and the backup does not hold."""
    seal, _ = SealFile((lost / JOURNAL).with_suffix(SUFFIX)).read()
    end = None if seal is None else seal.end
    ahead, why = dict[Stream, int](), None
    try:
        then, now = highest(directory / JOURNAL), highest(lost / JOURNAL)
        ahead = {stream: high for stream, high in now.items() if high > then.get(stream, -1)}
    except StorageError as exc:
        then, why = {}, str(exc)
    return {
        "lines": None if end is None else max(0, end - made.end),
        "dead_letters": None if seal is None else max(0, seal.letters - made.dead_letters),
        "unreadable": why,
        "streams": [
            {
                "component": component,
                "source": source,
                "boot": boot,
                "from": then.get((component, source, boot), -1) + 1,
                "to": high,
            }
            for (component, source, boot), high in sorted(ahead.items())
        ],
    }


def told(report: dict[str, Any]) -> Iterator[str]:
    """A report for a person: what is back, what is not, and how it is sent again."""
    last = report["last_commit"]
    until = f", the last of them committed at {last}" if last else ""
    yield (
        f"Restored {report['store']} from {report['backup']}, made at {report['made']}: "
        f"{report['bytes'] / 1e6:,.1f} MB, every file as it was written."
    )
    yield f"  {report['lines']:,} lines of the journal up to {report['end']:,}{until}"
    if report["problems"]:
        yield "Damaged in it, as it was in the store:"
        yield from (f"  {problem}" for problem in report["problems"])
    yield from _told_missing(report["missing"], last)
    if report["left"]:
        yield f"Note: there is also {', '.join(report['left'])}, which a rebuild has kept."
    yield (
        "To send it again: publishers that keep what they sent send it once more, with the numbers "
        "it had; recordings are sent by twin replay. What is here already counts once."
    )


def _told_missing(missing: dict[str, Any] | None, last: str | None) -> Iterator[str]:
    if missing is None:
        since = f" since {last}" if last else ""
        yield (
            f"What was acknowledged after that is in no state{since}, and nobody delivers it by "
            "itself. How much it is can be told from what is left of the store that was lost: "
            "--lost."
        )
        return
    if missing["lines"] is None:
        yield "How far the lost store went cannot be told: there is no seal in it."
    else:
        yield (
            f"Acknowledged after the backup, and in no state: {missing['lines']:,} lines and "
            f"{missing['dead_letters']:,} refused messages."
        )
    if missing["unreadable"]:
        yield f"Whose they were cannot be told: {missing['unreadable']}."
    streams = missing["streams"]
    for stream in streams[:_NAMED]:
        yield (
            f"  {stream['component']} {stream['source']} boot {stream['boot']}: numbers "
            f"{stream['from']:,} to {stream['to']:,}"
        )
    if len(streams) > _NAMED:
        yield f"  and {len(streams) - _NAMED:,} more streams: --json names them all"
