"""Nothing lost, nothing twice: whatever ends, the journal holds what was sent, exactly once.

And what is believed and recorded is what one uninterrupted fold of that journal gives.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.store import Store
from tests.brokers import Broker
from tests.end_to_end.harness import Twin, subscribed
from tests.end_to_end.kills import killed
from tests.end_to_end.stream import Stream
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import findings

FLEET = fleet(10)
NAMES = [table["name"] for table in FLEET]
YESTERDAY_NS = time.time_ns() - 86_400 * 10**9


@contextmanager
def stage(directory: Path) -> Iterator[tuple[Broker, Twin]]:
    """A broker and a service that hears it."""
    (directory / "broker").mkdir()
    with (
        Broker(directory / "broker") as broker,
        Twin(directory / "twin", broker.port, FLEET) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        yield broker, twin


def grown(twin: Twin, lines: int) -> None:
    """Wait until the journal has grown by so many lines."""
    wanted = twin.journal_end() + lines
    twin.until(lambda: twin.journal_end() >= wanted, f"keeps {lines} more lines")


def test_a_killed_twin_forgets_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    summary = killed(tmp_path, kills=5, seed=0)
    found = summary.findings
    assert found.faults == []
    assert found.damage == []
    assert summary.kills.total() == 5
    assert summary.missing > 0  # gaps there were
    assert summary.published > found.observations > 500  # and repetitions
    assert found.rows > 10
    assert found.segments > 4  # of three plates, which began with one each


def test_a_broker_that_stops_in_mid_stream_loses_nothing(tmp_path: Path) -> None:
    traffic = Traffic(NAMES, seed=1, start_ns=YESTERDAY_NS)
    with stage(tmp_path) as (broker, twin):
        with Stream(broker.port, traffic, pause_s=0.1) as stream:
            for _ in range(2):
                grown(twin, 120)
                broker.stop()
                twin.until(lambda: twin.metric("twin_broker_connected") == 0.0, "is cut off")
                broker.start()
                twin.until(lambda: twin.metric("twin_broker_connected") == 1.0, "is back")
            grown(twin, 120)
            stream.finish()
        twin.until_kept(len(traffic.sent))
        twin.kill()
        assert findings(twin.data, traffic, twin.clock).faults == []


def test_a_graceful_stop_in_mid_stream_leaves_nothing_to_replay(tmp_path: Path) -> None:
    traffic = Traffic(NAMES, seed=2, start_ns=YESTERDAY_NS)
    depth = 'twin_queue_depth{queue="stepping"}'  # what takes long is left to the next start
    with stage(tmp_path) as (broker, twin):
        with Stream(broker.port, traffic, pause_s=0.5) as stream:
            grown(twin, 120)
            stream.slow()  # a busy machine is not quicker than all of it
            twin.until(lambda: twin.metric(depth) == 0, "steps what it has kept")
            twin.stop()
            with Store(twin.data) as store:
                newest = store.journal.catalogue.checkpoints()[0]
                assert newest.offset == store.journal.end > 120
                assert store.trajectories.committed("crack") == newest.rows["crack"] > 0
            twin.start()
            stream.flow()
            grown(twin, 240)  # some thirty lines are a row
            stream.finish()
        twin.until_kept(len(traffic.sent))
        twin.until(lambda: twin.metric(depth) == 0, "steps what it has kept")
        twin.stop()
        found = findings(twin.data, traffic, twin.clock)
        assert [event["replayed"] for event in twin.events("recovered")] == [0, 0]
        assert (found.faults, found.replayed) == ([], 0)
        assert found.committed == found.rows > 10
