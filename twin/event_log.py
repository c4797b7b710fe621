"""What the log says of what happens: a line for each kind that is new, counts after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog

from storage.journal.entry import DeadLetter
from twin.belief.segments import Note

SUMMARY_S = 60.0  # between two lines that count refused messages of a reason
TOPIC = 200  # characters of a topic that are logged

log = structlog.get_logger()


class EventLog:
    """Remembers what the log has said."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()  # refused since the last line, by reason
        self._known: set[str] = set()
        self._summed_s = 0.0

    def letters(self, dead: Sequence[DeadLetter]) -> None:
        """Tell the first refused message of its reason since the start; count the others."""
        for letter in dead:
            if letter.reason in self._known:
                self._waiting[letter.reason] += 1
                continue
            self._known.add(letter.reason)
            log.warning(
                "message_refused",
                reason=letter.reason,
                why=letter.sentence,
                topic=letter.topic[:TOPIC],
                more="counted from now on; twin dead-letters list has each",
            )

    def sum_up(self, now_s: float) -> None:
        """Tell how many were refused since, not more often than once a minute."""
        if not self._waiting or now_s - self._summed_s < SUMMARY_S:
            return
        for reason, count in self._waiting.items():
            log.warning("messages_refused", reason=reason, count=count)
        self._waiting.clear()
        self._summed_s = now_s

    def notes(self, notes: Sequence[Note]) -> None:
        """Tell each belief that has reached its limit or ended, and each part that has broken."""
        for note in notes:
            if note.kind == "limit":
                log.warning("limit_reached", component=note.component, **note.data)
            if note.kind == "ended":
                log.error("belief_ended", component=note.component, **note.data)
            if note.kind == "fractured":
                log.error("part_fractured", component=note.component, **note.data)
