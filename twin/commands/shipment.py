"""What a recording or a plant sends, message by message: its streams, its times, its rates."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensors.errors import MalformedError
from sensors.observation import Series, Spectrum
from sensors.payload.decode import decode
from sensors.timed import Timed
from sensors.topics import Topics
from twin.belief.assimilate import t_end_ns


class MessageStream(NamedTuple):
    """What numbers its messages by itself."""

    component: str
    source: str
    boot: int


@dataclass
class Shipment:
    """What was counted of messages as they went by."""

    topics: Topics
    messages: int = 0
    loads: int = 0  # series and spectra
    unread: int = 0  # images, and what a plant has broken on purpose
    streams: dict[MessageStream, array[int]] = field(default_factory=dict)  # the numbers of each
    ends_ns: array[int] = field(default_factory=lambda: array("q"))  # of each message's evidence
    _sets: dict[MessageStream, frozenset[int]] = field(default_factory=dict)  # once all is counted

    def counted(self, messages: Iterable[Timed]) -> Iterator[Timed]:
        """The same messages, counted on their way; raises MalformedError for a genuine one."""
        for timed in messages:
            self._count(timed)
            yield timed

    @property
    def components(self) -> list[str]:
        """Those that something is sent to, in the order of the first message."""
        return list(dict.fromkeys(stream.component for stream in self.streams))

    def numbers(self, stream: MessageStream) -> frozenset[int]:
        """The numbers of a stream's messages."""
        if stream not in self._sets:
            self._sets[stream] = frozenset(self.streams.get(stream, ()))
        return self._sets[stream]

    def behind(self, watermark_ns: int) -> int:
        """How many messages end before an instant."""
        return int(np.sum(np.frombuffer(self.ends_ns, np.int64) < watermark_ns))

    @property
    def last_ns(self) -> int:
        """The end of the latest evidence."""
        return max(self.ends_ns, default=0)

    def _count(self, timed: Timed) -> None:
        self.messages += 1
        topic, payload, kind, properties = timed.message
        try:
            o = decode(topic, payload, kind, properties, topics=self.topics)
        except MalformedError:
            if timed.genuine and not topic.endswith("/image"):
                raise
            self.unread += 1
            return
        self.loads += isinstance(o, Series | Spectrum)
        stream = MessageStream(o.component, o.source, o.boot)
        self.streams.setdefault(stream, array("q")).append(o.seq)
        self.ends_ns.append(t_end_ns(o))


def numbers(sent: array[int]) -> NDArray[np.int64]:
    """The numbers of a stream, each once."""
    return np.unique(np.frombuffer(sent, np.int64))
