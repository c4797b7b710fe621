"""Readers of histories, as many as there are, and an image a second: are loads still on time?"""

from __future__ import annotations

import asyncio
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from PIL import Image

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.observation import Snapshot, Spectrum
from sensors.payload import encode
from sensors.payload.encode import image_message, spectrum_message
from tests.end_to_end.hostile.target import Seen, Target

READERS, SECONDS, ROWS = 36, 12.0, 1_000
LATE_S, LATE = 2.0, 4.0  # from publishing to the state, beside anything; and times that alone
TICK_NS = 2 * 10**9  # of the service under test
PIXELS = 2_000  # of an image, each way


def attack(target: Target, *, rows: int = ROWS, seconds: float = SECONDS) -> Seen:
    """A long history first, then everybody reads it."""
    return asyncio.run(_attack(target, rows, seconds))


async def _attack(target: Target, rows: int, seconds: float) -> Seen:
    seen, part, other = Seen(), *target.twin.registered[:2]
    start_ns = time.time_ns() - (rows + 60) * TICK_NS
    async with Publisher(MqttSettings(port=target.broker_port, client_id="loads")) as publisher:
        loads = [_wire(spectrum_message(_load(part, i, start_ns))) for i in range(rows)]
        await publisher.flood(loads)
        await asyncio.to_thread(
            target.twin.until, lambda: _rows(target, part) >= rows - 90, "keeps the history", 240.0
        )
        alone = [await _seen_after(target, publisher, other, i) for i in range(8)]
        with target.watched("/metrics", every_s=0.5) as watch, ThreadPoolExecutor(READERS) as pool:
            until = time.monotonic() + seconds
            loop = asyncio.get_running_loop()
            readers = [
                loop.run_in_executor(pool, _read, target, part, until) for _ in range(READERS)
            ]
            images = asyncio.create_task(_images(publisher, part))
            waits, i = list[float](), 100
            while time.monotonic() < until:
                waits.append(await _seen_after(target, publisher, other, i))
                i += 1
            images.cancel()
            read = await asyncio.gather(*readers)
    seen.others = f"a load is seen after {max(waits):.2f} s at most ({max(alone):.2f} alone); "
    seen.others += f"/metrics: {watch.sentence()}"
    seen.told = f"{sum(read)} histories of {rows} rows, {watch.growth >> 20} MiB more memory"
    seen.faults = watch.faults(growth=500 << 20)
    if max(waits) > max(LATE_S, LATE * max(alone)):
        seen.faults.append(f"a load was {max(waits):.1f} s late")
    return seen


def _wire(made: encode.EncodedMessage) -> Message:
    return Message(made.topic, made.payload, made.content_type or "", made.properties)


def _load(part: str, seq: int, start_ns: int) -> Spectrum:
    rows = np.array([[4e7, 3e7, 10.0]])
    return Spectrum(
        component=part,
        source="daq",
        boot=1,
        seq=seq,
        t_ns=start_ns + seq * TICK_NS,
        quantity="stress",
        cycles=rows.tobytes(),
    )


def _rows(target: Target, part: str) -> int:
    with suppress(OSError, ValueError, KeyError):
        path = f"/api/v1/components/{part}/history?fields=cycles&every=50&limit=2000"
        return 50 * len(json.loads(target.ask(path)[1])["columns"]["time"])
    return 0


async def _seen_after(target: Target, publisher: Publisher, part: str, seq: int) -> float:
    """How long from a load's publishing until its cycles are counted [s]."""
    before, began = await asyncio.to_thread(_cycles, target, part), time.monotonic()
    load = _load(part, seq, time.time_ns() - seq * TICK_NS)
    await publisher.flood([_wire(spectrum_message(load))])
    while await asyncio.to_thread(_cycles, target, part) <= before:
        await asyncio.sleep(0.01)
        if time.monotonic() - began > 30.0:
            break
    return time.monotonic() - began


def _cycles(target: Target, part: str) -> float:
    return float(json.loads(target.ask(f"/api/v1/components/{part}/state")[1])["cycles"])


def _read(target: Target, part: str, until: float) -> int:
    read = 0
    while time.monotonic() < until:
        with suppress(OSError):
            status, _ = target.ask(f"/api/v1/components/{part}/history?limit=100000")
            read += status == 200
            if status != 200:
                time.sleep(0.2)
    return read


async def _images(publisher: Publisher, part: str) -> None:
    noise = np.random.default_rng(0)
    for seq in range(1_000):
        picture = noise.integers(100, 156, (PIXELS, PIXELS), dtype=np.uint8)
        out = io.BytesIO()
        await asyncio.to_thread(Image.fromarray(picture).save, out, "PNG", compress_level=1)
        snapshot = Snapshot(
            component=part,
            source="camera",
            boot=1,
            seq=seq,
            t_ns=time.time_ns(),
            kind="microstructure",
            sha256="",
            media_type="image/png",
            width=PIXELS,
            height=PIXELS,
            pixel_size=5e-5,
        )
        await publisher.flood([_wire(image_message(snapshot, out.getvalue()))])
        await asyncio.sleep(1.0)
