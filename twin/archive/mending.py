"""What is whole goes on where what is damaged cannot be made again.

A state and its history are two things: a checkpoint that is whole is believed though rows of the
trajectory are damaged. Where the journal can be folded again from its beginning the history is
made again; where it cannot, because retention has dropped its beginning or a line of it is damaged,
the rows that nobody can read any more are set aside, and that is told for ever.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from dataclasses import replace

from sensors.instant import rfc3339
from storage.checkpoints import Checkpoints
from storage.errors import CorruptError, MissingError
from storage.journal.catalogue import Checkpoint
from storage.quarantine import QUARANTINE, copied_aside
from storage.store import Store
from twin.archive.checkpoint import carried, metadata, restored, tensors
from twin.archive.recorder import BLOCK
from twin.belief.fleet import Clock, Fleet
from twin.kinds.catalogue import groups
from twin.kinds.crack_fields import GROUP


def mended_trajectory(store: Store) -> list[str]:
    """Restore what there is a copy of; set aside a trajectory that cannot be read at all."""
    told = []
    for group in groups():
        try:
            told += store.trajectories.mend(group)
        except CorruptError as exc:
            kept = store.set_group_aside(group)
            told.append(f"{exc}: the trajectory cannot be read, and lies in {kept}")
    return told


def whole_states(store: Store) -> Iterator[tuple[Checkpoint, Fleet]]:
    """The states that can be gone on from, newest first, whatever became of their history."""
    for kept in store.journal.catalogue.checkpoints():
        if not store.journal.start <= kept.offset <= store.journal.end:
            continue
        try:
            yield kept, carried(*store.checkpoints.read(kept.name, kept.sha256))
        except (CorruptError, MissingError, ValueError, KeyError, TypeError):
            continue  # told already


def unlisted(files: Checkpoints, known: Container[str]) -> Iterator[tuple[Checkpoint, Fleet]]:
    """The states on disk that no catalogue names and that say themselves that they are whole."""
    for name in reversed(files.names()):
        if name in known:
            continue
        try:
            file = files.sealed(name)
            fleet = carried(*files.read(name, file.sha256))
        except (CorruptError, MissingError, ValueError, KeyError, TypeError):
            continue
        rows = fleet.recorded
        yield Checkpoint(name, fleet.offset, rows, file.sha256, file.size, 0, durable=True), fleet


def require_no_later_state(store: Store) -> None:
    """Raises CorruptError where a state on disk is of lines that the journal has lost."""
    known = {kept.name for kept in store.journal.catalogue.checkpoints()}
    for kept, _ in unlisted(store.checkpoints, known):
        if kept.offset > store.journal.end:
            raise CorruptError(
                f"the journal ends at line {store.journal.end}, and the checkpoint {kept.name} is "
                f"of line {kept.offset}: the end of the journal is gone "
                f"({'; '.join(store.damage) or 'was an older one put back?'}), and a start would "
                "give up what that state holds"
            )


def with_what_is_left(store: Store, fleet: Fleet, clock: Clock, damage: list[str]) -> Fleet:
    """The state with as much of its history as can be read; the rest is set aside and told."""
    ticks = min(s.began + _readable(store, g, fleet.recorded[g]) for g, s in fleet.sections.items())
    told = _lost(store, ticks, fleet.rows)
    sections = {}
    for group, section in fleet.sections.items():
        rows = max(0, ticks - section.began)
        sections[group] = replace(section, began=min(section.began, ticks))
        if group in store.trajectories.groups() and store.trajectories.committed(group) > rows:
            for path in store.trajectories.files(group, rows // BLOCK * BLOCK):
                copied_aside(path, store.directory)
            store.trajectories.truncate(group, rows)
    fleet = replace(fleet, rows=ticks, sections=sections)
    _keep(store, fleet, clock)
    if told:
        damage.append(told)
        store.journal.catalogue.put_losses([told])
    return fleet


def _readable(store: Store, group: str, rows: int) -> int:
    """How many of these rows of a group can be written on from."""
    try:
        rows = min(rows, store.trajectories.committed(group))
        if rows % BLOCK:
            store.trajectories.block(group, rows // BLOCK * BLOCK)
    except MissingError:
        return 0
    except CorruptError:
        return rows // BLOCK * BLOCK
    return rows


def _lost(store: Store, rows: int, wanted: int) -> str:
    if rows == wanted:
        return ""
    try:
        times = store.trajectories.times(GROUP)
    except MissingError:
        times = None
    since = f" (after {rfc3339(int(times[rows - 1]))})" if times is not None and rows else ""
    return (
        f"rows {rows} to {wanted - 1} of the history{since} are damaged and cannot be made again, "
        f"because the journal cannot be folded from its beginning: they are set aside in "
        f"{store.directory / QUARANTINE}, and the history goes on from row {rows}. The state is "
        "whole"
    )


def _keep(store: Store, fleet: Fleet, clock: Clock) -> None:
    """A checkpoint whose rows are those on disk; those before it go, once it has been read back."""
    name = f"{fleet.offset:020d}-{time.time_ns()}"
    file = store.checkpoints.write(name, tensors(fleet), metadata(fleet, clock))
    _ = restored(*store.checkpoints.read(name, file.sha256))
    rows, now_ns = fleet.recorded, time.time_ns()
    entry = Checkpoint(name, fleet.offset, rows, file.sha256, file.size, now_ns, durable=True)
    store.journal.catalogue.put_checkpoint(entry)
    for group, count in rows.items():
        store.journal.catalogue.put_array(group, count)
    for old in store.journal.catalogue.checkpoints():
        if any(old.rows.get(group, 0) > count for group, count in rows.items()):
            store.journal.catalogue.remove_checkpoint(old.name)
