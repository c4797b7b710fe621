"""What is told of what happens: events, states for the broker, metrics that count, the log."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import cast

import structlog

from twin.belief.events import Event, Events
from twin.belief.fleet import Fleet
from twin.belief.segments import Note
from twin.broker_session import Gone
from twin.event_log import EventLog
from twin.metrics import Metrics
from twin.publish.changes import StateChanges
from twin.publish.outbox import Outbox

log = structlog.get_logger()


class News:
    """Owns the events, and passes on to everybody what is worth telling."""

    def __init__(self, metrics: Metrics) -> None:
        self.events = Events(first_id=time.time_ns() // 1000)
        self.changes = StateChanges()
        self.outbox: Outbox | None = None  # where states are published
        self.metrics = metrics
        self._log = EventLog()
        self.letters = self._log.letters
        self.sum_up = self._log.sum_up

    def tell(self, notes: Sequence[Note]) -> None:
        """Count, log and pass on what has happened."""
        self.metrics.implausible.inc(sum(note.kind == "implausible" for note in notes))
        for note in notes:
            if note.kind == "quality":
                self.metrics.doubted(
                    str(note.data["reason"]), int(cast(int, note.data["set_aside"]))
                )
            if note.kind == "surprise":
                self.metrics.surprises.labels(str(note.data["outcome"])).inc()
            if note.kind == "ahead":
                log.warning("clock_ahead", component=note.component, **note.data)
            if note.kind == "life_unknown":
                self.metrics.lives_unknown.inc()
                log.error("remaining_life_unknown", component=note.component, **note.data)
        self._log.notes(notes)
        events = self.events.added(notes)
        if self.outbox is not None:
            self.outbox.add(events)

    def states(self, fleet: Fleet, names: Collection[str]) -> None:
        """Tell the states of these components, as far as they are others than those told last."""
        self.tell(list(self.changes.of(fleet, names)))

    def grown_stale(self, fleet: Fleet) -> None:
        """Tell the states that have changed by the clock alone."""
        self.tell(list(self.changes.grown_stale(fleet)))

    def begin(self, fleet: Fleet) -> bool:
        """Publish all states: the broker may have been away. False: they are not published."""
        if self.outbox is None:
            return False
        self.outbox.take_back(n for n, c in fleet.components.items() if c.retired)
        self.publish(self.changes.at_start(fleet))
        return True

    def publish(self, states: Iterable[Note]) -> None:
        """Publish states that are no news."""
        if self.outbox is not None:
            self.outbox.add(Event(0, *note) for note in states)

    @property
    def waiting(self) -> int:
        """How many messages wait for the broker."""
        return 0 if self.outbox is None else self.outbox.waiting

    def forgotten(self, gone: Gone) -> None:
        """Count, log and tell that the broker has not kept our session."""
        self.metrics.sessions_gone.labels(gone.why).inc()
        say = log.warning if gone.why == "expired" else log.error
        say("broker_session_gone", why=gone.why, reason=gone.sentence)
        data = {"why": gone.why, "away_s": round(gone.away_s), "reason": gone.sentence}
        self.tell([Note("session", "", time.time_ns(), data)])
