"""Damage upon damage, each to a copy of a store: what is found, told, rebuilt, set aside or missed.

python -m tests.end_to_end.damage --count 3000 --seed 0

A store of each kind is made once, in this process; then one file of a copy has a bit flipped, is
cut short or removed, and the copy is checked, started, and compared with the one that is whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from PIL import Image

from models.crack_image.reader import CrackReader
from sensors.observation import AnyObservation, Inspection, Snapshot, Spectrum
from storage.errors import CorruptError, StorageError
from storage.journal.entry import DeadLetter
from storage.journal.place import RESCUED
from storage.quarantine import copied_aside
from storage.store import Store
from tests.end_to_end.traffic import fleet
from twin.api.history import Selection, history
from twin.archive.checkpoint import metadata, tensors
from twin.archive.opening import mark, opened
from twin.archive.remedies import remedied
from twin.archive.salvage import salvaged
from twin.archive.verify import checked
from twin.belief.fleet_file import registrations
from twin.belief.lines import observed
from twin.belief.segments import Line
from twin.component import Component
from twin.errors import TwinError
from twin.ingest import image_worker as reading
from twin.ingest.committer import Batch
from twin.ingest.image_worker import NamedReader
from twin.service import Service
from twin.serving import prepare
from twin.settings import Settings, settings

SECOND_NS = 10**9
START_NS = (time.time_ns() // SECOND_NS - 86_400) * SECOND_NS
TABLES = fleet(2)
NAMES = [table["name"] for table in TABLES]
ROUNDS = 330  # seconds of event time, a record row each: one shard is closed, one open
CHECKPOINTS = (120, 270, 310)  # before which rounds a checkpoint is written: the last share a shard
CUT = 100  # before which round lines were dropped where there is retention
PATIENCE_S = 240.0  # for a start, on a machine that others use too

State = dict[str, Any]
Harm = Callable[[Path, np.random.Generator], str]


def chosen(data: Path) -> Settings:
    """The settings of a service over a directory."""
    return settings(
        storage={"directory": data, "record_every_s": 1.0, "checkpoints_kept": 3},
        ingest={"lateness_s": 0.0, "backfill_behind_s": None},
    )


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Service]:
    """A service that has recovered; what keeps it from that is raised."""
    settings_ = chosen(data)
    with remedied(data):
        store = opened(settings_.storage)
    with store:
        service = Service(settings_, store)
        work = asyncio.create_task(service.run(None))
        ready = asyncio.create_task(service.ready.wait())
        await asyncio.wait({work, ready}, timeout=PATIENCE_S, return_when="FIRST_COMPLETED")
        ready.cancel()
        try:
            if work.done():
                work.result()
            yield service
            if work.done():
                work.result()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await work


def picture(seq: int) -> bytes:
    """A grey square with a dark line."""
    grey = np.full((32, 48), 200, np.uint8)
    grey[15:18, : 8 + seq] = 0
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def _head(seq: int, name: str, source: str) -> dict[str, Any]:
    t_ns = START_NS + seq * SECOND_NS
    return {"component": name, "source": source, "boot": 1, "seq": seq, "t_ns": t_ns}


def observations(seq: int, store: Store) -> list[AnyObservation]:
    """What is observed within a second: an inspection, now and then loads and an image."""
    found: list[AnyObservation] = [
        Inspection(
            **_head(seq, NAMES[0], "ndt"),
            crack_length=0.006 + 1e-6 * seq,
            crack_length_sd=1e-5,
            method="eddy-current",
        )
    ]
    if seq % 40 == 1:
        cycles = np.array([(6e7 + seq, 4e7, 2.0)]).tobytes()
        found.append(Spectrum(**_head(seq, NAMES[1], "daq"), quantity="stress", cycles=cycles))
    if seq % 60 == 50 and seq > CUT:
        sha256 = store.images.put(picture(seq // 60))
        size: dict[str, Any] = {
            "width": 48,
            "height": 32,
            "pixel_size": 1e-4,
            "media_type": "image/png",
        }
        kind: Any = "crack"
        found.append(Snapshot(**_head(seq, NAMES[1], "camera"), sha256=sha256, kind=kind, **size))
    return found


async def live(service: Service, rounds: range) -> None:
    """Let a service keep and step what is observed, in commits of ten seconds."""
    for first in range(rounds.start, rounds.stop, 10):
        if first in CHECKPOINTS:
            await checkpointed(service)
        found = [
            o
            for seq in range(first, min(first + 10, rounds.stop))
            for o in observations(seq, service.store)
        ]
        lines = [Line(o.component, o) for o in found]
        await service.committer.outcomes([observed(o) for o in found], lines)
        await service.until(service.committer.end)
        letter = DeadLetter(START_NS + first, "twin/v1/plant/x/load", "json", "no", b"{")
        await service.committer.send(Batch(dead=[letter]))
    await service.committer.drain()


async def checkpointed(service: Service) -> None:
    """Write a checkpoint now."""
    async with service.archiver.still():
        thread = service.threads.journalling
        await service.archiver._checkpoint(service.fleet, service.clock, thread)


async def settled(service: Service) -> None:
    """Wait until what images there are have been read, or as long as that may take."""
    deadline = time.monotonic() + 2.0
    wanted = len(service.store.images)
    while time.monotonic() < deadline:
        streams = service.store.journal.marks_of(NAMES[1])
        if sum(source == "image" for (source, _), _ in streams) >= wanted:
            break
        await asyncio.sleep(0.01)
    await service.until(service.committer.end)


async def made(directory: Path, kind: str) -> Path:
    """A store that was stopped, killed, or killed after retention has dropped lines."""
    data, copy = directory / "work", directory / kind
    async with running(data) as service:
        wanted = registrations(TABLES, "the fleet").items()
        new = [Component(name=n, revision=1, registered_by="file", registration=r)
               for n, r in wanted]  # fmt: skip
        await service.register(new)
        await live(service, range(ROUNDS))
        await settled(service)
        if kind == "retained":
            while await service.threads.journal(service.store.journal.prune, CUT):
                pass
        if kind == "killed" or kind == "retained":
            shutil.copytree(data, copy)
    if kind == "stopped":
        shutil.copytree(data, copy)
    shutil.rmtree(data)
    mark(data).unlink()
    if kind == "killed":
        littered(copy)
    return copy


def littered(data: Path) -> None:
    """Leave in a store what earlier damage has left: copies of what was set aside and rescued."""
    copied_aside(max((data / "checkpoints").iterdir()), data)
    journal = data / "journal.sqlite"
    shutil.copy(journal, journal.with_name(journal.name + RESCUED))


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def _told(work: Callable[[], Any]) -> Any:
    """What an answer is, or that there is none."""
    try:
        return work()
    except (StorageError, TwinError) as exc:
        return f"refused: {exc}"


def seen(service: Service) -> State:
    """What a user can be told by a service, and is kept by it."""
    store, fleet_ = service.store, service.fleet
    leaves = {name: leaf.tobytes() for name, leaf in tensors(fleet_).items()}
    page = metadata(fleet_, service.clock)
    state: State = {"state": _digest((sorted(leaves.items()), fleet_.watermark_ns))}
    state["components"] = sorted(fleet_.components)
    state["marks"] = [_told(partial(store.journal.marks_of, name)) for name in NAMES]
    state["letters"] = _told(partial(_letters, store))
    state["images"] = {name: _told(partial(_image, store, name)) for name in store.images.names()}
    for name in NAMES:
        state[f"history of {name}"] = _told(partial(_history, service, name))
    state["lines"] = _told(
        lambda: [e for _, part in store.journal.read(store.journal.start) for e in part]
    )
    return state | {"offset": fleet_.offset, "page": len(page) > 0}


def _letters(store: Store) -> list[Any]:
    """The letters as they are listed, those that are told to be damaged among them."""
    damaged = list[int]()
    whole = [x.letter for x in store.journal.dead_letters.list(1000, damaged=damaged)]
    return [*whole, *(f"refused: dead letter {number} is damaged" for number in damaged)]


def _image(store: Store, name: str) -> str:
    return _digest(store.images.get(name))


def _history(service: Service, name: str) -> list[tuple[Any, ...]]:
    """The rows that HTTP would tell."""
    wanted = Selection(name, limit=10**6)
    found = history(service.store.trajectories, service.archiver.tail, wanted).columns
    columns = [np.nan_to_num(column.astype(float), nan=-1.0) for column in found.values()]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def differing(found: State, whole: State) -> tuple[set[str], set[str]]:
    """What is other than it was, and what is refused instead."""
    other, refused = set(), set()
    for key in whole.keys() | found.keys():
        a, b = found.get(key), whole.get(key, {})
        if a == b:
            continue
        if key == "lines" and isinstance(a, list) and isinstance(b, list) and a[-len(b) :] == b:
            continue  # what retention dropped last is there again: it goes once more
        values = list(a.values()) if isinstance(a, dict) else a if isinstance(a, list) else [a]
        if any(isinstance(value, str) and value.startswith("refused: ") for value in values):
            refused.add(key)
        elif (
            isinstance(a, dict) and isinstance(b, dict) and key == "images" and a.keys() <= b.keys()
        ):
            refused.add(key)  # one that is gone is not served
        else:
            other.add(key)
    return other, refused


def kind_of(data: Path, path: Path) -> str:
    """The class of a file."""
    if path == mark(data):
        return "mark beside"
    parts = path.relative_to(data).parts
    if parts[0] == "trajectories.zarr":
        if parts[-1] == "zarr.json":
            return ("root", "group document", "array document")[min(len(parts) - 2, 2)]
        if parts[2] in ("time", "component"):
            return f"axis {parts[2]}"
        return "copies" if "c" not in parts else f"shard {'closed' if parts[4] == '0' else 'open'}"
    if parts[0] == "checkpoints":
        newest = max(path.parent.iterdir())
        return "checkpoint, newest" if path == newest else "checkpoint, older"
    return {"images": "image"}.get(parts[0], parts[0])


def classes(data: Path) -> list[str]:
    """The classes of the files of a store."""
    return sorted({kind_of(data, path) for path in files(data)} - SPARED)


def files(data: Path) -> list[Path]:
    """The files of a store, the mark beside it among them."""
    return sorted(path for path in (*data.rglob("*"), mark(data)) if path.is_file())


def flipped(path: Path, draw: np.random.Generator) -> str:
    """One bit is another."""
    data = bytearray(path.read_bytes())
    at, bit = int(draw.integers(len(data))), int(draw.integers(8))
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return f"bit {bit} of byte {at} flipped"


def cut(path: Path, draw: np.random.Generator) -> str:
    """The end is missing."""
    size = int(draw.integers(path.stat().st_size))
    path.write_bytes(path.read_bytes()[:size])
    return f"cut to {size} bytes"


def removed(path: Path, _: np.random.Generator) -> str:
    """The file is not there any more."""
    path.unlink()
    return "removed"


HARMS: tuple[Harm, ...] = (flipped, flipped, flipped, cut, removed)
SPARED = {"lock", "journal.sqlite-shm"}  # hold nothing


@dataclass
class Outcome:
    """What became of one damage."""

    place: str
    what: str
    verdict: str = ""
    found: bool = False  # by `twin check`
    told: list[str] = field(default_factory=list)
    created: bool = False  # something, by `twin check`
    why: str = ""


VERDICTS = (
    "harmless",
    "rebuilt",
    "quarantined",
    "salvaged",
    "hopeless",
    "WRONG",
    "MUTE",
    "CRASH",
)


def snapshot(data: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, and what it holds."""
    return {
        str(path.relative_to(data)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in data.rglob("*")
        if path.is_file() and path.name != "journal.sqlite-shm"  # an index, of no content
    }


def damaged(data: Path, harm: Harm, draw: np.random.Generator, place: str) -> Outcome:
    """Damage a file of a class."""
    own = [path for path in files(data) if kind_of(data, path) == place]
    path = own[int(draw.integers(len(own)))]
    if not path.stat().st_size:
        harm = removed
    return Outcome(place, f"{path.relative_to(data.parent)}: {harm(path, draw)}")


async def judged(data: Path, outcome: Outcome, whole: State) -> Outcome:
    """Check a damaged store, start it, and compare."""
    before = snapshot(data)
    try:
        outcome.found = bool(checked(data)["problems"])
    except (StorageError, TwinError):
        outcome.found = True
    except Exception as exc:
        outcome.verdict, outcome.why = "CRASH", f"check: {type(exc).__name__}: {exc}"
        return outcome
    outcome.created = snapshot(data) != before
    try:
        async with running(data) as service:
            await settled(service)
            found, told = seen(service), list(service.damage)
    except BaseException as exc:
        outcome = _failed(outcome, exc)
        return await saved(data, outcome, whole) if outcome.verdict == "refused" else outcome
    outcome.told = told
    other, refused = differing(found, whole)
    if other and not told:
        outcome.verdict, outcome.why = "WRONG", f"differs: {sorted(other)}"
    elif other or refused:
        outcome.verdict, outcome.why = "quarantined", f"{sorted(other | refused)}; {told[:1]}"
    else:
        outcome.verdict = "rebuilt" if outcome.found or told else "harmless"
    return outcome


async def saved(data: Path, outcome: Outcome, whole: State) -> Outcome:
    """Do as the refusal says, and compare what comes of it."""
    try:
        report = salvaged(data, None)
        async with running(Path(report["store"])) as service:
            await settled(service)
            found, told = seen(service), report["losses"]
    except CorruptError as exc:
        hopeless = "nothing of" in str(exc) or "began at line" in str(exc)
        outcome.verdict, outcome.why = "hopeless" if hopeless else "MUTE", f"salvage: {exc}"
        return outcome
    except BaseException as exc:
        outcome.verdict, outcome.why = "CRASH", f"salvage: {type(exc).__name__}: {exc}"
        return outcome
    lost = [line for line in whole["lines"] if line not in found["lines"]]
    other, _ = differing(found, whole)
    outcome.verdict = "salvaged" if told or not other & {"state", "lines"} else "WRONG"
    outcome.why = f"salvaged with {len(lost)} lines lost, {sorted(other)}: {outcome.why}"
    return outcome


def _failed(outcome: Outcome, exc: BaseException) -> Outcome:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    is_known = isinstance(exc, StorageError | TwinError)
    outcome.why = f"{type(exc).__name__}: {exc}"
    if not is_known:
        outcome.verdict = "CRASH"
    else:
        names_command = any(f"twin {word}" in str(exc) for word in ("rebuild", "salvage"))
        outcome.verdict = "refused" if names_command else "MUTE"
    return outcome


@dataclass
class Table:
    """What so many damages have shown, by class of file."""

    outcomes: list[Outcome] = field(default_factory=list)

    def text(self) -> str:
        """For a reader."""
        heads = ("n", "found", "told", *VERDICTS, "check missed", "check wrote")
        rows: list[tuple[str, ...]] = [("", *heads)]
        places = sorted({o.place for o in self.outcomes})
        for place in (*places, "all"):
            own = [o for o in self.outcomes if place in (o.place, "all")]
            counts = Counter(o.verdict for o in own)
            missed = sum(not o.found and o.verdict not in ("harmless", "CRASH") for o in own)
            found, told = sum(o.found for o in own), sum(bool(o.told) for o in own)
            wrote = sum(o.created for o in own)
            figures = (len(own), found, told, *(counts[v] for v in VERDICTS), missed, wrote)
            rows.append((place, *map(str, figures)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            row[0].ljust(widths[0])
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in rows
        )

    @property
    def faults(self) -> list[Outcome]:
        """What must not be."""
        return [
            o
            for o in self.outcomes
            if o.verdict in ("WRONG", "MUTE", "CRASH")
            or o.created
            or (not o.found and o.verdict != "harmless")
        ]


def _plain_reader() -> NamedReader:
    return NamedReader("plain", CrackReader(lambda p: np.where(p < 20, 1.0, 0.0)))


async def fuzzed(
    directory: Path, count: int, seed: int, only: str = "", say: Callable[[str], None] = print
) -> Table:
    """So many damages, of every class of file in turn."""
    reading.default_reader = _plain_reader
    wholes: dict[str, tuple[Path, State]] = {}
    for kind in ("stopped", "killed", "retained"):
        base = await made(directory, kind)
        copy = Path(shutil.copytree(base, directory / "whole"))
        async with running(copy) as service:
            await settled(service)
            wholes[kind] = base, seen(service)
            if service.damage:
                say(f"a whole store of kind {kind} tells of {service.damage}")
        shutil.rmtree(copy)
    table = Table()
    draw = np.random.default_rng(seed)
    for i in range(count):
        kind = tuple(wholes)[int(draw.integers(len(wholes)))]
        table.outcomes.append(await _one(directory / "data", wholes[kind], draw, only))
        outcome = table.outcomes[-1]
        if outcome in table.faults:
            say(f"{i} {kind} {outcome.verdict} {outcome.what} "
                f"found={outcome.found} created={outcome.created}: {outcome.why}")  # fmt: skip
    return table


async def _one(
    data: Path, whole: tuple[Path, State], draw: np.random.Generator, only: str
) -> Outcome:
    base, state = whole
    shutil.copytree(base, data)
    mark(data).write_bytes(b"there was a store\n")
    places = classes(data)
    fitting = [place for place in places if only in place] or places
    harm = HARMS[int(draw.integers(len(HARMS)))]
    outcome = damaged(data, harm, draw, fitting[int(draw.integers(len(fitting)))])
    try:
        return await judged(data, outcome, state)
    finally:
        for path in directory_of(data):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def directory_of(data: Path) -> list[Path]:
    """A store, and what a mend has left beside it."""
    return [p for p in data.parent.iterdir() if p.name.startswith(data.name)]


def quiet() -> None:
    """Keep the log out of the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> int:
    """Print the table; the exit code is 1 if anything is silently wrong, mute or not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="Classes of files whose name holds this.")
    parser.add_argument("--detail", action="store_true", help="Every damage, one line each.")
    wanted = parser.parse_args()
    prepare()
    quiet()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="twin-damage-") as directory:
        work = fuzzed(Path(directory), wanted.count, wanted.seed, wanted.only, _say)
        table = asyncio.run(work)
    if wanted.detail:
        for o in table.outcomes:
            _say(f"{o.verdict} {o.what} found={o.found}: {o.why or o.told}")
    _say(table.text())
    _say(f"{len(table.outcomes)} damages in {time.monotonic() - began:.0f} s")
    return 1 if table.faults else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
