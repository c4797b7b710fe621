"""SIGKILL upon SIGKILL under a bad stream, and what is left afterwards.

python -m tests.end_to_end.kills --kills 200 --seed 0
python -m tests.end_to_end.kills --kills 200 --mixed
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.brokers import Broker
from tests.end_to_end.disk import Disk
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.killing import FSYNC_S, MOMENTS, Moment, chances, kill
from tests.end_to_end.mixed_kills import mixed
from tests.end_to_end.stream import Stream
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import Findings, findings
from twin.serving import prepare

PARTS, LATE_PARTS = 12, 4  # registered at first, and one by one at later starts
DAY_NS = 86_400 * 10**9
MIXED = "HTTP, registrations, pictures, refused messages and rebuilds among it."
MINUTES = "With --mixed: after so long no more kills, whatever their number."
PAUSE_S = 0.25  # between two seconds of event time: plates take longer to step than others


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
    moments = list(chances(MOMENTS, kills, seed))
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
            for i, (moment, chance) in enumerate(moments):
                if not twin.is_alive:
                    _start(twin, stream, tables[: PARTS + i], wait=moment != "starting")
                kill(twin, moment, chance, start_s)
            _start(twin, stream, tables, wait=True)
            stream.finish()
        twin.until_kept(len(traffic.sent))
        twin.kill()
        found = findings(twin.data, traffic, twin.clock)
    return Summary(
        found,
        Counter(moment for moment, _ in moments),
        time.monotonic() - began,
        stream.published,
        traffic.missing,
    )


def _names(tables: Sequence[dict[str, Any]]) -> list[str]:
    return [table["name"] for table in tables]


def _start(twin: Twin, stream: Stream, tables: Sequence[dict[str, Any]], *, wait: bool) -> None:
    """Start with perhaps one part more, which joins in once it is registered."""
    stream.slow()
    twin.register(tables)
    twin.launch()
    if wait:
        twin.until(lambda: twin.readiness() == 200, "is ready")
        stream.flow()
        stream.join(_names(tables))


def main() -> int:
    """Print what so many kills have shown; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mixed", action="store_true", help=MIXED)
    parser.add_argument("--minutes", type=float, default=math.inf, help=MINUTES)
    chosen = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="twin-kills-") as directory:
        run = (Path(directory), chosen.kills, chosen.seed)
        table = mixed(*run, 60 * chosen.minutes).table if chosen.mixed else killed(*run).table()
    sys.stdout.write(json.dumps(table, indent=2) + "\n")
    return 1 if table["faults"] or table["damage"] else 0


if __name__ == "__main__":
    sys.exit(main())
