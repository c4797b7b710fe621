"""What can go wrong between a wire and a number.

* SensorError
  + MalformedError   a message that cannot be read: dead-letter it, count it
  + BrokerError      the broker is away or refuses: retry with backoff
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Failure = Literal["unreachable", "lost", "unsteady", "refused", "taken_over"]
FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)


class SensorError(Exception):
    """Anything the sensors room raises on purpose."""


class MalformedError(SensorError):
    """A message that cannot be read.

    `reason` is a short stable word for counting (`unit`, `time`, `json`, …); the text is a
    sentence that names the field and the offending value.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class BrokerError(SensorError):
    """The broker is away, or refuses us.

    `reason` is one of FAILURES: no connection was made, one was lost, several were lost in a row
    soon after they were made, a broker refused what was asked for, or another client took the
    session over.
    """

    def __init__(self, sentence: str, reason: Failure = "lost") -> None:
        super().__init__(sentence)
        self.reason: Failure = reason
