"""What every source of messages has: a place, a name, and a running number."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypedDict

from sensors.topics import Topics
from sensors.unreadable import Form

TOPICS = Topics()


class Key(TypedDict):
    """What every observation carries."""

    component: str
    source: str
    boot: int
    seq: int
    t_ns: int


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an instrument sits, and how it speaks."""

    component: str
    boot: int = 1
    form: Form = "json"
    topics: Topics = TOPICS


class Instrument:
    """A source that numbers what it sends."""

    def __init__(self, installation: Installation, source: str) -> None:
        self.installation, self._source = installation, source
        self._seq = itertools.count()

    def key(self, t_ns: int) -> Key:
        """The key of the next observation, of the time `t_ns`."""
        return Key(
            component=self.installation.component,
            source=self._source,
            boot=self.installation.boot,
            seq=next(self._seq),
            t_ns=t_ns,
        )
