"""Traffic on its way to a broker, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from tests.end_to_end.traffic import Traffic

PATIENCE_S = 120.0


class Stream:
    """Publishes second after second of event time until it is told to finish.

    After `finish` the broker has taken everything that `traffic.sent` names.
    """

    def __init__(self, port: int, traffic: Traffic, *, pause_s: float = 0.1) -> None:
        self._settings = MqttSettings(
            port=port, client_id=f"traffic-{time.time_ns()}", backoff_s=(0.05, 0.2)
        )
        self._traffic, self._pause_s = traffic, pause_s
        self._enough = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._between = threading.Lock()  # held while the traffic is asked for a second
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="traffic")
        self.published = 0  # messages, the repeated ones among them

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._flowing.set()
        self._thread.join(PATIENCE_S if kind is None else 5.0)

    def slow(self) -> None:
        """Let only one second in five flow, say while nobody listens."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything flow."""
        self._flowing.set()

    def join(self, components: Sequence[str]) -> None:
        """Let those components join in that have not yet."""
        with self._between:
            self._traffic.add([name for name in components if name not in self._traffic.components])

    def finish(self) -> None:
        """Send what is on its way, and wait until the broker has taken all of it."""
        self._enough.set()
        self._flowing.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the broker does not take the messages"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._publish())
        except BaseException as exc:  # told to whoever waits in `finish`
            self._failure = exc

    async def _publish(self) -> None:
        async with Publisher(self._settings) as publisher:
            while not self._enough.is_set():
                with self._between:
                    messages = self._traffic.second()
                await publisher.flood(messages)
                self.published += len(messages)
                await asyncio.sleep(self._pause_s * (1 if self._flowing.is_set() else 5))
            messages = self._traffic.rest()
            await publisher.flood(messages)
            self.published += len(messages)
        assert publisher.refused == 0, f"{publisher.refused} messages were refused"
