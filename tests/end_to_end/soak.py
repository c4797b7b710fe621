"""A service under steady load and churn for as long as is wanted: does anything creep?

python -m tests.end_to_end.soak --minutes 60 --rate 2000

Loads by MQTT, registrations that come and go, readers, scrapes and event listeners at once. A row
of the table for each window; at the end a slope for each column over the second half, and whether
it is level.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.brokers import Broker
from tests.end_to_end import counted
from tests.end_to_end.clients import Client, Door, Sender
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.slopes import Bound, Trend, trends
from tests.end_to_end.soaking import Churn, Complaints, Listener, Loads, Probe, Reader
from twin.serving import prepare

PARTS = 200  # that messages go to in turn
CHURNED = 10  # that come and go
LISTENERS = 4
START_S = 240.0  # on a machine that others use too
BEHIND_S = 120.0  # for what was sent to become durable
CENSUS_S = 60.0
STORAGE = "flush_every_s = 20.0\ncheckpoint_every_s = 30.0"  # each often
PART: dict[str, Any] = {
    "material": "2024-t3-walker",
    "geometry": {"kind": "centre_crack", "W": 0.15},
    "crack_length": 0.005,
    "crack_limit": 0.02,
}
COLUMNS: dict[str, int] = {  # and their decimals
    "minute": 1,
    "rss_mb": 1,
    "blocks": 0,
    "objects": 0,
    "tensors": 0,
    "tasks": 0,
    "descriptors": 0,
    "threads": 0,
    "wal_mb": 1,
    "disk_mb": 1,
    "lines_s": 0,
    "believed_p50_ms": 0,
    "believed_p99_ms": 0,
    "state_p50_ms": 1,
    "state_p99_ms": 1,
    "metrics_p50_ms": 0,
    "metrics_p99_ms": 0,
}
# over the second half: what is far below what a machine that others use too adds by chance, and
# above it what would matter within a month
BOUNDS: dict[str, Bound] = {
    "rss_mb": Bound(24.0, 0.04),
    "blocks": Bound(10_000.0, 0.02),
    "objects": Bound(10_000.0, 0.03),
    "tensors": Bound(200.0, 0.1),
    "tasks": Bound(10.0, 0.3),
    "descriptors": Bound(8.0),
    "threads": Bound(2.0),
    "wal_mb": Bound(8.0),
    "believed_p50_ms": Bound(50.0, 0.5),
    "state_p50_ms": Bound(10.0, 0.5),
    "metrics_p50_ms": Bound(50.0, 0.5),
}

Row = dict[str, float]


@dataclass
class Soaked:
    """What a soak has shown."""

    rows: list[Row]
    trends: list[Trend]
    figures: dict[str, Any]
    faults: list[str]


class Census:
    """Asks a process for a count of its objects."""

    def __init__(self, directory: Path) -> None:
        self._ask, self._answer = directory / "ask", directory / "answer.json"
        self.environment = {counted.ASK: str(self._ask), counted.ANSWER: str(self._answer)}
        self.kinds: dict[str, int] = {}

    def taken(self) -> Row:
        """The counts of now."""
        self._answer.unlink(missing_ok=True)
        self._ask.touch()
        deadline = time.monotonic() + CENSUS_S
        while not self._answer.exists():
            assert time.monotonic() < deadline, "the process counts nothing"
            time.sleep(0.02)
        found = json.loads(self._answer.read_text())
        self.kinds = found.pop("kinds")
        return {name: float(count) for name, count in found.items()}


def soaked(
    directory: Path,
    seconds: float,
    rate: float,
    rows: int = 60,
    parts: int = PARTS,
    say: Callable[[str], None] = lambda _: None,
) -> Soaked:
    """So many windows of a service at work."""
    tables = [{"name": f"plant/part-{i:03d}", **PART} for i in range(parts + CHURNED + 1)]
    filed, churned = tables[: parts + 1], tables[parts + 1 :]
    names = [table["name"] for table in filed]
    (directory / "broker").mkdir()
    census = Census(directory)
    arrangement = Arrangement(
        storage=STORAGE, module="tests.end_to_end.counted", environment=census.environment
    )
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(directory / "broker"))
        twin = stack.enter_context(Twin(directory / "twin", broker.port, filed, arrangement))
        twin.start(START_S)
        twin.until(lambda: subscribed(broker), "subscribes")
        complaints = Complaints()
        sender = stack.enter_context(Sender(broker.port, "probe"))
        probe = Probe(sender, twin.port, names[-1], complaints)
        door = Door(twin.port)
        readers = _readers(door, names, complaints)
        churn, listeners = (
            Churn(door, churned),
            [Listener(twin.port, complaints) for _ in range(LISTENERS)],
        )
        turns = [(probe.turn, 0.5), (churn.turn, 0.5)]
        turns += [(reader.turn, pause_s) for reader, pause_s in readers]
        turns += [(listener.turn, 0.1) for listener in listeners]
        loads = Loads(broker.port, names[:-1], rate)
        clients = [
            stack.enter_context(Client(f"client {i}", turn, door, pause_s))
            for i, (turn, pause_s) in enumerate(turns)
        ]
        (state, _), (metrics, _) = readers[:2]
        watched = (probe.waits, state.waits, metrics.waits)
        found = _windows(twin, census, watched, clients, seconds / rows, rows, say)
        loads.finish()
        for client in clients:
            client.finish()
        sent = loads.sent + probe.sent
        faults = [*complaints.told, *_afterwards(twin, parts + 1 + churn.changes + sent)]
        faults += sorted({event["event"] for event in twin.errors})
        figures = {
            "messages": sent,
            "registrations_changed": churn.changes,
            "listeners": sum(x.turns for x in listeners),
            "bytes_of_events": sum(x.bytes for x in listeners),
            "complaints": complaints.count,
            "questions_put_off": sum(reader.put_off for reader, _ in readers),
            "bytes_a_line": round(_size(twin.data) / max(1, twin.journal_end()), 1),
            "kinds_at_last": census.kinds,
        }
    columns = {name: [row[name] for row in found] for name in COLUMNS}
    told = trends(columns["minute"], columns, BOUNDS)
    faults += [f"{t.name} grew by {t.grown:.1f}, {t.most:.1f} at most" for t in told if not t.holds]
    faults += [f"{name} was measured too seldom" for name in BOUNDS.keys() - {t.name for t in told}]
    return Soaked(found, told, figures, faults)


def _readers(
    door: Door, names: Sequence[str], complaints: Complaints
) -> list[tuple[Reader, float]]:
    """Who reads what, and the pause between two questions; states and metrics are the first."""
    here = [f"/api/v1/components/{name}" for name in names]
    pages = [
        "/api/v1/components?sort=status&limit=50",
        f"{here[0]}/history?fields=crack_length,cycles&limit=500",
        f"{here[1]}/forecast?cycles=1000",
        "/api/v1/dead-letters?limit=5",
        f"{here[2]}/sources",
        "/readyz",
    ]
    states = [f"{path}/state" for path in here]
    paces = ((states, 0.1), (["/metrics"], 2.0), (pages, 1.0))
    return [(Reader(door, paths, complaints), pause_s) for paths, pause_s in paces]


def _windows(
    twin: Twin,
    census: Census,
    waits: Sequence[Any],
    clients: Sequence[Client],
    window_s: float,
    count: int,
    say: Callable[[str], None],
) -> list[Row]:
    say("  ".join(f"{name:>{len(name)}}" for name in COLUMNS))
    began = now = time.monotonic()
    end, found = twin.journal_end(), list[Row]()
    for i in range(count):
        time.sleep(max(0.0, began + (i + 1) * window_s - time.monotonic()))
        for client in clients:
            client.check()
        before, now = now, time.monotonic()
        was, end = end, twin.journal_end()
        row = {"minute": (now - began) / 60.0, "lines_s": (end - was) / (now - before)}
        believed, state, metrics = (own.taken() for own in waits)
        row["believed_p50_ms"], row["believed_p99_ms"] = believed
        row["state_p50_ms"], row["state_p99_ms"] = state
        row["metrics_p50_ms"], row["metrics_p99_ms"] = metrics
        row |= _held(twin) | census.taken()
        for own in waits:
            own.taken()  # the count has held everybody up
        found.append(row)
        say("  ".join(f"{row[k]:>{len(k)}.{places}f}" for k, places in COLUMNS.items()))
    return found


def _held(twin: Twin) -> Row:
    """What a process and its directory hold."""
    wal = twin.data / "journal.sqlite-wal"
    return {
        "rss_mb": twin.memory() / 1e6,
        "descriptors": float(len(os.listdir(f"/proc/{twin.pid}/fd"))),
        "threads": float(len(os.listdir(f"/proc/{twin.pid}/task"))),
        "wal_mb": wal.stat().st_size / 1e6 if wal.exists() else 0.0,
        "disk_mb": _size(twin.data) / 1e6,
    }


def _size(directory: Path) -> int:
    """Bytes of a directory; files that go meanwhile count as nothing."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _afterwards(twin: Twin, lines: int) -> list[str]:
    """Whether everything that was sent is kept, once, and the service stops in order."""
    faults = []
    try:
        twin.until(lambda: twin.journal_end() >= lines, f"has kept {lines} lines", BEHIND_S)
    except AssertionError:
        faults.append(f"{lines} lines were to be kept, {twin.journal_end()} are")
    if twin.journal_end() > lines:
        faults.append(f"{lines} lines were to be kept, {twin.journal_end()} are")
    if letters := twin.get("/api/v1/dead-letters?limit=1").json()["total"]:
        faults.append(f"{letters} messages were refused")
    if gaps := twin.metric("twin_sequence_gaps_total"):
        faults.append(f"{gaps:.0f} messages are missing in between")
    if twin.is_alive:
        twin.stop()
    return faults


def main() -> int:
    """Print the table and the verdict; the exit code is 1 if anything creeps or is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="Messages a second.")
    parser.add_argument("--rows", type=int, default=60, help="Of the table.")
    chosen = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="twin-soak-") as directory:
        found = soaked(Path(directory), 60 * chosen.minutes, chosen.rate, chosen.rows, say=_say)
    for trend in found.trends:
        verdict = "level" if trend.holds else "CREEPS"
        _say(
            f"{trend.name}: median {trend.median:.1f}, {trend.grown:+.2f} over the second half, "
            f"{trend.most:.1f} at most: {verdict}"
        )
    _say(json.dumps(found.figures, indent=2))
    _say("\n".join(found.faults) or "nothing creeps, nothing is missing")
    return 1 if found.faults else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
