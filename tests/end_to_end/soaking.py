"""Who works with a service while it soaks: sensors, registrars, readers, scrapers and listeners."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from sensors.mqtt.packets import Message as Packet
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from sensors.observation import Spectrum
from sensors.payload.encode import spectrum_message
from tests.end_to_end.clients import AwayError, Door, Sender
from tests.end_to_end.desks import Registrar

TICK_S = 0.05  # between two portions of messages
POLL_S = 0.01  # between two looks at a state that is waited for
LATE_S = 180.0  # a state that is not there by then never comes
TOLD = 20  # complaints that are kept
CYCLES = np.array([(30e6, 40e6, 1.0)]).astype("<f8").tobytes()  # range, mean [Pa], count
LISTEN_S = 20.0  # until a listener goes, and another comes


def spectrum(component: str, source: str, seq: int) -> Packet:
    """One cycle that grows a crack by next to nothing, just now."""
    plain = spectrum_message(
        Spectrum(
            component=component,
            source=source,
            boot=1,
            seq=seq,
            t_ns=time.time_ns(),
            quantity="stress",
            unit="Pa",
            cycles=CYCLES,
        )
    )
    return Packet(plain.topic, plain.payload, plain.content_type or "", plain.properties)


class Waits:
    """How long something took, window by window."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: list[float] = []

    def add(self, seconds: float) -> None:
        """Something took so long."""
        with self._lock:
            self._own.append(seconds)

    def taken(self) -> tuple[float, float]:
        """p50 and p99 since the last call [ms]; NaN where nothing happened."""
        with self._lock:
            own, self._own = self._own, []
        if not own:
            return float("nan"), float("nan")
        p50, p99 = np.percentile(own, (50, 99)) * 1e3
        return float(p50), float(p99)


class Complaints:
    """What was not answered as it should have been; the soak goes on."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.count = 0

    def add(self, complaint: str) -> None:
        """Something is wrong."""
        self.count += 1
        if len(self.told) < TOLD:
            self.told.append(f"{time.strftime('%H:%M:%S')} {complaint}")


class Loads:
    """So many messages a second to parts in turn, in a thread of their own."""

    def __init__(self, port: int, parts: Sequence[str], rate: float) -> None:
        self.sent = 0
        self._settings = MqttSettings(port=port, client_id="loads", backoff_s=(0.05, 0.2))
        self._parts, self._rate = parts, rate
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="loads", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Stop, once the broker has taken everything."""
        self._enough.set()
        self._thread.join(60.0)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._publish())
        except BaseException as exc:  # told to whoever waits in `finish`
            self._failure = exc

    async def _publish(self) -> None:
        seqs = [0] * len(self._parts)
        async with Publisher(self._settings, window=20_000) as publisher:
            began = time.monotonic()
            while not self._enough.is_set():
                due = int((time.monotonic() - began) * self._rate)
                for i in range(self.sent, due):
                    part = i % len(self._parts)
                    await publisher.send(spectrum(self._parts[part], "daq-1", seqs[part]))
                    seqs[part] += 1
                self.sent = max(due, self.sent)
                await asyncio.sleep(TICK_S)
            await publisher.drain()
            assert not publisher.refused, f"{publisher.refused} messages were refused"


class Probe:
    """Publishes one message to a part of its own, and waits until the state has it."""

    def __init__(self, sender: Sender, port: int, part: str, complaints: Complaints) -> None:
        self.waits = Waits()
        self.sent = 0
        self._complaints = complaints
        self._sender, self._port = sender, port
        self._part, self._path = part, f"/api/v1/components/{part}/state"

    def turn(self) -> None:
        """One message and its wait."""
        packet = spectrum(self._part, "probe", self.sent)
        self.sent += 1
        began = time.monotonic()
        self._sender.send_packets([packet])
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as link:
                while self._cycles(link) < self.sent:
                    if time.monotonic() - began > LATE_S:
                        self._complaints.add(f"message {self.sent} is not believed in {LATE_S} s")
                        return
                    time.sleep(POLL_S)
        except (OSError, http.client.HTTPException) as exc:
            self._complaints.add(f"GET {self._path}: {exc!r}")
            return
        self.waits.add(time.monotonic() - began)

    def _cycles(self, link: http.client.HTTPConnection) -> float:
        """Cycles that are believed; 0 where that is not told."""
        link.request("GET", self._path)
        said = link.getresponse()
        body = said.read()
        if said.status != 200:
            self._complaints.add(f"GET {self._path}: {said.status} {body!r}")
            return 0.0
        return float(json.loads(body)["cycles"])


class Reader:
    """Asks for one page after the other and notes how long each took."""

    def __init__(self, door: Door, paths: Sequence[str], complaints: Complaints) -> None:
        self.waits = Waits()
        self._complaints = complaints
        self.put_off = 0  # questions that were to be asked again later
        self._door, self._paths, self._turns = door, paths, 0

    def turn(self) -> None:
        """One question."""
        path = self._paths[self._turns % len(self._paths)]
        self._turns += 1
        began = time.monotonic()
        try:
            said = self._door.ask("GET", path)
        except AwayError:
            self.put_off += 1
            return
        if said.status != 200:
            self._complaints.add(f"GET {path}: {said}")
        self.waits.add(time.monotonic() - began)


class Churn:
    """Registers, changes and retires parts of a few names, over and over."""

    def __init__(self, door: Door, tables: Sequence[dict[str, Any]]) -> None:
        self.changes = 0
        self._registrars = [Registrar(door, table) for table in tables]

    def turn(self) -> None:
        """One change of one part."""
        registrar = self._registrars[self.changes % len(self._registrars)]
        if registrar.revisions and not registrar.revisions[-1].retired and self.changes % 3 == 0:
            registrar.retire()
        else:
            registrar.put(0.018 + 1e-7 * len(registrar.revisions))
        self.changes += 1


class Listener:
    """Listens to the events for a while, goes, and comes again."""

    def __init__(self, port: int, complaints: Complaints) -> None:
        self._complaints = complaints
        self.bytes = 0
        self.turns = 0
        self._port = port

    def turn(self) -> None:
        """One connection."""
        deadline = time.monotonic() + LISTEN_S
        self.turns += 1
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20.0)
        try:
            with closing(link):
                link.request("GET", "/api/v1/events")
                said = link.getresponse()
                if said.status != 200:
                    self._complaints.add(f"a listener: {said.status} {said.read()!r}")
                    return
                while time.monotonic() < deadline and (piece := said.read1(65_536)):
                    self.bytes += len(piece)
        except (OSError, http.client.HTTPException) as exc:
            self._complaints.add(f"a listener: {exc!r}")
