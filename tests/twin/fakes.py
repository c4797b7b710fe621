"""A real service on a real store, asked through ASGI, and what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from sensors.observation import Inspection, Series, Spectrum
from storage.journal.sequences import Outcome
from storage.store import Store
from twin.api.application import application
from twin.component import Component, parsed
from twin.service import Service
from twin.settings import Settings, settings

T0_NS = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z
MINUTE_NS = 60 * 10**9
PRESS = "plant-a/press-1"

REGISTRATION: dict[str, Any] = {
    "material": "nickel",
    "geometry": {"kind": "edge_crack", "W": 0.1},
    "crack_length": 0.002,
    "crack_limit": 0.03,
    "surprise_factor": None,  # inspections jump at will; see `test_fold_surprise`
}


@dataclass
class House:
    """A service that runs, and a client that asks it."""

    service: Service
    http: httpx.AsyncClient
    seq: int = 0

    async def register(self, *names: str, **changes: object) -> None:
        """Register components as the fleet file would."""
        registration = parsed({**REGISTRATION, **changes})
        await self.service.register(
            [
                Component(name=n, revision=1, registered_by="file", registration=registration)
                for n in names
            ]
        )

    async def load(
        self, name: str = PRESS, minute: float = 0.0, count: float = 1000.0, span: float = 1e8
    ) -> Outcome:
        """Let a component see `count` cycles of a stress range [Pa]."""
        self.seq += 1
        return await self.service.observe(
            Spectrum(
                component=name,
                source="daq",
                boot=0,
                seq=self.seq,
                t_ns=T0_NS + round(minute * MINUTE_NS),
                quantity="stress",
                cycles=np.array([[span, span / 2, count]]).tobytes(),
            )
        )

    async def samples(self, name: str = PRESS, *values: float) -> Outcome:
        """Let a component see samples [Pa]."""
        self.seq += 1
        return await self.service.observe(
            Series(
                component=name,
                source="daq",
                boot=0,
                seq=self.seq,
                t_ns=T0_NS,
                quantity="stress",
                rate_hz=100.0,
                tension=np.array(values).tobytes(),
            )
        )

    async def inspect(self, name: str = PRESS, minute: float = 0.0, length: float = 0.004) -> None:
        """Let a component be measured [m]."""
        self.seq += 1
        await self.service.observe(
            Inspection(
                component=name,
                source="ndt",
                boot=0,
                seq=self.seq,
                t_ns=T0_NS + round(minute * MINUTE_NS),
                crack_length=length,
                crack_length_sd=1e-4,
                method="ruler",
            )
        )

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask the API."""
        return await self.http.get(f"/api/v1/{path}", headers=headers)

    async def json(self, path: str) -> Any:
        """The JSON of an answer that has to be good."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def wanted(directory: Path, **tables: Any) -> Settings:
    """Settings with a store at a place of its own."""
    return settings(storage={"directory": directory, "checkpoint_every_s": 3600.0}, **tables)


@asynccontextmanager
async def house(directory: Path, **tables: Any) -> AsyncIterator[House]:
    """A service on a store; both are closed in order."""
    with Store(directory) as store:
        service = Service(wanted(directory, **tables), store)
        app = application(service)
        running = asyncio.create_task(service.run(None))
        ready = asyncio.create_task(service.ready.wait())
        await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                yield House(service, http)
        finally:
            running.cancel()
            await asyncio.wait([running])
