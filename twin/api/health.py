"""Alive, ready, and the metrics page."""

from __future__ import annotations

import math
from typing import Any

from fastapi import FastAPI, Response

from twin.api.answers import json_answer
from twin.api.context import Context
from twin.api.models import cohorts
from twin.api.problems import documented
from twin.api.schema_service import Alive, Ready
from twin.cohort import intensities
from twin.exposition import CONTENT_TYPE, exposition
from twin.service import Service


def add_health(app: FastAPI, context: Context) -> None:
    """The routes for whoever watches the service."""
    service = context.service

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
        """Whether the service can do its work; the broker is told and does not count."""
        page = readiness(service)
        return json_answer(page, 200 if page["ready"] else 503)

    @app.get(
        "/metrics",
        tags=["health"],
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **documented(),
        },
    )
    async def get_metrics() -> Response:
        """The service and every component, for Prometheus."""
        _survey(service)
        page = await service.query(_metrics, context)
        return Response(page, 200, {"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)


def readiness(service: Service) -> dict[str, Any]:
    """See `schema.Ready`."""
    recovered = service.is_recovered
    checks = {
        "recovered": recovered,
        "journal": service.committer.is_available,
        "archive": recovered and service.keeper.is_available,
        "broker": None if service.source is None else service.source.connected,
    }
    ready = recovered and checks["journal"] and checks["archive"]
    trouble = None if service.source is None else service.source.trouble
    return {"ready": ready, "checks": checks, "broker_trouble": trouble, "damage": service.damage}


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
    for queue, waiting in service.waiting().items():
        metrics.queue_depth.labels(queue).set(waiting)
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
    return exposition(service.metrics.registry, context.views.overview(service.fleet))
