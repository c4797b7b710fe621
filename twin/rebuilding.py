"""The journal folded again in event-time order: late data in their place."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from storage.catalogue import Checkpoint
from storage.entry import Entry
from storage.store import Store
from twin.checking import check_data
from twin.checkpoint import metadata, tensors
from twin.cohort import KIND
from twin.errors import SettingsError, TwinError, UnreadableError
from twin.fleet import Clock, Fleet, clock_of
from twin.refolding import Refold
from twin.release import unreadable
from twin.settings import Settings


def rebuild(settings: Settings, directory: Path, out: Path | None) -> dict[str, Any]:
    """Rebuild `directory` into `out`, or in its place; the old store is kept beside it."""
    check_data(directory)
    target = out or directory.with_name(f"{directory.name}.rebuilding")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SettingsError(f"{target} exists and is not an empty directory: name another (--out)")
    clock = clock_of(settings)
    with Store(directory) as store, Store(target) as new:
        if store.journal.start:
            raise TwinError(
                f"retention has dropped the journal before offset {store.journal.start}: "
                "it cannot be folded from the beginning"
            )
        try:
            fleet = rebuilt(store, new, clock)
        except UnreadableError as exc:
            raise TwinError(unreadable(directory, str(exc))) from exc
    report = {"lines": fleet.offset, "rows": fleet.rows, "store": str(target)}
    if out is None:
        kept = directory.with_name(f"{directory.name}.before-{time.time_ns()}")
        os.rename(directory, kept)
        os.rename(target, directory)
        report |= {"store": str(directory), "before": str(kept)}
    return report


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
    """Images and dead letters, which do not depend on any order."""
    for sha256 in store.images.names():
        new.images.put(store.images.get(sha256))
    after = 0
    while letters := store.journal.dead_letters.list(1000, after):
        new.journal.append((), [kept.as_it_came for kept in letters], now_ns=time.time_ns())
        after = letters[-1].id


def _checkpoint(new: Store, fleet: Fleet, clock: Clock) -> None:
    name = f"{fleet.offset:020d}"
    file = new.checkpoints.write(name, tensors(fleet), metadata(fleet, clock))
    rows = {KIND: fleet.rows}
    new.journal.catalogue.put_checkpoint(
        Checkpoint(name, fleet.offset, rows, file.sha256, file.size, time.time_ns(), durable=True)
    )
    new.journal.catalogue.put_array(KIND, fleet.rows)
