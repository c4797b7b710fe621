"""What can go wrong between a wire and a number.

* SensorError
  + MalformedError   a message that cannot be read: dead-letter it, count it
  + BrokerError      the broker is away or refuses: retry with backoff
"""

from __future__ import annotations


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
    """The broker is away, or refuses us."""
