"""A message and the moment at which it is due."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sensors.payload.encode import EncodedMessage

Fault = Literal["", "late", "duplicate", "malformed"]
Registration = dict[str, Any]  # a `[[component]]` table of the fleet file, in SI units


class Renewal(NamedTuple):
    """A part whose life is over, and the fresh one that takes its place."""

    old: str  # its "site/component"
    fresh: Registration


class Timed(NamedTuple):
    """What goes over the wire, when, and what is wrong with it."""

    t_ns: int  # when it is due, on the clock of its own event times [ns since 1970, UTC]
    message: EncodedMessage
    fault: Fault = ""

    @property
    def genuine(self) -> bool:
        """Whether a twin must count it: well-formed and not sent before."""
        return self.fault in ("", "late")
