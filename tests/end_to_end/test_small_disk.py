"""A small disk: what fills it, and what a service does on one that takes nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from storage.store import Store
from tests.brokers import Broker
from tests.conftest import tool
from tests.end_to_end.harness import Twin, subscribed
from tests.end_to_end.test_nothing_lost import FLEET, NAMES
from tests.end_to_end.test_storage_trouble import NoRoom, small_disk

ROOT, PART = "twin/v1", NAMES[0]
NOW_NS = time.time_ns()
PATIENCE = 60.0
MIB = 1 << 20


def noise(seed: int, side: int = 600) -> bytes:
    """A picture of `side`² bytes that no format makes smaller, and that shows nothing."""
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    file = BytesIO()
    Image.fromarray(grey).save(file, "png")
    return file.getvalue()


def picture(seq: int, data: bytes, part: str = PART) -> Message:
    """An image message."""
    fields = {
        "source": "camera",
        "boot": "1",
        "seq": str(seq),
        "t_ns": str(NOW_NS + seq),
        "kind": "microstructure",
        "pixel_size": "1e-6",
    }
    return Message(f"{ROOT}/{part}/image", data, "image/png", fields)


def load(seq: int) -> Message:
    """A spectrum."""
    body = {"source": "daq", "boot": 1, "seq": seq, "t_ns": NOW_NS + seq, "unit": "MPa"}
    body["cycles"] = [[50.0, 25.0, 1]]
    return Message(f"{ROOT}/{PART}/load", json.dumps(body).encode(), "application/json")


def sent(port: int, messages: Sequence[Message]) -> None:
    """Publish, and return once the broker has all of it."""

    async def publish() -> None:
        settings = MqttSettings(port=port, client_id=f"sender-{time.time_ns()}")
        async with Publisher(settings) as publisher:
            for message in messages:
                await publisher.publish(
                    message.topic,
                    message.payload,
                    content_type=message.content_type,
                    properties=message.properties,
                )

    asyncio.run(publish())


@contextmanager
def stage(directory: Path, size: int) -> Iterator[tuple[Broker, Twin]]:
    """A broker, and a service that is not started yet with its data on a small disk."""
    (directory / "broker").mkdir()
    with (
        small_disk(directory / "disk", size),
        Broker(directory / "broker") as broker,
        Twin(directory / "twin", broker.port, FLEET, data=directory / "disk" / "data") as twin,
    ):
        yield broker, twin


def ready(twin: Twin) -> dict[str, Any]:
    page: dict[str, Any] = twin.get("/readyz").json()
    return page


def is_troubled(page: dict[str, Any]) -> bool:
    """Whether a service is there and says that the disk keeps it from writing."""
    return bool(page["checks"]["recovered"] and page["disk_trouble"])


def seen(twin: Twin, wanted: int) -> bool:
    """Whether so many loads of the part are believed."""
    state = twin.get(f"/api/v1/components/{PART}/state").json()
    return bool(state["cycles"] == float(wanted))


def remounted(disk: Path, how: str) -> None:
    subprocess.run([tool("mount"), "-o", f"remount,{how}", str(disk)], check=True)


def test_a_full_disk_and_an_image_hold_acknowledgements_and_nothing_else(tmp_path: Path) -> None:
    with stage(tmp_path, 24 * MIB) as (broker, twin):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        trouble = NoRoom(tmp_path / "disk")
        trouble.begin(twin)
        sent(broker.port, [picture(1, noise(1))])
        twin.until(lambda: not ready(twin)["checks"]["images"], "says that images wait")
        (said,) = [s for s in ready(twin)["disk_trouble"] if "images" in s]
        assert "the disk is full" in said
        assert "make room" in said
        assert str(tmp_path) not in said
        assert twin.get(f"/api/v1/components/{PART}/state").status == 200
        sent(broker.port, [load(1)])
        trouble.end(twin)
        twin.until(lambda: twin.readiness() == 200, "is ready again")
        twin.until_kept(2)
        images = twin.get(f"/api/v1/components/{PART}/images").json()
        assert [image["seq"] for image in images["items"]] == [1]
        twin.stop()
    assert "Traceback" not in twin.log


def loaded_and_ended(broker: Broker, twin: Twin, how: str) -> None:
    """A service that has believed a load, and is `killed` or `stopped`."""
    twin.start()
    twin.until(lambda: subscribed(broker), "subscribes")
    sent(broker.port, [load(1)])
    twin.until(lambda: seen(twin, 1), "believes the load")
    twin.kill() if how == "killed" else twin.stop()


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_service_starts_on_a_full_disk_answers_and_goes_on(tmp_path: Path, how: str) -> None:
    with stage(tmp_path, 24 * MIB) as (broker, twin):
        loaded_and_ended(broker, twin, how)
        trouble = NoRoom(tmp_path / "disk")
        trouble.begin(twin)
        twin.launch()
        twin.until(lambda: twin.readiness() == 503 and is_troubled(ready(twin)), "starts")
        assert "the disk is full" in ready(twin)["disk_trouble"][0]
        trouble.begin(twin)  # what a kill had left half-written has made room by now
        sent(broker.port, [load(2)])
        twin.until(lambda: not ready(twin)["checks"]["journal"], "says that the journal waits")
        assert seen(twin, 1)
        trouble.end(twin)
        twin.until(lambda: twin.readiness() == 200, "is ready again")
        twin.until(lambda: seen(twin, 2), "believes what came meanwhile")
        twin.stop()
    assert "Traceback" not in twin.log


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_service_starts_on_a_read_only_disk(tmp_path: Path, how: str) -> None:
    with stage(tmp_path, 24 * MIB) as (broker, twin):
        loaded_and_ended(broker, twin, how)
        remounted(tmp_path / "disk", "ro")
        twin.launch()
        twin.until(lambda: twin.readiness() == 503 and is_troubled(ready(twin)), "starts")
        assert "mounted read-only" in ready(twin)["disk_trouble"][0]
        assert seen(twin, 1)
        assert twin.get("/api/v1/dead-letters").status == 200  # by a connection of its own
        remounted(tmp_path / "disk", "rw")
        twin.until(lambda: twin.readiness() == 200, "is ready again")
        sent(broker.port, [load(2)])
        twin.until(lambda: seen(twin, 2), "believes what came then")
        twin.stop()
    assert "Traceback" not in twin.log


def test_refused_messages_larger_than_the_disk_stop_nothing(tmp_path: Path) -> None:
    with stage(tmp_path, 24 * MIB) as (broker, twin):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        nonsense = bytes(MIB - 1000)
        for i in range(40):
            sent(
                broker.port, [Message(f"{ROOT}/{PART}/load", nonsense, "application/json"), load(i)]
            )
        twin.until(lambda: seen(twin, 40), "believes every load")
        assert twin.readiness() == 200
        letters = twin.get("/api/v1/dead-letters").json()
        assert 0 < letters["total"] < 40
        assert letters["total"] + letters["dropped"] == 40
        twin.stop()
        used = sum(path.stat().st_size for path in twin.data.rglob("*") if path.is_file())
        assert used < 12 * MIB
    assert not twin.events("journal_unavailable")


def test_images_take_no_more_than_half_of_a_disk_and_stop_no_load(tmp_path: Path) -> None:
    with stage(tmp_path, 24 * MIB) as (broker, twin):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        sent(broker.port, [picture(i, noise(i, 2000)) for i in range(5)])  # of 4 MB each
        sent(broker.port, [load(1)])
        twin.until(lambda: seen(twin, 1), "believes the load")
        letters = twin.get("/api/v1/dead-letters").json()["items"]
        assert [letter["reason"] for letter in letters] == ["room", "room"]
        assert "images take" in letters[0]["sentence"]
        assert (
            len(twin.get(f"/api/v1/components/{PART}/images").json()["items"]) + len(letters) == 5
        )
        assert twin.readiness() == 200
        twin.stop()


def test_images_that_are_refused_or_repeated_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    with (
        Broker(tmp_path / "broker") as broker,
        Twin(tmp_path / "twin", broker.port, FLEET) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        kept = noise(1)
        sent(broker.port, [picture(1, kept), picture(1, kept)])  # once more: a duplicate
        sent(broker.port, [picture(1, noise(2))])  # under the same key: a conflict
        sent(broker.port, [picture(2, noise(3), "plant/nobody")])  # not registered
        sent(broker.port, [load(1)])
        twin.until(lambda: seen(twin, 1), "believes the load")
        twin.stop()
    with Store(twin.data) as store:
        assert [store.images.get(sha256) for sha256 in store.images.names()] == [kept]
        assert len(store.journal.dead_letters) == 2
