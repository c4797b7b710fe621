"""From what is on disk to what was believed: the last good checkpoint, then the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog

from storage.entry import Entry
from storage.errors import CorruptError, MissingError
from storage.journal import Journal
from storage.store import Store
from twin.checkpoint import OtherFormatError, restored
from twin.cohort import KIND
from twin.errors import TwinError, UnreadableError
from twin.fleet import EMPTY, Clock, Fleet
from twin.fold import folded
from twin.lines import lines
from twin.recorder import BLOCK, Recorder
from twin.refolding import refolded
from twin.release import mark, unreadable

LINES_A_FOLD = 10_000
FLUSH_ROWS = 4 * BLOCK  # rows that a long replay keeps in memory

log = structlog.get_logger()


class Recovered(NamedTuple):
    """Where the service goes on, and what was found damaged on the way."""

    fleet: Fleet
    recorder: Recorder
    damage: list[str]
    replayed: int  # lines of the journal behind the checkpoint


def recovered(
    store: Store, clock: Clock, progress: Callable[[int, int], None] = lambda *_: None
) -> Recovered:
    """The fleet and the recorder as if nothing had happened.

    Raises CorruptError where the journal is damaged behind the last good checkpoint, TwinError
    for a line of a later release.
    """
    try:
        found = _recovered(store, clock, progress)
    except UnreadableError as exc:
        raise TwinError(unreadable(store.directory, str(exc))) from exc
    mark(store.directory)
    return found


def _recovered(store: Store, clock: Clock, progress: Callable[[int, int], None]) -> Recovered:
    damage: list[str] = []
    fleet = _starting_point(store, damage)
    order = store.journal.catalogue.order()
    if order is not None and fleet.offset < order.until:
        fleet, recorder = refolded(store.journal, store.trajectories, clock, order)
        replayed = fleet.offset
    else:
        recorder, replayed = Recorder(store.trajectories, fleet.rows), 0
    first, end = fleet.offset, store.journal.end
    for entries in _portions(store.journal, first):
        result = folded(fleet, lines(entries), clock)
        fleet = result.fleet
        recorder.add(result.rows)
        if recorder.rows - recorder.flushed >= FLUSH_ROWS:
            recorder.flush(recorder.rows // BLOCK * BLOCK)  # no part of a block that is on disk
        progress(fleet.offset - first, end - first)
    return Recovered(fleet, recorder, damage, replayed + fleet.offset - first)


def _portions(journal: Journal, offset: int) -> Iterator[list[Entry]]:
    """The entries from `offset` on, some thousand at a time."""
    portion: list[Entry] = []
    for _, entries in journal.read(offset):
        portion += entries
        if len(portion) >= LINES_A_FOLD:
            yield portion
            portion = []
    yield portion


def _starting_point(store: Store, damage: list[str]) -> Fleet:
    """The newest checkpoint that can be trusted together with its trajectory, or nothing."""
    for candidate in _candidates(store, damage):
        start = candidate.rows // BLOCK * BLOCK
        try:
            committed = store.trajectories.committed(KIND) if candidate.rows else 0
            if committed >= candidate.rows > start:
                store.trajectories.block(KIND, start)
        except (CorruptError, MissingError) as exc:
            damage.append(f"trajectory rows from {start}: {exc}")
            continue
        if committed >= candidate.rows:
            return candidate
        damage.append(f"trajectory ends at row {committed}, before {candidate.rows}")
    return EMPTY


def _candidates(store: Store, damage: list[str]) -> Iterator[Fleet]:
    for entry in store.journal.catalogue.checkpoints():  # newest first
        try:
            yield restored(*store.checkpoints.read(entry.name, entry.sha256))
        except OtherFormatError as exc:  # the journal is folded instead
            log.info("checkpoint_passed_over", name=entry.name, reason=str(exc))
        except (CorruptError, MissingError, ValueError, KeyError) as exc:
            damage.append(f"checkpoint {entry.name}: {exc}")
