"""What the log says of what happens: a line for each kind that is new, counts after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from storage.entry import DeadLetter
from twin.fleet import Fleet
from twin.fold import Note

SUMMARY_S = 60.0  # between two lines that count refused messages of a reason
TOPIC = 200  # characters of a topic that are logged

log = structlog.get_logger()


class Telling:
    """Remembers what the log has said."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()  # refused since the last line, by reason
        self._known: set[str] = set()
        self._summed_s = 0.0
        self._broken: dict[str, NDArray[np.bool_]] = {}  # of each cohort, as of the last fold

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
        """Tell each crack that has reached its limit."""
        for note in notes:
            if note.kind == "limit":
                log.warning("limit_reached", component=note.component, **note.data)

    def recovered(self, fleet: Fleet) -> None:
        """What is broken at the start is no news."""
        self._broken = {key: _broken(fleet, key) for key in fleet.cohorts}

    def fractures(self, fleet: Fleet) -> None:
        """Tell each part that counts as broken since the last fold."""
        for key, cohort in fleet.cohorts.items():
            now = _broken(fleet, key)
            before = np.zeros(len(now), bool)
            known = self._broken.get(key, before)[: len(now)]
            before[: len(known)] = known
            for row in np.flatnonzero(now & ~before).tolist():
                if cohort.members[row]:
                    length = float(cohort.state.length[row].mean())
                    log.error("part_fractured", component=cohort.members[row], crack_length=length)
            self._broken[key] = now


def _broken(fleet: Fleet, key: str) -> NDArray[np.bool_]:
    broken: NDArray[np.bool_] = fleet.cohorts[key].state.fractured.numpy().copy()
    return broken
