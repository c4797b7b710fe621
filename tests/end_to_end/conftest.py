"""A running service against a real broker, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage.store import Store
from tests.brokers import Broker
from twin.commands.playing import Destination
from twin.service import Service
from twin.serving import prepare, running
from twin.settings import settings


@dataclass(frozen=True, slots=True)
class Live:
    """A service, where it answers, and where to publish for it."""

    service: Service
    url: str
    stage: Destination
    directory: Path


Running = Callable[..., AbstractAsyncContextManager[Live]]


@pytest.fixture
def live(tmp_path: Path, mosquitto: str) -> Running:
    """Start a service: `async with live(storage={…}) as it`."""

    @asynccontextmanager
    async def start(**tables: dict[str, Any]) -> AsyncIterator[Live]:
        prepare()
        (tmp_path / "broker").mkdir(exist_ok=True)
        directory = tmp_path / "data"
        with Broker(tmp_path / "broker") as broker, Store(directory) as store:
            chosen = settings(
                mqtt={"port": broker.port},
                http={"port": 0} | tables.get("http", {}),
                ingest=tables.get("ingest", {}),
                storage={"directory": directory} | tables.get("storage", {}),
            )
            async with running(chosen, store) as (service, url):
                await service.ready.wait()
                stage = Destination.of(f"127.0.0.1:{broker.port}", url, None, chosen.mqtt.root)
                yield Live(service, url, stage, directory)

    return start
