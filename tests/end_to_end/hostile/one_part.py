"""One sensor of one part sends what takes long to step: are the loads of another part on time?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

from sensors.mqtt.packets import Message
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.observation import Series, Spectrum
from sensors.payload import encode
from sensors.payload.encode import load_message, spectrum_message
from tests.end_to_end.hostile.target import Seen, Target

LATE_S, LATE = 1.0, 4.0  # from publishing to the state, beside anything; and times that alone
SHARE = 0.01  # of the loads may be later
LONGEST_S = 40.0  # that a flood is watched
PLATE, RETARDED, PLAIN, OTHER = 3, 1, 2, 0  # of the parts of the service under test


class Flood:
    """Messages of one part, at the rate at which the broker takes them."""

    def __init__(self, part: str) -> None:
        self._part, self._seq = part, 0
        self._noise = np.random.default_rng(1)

    def small(self, count: int) -> Iterator[Message]:
        """Messages of ten samples."""
        for _ in range(count):
            yield _wire(load_message(self._series(self._noise.normal(3e7, 1e7, 10))))

    def spectra(self, count: int, rows: int) -> Iterator[Message]:
        """Messages of many rows."""
        for _ in range(count):
            ranges = self._noise.uniform(1e7, 4e7, rows)
            table = np.stack((ranges, ranges, np.ones(rows)), 1)
            yield _wire(spectrum_message(self._spectrum(table)))

    def noise(self, count: int, samples: int) -> Iterator[Message]:
        """Messages of many samples."""
        for _ in range(count):
            yield _wire(load_message(self._series(self._noise.normal(3e7, 1e7, samples))))

    def _series(self, stress: np.ndarray) -> Series:
        self._seq += 1
        return Series(
            component=self._part,
            source="daq",
            boot=2,
            seq=self._seq,
            t_ns=time.time_ns(),
            quantity="stress",
            rate_hz=1e5,
            tension=stress.tobytes(),
        )

    def _spectrum(self, rows: np.ndarray) -> Spectrum:
        self._seq += 1
        return Spectrum(
            component=self._part,
            source="daq",
            boot=2,
            seq=self._seq,
            t_ns=time.time_ns(),
            quantity="stress",
            cycles=rows.tobytes(),
        )


FLOODS: dict[str, tuple[int, Callable[[Flood, float], Iterator[Message]]]] = {
    "small messages": (PLAIN, lambda flood, size: flood.small(round(20_000 * size))),
    "small messages with retardation": (
        RETARDED,
        lambda flood, size: flood.small(round(20_000 * size)),
    ),
    "8 of 10,000 rows with retardation": (
        RETARDED,
        lambda flood, size: flood.spectra(8, round(10_000 * size)),
    ),
    "8 of 100,000 samples with retardation": (
        RETARDED,
        lambda flood, size: flood.noise(8, round(100_000 * size)),
    ),
    "small messages of a plate": (PLATE, lambda flood, size: flood.small(round(2_000 * size))),
}


def attack(target: Target, *, size: float = 1.0, tries: int = 1) -> Seen:
    """Each flood in its turn, another part's loads beside it.

    So many `tries` that are late in a row are a fault: more than one only where others use the
    machine at the same time.
    """
    return asyncio.run(_attack(target, size, tries))


async def _attack(target: Target, size: float, tries: int) -> Seen:
    seen, said = Seen(), list[str]()
    parts = target.twin.registered
    flooded = {part: Flood(parts[part]) for part in (PLATE, RETARDED, PLAIN)}
    settings = MqttSettings(port=target.broker_port, client_id="beside")
    async with Publisher(settings) as beside:
        other = _Other(target, beside, parts[OTHER])
        alone = [await other.seen_after() for _ in range(10)]
        with target.watched("/readyz", every_s=0.5) as watch:
            for name, (part, made) in FLOODS.items():
                for attempt in range(1, tries + 1):
                    messages = list(made(flooded[part], size))
                    p99, sentence = await _beside(other, target, messages)
                    said.append(f"{name}: {sentence}")
                    if p99 <= max(LATE_S, LATE * max(alone)):
                        break
                    if attempt == tries:
                        seen.faults.append(f"beside {name} loads are {p99:.1f} s late")
    seen.others = f"a load is seen after {max(alone):.2f} s at most alone; " + "; ".join(said)
    seen.told = f"{watch.growth >> 20} MiB more memory; /readyz: {watch.sentence()}"
    seen.faults += watch.faults(growth=500 << 20)
    return seen


async def _beside(other: _Other, target: Target, messages: list[Message]) -> tuple[float, str]:
    """How late another part's loads are at most during a flood, but for a share [s]; in words."""
    began = time.monotonic()
    flooding = asyncio.create_task(_flooded(target, messages))
    waits = [await other.seen_after()]
    while not flooding.done() or _depth(target) > 0:
        waits.append(await other.seen_after())
        if time.monotonic() - began > LONGEST_S:
            break
    await flooding
    took, late = time.monotonic() - began, sorted(waits)
    p99 = late[max(0, round((1.0 - SHARE) * len(late)) - 1)]
    return p99, f"p99 {p99:.2f} s, all {late[-1]:.2f} s, over in {took:.1f} s"


async def _flooded(target: Target, messages: list[Message]) -> None:
    async with Publisher(MqttSettings(port=target.broker_port, client_id="flood")) as publisher:
        await publisher.flood(messages)


def _depth(target: Target) -> float:
    """Lines that are not stepped."""
    with suppress(OSError):
        page = target.ask("/metrics")[1].decode()
        line = 'twin_queue_depth{queue="stepping"} '
        return float(page.partition(line)[2].partition("\n")[0])
    return 1.0


class _Other:
    """A part that somebody else looks at."""

    def __init__(self, target: Target, publisher: Publisher, part: str) -> None:
        self._target, self._publisher, self._part, self._seq = target, publisher, part, 0

    async def seen_after(self) -> float:
        """How long from a load's publishing until its cycles are counted [s]."""
        before = await asyncio.to_thread(self._cycles)
        self._seq += 1
        load = Spectrum(
            component=self._part,
            source="daq",
            boot=1,
            seq=self._seq,
            t_ns=time.time_ns(),
            quantity="stress",
            cycles=np.array([[4e7, 3e7, 10.0]]).tobytes(),
        )
        began = time.monotonic()
        await self._publisher.flood([_wire(spectrum_message(load))])
        while await asyncio.to_thread(self._cycles) <= before:
            await asyncio.sleep(0.01)
            if time.monotonic() - began > LONGEST_S:
                break
        return time.monotonic() - began

    def _cycles(self) -> float:
        path = f"/api/v1/components/{self._part}/state"
        return float(json.loads(self._target.ask(path)[1])["cycles"])


def _wire(made: encode.EncodedMessage) -> Message:
    return Message(made.topic, made.payload, made.content_type or "", made.properties)
