"""What leaves over MQTT: retained states on change, and events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from sensors.mqtt_packets import NO_PROPERTIES, Message
from sensors.publisher import Publisher
from sensors.topics import Topics
from twin.events import Event
from twin.metrics import Metrics

CAPACITY = 20_000  # messages that may wait while the broker is away


class Outbox:
    """A bounded queue to the broker; when it is full the oldest are dropped and counted."""

    def __init__(self, topics: Topics, metrics: Metrics) -> None:
        self._topics = topics
        self._metrics = metrics
        self._waiting: deque[tuple[str, bytes, bool]] = deque(maxlen=CAPACITY)
        self._news = asyncio.Event()

    def add(self, events: Iterable[Event]) -> None:
        """Queue what others should hear of."""
        for event in events:
            if event.kind == "retired":
                self.take_back([event.component])
            is_state = event.kind == "state"
            topic = (self._topics.state if is_state else self._topics.event)(event.component)
            body = {"kind": event.kind, "t_ns": event.t_ns, **event.data}
            self._queue(topic, msgspec.json.encode(body), is_state)

    def take_back(self, components: Iterable[str]) -> None:
        """Let the broker forget the states of components: an empty retained message each."""
        for component in components:
            self._queue(self._topics.state(component), b"", True)

    def _queue(self, topic: str, payload: bytes, retain: bool) -> None:
        if len(self._waiting) == CAPACITY:
            self._metrics.events_dropped.inc()
        self._waiting.append((topic, payload, retain))
        self._news.set()

    @property
    def waiting(self) -> int:
        """Messages that wait for the broker."""
        return len(self._waiting)

    async def run(self, publisher: Publisher) -> None:
        """Publish for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                topic, payload, retain = self._waiting.popleft()
                message = Message(topic, payload, "application/json", NO_PROPERTIES)
                await publisher.send(message, retain=retain)
                self._metrics.queue_depth.labels("outbox").set(len(self._waiting))
