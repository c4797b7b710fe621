"""Alive, ready, and the metrics page."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from fastapi import FastAPI, Response

from twin.api.context import Context
from twin.api.models import cohorts
from twin.api.problems import documented
from twin.api.responses import json_answer
from twin.api.schema_service import Alive, Ready
from twin.api.shares import Shares
from twin.api.visit import is_known, visit_now
from twin.belief.cohort import intensities
from twin.publish.exposition import CONTENT_TYPE, exposition
from twin.service import Service

SCRAPES = 32  # at once: each holds a page until it is sent


def add_health(app: FastAPI, context: Context) -> None:
    """The routes for whoever watches the service."""
    service = context.service
    shared, scrapes = _Shared(context), Shares(SCRAPES, "scrapes")

    @app.get("/healthz", tags=["health"], responses={200: {"model": Alive}})
    async def get_health() -> Response:
        """The process answers; nothing else is looked at."""
        return json_answer({"alive": True})

    @app.get(
        "/readyz",
        tags=["health"],
        responses={200: {"model": Ready}, 503: {"model": Ready, "description": "No."}},
    )
    async def get_readiness() -> Response:
        """Whether the service can do its work; a broker that is away is told and does not count."""
        page = readiness(service)
        told = page if is_known() else _for_strangers(page)
        return json_answer(told, 200 if page["ready"] else 503)

    @app.get(
        "/metrics",
        tags=["health"],
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **documented("overloaded"),
        },
    )
    async def get_metrics() -> Response:
        """The service and every component, for Prometheus."""
        with visit_now() as visit:
            visit.hold(scrapes)
            page = await shared.page()
        return Response(page, 200, {"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)


class _Shared:
    """The page of metrics: who asks while one is being made gets the next, made for all of them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._making: asyncio.Task[bytes] | None = None
        self._next: asyncio.Task[bytes] | None = None

    async def page(self) -> bytes:
        """One that was begun after this was called."""
        if self._next is None:
            self._next = asyncio.create_task(self._made(self._making), name="metrics")
        return await asyncio.shield(self._next)

    async def _made(self, before: asyncio.Task[bytes] | None) -> bytes:
        if before is not None:
            await asyncio.wait([before])
        self._making, self._next = self._next, None
        _survey(self._context.service)
        return await self._context.service.threads.maintain(_metrics, self._context)


def readiness(service: Service) -> dict[str, Any]:
    """See `schema.Ready`."""
    recovered = service.is_recovered
    checks = {
        "recovered": recovered,
        "journal": service.committer.is_available,
        "archive": recovered and service.archiver.is_available,
        "images": service.storing.is_available,
        "clock": service.intake.clock_trouble is None,
        "broker": None if service.source is None else service.source.connected,
        "steady": None if service.source is None else service.source.steady,
    }
    works = ("journal", "archive", "images", "clock")
    ready = recovered and all(checks[name] for name in works) and checks["steady"] is not False
    trouble = None if service.source is None else service.source.trouble
    if trouble is None and service.session is not None:
        trouble = service.session.trouble
    return {
        "ready": ready,
        "checks": checks,
        "broker_trouble": trouble,
        "disk_trouble": disk_trouble(service),
        "clock_trouble": service.intake.clock_trouble,
        "damage": service.damage,
        "overtaken": {name: one.lines for name, one in service.stepping.laggards.items()},
    }


def disk_trouble(service: Service) -> list[str]:
    """Why what cannot be written cannot, and what to do, a sentence each."""
    writers = [service.committer.disk, service.storing, service.archiver.disk]
    return [said for writer in writers if (said := writer.trouble) is not None]


def _for_strangers(page: dict[str, Any]) -> dict[str, Any]:
    """Whether it is ready, and not where its files and its broker are."""
    told = {key: page[key] for key in ("ready", "checks")}
    hidden = "send a token to read it"
    return told | {
        "broker_trouble": None if page["broker_trouble"] is None else hidden,
        "damage": [hidden for _ in page["damage"]],
        "overtaken": {},
    }


def _survey(service: Service) -> None:
    """Set the gauges that say how things are at the time of the scrape."""
    metrics = service.metrics
    metrics.ready.set(readiness(service)["ready"])
    metrics.journal_end.set(service.committer.end)
    metrics.damage.set(len(service.damage))
    for how, count in service.filed.counts(service.fleet.components.values()).items():
        metrics.apart.labels(how).set(count)
    source = service.source
    metrics.broker.set(math.nan if source is None else source.connected)
    metrics.broker_steady.set(math.nan if source is None else source.steady)
    for queue, waiting in service.waiting().items():
        metrics.queue_depth.labels(queue).set(waiting)
    metrics.unstepped.set(service.stepping.waited_s)
    metrics.overtaken.set(len(service.stepping.laggards))
    metrics.components.set(sum(not c.retired for c in service.fleet.components.values()))
    metrics.held.set(len(service.fleet.held))
    metrics.ahead.set(len(service.fleet.clocks.held))
    metrics.backfill_pending.set(sum(service.fleet.behind.values()))
    metrics.intensities.step = intensities(service.fleet.cohorts.values())
    for cohort in cohorts(service.fleet):
        metrics.model_info.labels(cohort["cohort"]).set(cohort["components"])


def _metrics(context: Context) -> bytes:
    service = context.service
    service.metrics.measured_disk(service.settings.storage.directory)
    return exposition(
        service.metrics.registry, context.views.overview(service.fleet), service.fleet
    )
