"""One line of the journal: a key, an event time, and bytes that storage does not read."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the hall hands over to be kept."""

    kind: str  # "observation", or "component" for a registration or change
    component: str
    source: str
    boot: int
    seq: int
    t_ns: int  # event time [ns since 1970, UTC]
    body: bytes


class DeadLetter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that was refused, with the sentence that says why."""

    t_ns: int  # when it was refused [ns since 1970, UTC]
    topic: str
    reason: str  # a short stable word
    sentence: str
    payload: bytes
    content_type: str = ""
    properties: dict[str, str] = {}
    cut_from: int = 0  # bytes of the payload as it came, where `payload` is only its beginning
