"""What leaves over MQTT: retained states on change, and events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from sensors.mqtt.packets import NO_PROPERTIES, Message
from sensors.mqtt.publisher import Publisher
from sensors.topics import Topics
from twin.belief.events import Event
from twin.metrics import Metrics

CAPACITY = 20_000  # events that may wait while the broker is away


class Outbox:
    """Two queues to the broker: events, of which so many wait, and of each state the newest.

    A state is never dropped: what is retained would be that of before, until the next. Events
    beyond the capacity are, the oldest first, and counted.
    """

    def __init__(self, topics: Topics, metrics: Metrics) -> None:
        self._topics = topics
        self._metrics = metrics
        self._events: deque[tuple[str, bytes]] = deque(maxlen=CAPACITY)  # topic, payload
        self._states: dict[str, bytes] = {}  # payload by topic, to be retained
        self._news = asyncio.Event()

    def add(self, events: Iterable[Event]) -> None:
        """Queue what others should hear of."""
        for event in events:
            if not event.component:
                continue  # there is no topic for what is about the service
            if event.kind == "retired":
                self.take_back([event.component])
            body = msgspec.json.encode({"kind": event.kind, "t_ns": event.t_ns, **event.data})
            if event.kind == "state":
                self._retain(self._topics.state(event.component), body)
            else:
                self._tell(self._topics.event(event.component), body)

    def take_back(self, components: Iterable[str]) -> None:
        """Let the broker forget the states of components: an empty retained message each."""
        for component in components:
            self._retain(self._topics.state(component), b"")

    def _retain(self, topic: str, payload: bytes) -> None:
        self._states[topic] = payload
        self._news.set()

    def _tell(self, topic: str, payload: bytes) -> None:
        if len(self._events) == CAPACITY:
            self._metrics.events_dropped.inc()
        self._events.append((topic, payload))
        self._news.set()

    def taken(self) -> tuple[str, bytes, bool]:
        """The next topic and payload, and whether it is to be retained; events go first."""
        if self._events:
            return *self._events.popleft(), False
        topic = next(iter(self._states))
        return topic, self._states.pop(topic), True

    @property
    def waiting(self) -> int:
        """Messages that wait for the broker."""
        return len(self._events) + len(self._states)

    async def run(self, publisher: Publisher) -> None:
        """Publish for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self.waiting:
                topic, payload, retain = self.taken()
                message = Message(topic, payload, "application/json", NO_PROPERTIES)
                await publisher.send(message, retain=retain)
                self._metrics.queue_depth.labels("outbox").set(self.waiting)
