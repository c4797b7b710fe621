"""SIGKILL upon SIGKILL under a bad stream, and what is left afterwards.

python -m tests.end_to_end.kills --kills 200 --seed 0
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tests.brokers import Broker
from tests.end_to_end.disk import Disk
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.stream import Stream
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import Findings, findings
from twin.serving import prepare

PARTS, LATE_PARTS = 12, 4  # registered at first, and one by one at later starts
DAY_NS = 86_400 * 10**9
LIFE_S = 1.5  # the longest between readiness and a kill anywhere
PHASE_S = 0.1  # the longest between the first sign of a write and the kill
PATIENCE_S = 10.0  # the longest wait for such a sign
LINES = 60  # that a life at least adds to the journal
PAUSE_S = 0.25  # between two seconds of event time: plates take longer to step than others
FSYNC_S = 0.004  # so much longer every fsync takes, so that a kill finds something under way

Moment = Literal["anywhere", "flushing", "starting", "checkpointing"]
MOMENTS: tuple[Moment, ...] = ("anywhere", "flushing", "starting", "checkpointing", "anywhere")


class Summary(NamedTuple):
    """What a series of kills has shown."""

    findings: Findings
    kills: Counter[Moment]
    seconds: float
    published: int  # messages, the repeated ones among them
    missing: int  # sequence numbers that were never sent

    def table(self) -> dict[str, Any]:
        """For a script or a reader."""
        found = self.findings
        return {
            "kills": dict(self.kills),
            "seconds": round(self.seconds, 1),
            "messages_published": self.published,
            "observations_sent": found.observations,
            "never_sent": self.missing,
            "segments_of_plates": found.segments,
            "record_rows": found.rows,
            "rows_on_disk": found.committed,
            "lines_replayed_at_last": found.replayed,
            "damage": found.damage,
            "faults": found.faults,
        }


def killed(directory: Path, kills: int, seed: int) -> Summary:
    """A stream into a service that is killed so often, and once more at the end."""
    began, tables = time.monotonic(), fleet(PARTS + LATE_PARTS)
    traffic = Traffic(_names(tables[:PARTS]), seed=seed, start_ns=time.time_ns() - DAY_NS)
    moments = list(islice(cycle(MOMENTS), kills))
    (directory / "broker").mkdir()
    disk = Disk(directory / "disk")
    disk.crawl(FSYNC_S)
    arrangement = Arrangement(environment=disk.environment)
    with (
        Broker(directory / "broker") as broker,
        Twin(directory / "twin", broker.port, tables[:PARTS], arrangement) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        start_s = time.monotonic() - began
        with Stream(broker.port, traffic, pause_s=PAUSE_S) as stream:
            for i, (moment, chance) in enumerate(_chances(moments, seed)):
                if not twin.is_alive:
                    _start(twin, stream, tables[: PARTS + i], wait=moment != "starting")
                _kill(twin, moment, chance, start_s)
            _start(twin, stream, tables, wait=True)
            stream.finish()
        twin.until_kept(len(traffic.sent))
        twin.kill()
        found = findings(twin.data, traffic, twin.clock)
    return Summary(
        found, Counter(moments), time.monotonic() - began, stream.published, traffic.missing
    )


def _names(tables: Sequence[dict[str, Any]]) -> list[str]:
    return [table["name"] for table in tables]


def _chances(moments: Sequence[Moment], seed: int) -> list[tuple[Moment, float]]:
    return list(zip(moments, np.random.default_rng(seed).random(len(moments)), strict=True))


def _start(twin: Twin, stream: Stream, tables: Sequence[dict[str, Any]], *, wait: bool) -> None:
    """Start with perhaps one part more, which joins in once it is registered."""
    stream.slow()
    twin.register(tables)
    twin.launch()
    if wait:
        twin.until(lambda: twin.readiness() == 200, "is ready")
        stream.flow()
        stream.join(_names(tables))


def _kill(twin: Twin, moment: Moment, chance: float, start_s: float) -> None:
    """Kill at a chosen kind of moment, of a life that has left something behind."""
    if moment == "starting":
        time.sleep(chance * start_s)
        twin.kill()
        return
    lines, checkpoints = twin.journal_end() + LINES, _checkpoints(twin)
    twin.until(lambda: twin.journal_end() >= lines, f"keeps {LINES} more lines")
    twin.until(lambda: not _checkpoints(twin) <= checkpoints, "writes a checkpoint")
    if moment == "flushing":
        _watch(twin.data, "trajectories.zarr/crack/*/c/*/*.aside")
    elif moment == "checkpointing":
        _watch(twin.data, "checkpoints/*.aside")
    time.sleep(chance * (LIFE_S if moment == "anywhere" else PHASE_S))
    twin.kill()


def _checkpoints(twin: Twin) -> set[str]:
    return {path.name for path in (twin.data / "checkpoints").glob("*.safetensors")}


def _watch(directory: Path, pattern: str) -> None:
    """Wait, closely, for a file; not for ever: a kill at another moment is a kill as well."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and next(directory.glob(pattern), None) is None:
        pass


def main() -> int:
    """Print what so many kills have shown; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="twin-kills-") as directory:
        table = killed(Path(directory), chosen.kills, chosen.seed).table()
    sys.stdout.write(json.dumps(table, indent=2) + "\n")
    return 1 if table["faults"] or table["damage"] else 0


if __name__ == "__main__":
    sys.exit(main())
