"""The benchmarks in small: they run, and what they compare is the same. No times are judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from storage.store import Store
from tests.benchmarks.report import Figure, at_least, at_most, document, table
from tests.benchmarks.service import history, stepping
from tests.benchmarks.service.ingest import Bench, Size, fsyncs, started, waits
from tests.benchmarks.service.parts import components
from tests.benchmarks.service.process import EMPTY
from tests.benchmarks.service.queries import Answers
from tests.benchmarks.service.readers import Reader, bare, plain
from tests.benchmarks.service.restart import _portions
from tests.benchmarks.service.traffic import SAMPLES, SIZE, Kind, Plan, messages, name
from twin.api.history import Selection
from twin.api.history import history as recorded
from twin.belief.fleet import EMPTY as NOBODY
from twin.belief.fleet import Clock, registered
from twin.belief.fold import folded
from twin.belief.lines import lines

SMALL = Size(messages=100, large=10, paced_s=0.2, repeats=1)
PARTS = 20


@pytest.fixture(scope="module")
def bench(mosquitto: str) -> Iterator[Bench]:
    with started(PARTS) as bench:
        yield bench


@pytest.mark.parametrize("reader", [plain, bare])
def test_a_yardstick_counts_every_message(bench: Bench, reader: Reader) -> None:
    assert bench.counted(reader, 100) > 0.0


@pytest.mark.parametrize("kind", ["spectrum", "json", "msgpack"])
def test_the_service_steps_each_message_once(bench: Bench, kind: Kind) -> None:
    before = bench.hall.end()
    assert bench.stepped(100, kind) > 0.0
    assert bench.hall.end() == before + 100


def test_every_paced_message_has_its_commit(bench: Bench) -> None:
    for found in waits(bench, 500.0, SMALL):
        assert 0.0 < found.p50 <= found.p99


def test_http_answers_with_the_state_that_was_stepped(bench: Bench) -> None:
    bench.stepped(PARTS)
    with Answers(bench.hall.url) as client:
        page = json.loads(client.body(f"/api/v1/components/{name(7)}/state"))
        assert page["offset"] == bench.hall.end()
        assert page["crack_length"] > 0.001
        assert client.body(EMPTY) == b"{}"
        scrape = client.body("/metrics").decode()
        assert scrape.count("twin_component_crack_length_meters{") == PARTS


def test_a_flush_writes_the_rows_and_the_loop_goes_on(bench: Bench) -> None:
    gap, took = bench.hall.flushed(64)
    assert 0.0 <= gap < took
    with Answers(bench.hall.url) as client:
        page = client.body(f"/api/v1/components/{name(7)}/history?fields=cycles")
    assert len(json.loads(page)["columns"]["time"]) >= 64


def test_components_take_memory(bench: Bench) -> None:
    held = bench.hall.memory()
    assert 0 < held.tensors < held.after


def test_messages_have_the_size_that_is_asked_for() -> None:
    assert {len(m.payload) for m in messages(Plan("t", 7, 20, 3))} == {SIZE}
    for kind in ("json", "msgpack"):
        made = messages(Plan("t", 7, 1, 3, kind))[0]
        assert len(made.payload) > 2 * SAMPLES


def test_all_at_once_and_one_by_one_grow_the_same() -> None:
    figures = list(stepping.stepping(64, SMALL))  # asserts it on the way
    assert [figure.item for figure in figures] == ["e"] * 5


def test_a_restart_folds_what_the_journal_holds(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        for entries in _portions(PARTS, 50):
            store.journal.append(entries, now_ns=1)
        kept = [e for _, entries in store.journal.read(0) for e in entries]
    fleet = registered(NOBODY, components(PARTS))
    clock = Clock(record_every_ns=60 * 10**9, lateness_ns=0)
    assert folded(fleet, lines(kept), clock).fleet.offset == 50


def test_both_ways_to_a_history_give_what_was_written(tmp_path: Path) -> None:
    wrote = history._recorded(tmp_path / "data", 300)
    with Store(tmp_path / "data") as store:
        wanted = Selection(name(7), (history.FIELD.name,), limit=300)
        found = recorded(store.trajectories, (), wanted).columns[history.FIELD.name]
    assert np.array_equal(found, wrote)
    assert np.array_equal(history.raw(tmp_path / "data"), wrote)


def test_an_fsync_takes_time(tmp_path: Path) -> None:
    assert fsyncs(tmp_path, 100, 3).p50 > 0.0


@pytest.mark.parametrize(("found", "least", "most"), [(1.9, 0, 1), (2.0, 1, 1), (2.1, 1, 0)])
def test_a_target_is_met_at_its_bound(found: float, least: bool, most: bool) -> None:
    assert at_least(2.0, found) == ("≥ 2", least)
    assert at_most(2.0, found) == ("≤ 2", most)


def test_the_table_and_the_document_hold_every_figure() -> None:
    figures = [Figure("a", "this", 12_345.6, "1/s", "that: 1", 2.0, "≥ 1", True)]
    cells = [cell.strip() for cell in table(figures).splitlines()[2].split("|")]
    assert cells == ["", "a", "this", "12,346 1/s", "that: 1", "2", "≥ 1", "yes", ""]
    assert json.loads(document(figures))[0]["ratio"] == 2.0
