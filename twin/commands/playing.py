"""Messages on their way to a broker: where to, at which pace, and who is told how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from sensors.errors import BrokerError
from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.simulation.plant import generation
from sensors.timed import Registration, Timed
from sensors.topics import Topics
from twin.belief.fleet_file import registrations
from twin.commands.client import ask
from twin.commands.questions import Asker
from twin.commands.received import TwinClient
from twin.errors import SettingsError, TwinError

BATCH = 500  # messages published at once where pace does not matter
FIRST_S = 20.0  # in which the broker must have accepted us
AWAY_S = 120.0  # that it may be away later: it may be started again
LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Destination:
    """Where messages go, and where their components are registered."""

    mqtt: MqttSettings
    topics: Topics
    url: str | None
    token: str | None
    registers: bool = True

    @classmethod
    def of(
        cls,
        broker: str,
        url: str | None,
        token: str | None,
        root: str,
        *,
        registers: bool = True,
    ) -> Self:
        """A stage from what the command line says; without a URL no twin is asked."""
        host, _, port = broker.rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= LARGEST_PORT:
            raise SettingsError(f"broker {broker!r} is not host:port")
        mqtt = MqttSettings(host=host, port=int(port), client_id=f"twin-play-{time.time_ns()}")
        try:
            topics = Topics(root)
        except ValueError as exc:
            raise SettingsError(str(exc)) from exc
        return cls(mqtt, topics, url, token, registers)

    @property
    def window(self) -> TwinClient | None:
        """Where the twin is asked what it made of the messages."""
        return None if self.url is None else TwinClient(self.url, self.token)

    def register(self, tables: Sequence[Registration]) -> int:
        """Register what the service does not know yet; how many were new."""
        if self.url is None or not self.registers:
            return 0
        registrations(list(tables), "fleet")  # a fault is told here, with its name
        new = 0
        for table in tables:
            body = {key: value for key, value in table.items() if key != "name"}
            new += self._put(str(table["name"]), body)
        return new

    def retire(self, names: Sequence[str]) -> None:
        """Retire components: their history stays, what still comes of them is refused."""
        for name in names:
            path, headers = f"/api/v1/components/{name}", {"If-Match": "*"}
            ask(str(self.url), path, self.token, method="DELETE", headers=headers)

    def past(self) -> int:
        """How many parts were in one place of a plant that was simulated before, at most.

        The cracks of a plant begin anew with it, and one that is believed does not shrink: so
        fresh parts are registered, and those that are there are nobody's to touch.
        """
        asker = Asker(str(self.url), self.token)
        found = (*asker.components(), *asker.components(status="retired"))
        return generation(c["component"] for c in found)

    def _put(self, name: str, body: dict[str, Any]) -> bool:
        path = f"/api/v1/components/{name}"
        headers = {"If-None-Match": "*"}
        try:
            ask(str(self.url), path, self.token, method="PUT", body=body, headers=headers)
        except TwinError as exc:
            if "412" in str(exc):  # it is there already
                return False
            raise
        return True


async def played(
    stage: Destination,
    messages: Iterable[Timed],
    *,
    speed: float,
    duration_s: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Publish messages when they are due; at once if `speed` is 0. Waits until all are taken.

    Raises BrokerError where the broker does not accept us, or stays away.
    """
    began, sent = time.monotonic(), 0
    async with _publisher(stage.mqtt) as publisher:
        with _bar(progress is None) as bar:
            task = bar.add_task("published", total=None)
            for due_s, batch in _batches(messages, speed):
                if duration_s is not None and due_s > duration_s:
                    break
                await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
                await publisher.flood([_on_the_wire(timed) for timed in batch])
                sent += len(batch)
                bar.update(task, completed=sent)
                if progress is not None:
                    progress(sent)
        refused = publisher.refused
    return {"published": sent, "refused": refused, "seconds": round(time.monotonic() - began, 3)}


@asynccontextmanager
async def _publisher(mqtt: MqttSettings) -> AsyncIterator[Publisher]:
    """A publisher that is left by BrokerError when the broker is away for too long."""
    loop, why = asyncio.get_running_loop(), BrokerError(f"{mqtt.address}: it does not answer")

    def changed(error: BrokerError | None) -> None:
        nonlocal why
        why = error or why
        if limit.expired():
            return
        if error is None:
            limit.reschedule(None)
        elif limit.when() is None:
            limit.reschedule(loop.time() + AWAY_S)

    try:
        async with asyncio.timeout(FIRST_S) as limit, Publisher(mqtt, on_change=changed) as taker:
            yield taker
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise BrokerError(f"the broker is away: {why}") from exc


def _on_the_wire(timed: Timed) -> Message:
    topic, payload, content_type, properties = timed.message
    return Message(topic, payload, content_type or "", properties)


def _bar(visible: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.completed} messages published"),
        disable=not visible,
        console=Console(stderr=True),  # standard output is for the report
    )


def _batches(messages: Iterable[Timed], speed: float) -> Iterator[tuple[float, list[Timed]]]:
    """Messages that are due together, and when, in seconds from the first."""
    first: int | None = None
    batch: list[Timed] = []
    batch_s = 0.0
    for timed in messages:
        first = timed.t_ns if first is None else first
        due_s = (timed.t_ns - first) / 1e9 / speed if speed else 0.0
        if batch and (due_s - batch_s > 0.02 or len(batch) >= BATCH):
            yield batch_s, batch
            batch = []
        if not batch:
            batch_s = due_s
        batch.append(timed)
    if batch:
        yield batch_s, batch
