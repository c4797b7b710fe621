"""However many streams there are, few are remembered, and nothing counts twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from storage.journal.entry import Entry
from storage.journal.forgetting import FORGOTTEN, KEPT, MOST
from storage.journal.journal import Journal
from storage.journal.sequences import Outcome, StreamMark
from tests.storage.conftest import NOW, kept

PART = "plant/press"


def sent(
    boot: int, seq: int = 0, t_ns: int = 0, source: str = "daq", component: str = PART
) -> Entry:
    return Entry("observation", component, source, boot, seq, NOW + t_ns, b"x")


def outcomes(journal: Journal, *entries: Entry) -> list[Outcome]:
    return journal.append(entries, now_ns=NOW).outcomes


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four streams are kept, and eight more remembered."""
    monkeypatch.setattr("storage.journal.forgetting.KEPT", 4)
    monkeypatch.setattr("storage.journal.forgetting.MOST", 8)


def test_twenty_thousand_boots_of_a_sensor_leave_a_thousand_marks(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        forgotten = 0
        for first in range(0, 20_000, 1000):
            found = journal.append(
                [sent(boot, t_ns=boot) for boot in range(first, first + 1000)], now_ns=NOW
            )
            assert set(found.outcomes) == {Outcome.ACCEPTED}
            forgotten += found.forgotten
        assert len(journal.marks_of(PART)) == KEPT + MOST
        assert journal.streams == KEPT + MOST + 1  # and what stands for the forgotten
        assert journal.verify() == []
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert len(journal.marks_of(PART)) == KEPT + MOST
        assert journal.end == 20_000


@pytest.mark.usefixtures("few")
def test_what_was_forgotten_and_comes_again_is_refused_and_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        outcomes(journal, *(sent(boot, t_ns=10 * boot) for boot in range(30)))
        assert journal.mark(PART, "daq", 3) is not None  # of the first ones
        assert journal.mark(PART, "daq", 10) is None
        assert outcomes(journal, sent(10, t_ns=100)) == [Outcome.BEHIND]
        assert outcomes(journal, sent(3, t_ns=30)) == [Outcome.DUPLICATE]
        assert outcomes(journal, sent(10, 1, t_ns=400)) == [Outcome.ACCEPTED]
        assert outcomes(journal, sent(10, t_ns=100)) == [Outcome.BEHIND]  # known again, in part
        assert outcomes(journal, sent(10, 1, t_ns=400)) == [Outcome.DUPLICATE]
        assert journal.verify() == []


@pytest.mark.usefixtures("few")
def test_who_speaks_is_not_forgotten(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        for boot in range(40):
            outcomes(journal, sent(boot, t_ns=10 * boot))
            assert outcomes(journal, sent(7, boot + 1, t_ns=10 * boot + 1, source="lively"))
        assert journal.mark(PART, "lively", 7) == StreamMark(1, 40, 0, ((0, 0),))


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("source", ["@twin", "image", "confirmation"])
def test_what_the_service_writes_is_never_forgotten(tmp_path: Path, source: str) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        outcomes(journal, *(sent(boot, t_ns=boot, source=source) for boot in range(40)))
        again = outcomes(journal, *(sent(boot, t_ns=boot, source=source) for boot in range(40)))
        assert set(again) == {Outcome.DUPLICATE}


@pytest.mark.usefixtures("few")
def test_no_sensor_makes_an_inspection_by_http_forgotten_or_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        outcomes(journal, sent(5, t_ns=5, source="http"))
        outcomes(journal, *(sent(boot, t_ns=10 * boot) for boot in range(40)))
        assert outcomes(journal, sent(5, t_ns=5, source="http")) == [Outcome.DUPLICATE]
        assert outcomes(journal, sent(6, t_ns=6, source="http")) == [Outcome.ACCEPTED]


@pytest.mark.usefixtures("few")
def test_one_part_makes_nobody_forget_anothers(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        outcomes(journal, *(sent(boot, t_ns=boot, component="plant/other") for boot in range(6)))
        outcomes(journal, *(sent(boot, t_ns=100 + boot) for boot in range(100)))
        assert len(journal.marks_of("plant/other")) == 6
        assert outcomes(journal, sent(50, t_ns=1, component="plant/other")) == [Outcome.ACCEPTED]


def script(seed: int) -> list[Entry]:
    """Streams that come, go on, and send again what they have sent, in some disorder."""
    rng, entries, seqs = Random(seed), list[Entry](), dict[tuple[str, int], int]()
    for step in range(400):
        if entries and rng.random() < 0.3:
            entries.append(rng.choice(entries))
            continue
        key = (rng.choice(["daq", "daq", "http"]), rng.randrange(step // 6 + 1))
        seqs[key] = seqs.get(key, -1) + rng.choice([1, 1, 1, 2])
        t_ns = 100 * step + rng.choice([0, 0, 0, -5000, 3000])
        entries.append(sent(key[1], seqs[key], t_ns, key[0]))
    return entries


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("seed", range(20))
def test_nothing_counts_twice_however_much_is_forgotten_and_however_it_is_cut(
    tmp_path: Path, seed: int
) -> None:
    entries, rng = script(seed), Random(seed)
    with Journal(tmp_path / "one.sqlite") as one:
        first = [outcomes(one, each)[0] for each in entries]
        lines = kept(one)
        marks = one.marks_of(PART)
        assert one.verify() == []
    assert first.count(Outcome.BEHIND) > 0
    numbers = [(line.source, line.boot, line.seq) for line in lines]
    assert len(set(numbers)) == len(numbers)
    assert len(marks) <= 2 * (4 + 8)
    second, at = list[Outcome](), 0
    while at < len(entries):  # in other batches, with restarts between
        size = rng.randrange(1, 90)
        with Journal(tmp_path / "other.sqlite") as other:
            second += outcomes(other, *entries[at : at + size])
        at += size
    assert second == first
    with Journal(tmp_path / "other.sqlite") as other:
        assert other.marks_of(PART) == marks
        assert kept(other) == lines


@pytest.mark.usefixtures("few")
def test_a_journal_in_another_order_knows_what_is_forgotten(tmp_path: Path) -> None:
    """As a rebuild makes it."""
    entries = [sent(boot, t_ns=10 * boot) for boot in range(40)]
    with (
        Journal(tmp_path / "journal.sqlite") as journal,
        Journal(tmp_path / "new.sqlite") as new,
    ):
        outcomes(journal, *entries)
        lines = kept(journal)
        for first in range(0, 40, 7):
            new.adopt(lines[first : first + 7], journal, now_ns=NOW)
        assert new.marks_of(PART) == journal.marks_of(PART)
    with Journal(tmp_path / "new.sqlite") as new:
        assert new.end == 40
        assert new.verify() == []
        assert outcomes(new, entries[10]) == [Outcome.BEHIND]
        assert outcomes(new, sent(77, t_ns=1000)) == [Outcome.ACCEPTED]


def test_few_streams_are_written_as_earlier_releases_read_them(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        outcomes(journal, *(sent(boot, t_ns=boot) for boot in range(KEPT)))
        assert {mark[4:] for _, mark in journal.marks_of(PART)} == {((), 0, 0)}
        assert FORGOTTEN not in {source for (source, _), _ in journal.marks_of(PART)}


def test_lines_without_a_time_are_judged_as_ever(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        timeless = [sent(1, seq, t_ns=-NOW) for seq in (0, 1, 1)]
        accepted = [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.DUPLICATE]
        assert outcomes(journal, *timeless) == accepted
        assert outcomes(journal, sent(1, 2, t_ns=-NOW)) == [Outcome.ACCEPTED]
