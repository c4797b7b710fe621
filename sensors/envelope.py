"""What every message carries, and how its form is told."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from sensors.errors import MalformedError
from sensors.instant import checked, nanoseconds
from sensors.refusal import Form, malformed, shown
from sensors.wire import WireKey

FORMS: Final[dict[str, Form]] = {
    "application/json": "json",
    "application/msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",  # as registered with IANA
    "application/x-msgpack": "msgpack",
}


def event_time(wire: WireKey) -> int:
    """The event time [ns]; raises MalformedError unless exactly one of two fields says it."""
    if wire.time is not UNSET and wire.t_ns is UNSET:
        return nanoseconds(wire.time)
    if wire.t_ns is not UNSET and wire.time is UNSET:
        return checked(wire.t_ns, wire.t_ns)
    raise malformed(
        "time", f"exactly one of time and t_ns is needed, not {_both(wire.time, wire.t_ns)}"
    )


def _both(time: str | UnsetType, t_ns: int | UnsetType) -> str:
    return "none" if time is UNSET else f"{shown(time)} and {shown(t_ns)}"


def too_large(field: str, value: float, largest: float) -> MalformedError:
    """The refusal of a magnitude."""
    return malformed("value", f"{field} is {value}: more than ±{largest:g} in SI units")
