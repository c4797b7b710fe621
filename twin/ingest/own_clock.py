"""Whether it is this host's clock that is wrong, where messages come from ahead of it.

A sensor whose clock is ahead is refused. But where nobody agrees with this host's clock, and most
of those who are known are ahead of it, it is this clock that is behind: then nothing is refused and
nothing acknowledged until it is put right. A source that goes with this clock says that it is
right, for as long as it is not set; messages from the past that are made up for pass any clock by.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from twin.errors import TwinError

SET_NS = 10 * 10**9  # a clock that moves by more than that against the monotonic one was set
NEAR_NS, APART_NS = 60 * 10**9, 5 * 10**8  # of a message and this clock, of two of a source
MOST = 10_000  # sources that are remembered
TOO_FEW = 3  # messages of one source alone, before it is believed against this clock

Source = tuple[str, str]  # component, source


class HeldError(TwinError):
    """Our own clock is not believed: nothing is refused and nothing acknowledged meanwhile."""


class FleetTime(NamedTuple):
    """What the fleet knows of time."""

    watermark_ns: int
    sources: int  # heard near the watermark
    components: int  # not retired


class OwnClock:
    """Weighs this host's clock against those of the sources."""

    def __init__(self, known: Callable[[], FleetTime], max_ahead_ns: int) -> None:
        self._known, self._max_ahead_ns = known, max_ahead_ns
        self._agreed_ns: int | None = None  # of wall time over the monotonic one, when one agreed
        self._ahead: dict[Source, int] = {}  # messages of each since then
        self._heard: dict[Source, tuple[int, int]] = {}  # those that were not: its time, and when

    def on_time(self, source: Source, t_ns: int) -> None:
        """Take in that a message of a source was not ahead."""
        now_ns = time.monotonic_ns()
        before_ns, heard_ns = self._heard.get(source, (0, 0))
        passed_ns = now_ns - heard_ns
        if heard_ns and passed_ns < APART_NS:
            return
        if source in self._heard or len(self._heard) < MOST:
            self._heard[source] = t_ns, now_ns
        is_near = abs(t_ns - time.time_ns()) <= max(self._max_ahead_ns, NEAR_NS)
        if heard_ns and is_near and 0 < t_ns - before_ns < 2 * passed_ns + NEAR_NS // 10:
            self._agreed_ns = _offset_ns()
            self._ahead.clear()

    def ahead(self, source: Source) -> None:
        """Take in that a message of a source was ahead."""
        if source in self._ahead or len(self._ahead) < MOST:
            self._ahead[source] = self._ahead.get(source, 0) + 1

    def require_believed(self, t_ns: int) -> None:
        """Raises HeldError if a message of time `t_ns`, which is ahead, says that we are behind."""
        if self._agreed_ns is not None and abs(_offset_ns() - self._agreed_ns) < SET_NS:
            return
        known, now_ns = self._known(), time.time_ns()
        count = len(self._ahead)
        several = count > 1 or sum(self._ahead.values()) >= TOO_FEW
        heard = len(self._heard.keys() | self._ahead.keys())
        most = 2 * count > max(known.sources, heard, min(2, known.components))
        if known.watermark_ns <= now_ns + self._max_ahead_ns and not (most and several):
            return
        behind_s = (max(t_ns, known.watermark_ns) - now_ns) / 1e9
        who = f"{count} sources" if count != 1 else "the only source that is heard"
        raise HeldError(
            f"this host's clock is {behind_s:.0f} s behind that of {who}, and nobody agrees with "
            "it: nothing is acknowledged and nothing refused until it is right. Set it (NTP), or "
            "that of the sources; ingest.max_ahead_s says how far ahead is allowed"
        )


def _offset_ns() -> int:
    return time.time_ns() - time.monotonic_ns()
