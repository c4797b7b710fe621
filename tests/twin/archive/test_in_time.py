"""The journal is read in event-time order, however large its parts are."""

from __future__ import annotations

import errno
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twin.archive.in_time
import twin.archive.sorting
from storage.journal.entry import Entry
from storage.store import Store
from tests.twin.belief.test_fold import assert_same, assert_same_rows
from tests.twin.fleets import CLOCK, SECOND, T0, component, spectrum
from twin.archive.in_time import InTime
from twin.archive.refolding import Refold
from twin.archive.sorting import Sorted
from twin.belief.fleet import FOREVER_NS
from twin.belief.lines import observed, registration

N = 60


@contextmanager
def journal(at_s: list[float], commit: int = 7) -> Iterator[Store]:
    """Two parts, whose spectra arrive in this order, some in a commit."""
    names = ("plant/press-1", "plant/press-2")
    entries = [registration(component(name), T0) for name in names]
    for i, t in enumerate(at_s):
        entries.append(observed(spectrum(i, t, names[i % 2]).what))  # type: ignore[arg-type]
    with TemporaryDirectory() as directory, Store(Path(directory) / "data") as store:
        for start in range(0, len(entries), commit):
            store.journal.append(entries[start : start + commit], now_ns=T0)
        yield store


def sorting(store: Store) -> InTime:
    return InTime(store.journal, pace_ns=CLOCK.record_every_ns, max_jump_ns=CLOCK.max_jump_ns)


def all_of(found: InTime, until: int, up_to_ns: int = FOREVER_NS) -> list[list[Entry]]:
    for _ in found.learn(until):
        pass
    return list(found.taken(up_to_ns))


@pytest.mark.parametrize(("lines", "size"), [(1, 1 << 20), (7, 1 << 20), (100, 1), (100, 1000)])
def test_every_line_comes_once_and_in_order_in_portions_of_any_size(
    monkeypatch: pytest.MonkeyPatch, lines: int, size: int
) -> None:
    monkeypatch.setattr(twin.archive.in_time, "LINES", lines)
    monkeypatch.setattr(twin.archive.in_time, "BYTES", size)
    at_s = np.random.default_rng(0).permutation(N) * 30.0
    with journal(at_s.tolist()) as store:
        portions = all_of(sorting(store), N + 2)
    assert max(map(len, portions)) <= lines
    assert max(sum(len(e.body) for e in portion[:-1]) for portion in portions) <= size
    found = [entry for portion in portions for entry in portion]
    assert [entry.kind for entry in found[:2]] == ["component", "component"]
    assert [entry.t_ns for entry in found[2:]] == [T0 + 30 * i * SECOND for i in range(N)]


def test_who_is_not_believed_keeps_its_place_of_arrival() -> None:
    at_s = [10.0 * i for i in range(N)]
    at_s[20] = 3e8
    with journal(at_s) as store:
        found = [e for portion in all_of(sorting(store), N + 2) for e in portion]
    assert found[22].t_ns == T0 + 3 * 10**8 * SECOND


@given(
    order=st.permutations(range(N)),
    cuts=st.lists(st.tuples(st.integers(2, N), st.integers(-5, N)), max_size=4),
)
@hypothesis_settings(max_examples=10, deadline=None)
def test_an_order_of_any_steps_gives_the_same_again(
    order: list[int], cuts: list[tuple[int, int]]
) -> None:
    with journal([30.0 * i for i in order]) as store:
        folds = []
        for generation in (1, 2):
            refold = Refold(store.journal, store.aside(generation), CLOCK)
            for until, minute in sorted(cuts):
                refold.step(until, T0 + 30 * minute * SECOND)
            refold.step(N + 2, FOREVER_NS)
            folds.append(refold)
        assert_same(folds[0].fleet, folds[1].fleet)
        assert_same_rows(list(folds[0].recorder.tail), list(folds[1].recorder.tail))
        assert folds[0].fleet.offset == N + 2


def test_steps_give_what_one_step_gives_where_nothing_old_comes_between() -> None:
    with journal([30.0 * i for i in (*range(20, 40), *range(20), *range(40, N))]) as store:
        one = Refold(store.journal, store.aside(1), CLOCK)
        one.finish(N + 2)
        many = Refold(store.journal, store.aside(2), CLOCK)
        for until in (44, 50, 57):
            many.advance(until, 60 * SECOND)
        many.finish(N + 2)
        assert_same(one.fleet, many.fleet)
        assert one.recorder.rows == many.recorder.rows > 20


def test_changes_before_anything_was_heard_belong_to_the_first_registration(
    tmp_path: Path,
) -> None:
    """A length that was mistyped and put right at once lost every older load at a catch-up."""
    name = "plant/press-1"

    def put(revision: int, at_s: float) -> Entry:
        return registration(component(name, revision), T0 + round(at_s * SECOND))

    load = observed(spectrum(1, 50.0, name).what)  # type: ignore[arg-type]
    with Store(tmp_path / "data") as store:
        store.journal.append([put(1, 100.0), put(2, 200.0), load, put(3, 300.0)], now_ns=T0)
        found = [e for portion in all_of(sorting(store), 4) for e in portion]
    assert [(e.kind, e.seq) for e in found] == [
        ("component", 1),
        ("component", 2),
        ("observation", 1),
        ("component", 3),
    ]


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize(("run", "merged"), [(1, 1), (10, 20), (97, 64), (10_000, 10_000)])
def test_rows_are_sorted_alike_in_runs_of_any_size_on_disk_or_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: int, merged: int, is_full: bool
) -> None:
    monkeypatch.setattr(twin.archive.sorting, "RUN", run)
    monkeypatch.setattr(twin.archive.sorting, "MERGED", merged)
    monkeypatch.setattr(twin.archive.sorting, "LEAST", 3)
    if is_full:
        monkeypatch.setattr(twin.archive.sorting, "TemporaryFile", _no_file)
    random = np.random.default_rng(1)
    rows = np.stack([random.integers(-1, 40, 600), np.arange(600), np.arange(600)], axis=1)
    found = Sorted(tmp_path)
    done = list[int]()
    for start, stop, up_to in ((0, 300, 20), (300, 310, 10), (310, 600, 30), (600, 600, 99)):
        for at in range(start, stop, 7):
            found.add(rows[at : min(at + 7, stop)])
        left = [i for i in range(stop) if i not in done]
        wanted = sorted((rows[i, 0], i) for i in left if rows[i, 0] <= up_to)
        taken = np.concatenate([np.zeros((0, 3), np.int64), *found.taken(up_to)])
        assert taken[:, 1].tolist() == [i for _, i in wanted]
        assert (taken == rows[taken[:, 1]]).all()
        done += taken[:, 1].tolist()
        assert len(found) == stop - len(done)
    assert len(done) == 600
    assert list(tmp_path.iterdir()) == []  # nothing is left by whoever is killed either


def _no_file(**_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_million_lines_are_sorted_in_the_memory_of_a_few(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000_000, 2_000_000):
        tracemalloc.start()
        rows, times = Sorted(tmp_path), np.random.default_rng(0)
        for at in range(0, count, 5000):
            offsets = np.arange(at, at + 5000)
            rows.add(np.stack([times.integers(0, 10**9, 5000), offsets, offsets], axis=1))
        assert sum(map(len, rows.taken(10**9))) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 40e6  # 110 bytes for each of them, before
