"""The times of a recording: counts since its start or since 1970, and dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from sensors.instant import rfc3339
from sensors.limits import LATEST_NS
from sensors.refusal import shown
from sensors.replay.file import unreadable
from sensors.replay.head import Head
from sensors.replay.rows import column

_SECOND_NS = 1_000_000_000
_OF_1970_NS = 10**17  # so long since the start is since 1970: it is three years
_PLAUSIBLE_NS = 631_152_000_000_000_000  # 1990: what counts since then tells its unit by its size
_TICKS: Final = (10**9, 10**6, 10**3, 1)  # [ns]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACCEPTED = "accepted: 12.5, counts since 1970, 2026-11-20T10:00:00.25Z, 20.11.2026 10:00:00"

_DATES: Final = ("date", "datum", "timestamp", "zeitstempel")
_DAYS_OF_EXCEL = 30_000  # since 1900: 1982

_day = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", re.ASCII).fullmatch
_counted = re.compile(r"[+-]?(\d{1,19}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII).fullmatch
_fine = re.compile(r"(.*\d\d:\d\d:\d\d)[.,](\d{7,9})(\D.*)?", re.ASCII).fullmatch
_year_last = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})\b(.*)", re.ASCII | re.DOTALL).fullmatch
_slashed = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})\b(.*)", re.ASCII | re.DOTALL).fullmatch
_zone = re.compile(r"\s*(UTC|GMT|[+-]\d\d:?\d\d)$").search
_WHY: Final = (
    (re.compile(r"\d{1,2}[/-]\d{1,2}[/-]\d{4}"), "is its day or its month first? write the year "
     "first"),
    (re.compile(r"\d{1,2}:\d{2}"), "it has no date"),
    (re.compile(r".*[AaPp]\.?[Mm]\.?$"), "write hours of 24"),
)  # fmt: skip


class RecordingClock:
    """How the times of one file are read, which is the same for all of them."""

    def __init__(self, path: Path, head: Head, *, start_ns: int, swap_day_month: bool) -> None:
        self._path, self._head = path, head
        self._start_ns, self._swapped = start_ns, swap_day_month
        self._tick_ns, self._is_named = head.tick_ns, head.tick_ns is not None
        self._is_count: bool | None = None  # None: nothing was read yet
        self._is_of_1970 = False

    def t_ns(self, line: int, row: Sequence[str]) -> int:
        """The instant that a row names [ns since 1970, UTC]; raises MalformedError."""
        text, day = row[self._head.time or 0], self._head.day
        text = text if day is None or len(row) <= day else f"{row[day]} {text}"
        is_count = bool(_counted(text))
        try:
            if self._is_count is None:
                self._begin(text, is_count=is_count)
            if is_count is not self._is_count:
                raise ValueError(f"the rows before have {'dates' if is_count else 'numbers'}")
            return self._since(Decimal(text)) if is_count else self._dated(text)
        except ValueError as exc:
            raise unreadable(
                self._path, line, f"time {shown(text)} is not a time: {exc}{self._where}"
            ) from exc

    @property
    def _where(self) -> str:
        i = self._head.time
        return f" ({_ACCEPTED}; {column(self._head.names, i or 0)})"

    def _begin(self, text: str, *, is_count: bool) -> None:
        """Tell by the first time what all of them are.

        Of numbers since 1990 only one unit can be meant, where the head says none; all others are
        seconds since the start.
        """
        self._is_count = is_count
        if not is_count:
            return
        count = Decimal(text)
        if self._tick_ns is None:
            plausible = (t for t in _TICKS if _PLAUSIBLE_NS <= count * t < LATEST_NS)
            self._tick_ns = next(plausible, None)
        if self._tick_ns is None:
            self._check_elapsed(text)
            self._tick_ns = _SECOND_NS
        self._is_of_1970 = count * self._tick_ns > _OF_1970_NS

    def _check_elapsed(self, text: str) -> None:
        """Refuse what may be a date and not the seconds since the start."""
        if _day(text):
            raise ValueError("is it a date? write it like 2022-03-07")
        name = self._head.names[self._head.time or 0].lower()
        if name.startswith(_DATES) and Decimal(text) > _DAYS_OF_EXCEL:
            raise ValueError("is it a date of Excel? write it like 2022-03-07 10:00:00")

    def _since(self, count: Decimal) -> int:
        """The instant of a number: since the start, or since 1970."""
        elapsed = round(count * (self._tick_ns or _SECOND_NS))
        t_ns = elapsed if self._is_of_1970 else self._start_ns + elapsed
        if not 0 <= t_ns < LATEST_NS:
            raise ValueError(
                "not within 1970 to 2199"
                + ("" if self._is_named else "; a name such as `time (ms)` says its unit")
            )
        return t_ns

    def _dated(self, text: str) -> int:
        fine = _fine(text)
        more_ns = int(fine[2].ljust(9, "0")) if fine else 0
        plain = f"{fine[1]}{fine[3] or ''}" if fine else text
        try:
            moment = datetime.fromisoformat(_iso(plain))
        except ValueError as exc:
            told = (why for found, why in _WHY if found.match(text))
            raise ValueError(next(told, str(exc))) from exc
        if self._swapped:
            moment = moment.replace(month=moment.day, day=moment.month)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        t_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000 + more_ns
        if not 0 <= t_ns < LATEST_NS:
            raise ValueError("not within 1970 to 2199")
        return t_ns


def _iso(text: str) -> str:
    """A date as ISO 8601 writes it; of one that begins with the day, it stands before dots."""
    zone = _zone(text)
    body = text[: zone.start()] if zone else text
    if match := _year_last(body):
        day, month, year, rest = match.groups()
        body = f"{year}-{month:0>2}-{day:0>2}{rest}"
    elif match := _slashed(body):
        year, month, day, rest = match.groups()
        body = f"{year}-{month:0>2}-{day:0>2}{rest}"
    if not zone:
        return body
    return body + ("+00:00" if zone[1] in ("UTC", "GMT") else zone[1])


def not_rising(t_ns: int, before_ns: int, stated: float | None) -> str:
    """Why a time cannot follow another."""
    fault = f"the time does not rise: {rfc3339(t_ns)} after {rfc3339(before_ns)}"
    if t_ns < before_ns:
        return f"{fault}; sort the rows, or take out what was recorded twice"
    if stated:
        return f"{fault}, longer than a second at the stated {stated:g} Hz"
    return f"{fault}; where a logger writes too few decimals, say its rate (--rate)"
