"""What can go wrong between a wire and a number.

* SensorError
  + MalformedError   a message that cannot be read: dead-letter it, count it
  + BrokerError      the broker is away or refuses: retry with backoff
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Final, Literal, cast, get_args

Failure = Literal["unreachable", "lost", "unsteady", "refused", "taken_over"]
_machine = re.compile(r"\[(?:Errno|SSL)[^\]]*\] ?| ?\(_ssl\.c:\d+\)").sub
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


def complaint(exc: BaseException) -> str:
    """What the operating system or TLS complains about, in words: no `[Errno 2]` around it."""
    if isinstance(exc, OSError) and not isinstance(exc, ssl.SSLError) and (exc.errno or 0) > 0:
        words = os.strerror(cast(int, exc.errno))
        text = words[:1].lower() + words[1:]
        return text if exc.filename is None else f"{text}: {exc.filename}"
    return _machine("", str(exc)).strip()
