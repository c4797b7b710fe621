"""The log has a line for what a person should know, and no flood of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from storage.journal.entry import DeadLetter
from storage.store import Store
from tests.twin.fakes import PRESS, house
from twin.event_log import SUMMARY_S, EventLog
from twin.serving import running
from twin.settings import settings


@pytest.fixture(autouse=True)
def _structlog() -> None:
    structlog.reset_defaults()


def letter(reason: str) -> DeadLetter:
    return DeadLetter(0, "twin/v1/a/b/load", reason, "it ends", b"{", "application/json")


def test_the_first_refused_message_of_a_reason_is_told_and_the_rest_is_counted() -> None:
    logged = EventLog()
    with capture_logs() as logs:
        logged.letters([letter("json"), letter("json"), letter("field")])
        logged.letters([letter("json")])
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("message_refused", "json"),
        ("message_refused", "field"),
    ]
    assert (logs[0]["why"], logs[0]["topic"]) == ("it ends", "twin/v1/a/b/load")
    with capture_logs() as logs:
        logged.sum_up(SUMMARY_S)
        logged.letters([letter("json")])
        logged.sum_up(2 * SUMMARY_S - 0.1)
    assert [(entry["event"], entry["count"]) for entry in logs] == [("messages_refused", 2)]
    with capture_logs() as logs:
        logged.sum_up(2 * SUMMARY_S)
        logged.sum_up(3 * SUMMARY_S)
    assert [(entry["event"], entry["count"]) for entry in logs] == [("messages_refused", 1)]


async def test_a_limit_and_a_fracture_are_told_once(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with house(tmp_path / "data") as home:
            await home.register(PRESS)
            for minute in range(4):
                await home.load(minute=minute, count=1e8, span=2e8)
    told = [(entry["event"], entry["component"]) for entry in logs if "component" in entry]
    assert told.count(("limit_reached", PRESS)) == 1
    assert told.count(("part_fractured", PRESS)) == 1
    with capture_logs() as logs:
        async with house(tmp_path / "data") as home:
            await home.load(minute=9.0)
    assert [entry for entry in logs if entry["event"] == "part_fractured"] == []


async def test_where_the_service_listens_is_told(tmp_path: Path) -> None:
    chosen = settings(http={"port": 0}, storage={"directory": tmp_path / "data"})
    with capture_logs() as logs, Store(tmp_path / "data") as store:
        async with running(chosen, store, with_broker=False) as (service, url):
            await service.ready.wait()
    (line,) = (entry for entry in logs if entry["event"] == "listening")
    assert (line["url"], line["data"]) == (url, str(tmp_path / "data"))
