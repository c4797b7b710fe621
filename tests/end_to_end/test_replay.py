"""What `twin replay` says is what the twin has made of a file."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensors.mqtt.publisher import Publisher
from sensors.replay.reader import ReplayOptions
from tests.brokers import Broker
from tests.end_to_end.conftest import Live, Running
from tests.end_to_end.test_real_data import cycles_of_a_single_message, strain
from twin.commands import playback, playing
from twin.commands.client import ask
from twin.commands.playback import replayed
from twin.commands.playing import Destination
from twin.errors import SettingsError

NAME = "bridge/span-1"


def signal(n: int) -> np.ndarray:
    """Strain [µm/m] whose cycles stay open over many messages of a thousand samples."""
    t = np.arange(n)
    fast, slow = 60.0 * np.sin(0.31 * t), 150.0 * np.sin(0.0007 * t)
    rounded: np.ndarray = np.round(fast + slow, 6)
    return rounded


def logged(path: Path, values: np.ndarray, rate_hz: float, start: datetime) -> Path:
    stamps = [start + timedelta(seconds=i / rate_hz) for i in range(len(values))]
    rows = (f"{t:%Y-%m-%d %H:%M:%S.%f},{v}\n" for t, v in zip(stamps, values, strict=True))
    path.write_text("Time (-),A (um/m)\n" + "".join(rows))
    return path


async def report(it: Live, path: Path, **options: Any) -> dict[str, Any]:
    return await replayed(it.stage, path, ReplayOptions(**{"component": NAME} | options))


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("rate_hz", [1.0, 10.0, 50.0, 99.7])
async def test_every_cycle_is_counted_whatever_the_rate(
    live: Running, tmp_path: Path, rate_hz: float, stated: bool
) -> None:
    """600 samples at 10 Hz were 600 messages, none of which followed another: 0 cycles."""
    values = signal(6000)
    path = logged(tmp_path / "a.csv", values, rate_hz, datetime(2022, 3, 7, tzinfo=UTC))
    async with live() as it:
        found = await report(it, path, rate_hz=rate_hz if stated else None)
    assert (found["published"], found["accepted"], found["gaps"]) == (6, 6, 0)
    assert found["rate_hz"] == pytest.approx(rate_hz, rel=1e-4)
    assert found["cycles_counted"] == pytest.approx(cycles_of_a_single_message(values))
    assert found["notes"] == []


async def test_what_was_sent_before_is_told_to_be_there(live: Running, tmp_path: Path) -> None:
    path = logged(tmp_path / "a.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    async with live() as it:
        first = await report(it, path)
        again = await report(it, path)
        anew = await report(it, path, boot=2)
    assert (first["accepted"], first["duplicates"]) == (3, 0)
    assert (again["accepted"], again["duplicates"]) == (0, 3)
    assert "3 of 3 messages were duplicates" in again["notes"][0]
    assert (anew["accepted"], anew["late"]) == (3, 2)  # the last ends with what was seen before


async def test_a_file_behind_what_the_twin_has_seen_is_told_to_be_late(
    live: Running, tmp_path: Path
) -> None:
    old = logged(tmp_path / "old.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    new = logged(tmp_path / "new.csv", signal(2500), 10.0, datetime(2023, 3, 7, tzinfo=UTC))
    async with live() as it:
        before = await report(it, new, component="bridge/span-2")
        found = await report(it, old)
    assert (before["late"], before["notes"]) == (0, [])
    assert (found["accepted"], found["late"]) == (3, 3)
    assert "all messages that it took lie behind 2023-03-07T00:0" in found["notes"][0]


async def test_a_broker_that_is_not_the_twins_is_noticed(
    live: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.commands.received.PATIENCE_S", 1.0)
    path = logged(tmp_path / "a.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    (tmp_path / "other").mkdir()
    async with live() as it:
        with Broker(tmp_path / "other") as other:
            stage = Destination.of(f"127.0.0.1:{other.port}", it.url, None, "twin/v1")
            found = await replayed(stage, path, ReplayOptions(component=NAME))
    assert (found["published"], found["accepted"], found["not_arrived"]) == (3, 0, 3)
    assert f"it does not read from the broker 127.0.0.1:{other.port}" in found["notes"][0]


async def test_what_is_refused_is_told_by_its_reason(live: Running, tmp_path: Path) -> None:
    path = logged(tmp_path / "a.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    async with live() as it:
        stage = Destination.of(it.stage.mqtt.address, it.url, None, "twin/v1", registers=False)
        found = await replayed(stage, path, ReplayOptions(component="no/body"))
    assert (found["accepted"], found["dead_letters"]) == (0, {"component": 3})
    assert found["notes"] == [
        "3 messages were refused (component): twin dead-letters list says why"
    ]


async def test_a_bridge_with_swapped_dates_is_counted_whole(live: Running, data: Path) -> None:
    path = data / "munich_bridge" / "settlement_1_strain_100hz.csv"
    async with live(storage={"record_every_s": 60.0}) as it:
        found = await report(it, path, swap_day_month=True)
    samples = strain(path, 720.0)
    assert (found["published"], found["accepted"], found["gaps"]) == (72, 72, 0)
    assert found["rate_hz"] == pytest.approx(100.0, rel=1e-4)
    assert found["cycles_counted"] == pytest.approx(cycles_of_a_single_message(samples))


async def test_what_others_had_refused_meanwhile_is_not_told_as_ours(
    live: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = logged(tmp_path / "a.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    asked = playback._asked

    async def beside(*arguments: Any) -> Any:
        """What somebody else sends once the replay has looked."""
        before = await asked(*arguments)
        mqtt = dataclasses.replace(arguments[2].mqtt, client_id="another")
        async with Publisher(mqtt) as publisher:
            for body in (b"{", b'{"source":"other","boot":1,"seq":0,"unit":"MPa"}'):
                await publisher.publish(f"twin/v1/{NAME}/load", body)
        return before

    monkeypatch.setattr(playback, "_asked", beside)
    async with live() as it:
        found = await report(it, path)
        letters = await asyncio.to_thread(ask, it.url, "/api/v1/dead-letters")
    assert letters["total"] == 2
    assert (found["accepted"], found["not_arrived"], found["dead_letters"]) == (3, 0, {})
    assert found["notes"] == []


async def test_more_letters_than_can_be_looked_through_are_told(
    live: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.commands.refused.MOST", 2)
    monkeypatch.setattr("twin.commands.received.PATIENCE_S", 1.0)
    path = logged(tmp_path / "a.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    async with live() as it:
        stage = Destination.of(it.stage.mqtt.address, it.url, None, "twin/v1", registers=False)
        found = await replayed(stage, path, ReplayOptions(component="no/body"))
    assert found["dead_letters"] is None
    assert any("how many of its messages were refused is not known" in n for n in found["notes"])


async def test_a_file_that_changes_while_it_is_read_is_told(
    live: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = logged(tmp_path / "a.csv", signal(2500), 10.0, datetime(2022, 3, 7, tzinfo=UTC))
    surveyed, played = playback._surveyed, playing.played

    def grown() -> None:
        with path.open("a") as file:
            file.write("2023-01-01 00:00:00,1\n")

    async def meanwhile(*arguments: Any, **options: Any) -> dict[str, Any]:
        grown()
        return await played(*arguments, **options)

    def before(*arguments: Any) -> Any:
        found = surveyed(*arguments)
        grown()
        return found

    async with live() as it:
        monkeypatch.setattr(playback, "played", meanwhile)
        found = await report(it, path)
        monkeypatch.setattr(playback, "_surveyed", before)
        with pytest.raises(SettingsError, match="it changed while it was read"):
            await report(it, path, boot=2)
    assert "it changed while it was read" in found["notes"][0]
