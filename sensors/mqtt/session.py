"""What a broker says of the session that it keeps for us.

Its word at a connection (*session present*) is not enough: who connects under our client id can
leave a session behind that has neither our subscriptions nor what waited for us. So a topic that
brokers retain (mosquitto: how long it has been up) is subscribed to with retain handling 1 (OASIS,
MQTT 5.0, 3.8.3.1): what is retained comes only where that subscription is new, and later news of it
say since when the broker is the one that it is.
"""

from __future__ import annotations

import re
from typing import Protocol

UPTIME = "$SYS/broker/uptime"  # mosquitto: "1234 seconds", again every `sys_interval`
SYSTEM = "$"  # topics that begin so are the broker's own (4.7.2)
_seconds = re.compile(rb"\s*(\d{1,12})(?:\.\d+)?\s*(?:s|seconds?)?\s*").fullmatch


class Session(Protocol):
    """Who is told about our session at the broker."""

    def connected(self, *, is_kept: bool, expiry_s: int) -> None:
        """A connection stands, to a session that was there already or to a new one.

        The broker keeps it for `expiry_s` after the connection has ended.
        """

    def subscribed(self, *, is_signed: bool) -> None:
        """All subscriptions stand; with `is_signed` also the one that shows whether it is new."""

    def signed(self, up_s: float, *, is_new: bool) -> None:
        """The broker has been up for so long; `is_new` says that our subscription to that is."""

    def ended(self) -> None:
        """The connection ended."""


class Unwatched:
    """Nobody is told."""

    def connected(self, *, is_kept: bool, expiry_s: int) -> None:
        """Pass it by."""

    def subscribed(self, *, is_signed: bool) -> None:
        """Pass it by."""

    def signed(self, up_s: float, *, is_new: bool) -> None:
        """Pass it by."""

    def ended(self) -> None:
        """Pass it by."""


def uptime(topic: str, payload: bytes) -> float | None:
    """How long the broker has been up [s], if that is what it says."""
    if topic != UPTIME or (found := _seconds(payload)) is None:
        return None
    return float(found[1])
