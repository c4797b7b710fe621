"""A key that was used before is a duplicate only if the content is the same."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from sensors.mqtt.packets import Message
from storage.journal.entry import Entry
from storage.journal.journal import Appended
from storage.journal.sequences import Outcome
from tests.twin.fakes import PRESS, House, house
from twin.ingest.conflicts import meant

TOPIC = f"twin/v1/{PRESS}/load"
BODY = {
    "source": "daq-3",
    "boot": 1,
    "seq": 7,
    "time": "2026-01-01T10:00:00Z",
    "unit": "MPa",
    "cycles": [[100.0, 50.0, 10]],
}


def message(**changes: Any) -> Message:
    return Message(TOPIC, json.dumps(BODY | changes).encode(), "application/json")


async def sent(home: House, *messages: Message) -> list[Outcome]:
    """What became of messages, as if they had come from the broker."""
    outcomes: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
    parcel = home.service.inbox.parcel(messages, lambda: None)
    settle = lambda found: outcomes.set_result(list(found))  # noqa: E731
    await home.service.committer.send(replace(parcel, done=settle))
    found = await outcomes
    await home.service.until(home.service.committer.end)
    return found


def value(home: House, name: str) -> float:
    return home.service.metrics.registry.get_sample_value(name) or 0.0


async def test_other_content_under_a_used_key_is_told_and_kept_whole(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        restarted = message(time="2026-01-01T11:00:00Z", cycles=[[90.0, 50.0, 10]])
        assert await sent(home, message()) == [Outcome.ACCEPTED]
        before = home.service.fleet
        assert await sent(home, restarted) == [Outcome.CONFLICT]
        assert home.service.fleet is before
        letters = (await home.json("dead-letters"))["items"]
        assert [letter["reason"] for letter in letters] == ["conflict"]
        assert letters[0]["sentence"] == (
            "seq 7 of source 'daq-3' boot 1 was used before, for 2026-01-01T10:00:00Z, and comes "
            "again for 2026-01-01T11:00:00Z: raise boot when the instrument restarts, and seq with "
            "every message"
        )
        kept = await home.service.threads.journal(home.service.store.journal.dead_letters.get, 1)
        assert kept.letter.payload == restarted.payload
        assert value(home, "twin_key_conflicts_total") == 1
        assert value(home, "twin_duplicates_total") == 0
        told, _ = home.service.news.events.since(0)
        (event,) = (e for e in told if e.kind == "conflict")
        assert (event.component, event.data) == (
            PRESS,
            {"source": "daq-3", "boot": 1, "seq": 7, "count": 1},
        )


async def test_a_redelivery_stays_a_silent_duplicate_in_whatever_form(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        packed = Message(TOPIC, msgspec.msgpack.encode(BODY), "application/msgpack")
        in_kpa = message(unit="kPa", cycles=[[100e3, 50e3, 10]])
        outcomes = await sent(home, message(), message(), packed, in_kpa)
        assert outcomes == [Outcome.ACCEPTED, *[Outcome.DUPLICATE] * 3]
        assert value(home, "twin_duplicates_total") == 3
        assert value(home, "twin_key_conflicts_total") == 0
        assert (await home.json("dead-letters"))["items"] == []


async def test_a_conflict_is_told_after_a_restart_too(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await sent(home, message())
    async with house(tmp_path / "data") as home:
        changed = message(cycles=[[101.0, 50.0, 10]])
        assert await sent(home, message(), changed) == [Outcome.DUPLICATE, Outcome.CONFLICT]
        (letter,) = (await home.json("dead-letters"))["items"]
        assert "for other content of the same time" in letter["sentence"]


async def test_a_flood_of_conflicts_is_one_event_for_each_instrument(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await sent(home, *(message(seq=seq) for seq in range(500)))
        again = (message(seq=seq, time="2026-01-02T00:00:00Z") for seq in range(500))
        assert set(await sent(home, *again)) == {Outcome.CONFLICT}
        told, _ = home.service.news.events.since(0)
        assert [e.data["count"] for e in told if e.kind == "conflict"] == [500]
        assert value(home, "twin_key_conflicts_total") == 500


async def test_a_conflict_that_is_submitted_again_stays(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await sent(home, message(), message(cycles=[[1.0, 1.0, 1]]))
        answer = await home.http.post("/api/v1/dead-letters/1/resubmit")
        assert answer.json() == {"id": 1, "outcome": "conflict"}
        assert (await home.json("dead-letters"))["total"] == 1


async def test_an_idempotency_key_stands_for_one_inspection(tmp_path: Path) -> None:
    body = {"crack_length": 3.0, "unit": "mm", "time": "2026-01-01T10:00:00Z"}
    headers = {"Idempotency-Key": "round-7"}
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        path = f"/api/v1/components/{PRESS}/inspections"
        first = await home.http.post(path, json=body, headers=headers)
        again = await home.http.post(path, json=body, headers=headers)
        other = await home.http.post(path, json=body | {"crack_length": 5.0}, headers=headers)
        assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
        assert other.json()["type"] == "/problems/key-reused"
        assert "'round-7' was used for another inspection of plant-a/press-1" in other.text
        assert (await home.json(f"components/{PRESS}/state"))["crack_length"] == 0.003
        assert (await home.json("dead-letters"))["items"] == []


def test_what_an_earlier_release_wrote_is_compared_by_the_fields_that_both_have() -> None:
    def entry(*fields: object) -> Entry:
        return Entry("observation", "a/b", "s", 0, 0, 0, msgspec.msgpack.encode(fields))

    def outcome(here: Entry, comes: Entry) -> list[Outcome]:
        return meant(Appended(0, [Outcome.CONFLICT], 0, 0, {0: here}), [comes]).outcomes

    assert outcome(entry("spectrum", 1.0), entry("spectrum", 1.0, "new")) == [Outcome.DUPLICATE]
    assert outcome(entry("spectrum", 1.0), entry("spectrum", 2.0, "new")) == [Outcome.CONFLICT]
