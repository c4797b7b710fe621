"""What every message carries, and how its form is told."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from sensors.errors import MalformedError
from sensors.instant import checked, nanoseconds
from sensors.limits import Limits
from sensors.payload.wire import WireKey
from sensors.refusal import malformed, shown
from sensors.unreadable import Form

FORMS: Final[dict[str, Form]] = {
    "application/json": "json",
    "application/msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",  # as registered with IANA
    "application/x-msgpack": "msgpack",
}


def event_time(wire: WireKey, limits: Limits) -> int:
    """The event time [ns]; raises MalformedError unless exactly one of two fields says it."""
    if wire.time is not UNSET and wire.t_ns is UNSET:
        return nanoseconds(wire.time, earliest_ns=limits.earliest_ns)
    if wire.t_ns is not UNSET and wire.time is UNSET:
        return checked(wire.t_ns, wire.t_ns, earliest_ns=limits.earliest_ns)
    if wire.time is UNSET:
        raise malformed("time", "time is missing, and t_ns too: a message carries one of them")
    both = f"time {shown(wire.time)} and t_ns {shown(wire.t_ns)}"
    raise malformed("time", f"{both} are both given: a message carries one of them")


def too_large(field: str, value: float, largest: float, si: str) -> MalformedError:
    """The refusal of a magnitude that no part survives, whose limit is in the SI unit."""
    return malformed("value", f"{field} is {value}: beyond ±{largest:g} {si}, is the unit right?")
