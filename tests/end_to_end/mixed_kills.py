"""SIGKILL upon SIGKILL under everything that clients do at once, rebuilds killed among it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.brokers import Broker
from tests.end_to_end.cameras import Camera
from tests.end_to_end.clients import Client, Door, Sender
from tests.end_to_end.desks import Desk, Lettered
from tests.end_to_end.disk import Disk
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.killing import FSYNC_S, Moment, chances, kill
from tests.end_to_end.ledger import Ledger, retained
from tests.end_to_end.nursery import Nursery
from tests.end_to_end.rebuilds import Rebuilds, rebuilt_elsewhere
from tests.end_to_end.stream import Stream
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import Findings, entries_of, found
from tests.end_to_end.witness import Witness

LINKS = 3  # publishers of loads, each with parts of its own
PARTS = 6  # of the fleet file
DESKS = 2  # parts that are registered, changed and inspected by HTTP
LINES = 25  # that a life at least adds to the journal
DAY_NS = 86_400 * 10**9
PAUSE_S = 0.3  # between two seconds of event time
QUIET_S = 60.0  # for retained states to say what HTTP says
RECORD_EVERY_S = 6.0  # of event time: what a row costs, a fold of the whole pays again
START_S = 600.0  # on a machine that others use too
STILL_S = 1.0  # without a new line: nothing is on its way any more
MOMENTS: tuple[Moment, ...] = (
    *("anywhere", "rebuilding", "starting", "flushing", "anywhere", "checkpointing"),
    *("starting", "anywhere"),
)
LATE = "backfill_behind_s = 36000.0"  # HTTP is away at times; a rebuild puts all in its place


class Mixture(NamedTuple):
    """What a series of kills has shown."""

    findings: Findings
    faults: list[str]  # beyond those of the findings
    table: dict[str, Any]


@dataclass
class Stage:
    """Everybody who takes part."""

    twin: Twin
    broker: Broker
    traffics: list[Traffic]
    streams: list[Stream]
    desks: list[Desk]
    lettered: Lettered
    camera: Camera
    witness: Witness
    clients: list[Client]
    door: Door

    def check(self) -> None:
        """Raises what has ended somebody."""
        for client in self.clients:
            client.check()

    def slow(self) -> None:
        """Send less while nobody listens."""
        for stream in self.streams:
            stream.slow()

    def flow(self) -> None:
        """Send everything again."""
        for stream in self.streams:
            stream.flow()

    def finish(self) -> None:
        """Wait until everybody has been promised what he has asked for."""
        for stream in self.streams:
            stream.finish()
        for client in self.clients:
            client.finish()

    @property
    def ledger(self) -> Ledger:
        """What all have been promised."""
        found = Ledger(filed=set(self.twin.registered))
        for traffic in self.traffics:
            found.sent |= traffic.sent
        found.sent |= self.lettered.sent | self.camera.sent
        for desk in self.desks:
            found.posts |= desk.posts.keys()
        for registrar in (*(desk.registrar for desk in self.desks), self.lettered.registrar):
            found.revisions[registrar.name] = registrar.revisions
        found.cracks, found.pictures = self.camera.cracks, self.camera.pictures
        found.garbage = {self.lettered.registrar.name: self.lettered.garbage}
        return found


def mixed(
    directory: Path,
    kills: int,
    seed: int,
    within_s: float = math.inf,
    moments: Sequence[Moment] = MOMENTS,
) -> Mixture:
    """Everything at once into a service that is killed so often, and once more at the end.

    Fewer times, where so many do not fit into `within_s`.
    """
    began = time.monotonic()
    with _stage(directory, seed) as stage:
        twin, witness = stage.twin, stage.witness
        start_s = time.monotonic() - began
        rebuilds = Rebuilds(twin, witness)
        done = Counter[Moment]()
        for moment, chance in chances(moments, kills, seed):
            if time.monotonic() - began > within_s:
                break
            stage.check()
            if not twin.is_alive:
                _start(stage, rebuilds, wait=moment != "starting")
            now: Moment = "anywhere" if moment == "rebuilding" else moment
            kill(twin, now, chance, start_s, LINES)
            stage.door.is_up = False
            witness.died()
            done[moment] += 1
            if moment == "rebuilding":
                rebuilds.run(chance)
        if not twin.is_alive:
            _start(stage, rebuilds, wait=True)
        stage.finish()
        ledger = stage.ledger
        _settle(twin, ledger)
        faults = _retained(stage, time.monotonic() + QUIET_S)
        twin.kill()
        seen = found(twin.data, twin.clock, ledger.faults)
        witness.turned(entries_of(twin.data), twin.clock)
        rebuilt_elsewhere(twin, directory / "rebuilt")
    faults += [*witness.faults, *_rebuilt(twin, directory / "rebuilt", ledger)]
    table = {
        "kills": dict(done),
        "kills_in_all": done.total() + rebuilds.killed,
        "rebuilds": {
            "killed": rebuilds.killed,
            "finished": rebuilds.finished,
            "swapped": rebuilds.swapped,
        },
        "seconds": round(time.monotonic() - began, 1),
        "lines": seen.lines,
        "messages_published": sum(stream.published for stream in stage.streams),
        "inspections_by_http": len(ledger.posts),
        "registrations_by_http": sum(map(len, ledger.revisions.values())),
        "images": len(stage.camera.sent),
        "letters_judged_again": stage.lettered.resubmitted,
        "answers_remembered": witness.answers,
        "answers_held_against_a_fold": witness.compared,
        "record_rows": seen.rows,
        "rows_on_disk": seen.committed,
        "damage": seen.damage,
        "faults": [*seen.faults, *faults],
    }
    return Mixture(seen, faults, table)


@contextmanager
def _stage(directory: Path, seed: int) -> Iterator[Stage]:
    """A service that hears its first messages, and everybody at work."""
    tables = [x for x in fleet(2 * PARTS) if x["geometry"]["kind"] != "plate"]  # see `kills`
    filed, desked, late = tables[:PARTS], tables[PARTS : PARTS + DESKS], tables[PARTS + DESKS]
    names = [table["name"] for table in filed]
    (directory / "broker").mkdir()
    disk = Disk(directory / "disk")
    disk.crawl(FSYNC_S)
    start_ns = time.time_ns() - DAY_NS
    traffics = [
        Traffic(names[i::LINKS], seed=seed * LINKS + i, start_ns=start_ns) for i in range(LINKS)
    ]

    def now_ns() -> int:
        return traffics[0].now_ns

    with ExitStack() as stack:
        nursery = stack.enter_context(Nursery(disk.environment))
        arrangement = Arrangement(ingest=LATE, record_every_s=RECORD_EVERY_S, nursery=nursery)
        broker = stack.enter_context(Broker(directory / "broker"))
        twin = stack.enter_context(Twin(directory / "twin", broker.port, filed, arrangement))
        twin.start(START_S)
        twin.until(lambda: subscribed(broker), "subscribes")
        sender = stack.enter_context(Sender(broker.port, "camera"))
        door = Door(twin.port)
        desks = [Desk(door, table, now_ns, seed + i) for i, table in enumerate(desked)]
        lettered = Lettered(door, sender, late, now_ns)
        camera = Camera(sender, names[1], now_ns, seed)
        witness = Witness(door, names, names[1], seed)
        streams = [
            stack.enter_context(Stream(broker.port, traffic, pause_s=PAUSE_S))
            for traffic in traffics
        ]
        turns = [*((desk.turn, 0.2) for desk in desks), (lettered.turn, 0.5)]
        turns += [(camera.turn, 2.0), (witness.turn, 0.3)]
        clients = [
            stack.enter_context(Client(f"client {i}", turn, door, pause_s))
            for i, (turn, pause_s) in enumerate(turns)
        ]
        yield Stage(
            twin, broker, traffics, streams, desks, lettered, camera, witness, clients, door
        )


def _start(stage: Stage, rebuilds: Rebuilds, *, wait: bool) -> None:
    stage.slow()
    stage.twin.launch()
    stage.door.is_up = True
    if wait:
        stage.twin.until(lambda: stage.twin.readiness() == 200, "is ready", START_S)
        rebuilds.seen()
        stage.flow()


def _settle(twin: Twin, ledger: Ledger) -> None:
    """Wait until all that was promised is durable, and nothing more comes."""
    twin.until(
        lambda: twin.journal_end() >= ledger.least, f"has kept {ledger.least} lines", START_S
    )
    end, since = twin.journal_end(), time.monotonic()

    def is_still() -> bool:
        nonlocal end, since
        if (now := twin.journal_end()) != end:
            end, since = now, time.monotonic()
        return time.monotonic() - since > STILL_S

    twin.until(is_still, "comes to rest", START_S)


def _retained(stage: Stage, deadline: float) -> list[str]:
    """What the broker keeps of states against what HTTP says, once both have come to rest."""
    while True:
        found = asyncio.run(retained(stage.broker.port))
        faults = _differing(stage.twin, found)
        if not faults or time.monotonic() > deadline:
            return faults
        time.sleep(0.2)


def _differing(twin: Twin, retained_: dict[str, dict[str, Any]]) -> list[str]:
    page = twin.get("/api/v1/components?limit=1000").json()
    present = [item["component"] for item in page["items"]]  # not the retired
    faults = [f"{name} is retired, and a state is retained" for name in retained_.keys() - present]
    for name in present:
        state = twin.get(f"/api/v1/components/{name}/state").json()
        kept = retained_.get(name, {})
        other = [f for f in kept.keys() & state.keys() if kept[f] != state[f]]
        if other or not kept:
            faults.append(f"retained of {name}: {other or 'nothing'} is not what HTTP says")
    return faults


def _rebuilt(twin: Twin, directory: Path, ledger: Ledger) -> list[str]:
    """Whether a rebuild into another place has the same lines, and is the fold of them."""
    here, there = entries_of(twin.data), entries_of(directory)
    faults = [] if Counter(here) == Counter(there) else ["a rebuild has other lines"]
    faults += found(directory, twin.clock, ledger.faults).faults
    return [f"rebuilt: {fault}" for fault in faults]
