"""What the head of a recording says: which column is the time, and which are in a unit of load.

A unit stands behind its name: `stress [MPa]`, `σ (MPa)`, `stress / MPa`, `stress_MPa`, `strain µε`;
or alone (`µε`), or in a second row. It may be any that `sensors.units` knows. A time is named so,
in English or German, or `t`, with the unit of its numbers (`t [s]`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sensors.errors import MalformedError
from sensors.limits import LONGEST_SOURCE, SOURCE_CHARACTERS
from sensors.refusal import shown
from sensors.replay.rows import Row, is_number
from sensors.units import STRAIN, STRESS, load_unit

TICKS: Final = {  # of a count of time [ns]
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sek", "sekunden"), 10**9),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 10**6),
    **dict.fromkeys(("us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "microseconds"), 10**3),
    **dict.fromkeys(("ns", "nanoseconds"), 1),
    **dict.fromkeys(("min", "minutes"), 60 * 10**9),
    **dict.fromkeys(("h", "hours"), 3600 * 10**9),
}
_TIMES: Final = {
    *("timestamp", "datetime", "date", "epoch", "unix", "utc", "elapsed", "elapsed time", "t"),
    *("zeit", "zeitstempel", "zeitpunkt", "uhrzeit", "datum", "messzeit", "seconds"),
    *("date time", "date/time", "date_time", "unix time", "sample time"),
}
_DAYS, _HOURS = ("date", "datum"), ("time", "zeit", "uhrzeit", "time of day")
_NO_UNIT: Final = ("", "-", "utc", "gmt", "z", "iso", "iso 8601", "iso8601", "rfc 3339", "unix")

_bracketed = re.compile(r"(.*?)[\s_]*[(\[{<]\s*([^()\[\]{}<>]*?)\s*[)\]}>]", re.DOTALL).fullmatch
_slashed = re.compile(r"([^/]+?)\s*/\s*(.+)").fullmatch
_trailing = re.compile(r"(.+?)[\s_,]+([^\s_,]+)").fullmatch
_format = re.compile(r"[ymdhsfzt:./ \-+]*(yy|hh)[ymdhsfzt:./ \-+,]*", re.IGNORECASE).fullmatch
_illegal = re.compile(f"[^{SOURCE_CHARACTERS}]+").sub


class GaugeColumn(NamedTuple):
    """A column in a unit of load."""

    column: int
    name: str  # without its unit
    unit: str  # of those that go over the wire


class Head(NamedTuple):
    """What the first rows of a recording say."""

    line: int
    names: tuple[str, ...]
    time: int | None  # its column; None: there is none
    tick_ns: int | None  # what a number in it counts; None: seconds, or since 1970 by its size
    gauges: tuple[GaugeColumn, ...]
    rows: int  # 2 where the units stand in a row of their own
    day: int | None  # the column of dates, where times of day stand in another
    why: str  # what is missing, in words, where a column is not as it should be


def head(first: Sequence[Row]) -> Head:
    """What the first rows say; `why` where that is no time and gauges."""
    if not first:
        return Head(1, (), None, None, (), 1, None, "the file is empty")
    line, names = first[0]
    found = _head(line, names, 1)
    if not found.gauges and len(first) > 1 and len(first[1][1]) == len(names):
        joined = [
            f"{name} ({unit.strip('()[]{} ')})" if unit else name
            for name, unit in zip(names, first[1][1], strict=True)
        ]
        both = _head(line, joined, 2)
        if both.gauges:
            return both._replace(names=tuple(names))
    return found


def _head(line: int, names: Sequence[str], rows: int) -> Head:
    time, tick_ns, why = None, None, ""
    for i, name in enumerate(names):
        if (told := _time(name)) is not None:
            time, tick_ns, why = i, told.tick_ns, told.why
            break
    day, hour = (_only(names, words) for words in (_DAYS, _HOURS))
    if day is not None and hour is not None and why == "" and tick_ns is None:
        time = hour
    else:
        day = None
    gauges = tuple(_gauges(names, time))
    why = why or ("" if gauges else _no_gauge(names, time))
    return Head(line, tuple(names), time, tick_ns, gauges, rows, day, why)


def _only(names: Sequence[str], words: Sequence[str]) -> int | None:
    return next((i for i, name in enumerate(names) if name.lower() in words), None)


class _Time(NamedTuple):
    tick_ns: int | None
    why: str = ""


def _time(name: str) -> _Time | None:
    """What a column of times counts, None for another one."""
    bare = not _bracketed(name) and _is_time(name.lower())
    for word, unit in _parts(name):
        low = unit.lower()
        if not _is_time(word.lower()):
            continue
        if low in TICKS:
            return _Time(TICKS[low])
        if _bracketed(name):
            if low in _NO_UNIT or _format(low):
                return _Time(None)
            if word.lower() != "t":  # `T (degC)` is a temperature
                return _Time(
                    None, f"{shown(name)} is no time in s, ms, us, ns, min or h, nor in UTC"
                )
            return None
    return _Time(TICKS.get(name.lower())) if bare and name != "T" else None


def _is_time(word: str) -> bool:
    return word in _TIMES or word == "time" or word.startswith(("time_", "time ", "time-"))


def _parts(name: str) -> Iterator[tuple[str, str]]:
    """Name and unit, as they may be meant, the likeliest first."""
    for split in (_bracketed, _slashed, _trailing):
        if match := split(name):
            yield match[1].strip(), match[2].strip()


def _gauges(names: Sequence[str], time: int | None) -> Iterator[GaugeColumn]:
    for i, text in enumerate(names):
        if i != time and not is_number(text):
            for name, unit in (*_parts(text), (text, text)):
                if wire := wire_unit(unit):
                    yield GaugeColumn(i, name or text, wire)
                    break


def wire_unit(text: str) -> str | None:
    """The unit of load that a text names, as it goes over the wire."""
    try:
        quantity, unit = load_unit(text.replace("\\", "/"))
    except MalformedError:
        return None
    known = STRESS if quantity == "stress" else STRAIN
    return next(name for name, same in known.items() if same == unit)


def _no_gauge(names: Sequence[str], time: int | None) -> str:
    """Why no column is a gauge, by the units in brackets that are near to one."""
    for i, text in enumerate(names):
        if i != time and (match := _bracketed(text)):
            try:
                load_unit(match[2].replace("\\", "/"))
            except MalformedError as exc:
                if "meant" in str(exc):
                    return f"column {i + 1} ({shown(text)}): {exc}"
    return f"no column has a unit of stress or strain behind its name, like {_like(names, time)}"


def _like(names: Sequence[str], time: int | None) -> str:
    other = [name for i, name in enumerate(names) if i != time and not is_number(name) and name]
    name = other[0] if len(names) > 1 and other and len(other[0]) < 24 else "gauge"
    match = _bracketed(name)
    return f"'{match[1] if match else name} (um/m)'"


def source(name: str) -> str:
    """A gauge's name as that of an instrument: σ becomes sigma."""
    spelt = "".join(_spelt(letter) for letter in unicodedata.normalize("NFKC", name))
    return _illegal("-", spelt).lower().strip("-")[:LONGEST_SOURCE] or "gauge"


def _spelt(letter: str) -> str:
    if letter.isascii():
        return letter
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    words = unicodedata.name(letter, "").split()
    return plain or (words[-1].lower() if words and letter.isalpha() else "-")
