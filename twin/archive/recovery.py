"""From what is on disk to what was believed: the last good checkpoint, then the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import NamedTuple

import structlog

from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.store import Store
from twin.archive.checkpoint import restored
from twin.archive.mending import (
    mended_trajectory,
    require_no_later_state,
    whole_states,
    with_what_is_left,
)
from twin.archive.recorder import BLOCK, FLUSH_ROWS, Recorder
from twin.archive.refolding import refolded
from twin.archive.release import mark, unreadable
from twin.archive.remedies import dropped, remedied, with_remedy
from twin.belief.fleet import EMPTY, Clock, Fleet
from twin.belief.fold import folded, with_lives
from twin.belief.leaves import OtherFormatError
from twin.belief.lines import lines
from twin.errors import TwinError, UnreadableError
from twin.kinds.crack_fields import GROUP
from twin.pace import Pace

LINES_A_FOLD, BYTES_A_FOLD = 10_000, 4 << 20  # that are folded before a stop is looked for

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

    It writes what it must, and nothing where the disk does not obey. `progress` is told how many
    lines of how many are folded, and may raise to end it.
    Raises CorruptError where the journal is damaged behind the last good checkpoint, TwinError for
    a line of a later release. Where the history of a state that is whole is damaged, and cannot be
    made again, the state goes on.
    """
    try:
        found = _recovered(store, clock, progress)
    except UnreadableError as exc:
        raise TwinError(unreadable(store.directory, str(exc))) from exc
    mark(store.directory)
    return found


def _recovered(store: Store, clock: Clock, progress: Callable[[int, int], None]) -> Recovered:
    progress(0, store.journal.end)
    with remedied(store.directory):
        require_no_later_state(store)
    damage = [*store.damage, *mended_trajectory(store)]
    try:
        return _replayed(store, _starting_point(store, damage), clock, progress, damage)
    except StorageError as exc:
        if isinstance(exc, UnavailableError):
            raise
        why = exc
    for _, whole in whole_states(store):  # though its history is not whole
        with remedied(store.directory):
            for _ in store.journal.read(whole.offset):  # before anything is cut for its sake
                pass
        fleet = with_what_is_left(store, whole, clock, damage)
        return _replayed(store, fleet, clock, progress, damage)
    if isinstance(why, CorruptError):
        raise CorruptError(with_remedy(str(why), store.directory)) from why
    raise dropped(store.journal.start, store.directory, damage) from why


def _replayed(
    store: Store,
    fleet: Fleet,
    clock: Clock,
    progress: Callable[[int, int], None],
    damage: list[str],
) -> Recovered:
    """The state after what the journal says behind it."""
    order = store.journal.catalogue.order()
    if order is not None and fleet.offset < order.until:
        fleet, recorder = refolded(
            store.journal,
            store.trajectories,
            clock,
            order,
            rest=lambda _: progress(0, order.until),
            flush=_flush,
        )
        replayed = fleet.offset
    else:
        recorder, replayed = Recorder(store.trajectories, fleet.recorded), 0
    first, end = fleet.offset, store.journal.end
    pace = Pace(LINES_A_FOLD)
    for entries in _portions(store.journal, first, pace):
        began = perf_counter()
        result = folded(fleet, lines(entries), clock, goes_on=True)
        fleet = result.fleet
        recorder.add(result.rows)
        if recorder.waiting >= FLUSH_ROWS:
            _flush(recorder)
        pace.took(len(entries), perf_counter() - began)
        progress(fleet.offset - first, end - first)
    fleet = with_lives(fleet)
    recorder.settle(fleet.members)
    damage += recorder.cut
    return Recovered(fleet, recorder, damage, replayed + fleet.offset - first)


def _flush(recorder: Recorder) -> None:
    """Write whole shards on the way; they wait in memory where the disk does not obey."""
    try:
        recorder.flush_blocks()
    except UnavailableError as exc:
        log.warning("rows_wait", rows=recorder.waiting, reason=str(exc))


def _portions(journal: Journal, offset: int, pace: Pace) -> Iterator[list[Entry]]:
    """The entries from `offset` on, as many at a time as are folded soon, or some megabytes."""
    portion, size = list[Entry](), 0
    for _, entries in journal.read(offset):
        for entry in entries:
            portion.append(entry)
            size += len(entry.body)
            if len(portion) >= pace.lines or size >= BYTES_A_FOLD:
                yield portion
                portion, size = [], 0
    yield portion


def _starting_point(store: Store, damage: list[str]) -> Fleet:
    """The newest checkpoint that can be trusted together with its trajectory, or nothing."""
    for candidate in _candidates(store, damage):
        why = [_lacking(store, group, rows) for group, rows in candidate.recorded.items()]
        if not any(why):
            return candidate
        # several checkpoints may share the rows that cannot be read
        damage += [said for said in why if said and said not in damage]
    return EMPTY


def _lacking(store: Store, group: str, rows: int) -> str:
    """Why so many rows of a group cannot be gone on from; empty if they can."""
    start = rows // BLOCK * BLOCK
    of = "" if group == GROUP else f" of {group}"
    try:
        committed = store.trajectories.committed(group) if rows else 0
        if committed >= rows > start:
            store.trajectories.block(group, start)
    except (CorruptError, MissingError) as exc:
        return f"trajectory{of} rows from {start}: {exc}"
    if committed >= rows:
        return ""
    return f"trajectory{of} ends at row {committed}, before {rows}"


def _candidates(store: Store, damage: list[str]) -> Iterator[Fleet]:
    for entry in store.journal.catalogue.checkpoints():  # newest first
        try:
            yield restored(*store.checkpoints.read(entry.name, entry.sha256))
        except OtherFormatError as exc:  # the journal is folded instead
            log.info("checkpoint_passed_over", name=entry.name, reason=str(exc))
        except (CorruptError, MissingError, ValueError, KeyError) as exc:
            damage.append(f"checkpoint {entry.name}: {exc}")
