"""Where lines of the journal are cut: at record ticks, and where the times of others are believed.

What a fold of lines does to the clocks is here; what it does to the components is in `fold`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sensors.limits import LATEST_NS
from sensors.observation import AnyObservation, ImageFinding, Snapshot
from sensors.payload.sound import fault
from twin.belief.assimilate import t_end_ns
from twin.belief.events import Value
from twin.belief.fleet import Clock, Fleet
from twin.belief.watermark import DERIVED, NEVER, Clocks, Watching
from twin.component import Component


class Line(NamedTuple):
    """One line of the journal, decoded."""

    component: str
    what: AnyObservation | Component
    t_ns: int | None = None  # that it counts with, where its own clock is not believed

    @property
    def is_registration(self) -> bool:
        """Whether it says what a component is, not what happened to it."""
        return isinstance(self.what, Component)


class Note(NamedTuple):
    """Something worth telling that happened, in a fold or outside of it: see `events.KINDS`."""

    kind: str
    component: str
    t_ns: int
    data: Mapping[str, Value]


class Segment(NamedTuple):
    """Lines between which nothing passes, and what goes before them."""

    tick_ns: int | None  # the record tick that has passed
    dates: Sequence[tuple[str, int]]  # components, and times of evidence that are believed now
    lines: Sequence[Line]
    notes: Sequence[Note] = ()  # on clocks, and on lines that have no time


class Plan(NamedTuple):
    """Where lines are cut, and what the clocks are after them."""

    segments: list[Segment]
    watermark_ns: int
    clocks: Clocks
    behind: Mapping[str, int]  # observations to be caught up, by component


def planned(fleet: Fleet, lines: Sequence[Line], clock: Clock) -> Plan:
    """What a fold of `lines` has to go through."""
    watching, behind = _watching(fleet, clock), dict(fleet.behind)
    segments = list(_segments(watching, lines, clock, behind))
    return Plan(segments, watching.watermark_ns, watching.clocks(), behind)


def _watching(fleet: Fleet, clock: Clock) -> Watching:
    return Watching(
        fleet.watermark_ns,
        fleet.clocks,
        max_jump_ns=clock.max_jump_ns,
        pace_ns=clock.record_every_ns,
        is_recorded=fleet.recorded_ns != NEVER,
    )


def _segments(
    watching: Watching,
    lines: Sequence[Line],
    clock: Clock,
    behind: dict[str, int],
) -> Iterator[Segment]:
    """The lines, cut before each one that moves the watermark past a record tick.

    And before each one that confirms the times of others. A line whose clock is not believed
    gets the time of the others' clocks. Those too far behind are counted in `behind`.
    """
    tick: int | None = None
    dates: list[tuple[str, int]] = []
    ready: list[Line] = []
    notes: list[Note] = []
    passed = clock.tick_ns(max(watching.watermark_ns, 0))
    for line in lines:
        if isinstance(line.what, Component):
            ready.append(line)
            continue
        if why := fault(line.what):  # it has no time: it moves no clock, and is passed over below
            notes.append(_unsound(line.component, line.what, why))
            ready.append(line)
            continue
        before, seen_ns = watching.watermark_ns, t_end_ns(line.what) - clock.lateness_ns
        is_believed = _heard(watching, line.what, seen_ns)
        kept = line if is_believed else _held(watching, line, clock, notes)
        if before - seen_ns > clock.behind_ns:
            _fallen_behind(line, before, behind, notes)
        is_within = before <= watching.watermark_ns < passed + clock.record_every_ns
        if not is_within or watching.moves or watching.released:
            ticks = _ticks(watching, before, passed, clock)
            passed = clock.tick_ns(max(watching.watermark_ns, 0))
            if ticks or watching.released:
                yield Segment(tick, dates, ready, notes)
                dates, ready, notes = _released(watching, clock), [], []
                for skipped in ticks[:-1]:
                    yield Segment(skipped, dates, ())
                    dates = []
                tick = ticks[-1] if ticks else None
                watching.is_recorded = watching.is_recorded or bool(ticks)
        ready.append(kept)
    yield Segment(tick, dates, ready, notes)


def _heard(watching: Watching, o: AnyObservation, seen_ns: int) -> bool:
    """Whether the clock of an observation is believed."""
    if isinstance(o, ImageFinding) or o.source == DERIVED:
        return watching.derived(seen_ns)
    return watching.heard((o.component, o.source), seen_ns, evidence=not isinstance(o, Snapshot))


def _fallen_behind(
    line: Line, watermark_ns: int, behind: dict[str, int], notes: list[Note]
) -> None:
    """Count evidence that is far behind; the first of a component is told."""
    if isinstance(line.what, Component | ImageFinding | Snapshot):
        return
    if line.component not in behind:
        t_ns = t_end_ns(line.what)
        data: dict[str, float | str | int] = {
            "state": "behind",
            "behind_s": (watermark_ns - t_ns) / 1e9,
        }
        notes.append(Note("backfill", line.component, t_ns, data))
    behind[line.component] = behind.get(line.component, 0) + 1


def _held(watching: Watching, line: Line, clock: Clock, notes: list[Note]) -> Line:
    """The line with the time of the others' clocks; told once for each source."""
    o, now_ns = line.what, watching.watermark_ns + clock.lateness_ns
    if isinstance(o, Component | ImageFinding) or o.source == DERIVED:
        return line._replace(t_ns=now_ns)
    if watching.is_new((o.component, o.source)):
        ahead_s = (t_end_ns(o) - now_ns) / 1e9
        data: dict[str, float | str | int] = {"source": o.source, "ahead_s": ahead_s}
        notes.append(Note("ahead", line.component, now_ns, data))
    return line._replace(t_ns=now_ns)


def _unsound(component: str, o: AnyObservation, why: str) -> Note:
    """That an observation was left out which is nothing to be stepped by."""
    data: dict[str, Value] = {"why": why, "source": o.source, "boot": o.boot, "seq": o.seq}
    return Note("implausible", component, o.t_ns if 0 <= o.t_ns < LATEST_NS else 0, data)


def _ticks(watching: Watching, before: int, passed: int, clock: Clock) -> list[int]:
    """The record ticks that the watermark has passed: one, or one for each step of a jump."""
    steps = watching.moves or [watching.watermark_ns]
    watching.moves = []
    ticks = sorted({clock.tick_ns(step) for step in steps if step > before})
    return [tick for tick in ticks if tick > passed] if before != NEVER else []


def _released(watching: Watching, clock: Clock) -> list[tuple[str, int]]:
    dates = [(name, seen_ns + clock.lateness_ns) for name, seen_ns in watching.released]
    watching.released = []
    return dates
