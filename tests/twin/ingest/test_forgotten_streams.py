"""A sensor that is another one with each message: what is told, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensors.observation import Inspection
from storage.journal.forgetting import APART, NEVER
from storage.journal.sequences import Outcome
from tests.twin.fakes import MINUTE_NS, PRESS, T0_NS, house
from twin.reserved import HTTP, RESERVED


def test_what_the_service_writes_as_is_what_storage_keeps_apart() -> None:
    assert NEVER | APART == RESERVED
    assert frozenset({HTTP}) == APART


def measured(boot: int) -> Inspection:
    return Inspection(
        component=PRESS,
        source="ndt",
        boot=boot,
        seq=0,
        t_ns=T0_NS + boot * MINUTE_NS,
        crack_length=0.004,
        crack_length_sd=1e-5,
        method="ultrasonic",
    )


async def test_forgotten_streams_are_counted_and_what_they_send_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.journal.forgetting.KEPT", 2)
    monkeypatch.setattr("storage.journal.forgetting.MOST", 3)
    async with house(tmp_path) as home:
        await home.register(PRESS)
        sent = [measured(boot) for boot in range(12)]
        for each in sent:
            assert await home.service.observe(each) is Outcome.ACCEPTED
        assert await home.service.observe(sent[4]) is Outcome.BEHIND
        page = (await home.http.get("/metrics")).text
        assert "twin_streams_forgotten_total 7.0" in page
        known = await home.json(f"components/{PRESS}/sources")
        assert known["total"] == 5
        assert {source["source"] for source in known["sources"]} == {"ndt"}


async def test_an_inspection_by_http_that_may_be_here_already_is_refused_and_no_duplicate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was dropped, and answered as if it had been taken before."""
    monkeypatch.setattr("storage.journal.forgetting.KEPT", 2)
    monkeypatch.setattr("storage.journal.forgetting.MOST", 3)
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        path = f"/api/v1/components/{PRESS}/inspections"
        for second in range(10):
            body = {"crack_length": 4.0, "unit": "mm", "time": f"2026-01-01T00:01:{second:02d}Z"}
            assert (await home.http.post(path, json=body)).status_code == 201
        late = {"crack_length": 5.0, "unit": "mm", "time": "2026-01-01T00:00:30Z"}
        answer = await home.http.post(path, json=late)
        assert answer.status_code == 409
        assert "nothing is done" in answer.json()["detail"]
        assert home.service.committer.end == 11
