"""Killed while it catches up, the twin has the old truth or the new, and ends with the new."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from storage.store import Store
from tests.brokers import Broker
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.stream import Stream
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import _is_same, _same_state
from twin.archive.rebuild import rebuild
from twin.archive.recovery import recovered
from twin.belief.fleet import Fleet, clock_of
from twin.kinds.crack_fields import FIELDS, GROUP

FLEET = fleet(6)
NAMES = [table["name"] for table in FLEET]
HOUR_NS = 3600 * 10**9
NOW_NS = time.time_ns() - 24 * HOUR_NS
SOON = "backfill_behind_s = 30.0\nbackfill_quiet_s = 0.1\nbackfill_every_s = 0.2"
KILLS = 4
LONGEST_S = 1.0  # from the first sign of catching up to the kill


def sent(broker: Broker, twin: Twin, traffic: Traffic, lines: int, before: int) -> int:
    """Let traffic flow until the journal holds so many lines of it; all lines of it, then."""
    with Stream(broker.port, traffic, pause_s=0.02) as stream:
        wanted = twin.journal_end() + lines
        twin.until(lambda: twin.journal_end() >= wanted, f"keeps {lines} lines")
        stream.finish()
    twin.until_kept(before + len(traffic.sent))
    return before + len(traffic.sent)


def is_catching_up(twin: Twin) -> bool:
    return any(twin.data.glob("trajectories.[0-9]*.zarr"))


def has_caught_up(twin: Twin) -> bool:
    return twin.metric("twin_backfill_pending") == 0.0 and not is_catching_up(twin)


def stored(directory: Path, twin: Twin) -> tuple[Fleet, list[np.ndarray], Sequence[str]]:
    """What a start finds, all rows, and everything that is wrong."""
    with Store(directory) as store:
        found = recovered(store, clock_of(twin.settings))
        found.recorder.flush()
        names = [field.name for field in FIELDS]
        rows = [store.trajectories.read(GROUP, name, names, limit=10**9) for name in NAMES]
        faults = [*found.damage, *store.verify()]
        return found.fleet, [column for row in rows for column in row.values()], faults


@pytest.mark.parametrize("seed", [0])
def test_a_twin_killed_while_it_catches_up_ends_where_a_rebuild_does(
    tmp_path: Path, seed: int
) -> None:
    chances = np.random.default_rng(seed).random(KILLS) * LONGEST_S
    arrangement = Arrangement(ingest=SOON)
    (tmp_path / "broker").mkdir()
    with (
        Broker(tmp_path / "broker") as broker,
        Twin(tmp_path / "twin", broker.port, FLEET, arrangement) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        kept = sent(broker, twin, Traffic(NAMES[:3], seed=seed, start_ns=NOW_NS), 100, 0)
        logger = Traffic(NAMES[3:], seed=seed + 1, start_ns=NOW_NS - 72 * HOUR_NS)
        kept = sent(broker, twin, logger, 300, kept)
        interrupted = 0
        for chance in chances:
            twin.until(lambda: is_catching_up(twin) or has_caught_up(twin), "catches up")
            time.sleep(chance)
            interrupted += is_catching_up(twin)
            twin.kill()
            twin.start()
        assert interrupted > 0
        twin.until(lambda: has_caught_up(twin), "has caught up")
        twin.kill()
        assert len(twin.events("backfill_started")) > interrupted
        shutil.copytree(twin.data, tmp_path / "rebuilt")
        rebuild(twin.settings, tmp_path / "rebuilt", None)
        fleet_, rows, faults = stored(twin.data, twin)
        expected, others, more = stored(tmp_path / "rebuilt", twin)
    assert [*faults, *more, *_same_state(fleet_, expected, clock_of(twin.settings))] == []
    assert fleet_.rows > 40  # those of today are a dozen
    assert all(map(_is_same, rows, others))
