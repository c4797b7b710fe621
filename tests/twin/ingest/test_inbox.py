"""What the service refuses at its door, and with what words."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sensors.errors import MalformedError
from sensors.mqtt.packets import Message
from tests.twin.fakes import PRESS, House, house
from twin.ingest.inbox import LONGEST_TOPIC

BODY = {"source": "daq-3", "boot": 1, "unit": "MPa", "cycles": [[100.0, 50.0, 10]]}


def judged(home: House, **changes: Any) -> list[tuple[str, str]]:
    """Reason and sentence, unless the message is taken."""
    body = json.dumps(BODY | {"seq": 1} | changes).encode()
    message = Message(f"twin/v1/{PRESS}/load", body, "application/json")
    parcel = home.service.inbox.parcel([message], lambda: None)
    return [(letter.reason, letter.sentence) for letter in parcel.dead]


@pytest.mark.parametrize(
    ("t_ns", "unit"),
    [
        (1_764_000_000, "seconds"),
        (1_764_000_000_000, "milliseconds"),
        (1_764_000_000_000_000, "microseconds"),
    ],
)
async def test_a_clock_in_another_unit_is_refused_by_name(
    tmp_path: Path, t_ns: int, unit: str
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        ((reason, sentence),) = judged(home, t_ns=t_ns)
        assert reason == "time"
        assert f"t_ns {t_ns} looks like {unit}" in sentence
        assert judged(home, t_ns=1_764_000_000 * 10**9) == []


async def test_old_recordings_are_taken_and_clocks_that_are_not_set_are_not(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        assert judged(home, time="1971-01-01T00:00:00Z") == []
        ((reason, sentence),) = judged(home, time="1970-01-01T00:03:12Z")
        assert reason == "time"
        assert "before 1971-01-01: is the clock set?" in sentence
    early = {"earliest": "1970-01-01T00:00:00Z"}
    async with house(tmp_path / "data", ingest=early) as home:
        assert judged(home, time="1970-01-01T00:03:12Z") == []


async def test_the_null_codes_of_a_gauge_are_known_at_the_door(tmp_path: Path) -> None:
    """A registered code beyond all magnitudes cost the whole message."""
    series = {"rate_hz": 10.0, "tension": [1.0, 5e12, 2.0], "time": "2026-01-01T00:00:00Z"}
    body = json.dumps({"source": "daq-3", "boot": 1, "seq": 1, "unit": "MPa"} | series)
    message = Message(f"twin/v1/{PRESS}/load", body.encode(), "application/json")
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        assert len(home.service.inbox.parcel([message], lambda: None).dead) == 1
    async with house(tmp_path / "other") as home:
        await home.register(PRESS, gauge={"null_codes": [5e12]})
        assert home.service.inbox.parcel([message], lambda: None).dead == []


async def test_a_flood_of_properties_is_refused_by_what_it_is(tmp_path: Path) -> None:
    """And what is kept of it is small, and not taken for the whole when it is submitted again."""
    body = json.dumps(BODY | {"seq": 1, "time": "2026-01-01T00:00:00Z"}).encode()
    load = f"twin/v1/{PRESS}/load"
    flood = Message(load, body, "application/json", {"k": "v"}, excess=16_450_000)
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        (letter,) = home.service.inbox.parcel([flood], lambda: None).dead
        assert letter.reason == "size"
        assert "its MQTT properties take 16,450,000 bytes" in letter.sentence
        assert (letter.payload, letter.properties) == (body, {"k": "v"})
        journal = home.service.store.journal
        await home.service.threads.journal(
            partial(journal.append, (), [letter], now_ns=letter.t_ns)
        )
        (kept,) = journal.dead_letters.list()
        assert kept.cut
        with pytest.raises(MalformedError, match="let its sender send it again"):
            await home.service.resubmit(kept.id)
        (stray,) = home.service.inbox.parcel(
            [replace(flood, topic="twin/v1/loads")], lambda: None
        ).dead
        assert stray.reason == "topic"


async def test_of_a_topic_that_is_too_long_the_beginning_is_kept(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        long = Message("twin/v1/" + "x" * 60_000, b"{}")
        (letter,) = home.service.inbox.parcel([long], lambda: None).dead
        assert len(letter.topic) == LONGEST_TOPIC
        assert letter.cut_from > len(letter.payload)
        assert len(letter.sentence) < 1000
