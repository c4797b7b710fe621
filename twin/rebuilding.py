"""The journal folded again in event-time order: late data in their place."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rich.progress import Progress

from storage.catalogue import Checkpoint
from storage.entry import Entry
from storage.store import Store
from twin.checkpoint import metadata, tensors
from twin.cohort import KIND
from twin.errors import SettingsError, TwinError
from twin.fleet import EMPTY, Clock, Fleet, clock_of
from twin.fold import folded
from twin.lines import COMPONENT, lines
from twin.recorder import BLOCK, Recorder
from twin.settings import Settings

PORTION = 5000  # lines of one fold


def rebuild(settings: Settings, directory: Path, out: Path | None) -> dict[str, Any]:
    """Rebuild `directory` into `out`, or in its place; the old store is kept beside it."""
    if not directory.is_dir():
        raise SettingsError(f"there is no data directory {directory}")
    target = out or directory.with_name(f"{directory.name}.rebuilding")
    if target.exists() and any(target.iterdir()):
        raise SettingsError(f"{target} exists and is not empty")
    clock = clock_of(settings)
    with Store(directory) as store, Store(target) as new:
        if store.journal.start:
            raise TwinError(
                f"retention has dropped the journal before offset {store.journal.start}: "
                "it cannot be folded from the beginning"
            )
        fleet = rebuilt(store, new, clock)
    report = {"lines": fleet.offset, "rows": fleet.rows, "store": str(target)}
    if out is None:
        kept = directory.with_name(f"{directory.name}.before-{time.time_ns()}")
        os.rename(directory, kept)
        os.rename(target, directory)
        report |= {"store": str(directory), "before": str(kept)}
    return report


def rebuilt(store: Store, new: Store, clock: Clock) -> Fleet:
    """Fold the journal of `store` in event-time order, and keep all of it in `new`."""
    entries = [entry for _, batch in store.journal.read(0) for entry in batch]
    entries.sort(key=_event_time)  # stable: equal times keep their order
    fleet, recorder = EMPTY, Recorder(new.trajectories, 0)
    with Progress(transient=True) as progress:
        task = progress.add_task("folding", total=len(entries))
        for start in range(0, len(entries), PORTION):
            portion = entries[start : start + PORTION]
            new.journal.adopt(portion, store.journal, now_ns=time.time_ns())
            result = folded(fleet, lines(portion), clock)
            fleet = result.fleet
            recorder.add(result.rows)
            if recorder.rows - recorder.flushed >= BLOCK:
                recorder.flush()
            progress.advance(task, len(portion))
    recorder.flush()
    _copy_rest(store, new)
    _checkpoint(new, fleet, clock)
    return fleet


def _event_time(entry: Entry) -> int:
    """First registrations come before everything, changes when they were made."""
    return -1 if entry.kind == COMPONENT and entry.seq == 1 else entry.t_ns


def _copy_rest(store: Store, new: Store) -> None:
    """Images and dead letters, which do not depend on any order."""
    for sha256 in store.images.names():
        new.images.put(store.images.get(sha256))
    after = 0
    while letters := store.journal.dead_letters.list(1000, after):
        new.journal.append((), [kept.letter for kept in letters], now_ns=time.time_ns())
        after = letters[-1].id


def _checkpoint(new: Store, fleet: Fleet, clock: Clock) -> None:
    name = f"{fleet.offset:020d}"
    file = new.checkpoints.write(name, tensors(fleet), metadata(fleet, clock))
    rows = {KIND: fleet.rows}
    new.journal.catalogue.put_checkpoint(
        Checkpoint(name, fleet.offset, rows, file.sha256, file.size, time.time_ns(), durable=True)
    )
    new.journal.catalogue.put_array(KIND, fleet.rows)
