"""Clients that go on over every kill: they ask again until they are answered."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from sensors.mqtt.packets import Message as Packet
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.payload.encode import EncodedMessage
from tests.end_to_end.harness import Answer

TIMEOUT_S = 20.0  # for an answer
PATIENCE_S = 240.0  # for a service to be back: kills while it starts may follow each other
PAUSE_S = 0.2
LATER = (429, 503)  # "ask again"


class AwayError(Exception):
    """Nobody answered, or not to the end, or said that it cannot just now."""


class Door:
    """Where a service is asked; every question has a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.is_up = True  # whether the trial lets a service run, or begin to
        self._is_closed = False

    def close(self) -> None:
        """Let nobody ask any more: who waits for a service that will not come back gives up."""
        self._is_closed = True

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One answer; raises AwayError."""
        assert not self._is_closed, "the trial is over"
        sent = {} if body is None else {"content-type": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            with closing(
                http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
            ) as connection:
                connection.request(method, path, data, {**sent, **(headers or {})})
                said = connection.getresponse()
                found = Answer(said.status, said.read(), said.headers.get_content_type())
        except (OSError, http.client.HTTPException) as exc:
            raise AwayError(f"{exc!r}") from exc
        if found.status in LATER:
            raise AwayError(found.body.decode())
        return found

    def insist(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, asked for with the same words until there is one.

        Patience is with a service that runs: while there is none, because the trial reads what the
        last one has left, it does not count.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.ask(method, path, body, headers)
            except AwayError:
                if not self.is_up:
                    deadline = time.monotonic() + PATIENCE_S
                if time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE_S)


class Client:
    """Takes one turn after the other in a thread, until it is told to finish the last one."""

    def __init__(self, name: str, turn: Callable[[], None], door: Door, pause_s: float) -> None:
        self._turn, self._door, self._pause_s = turn, door, pause_s
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.turns = 0

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
        if kind is not None:
            self._door.close()
        self._thread.join(PATIENCE_S if kind is None else 5.0)

    def check(self) -> None:
        """Raises what has ended it."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait until its turn is done."""
        self._enough.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), f"{self._thread.name} waits for ever"
        self.check()

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                self._turn()
                self.turns += 1
                self._enough.wait(self._pause_s)
        except BaseException as exc:  # told to whoever waits in `finish`
            self._failure = exc


class Sender:
    """Publishes at QoS 1 for clients that have no loop of their own."""

    def __init__(self, port: int, client_id: str) -> None:
        self._settings = MqttSettings(port=port, client_id=client_id, backoff_s=(0.05, 0.2))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=client_id, daemon=True)
        self._publisher: Publisher | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._publisher = self._done(_opened(self._settings))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._publisher is not None
        self._done(self._publisher.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def send(self, messages: Sequence[EncodedMessage]) -> None:
        """Publish messages, and return once the broker has taken them."""
        self.send_packets(
            [Packet(m.topic, m.payload, m.content_type or "", m.properties) for m in messages]
        )

    def send_packets(self, packets: Sequence[Packet]) -> None:
        """The same, as the publisher takes them."""
        assert self._publisher is not None
        self._done(self._publisher.flood(packets))
        assert not self._publisher.refused, f"{self._publisher.refused} messages were refused"

    def _done(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


async def _opened(settings: MqttSettings) -> Publisher:
    return await Publisher(settings).__aenter__()
