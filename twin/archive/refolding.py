"""The fold of the journal in event-time order, step by step, beside whatever else goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from storage.journal.catalogue import Order
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.trajectories.trajectories import Trajectories
from twin.archive.in_time import InTime
from twin.archive.recorder import FLUSH_ROWS, Recorder
from twin.belief.fleet import EMPTY, FOREVER_NS, Clock, Fleet
from twin.belief.fold import folded, with_lives
from twin.belief.lines import lines
from twin.pace import Pace

LINES_A_FOLD = 1_000

Rest = Callable[[float], None]  # told how long a piece of work took [s]; may wait, or raise


class Refold:
    """Owns a fleet and its trajectory; one thread uses it.

    The first step takes all but the latest lines, each later one what has come meanwhile, and the
    last one all that is left: so that nothing that lies between has to be folded a second time.
    """

    def __init__(
        self,
        journal: Journal,
        trajectories: Trajectories,
        clock: Clock,
        *,
        rest: Rest = lambda _: None,
        adopt: Callable[[Sequence[Entry]], None] = lambda _: None,
        flush: Callable[[Recorder], None] = lambda recorder: recorder.flush_blocks(),
    ) -> None:
        self.fleet: Fleet = EMPTY
        self.recorder = Recorder(trajectories, EMPTY.recorded)
        self.steps: list[tuple[int, int]] = []
        self._clock = clock
        self._sorting = InTime(
            journal, pace_ns=clock.record_every_ns, max_jump_ns=clock.max_jump_ns
        )
        self._rest, self._adopt, self._flush = rest, adopt, flush
        self._pace = Pace(LINES_A_FOLD)

    def order(self, generation: int) -> Order:
        """What gives the same again."""
        clock = self._clock
        return Order(generation, list(self.steps), clock.record_every_ns, clock.max_jump_ns)

    def advance(self, until: int, margin_ns: int) -> int:
        """Take the lines before `until` but the latest; how many are left."""
        began = perf_counter()
        for _ in self._sorting.learn(until):
            self._rest(perf_counter() - began)
            began = perf_counter()
        self._take(until, self._sorting.latest_ns - margin_ns, self._rest)
        return self._sorting.waiting

    def finish(self, until: int) -> None:
        """Take all lines before `until` without rest, and bring all rows to disk."""
        self.step(until, FOREVER_NS)
        self.recorder.flush()

    def step(self, until: int, up_to_ns: int, rest: Rest = lambda _: None) -> None:
        """Take the lines before an offset, and up to a time, that are not taken yet."""
        for _ in self._sorting.learn(until):
            rest(0.0)
        self._take(until, up_to_ns, rest)

    def _take(self, until: int, up_to_ns: int, rest: Rest = lambda _: None) -> None:
        for portion in self._sorting.taken(up_to_ns):
            self._adopt(portion)
            start = 0
            while start < len(portion):
                began, stop = perf_counter(), start + self._pace.lines
                self._fold(portion[start:stop])
                took, start = perf_counter() - began, stop
                self._pace.took(self._pace.lines, took)
                rest(took)
        self.fleet = with_lives(self.fleet)
        if not self.steps:  # in its place: nothing of it is behind
            self.fleet = replace(self.fleet, behind={})
        self.steps.append((until, up_to_ns))

    def _fold(self, entries: Sequence[Entry]) -> None:
        result = folded(self.fleet, lines(entries), self._clock, goes_on=True)
        self.fleet = result.fleet
        self.recorder.add(result.rows)
        if self.recorder.waiting >= FLUSH_ROWS:
            self._flush(self.recorder)


def refolded(
    journal: Journal,
    trajectories: Trajectories,
    clock: Clock,
    order: Order,
    *,
    rest: Rest = lambda _: None,
    flush: Callable[[Recorder], None] = lambda recorder: recorder.flush_blocks(),
) -> tuple[Fleet, Recorder]:
    """The fleet and the recorder that an order gives."""
    clock = replace(clock, record_every_ns=order.pace_ns, max_jump_ns=order.max_jump_ns)
    refold = Refold(journal, trajectories, clock, flush=flush)
    for until, up_to_ns in order.steps:
        refold.step(until, up_to_ns, rest)
    return refold.fleet, refold.recorder
