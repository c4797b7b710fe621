"""A copy of a whole store as of one moment, beside a service that goes on writing to it.

The journal says what the rest has to be: which checkpoints there are, how many rows the trajectory
has, in which order it was made. Checkpoints are opened within that moment, as the service may
remove them after it; rows and images are only added to, so that they are copied afterwards.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from storage.checkpoints import SUFFIX
from storage.durable import disk
from storage.errors import InUseError, UnavailableError
from storage.images import LENT, ImageStore
from storage.journal.copy import JournalCopy, Moment
from storage.pieces import Copying, Throttle, read_back, sync_tree
from storage.quarantine import QUARANTINE
from storage.space import space
from storage.store import JOURNAL, alone
from storage.trajectories.copy import copied_group, is_same

SPARE = 64 << 20  # bytes that a copy leaves free on its disk
TRIES = 5  # where a rebuild or catching up exchanges what is copied
_BESIDE = ("layout", "release")  # short files that are copied as they are

Opened = dict[str, BinaryIO]


class Copied(NamedTuple):
    """What a copy is of."""

    moment: Moment
    damage: list[str]  # what was damaged in the source, and is copied as it is


class _ExchangedError(Exception):
    """The trajectory is not that of the moment any more."""


def copied_store(source: Path, to: Path) -> Copied:
    """Copy the store at `source` into the empty directory `to`, whether a service has it or not.

    All of it is on disk afterwards. Raises UnavailableError for a disk that is full or does not
    give back what was written, CorruptError for a journal that cannot be read.
    """
    with _lent(source) as is_in_use, disk():
        throttle = Throttle()
        journal = JournalCopy(source / JOURNAL, to / JOURNAL, throttle, is_in_use=is_in_use)
        try:
            _require_room(source, to, journal.size)
            journal.follow()
            moment, copying, damage = _settled(source, to, journal, throttle)
            journal.sealed(moment)
        finally:
            journal.close()
        sync_tree(to)
        _require_read_back(copying, throttle)
    return Copied(moment, [*journal.damage, *damage])


@contextmanager
def _lent(source: Path) -> Iterator[bool]:
    """Whether another process uses the store; if none does, none can begin to meanwhile."""
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(source))
        except InUseError:
            yield True
        else:
            yield False


def _require_room(source: Path, to: Path, journal: int) -> None:
    """Raises UnavailableError where the copy would not fit: it is not to fill a disk first."""
    size = journal
    for part in ("trajectories.zarr", "images", "checkpoints", QUARANTINE):
        for path in (source / part).rglob("*"):
            try:
                size += path.stat().st_size
            except FileNotFoundError:  # it was removed just now
                continue
    free = space(to).free
    if free < size + SPARE:
        raise UnavailableError(
            f"the store takes {_megabytes(size)} and the disk of {to.parent} has "
            f"{_megabytes(free)} free, {_megabytes(SPARE)} of which are to stay so: nothing was "
            "copied"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _settled(
    source: Path, to: Path, journal: JournalCopy, throttle: Throttle
) -> tuple[Moment, Copying, list[str]]:
    """Bring journal and all the rest to one moment."""
    for tries_left in reversed(range(TRIES)):
        _emptied(to)
        copying = Copying(throttle)
        with ExitStack() as stack:
            try:
                moment, files = journal.settle(
                    partial(_checkpoints, source, stack, is_last=not tries_left)
                )
                damage = [*_rest(source, to, moment, files, copying, is_last=not tries_left)]
                if journal.generation() == moment.generation:
                    return moment, copying, damage
            except _ExchangedError:
                pass
        time.sleep(0.5)
    raise UnavailableError(
        f"what is in {source} was exchanged each of the {TRIES} times that it was copied, which "
        "catching up with late data does: try again later"
    )


def _emptied(to: Path) -> None:
    """Remove all but the journal, of another try."""
    for part in ("trajectories.zarr", "copies", "checkpoints", "images", QUARANTINE):
        shutil.rmtree(to / part, ignore_errors=True)
    for name in _BESIDE:
        (to / name).unlink(missing_ok=True)


def _checkpoints(source: Path, stack: ExitStack, moment: Moment, *, is_last: bool) -> Opened:
    """The files of the checkpoints that the catalogue names, open, so that they stay."""
    found: Opened = {}
    for kept in moment.checkpoints:
        path = source / "checkpoints" / f"{kept.name}{SUFFIX}"
        try:
            found[kept.name] = stack.enter_context(path.open("rb"))
        except FileNotFoundError as exc:
            if not is_last:
                raise _ExchangedError from exc
    return found


def _rest(
    source: Path, to: Path, moment: Moment, files: Opened, copying: Copying, *, is_last: bool
) -> Iterator[str]:
    """Copy everything but the journal; yields what is damaged in the source.

    Raises _ExchangedError for what cannot belong to that moment, unless this is the last try.
    """
    for kept in moment.checkpoints:
        if kept.name not in files:
            yield f"checkpoint {kept.name!r} is gone"
            continue
        sha256 = copying.copy(files[kept.name], to / "checkpoints" / f"{kept.name}{SUFFIX}")
        if sha256 != kept.sha256:
            yield f"checkpoint {kept.name!r} has sha256 {sha256}, not {kept.sha256}"
    try:
        yield from _trajectory(source, to, moment, copying)
    except FileNotFoundError as exc:
        if not is_last:
            raise _ExchangedError from exc
        yield f"{exc.filename} is gone"
    yield from _images(source, to, copying)
    for name in _BESIDE:
        if (source / name).exists():
            copying.copy(source / name, to / name)
    for path in sorted((source / QUARANTINE).rglob("*")):
        if path.is_file():
            copying.copy(path, to / path.relative_to(source))
    copying.finish()


def _trajectory(source: Path, to: Path, moment: Moment, copying: Copying) -> Iterator[str]:
    aside = source / f"trajectories.{moment.generation}.zarr"
    place = aside if aside.exists() else source / "trajectories.zarr"
    target = to / "trajectories.zarr"
    for name, rows in moment.rows.items():
        if rows:
            wrong = copied_group(place, name, target, rows, moment.components, copying)
            if wrong is not None:
                yield wrong
            elif not is_same(place, name, target):
                raise _ExchangedError


def _images(source: Path, to: Path, copying: Copying) -> Iterator[str]:
    """Those that the journal names, and those of which it is not settled whether it does."""
    names = ImageStore(source / "images", is_look=True).names()
    for name in sorted(names):
        path = source / "images" / name[:2] / name
        beside = path.with_name(name + LENT)
        place = to / "images" / name[:2] / name
        try:
            if beside.exists():
                copying.put(beside.read_bytes(), place.with_name(beside.name))
            sha256 = copying.copy(path, place)
        except FileNotFoundError:  # it was refused, so that nothing refers to it
            continue
        if sha256 != name:
            yield f"image {name} has sha256 {sha256}"


def _require_read_back(copying: Copying, throttle: Throttle) -> None:
    """Raises UnavailableError where the disk does not give back what was written."""
    for path, sha256 in copying.written.items():
        if path.exists() and (found := read_back(path, throttle)) != sha256:
            raise UnavailableError(
                f"{path} has sha256 {found} when it is read, and {sha256} was written: the disk "
                "of the copy does not keep what it is given"
            )
