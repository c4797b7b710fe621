"""Crack images by MQTT, from the camera to what is believed; and real photographs of welds."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from models.crack_image.recipe import large_scenes
from models.crack_image.scenes import Scene
from models.crack_image.trace import trace
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.observation import Snapshot
from sensors.payload.encode import image_message
from tests.end_to_end.conftest import Live, Running
from twin.commands.client import ask

PART = "bridge/detail-1"
HERE = f"/api/v1/components/{PART}"
PIXEL = 5e-5  # [m]
T0_NS = 1_767_225_600 * 10**9
FLEET: list[dict[str, Any]] = [
    {
        "name": PART,
        "material": "nickel",
        "geometry": {"kind": "edge_crack", "W": 0.1},
        "crack_length": 0.002,
        "crack_limit": 0.05,
        "surprise_factor": None,  # the picture may show any crack
    }
]


def plain() -> Scene:
    """The first scene with a crack from one border to a tip, plainly darker than what is near."""
    for found in large_scenes(purpose=4, count=12):
        truth = trace(found.crack.astype(np.float32))
        if truth is None or truth.length < 100.0:
            continue
        ends = truth.path[[0, -1]]
        cut = (np.minimum(ends, 384.0 - ends).min(axis=1) <= 3.0).sum()
        if cut == 1 and contrast(found) > 4.0:
            return found
    raise AssertionError("no such scene")


def contrast(found: Scene) -> float:
    """How much darker the crack is, in standard deviations of the shades around it."""
    wide, narrow = (ndimage.binary_dilation(found.crack, iterations=n) for n in (12, 4))
    around = found.picture[wide & ~narrow]
    dark = np.median(around) - np.median(found.picture[found.crack])
    return float(dark / around.std())


def file(picture: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


async def send(it: Live, files: Sequence[bytes]) -> None:
    """Publish crack images, each twice, as QoS 1 may."""
    port = it.service.settings.mqtt.port
    async with Publisher(MqttSettings(host="127.0.0.1", port=port, client_id="camera")) as camera:
        for seq, data in enumerate(files):
            snapshot = Snapshot(
                component=PART,
                source="camera-1",
                boot=0,
                seq=seq,
                t_ns=T0_NS + seq * 60 * 10**9,
                sha256=hashlib.sha256(data).hexdigest(),
                kind="crack",
                media_type="image/png",
                width=1,  # not sent: the file says it
                height=1,
                pixel_size=PIXEL,
            )
            message = image_message(snapshot, data)
            for _ in range(2):
                await camera.publish(
                    message.topic,
                    message.payload,
                    content_type=message.content_type or "",
                    properties=message.properties,
                )


async def read(it: Live, count: int) -> list[dict[str, Any]]:
    """What was read of `count` images, the oldest first."""
    async with asyncio.timeout(120):
        while True:
            page = await asyncio.to_thread(ask, it.url, f"{HERE}/images")
            found = [item["read"] for item in page["items"] if item["read"] is not None]
            if len(found) >= count:
                return found[::-1]
            await asyncio.sleep(0.1)


async def test_a_made_up_photograph_is_measured_once_and_believed(live: Running) -> None:
    scene = plain()
    truth = trace(scene.crack.astype(np.float32))
    assert truth is not None
    async with live() as it:
        await asyncio.to_thread(it.stage.register, FLEET)
        await send(it, [file(scene.picture), b"\x89PNG\r\n\x1a\n no picture"])
        (found,) = await read(it, 1)
        assert found["outcome"] == "measured", found
        await it.service.until(it.service.committer.end)
        state = await asyncio.to_thread(ask, it.url, f"{HERE}/state")
        assert it.service.committer.end == 1 + 1 + 2  # registration, image, readout, inspection
        letters = len(it.service.store.journal.dead_letters)
    assert letters == 2
    assert abs(found["length"] - truth.length * PIXEL) <= 3.0 * found["length_sd"]
    assert state["crack_length"] == pytest.approx(found["length"])
    assert state["inspection"]["crack_length_sd"] == pytest.approx(found["length_sd"])


async def test_photographs_of_welds_are_read_or_doubted_and_move_nothing_unseen(
    live: Running, data: Path
) -> None:
    files = [path.read_bytes() for path in sorted((data / "weld_cracks").glob("?.png"))]
    assert len(files) == 3
    async with live() as it:
        await asyncio.to_thread(it.stage.register, FLEET)
        await send(it, files)
        found = await read(it, 3)
        state = await asyncio.to_thread(ask, it.url, f"{HERE}/state")
    assert all(r["why"] for r in found if r["outcome"] != "measured")
    assert all((r["length"] is not None) == r["trusted"] for r in found)
    if not any(r["outcome"] == "measured" for r in found):
        assert state["crack_length"] == pytest.approx(0.002)
