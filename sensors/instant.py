"""Instants: RFC 3339 to integer nanoseconds, losing none of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sensors.errors import MalformedError
from sensors.limits import LATEST_NS
from sensors.refusal import malformed, shown

_SECOND_NS = 1_000_000_000
_PLAUSIBLE_NS = 631_152_000_000_000_000  # 1990: what a clock in another unit would say now
_UNITS = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3}  # [ns]

# Not `datetime.fromisoformat` alone: it reads much that is not RFC 3339, and cuts a fraction
# to microseconds without a word.
_rfc3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
).fullmatch


_number = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", re.ASCII).fullmatch


def nanoseconds(text: str, field: str = "time", *, earliest_ns: int = 0) -> int:
    """The instant [ns since 1970, UTC] of an RFC 3339 time with a zone.

    All nine digits of a fraction count; a tenth is refused, and so is a leap second (`:60`),
    which has no place in the count of seconds since 1970.

    Raises MalformedError: reason `time`: another form, no zone, before the earliest (1970 unless
    stated), or from 2200 on.
    """
    match = _rfc3339(text)
    if match is None:
        raise _not_a_time(text, field)
    date, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        seconds = datetime.fromisoformat(f"{date}T{clock}{zone}").timestamp()
    except (ValueError, OverflowError) as exc:
        raise malformed("time", f"{field} {shown(text)} is not a time: {exc}") from exc
    t_ns = int(seconds) * _SECOND_NS + int((fraction or "0").ljust(9, "0"))
    return checked(t_ns, text, field, earliest_ns=earliest_ns)


def _not_a_time(text: str, field: str) -> MalformedError:
    if _rfc3339(f"{text}Z"):
        return malformed("time", f"{field} {shown(text)} has no zone: add Z or ±hh:mm")
    if _number(text):
        return malformed(
            "time",
            f"{field} {shown(text)} is a number: a time is like 2026-11-20T10:00:00.25Z"
            + ("; nanoseconds since 1970 go into t_ns, as a whole number" * (field == "time")),
        )
    return malformed(
        "time",
        f"{field} {shown(text)} is not an RFC 3339 time with a zone and up to nine decimals,"
        " like 2026-11-20T10:00:00.25Z",
    )


def checked(t_ns: int, value: object, field: str = "t_ns", *, earliest_ns: int = 0) -> int:
    """The instant itself if it lies between the earliest and 2200.

    Raises MalformedError (reason `time`), which names the unit that it may have been given in.
    """
    if earliest_ns <= t_ns < LATEST_NS:
        return t_ns
    for name, factor in _UNITS.items():
        meant = t_ns * factor
        if _PLAUSIBLE_NS <= meant < LATEST_NS and not isinstance(value, str):
            raise malformed(
                "time",
                f"{field} {shown(value)} looks like {name}: t_ns counts nanoseconds, {meant} for "
                f"{rfc3339(meant)}",
            )
    if 0 <= t_ns < earliest_ns:
        raise malformed(
            "time",
            f"{field} {shown(value)} is {rfc3339(t_ns)[:10]}, before {rfc3339(earliest_ns)[:10]}: "
            "is the clock set? (ingest.earliest admits old recordings)",
        )
    raise malformed("time", f"{field} {shown(value)} is not between 1970 and 2200")


def rfc3339(t_ns: int) -> str:
    """The RFC 3339 text of an instant, in UTC, with as many decimals as it needs."""
    seconds, fraction = divmod(t_ns, _SECOND_NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{text}{decimals}Z"
