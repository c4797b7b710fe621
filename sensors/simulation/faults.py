"""What happens to messages between a simulated sensor and the broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sensors.payload.encode import EncodedMessage
from sensors.timed import Timed


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities for each message, and times [s]."""

    loss: float = 0.0005
    silence: float = 0.00002  # that a gap of `silence_s` begins
    silence_s: float = 30.0
    duplicate: float = 0.002
    late: float = 0.002
    late_s: float = 12.0  # at most
    malformed: float = 0.0005

    def __post_init__(self) -> None:
        for name in ("loss", "silence", "duplicate", "late", "malformed"):
            rate = getattr(self, name)
            if not 0.0 <= rate <= 1.0:
                raise ValueError(f"the rate {name} = {rate} is not between 0 and 1")


TYPICAL = Rates()
NO_FAULTS = Rates(loss=0.0, silence=0.0, duplicate=0.0, late=0.0, malformed=0.0)

# Each replaces bytes that JSON and MessagePack share by as many others, for a field that
# nobody knows in the place of one that is needed.
_DAMAGE = (
    (b"unit", b"unti"),
    (b"source", b"suorce"),
    (b"time", b"tmie"),
    (b"seq", b"sqe"),
)


class LossyLink:
    """The way of one part's messages: it loses, repeats, delays and damages some."""

    def __init__(self, rates: Rates, rng: np.random.Generator) -> None:
        self._rates, self._rng = rates, rng
        self._silent_until_ns = 0

    def delivered(self, timed: Timed) -> Iterator[Timed]:
        """What arrives of a genuine message, not necessarily in order."""
        rates = self._rates
        lost, silence, duplicate, late, malformed, wait = self._rng.random(6).tolist()
        if silence < rates.silence:
            self._silent_until_ns = timed.t_ns + round(rates.silence_s * 1e9)
        if lost < rates.loss or timed.t_ns < self._silent_until_ns:
            return
        if malformed < rates.malformed:
            yield timed._replace(message=self._damaged(timed.message), fault="malformed")
        if late < rates.late:
            timed = timed._replace(t_ns=timed.t_ns + round(wait * rates.late_s * 1e9), fault="late")
        yield timed
        if duplicate < rates.duplicate:
            yield timed._replace(t_ns=timed.t_ns + round(wait * 2e9) + 1, fault="duplicate")

    def _damaged(self, message: EncodedMessage) -> EncodedMessage:
        """The message cut short, or with a field missing."""
        kind = int(self._rng.integers(len(_DAMAGE) + 1))
        if message.properties:
            rest = dict(message.properties)
            del rest["time"]
            return message._replace(properties=rest)
        if kind == len(_DAMAGE):
            return message._replace(payload=message.payload[: len(message.payload) // 2])
        return message._replace(payload=message.payload.replace(*_DAMAGE[kind], 1))
