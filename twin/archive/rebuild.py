"""The journal folded again in event-time order: late data in their place."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.progress import Progress

from storage.errors import StorageError
from storage.journal.catalogue import Checkpoint
from storage.journal.entry import Entry
from storage.store import Store
from storage.swapping import beside, holds_store, settled, swap_in
from twin.archive.aside import made_aside, take_place
from twin.archive.checkpoint import clock_in, metadata, tensors
from twin.archive.opening import absent
from twin.archive.refolding import Refold
from twin.archive.release import unreadable
from twin.archive.remedies import left_out, remedied
from twin.belief.fleet import Clock, Fleet, clock_of
from twin.broker_session import FILE as SESSION
from twin.errors import SettingsError, TwinError, UnreadableError
from twin.settings import Settings

LETTERS_BYTES = 16 << 20  # of dead letters that are held in memory


def rebuild(
    settings: Settings, directory: Path, out: Path | None, *, is_told: bool = True
) -> dict[str, Any]:
    """Rebuild `directory` into `out`, or in its place; the old store is kept beside it.

    Settings that nobody has told are not those of the service that made the store: its rows are
    then made as its newest checkpoint says that they were.
    Raises SettingsError without a store, TwinError where lines are gone or cannot be read.
    """
    place = directory.absolute()
    settled(place)
    if not holds_store(directory):
        raise SettingsError(absent(directory))
    _require_empty(out or beside(place), place, in_place=out is None)
    with (
        _made(out, place) as target,
        remedied(directory),
        Store(directory) as store,
    ):
        if store.journal.start:
            raise TwinError(
                f"retention, or a salvage, has dropped the journal before offset "
                f"{store.journal.start}: it cannot be folded from the beginning. A start goes on "
                "from the newest checkpoint that is whole"
            )
        clock, by = _clock(settings, store, is_told=is_told)
        try:
            with Store(target) as new:
                fleet = rebuilt(store, new, clock)
        except UnreadableError as exc:
            shutil.rmtree(target, ignore_errors=True)
            raise TwinError(unreadable(directory, str(exc))) from exc
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        report = {
            "lines": fleet.offset,
            "rows": fleet.rows,
            "record_every_s": clock.record_every_ns / 1e9,
            "lateness_s": clock.lateness_ns / 1e9,
            "both_by": by,
            "store": str(out),
        }
        if out is not None:
            take_place(target, out)
        else:
            kept = place.with_name(f"{place.name}.before-{time.time_ns()}")
            store.journal.close()  # by its name here, which will soon be that of the new one
            swap_in(target, place, kept)  # nobody else can have written here: it is still locked
            report |= {"store": str(directory), "before": str(kept)}
    return report


@contextmanager
def _made(out: Path | None, place: Path) -> Iterator[Path]:
    """Where the new store is made."""
    if out is None:
        yield beside(place)  # where a start looks for one that was about to take the place
        return
    with made_aside(out) as aside:
        yield aside


def _clock(settings: Settings, store: Store, *, is_told: bool) -> tuple[Clock, str]:
    """By which clock rows are made, and who says so."""
    said = settings.storage.model_fields_set | settings.ingest.model_fields_set
    if is_told or said & {"record_every_s", "lateness_s"}:
        return clock_of(settings), "the settings"
    for kept in store.journal.catalogue.checkpoints():
        with suppress(StorageError, ValueError, KeyError, TypeError):
            _, page = store.checkpoints.read(kept.name, kept.sha256)
            return clock_in(page), f"the checkpoint {kept.name}"
    return clock_of(settings), (
        "default: no checkpoint says what the service had; where it had others, rebuild again "
        "with its --config"
    )


def _require_empty(target: Path, place: Path, *, in_place: bool) -> None:
    """Raises SettingsError where the new store cannot be made, or not take its place."""
    if target.exists() and any(target.iterdir()):
        left = ": a rebuild was cut off, remove it and try again" if in_place else ""
        raise SettingsError(f"{target} exists and is not empty{left}")
    if in_place and os.path.ismount(place):
        raise SettingsError(
            f"{place} is where a disk is mounted and cannot be renamed: rebuild with --out, or "
            "keep the data in a directory below it"
        )


def rebuilt(store: Store, new: Store, clock: Clock) -> Fleet:
    """Fold the journal of `store` in event-time order, and keep all of it in `new`."""
    end = store.journal.end
    with Progress(transient=True) as progress:
        task = progress.add_task("folding", total=end)

        def adopt(portion: Sequence[Entry]) -> None:
            new.journal.adopt(portion, store.journal, now_ns=time.time_ns())
            progress.advance(task, len(portion))

        refold = Refold(store.journal, new.trajectories, clock, adopt=adopt)
        refold.finish(end)
    _copy_rest(store, new)
    _checkpoint(new, refold.fleet, clock)
    return refold.fleet


def _copy_rest(store: Store, new: Store) -> None:
    """What does not depend on any order: images, dead letters, the mark of the broker's session."""
    for sha256 in store.images.names():
        new.images.put(store.images.get(sha256))
    session = store.directory / SESSION  # what the broker holds for us is held for the new one
    if session.exists():
        shutil.copy(session, new.directory)
    after, left = 0, set[int]()
    while True:
        damaged = list[int]()
        letters = store.journal.dead_letters.list(
            1000, after, most_bytes=LETTERS_BYTES, damaged=damaged
        )
        if not letters and not damaged:
            break
        if letters:
            new.journal.append((), [kept.as_it_came for kept in letters], now_ns=time.time_ns())
        left.update(damaged)
        after = letters[-1].id if letters else max(damaged)
    if left:
        new.journal.catalogue.put_losses([left_out(sorted(left))])


def _checkpoint(new: Store, fleet: Fleet, clock: Clock) -> None:
    name = f"{fleet.offset:020d}"
    file = new.checkpoints.write(name, tensors(fleet), metadata(fleet, clock))
    rows = fleet.recorded
    new.journal.catalogue.put_checkpoint(
        Checkpoint(name, fleet.offset, rows, file.sha256, file.size, time.time_ns(), durable=True)
    )
    for group, count in rows.items():
        new.journal.catalogue.put_array(group, count)
