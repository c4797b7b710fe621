"""Deduplication is exact."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import CorruptError
from storage.journal.sequences import (
    HOLES,
    JUMP,
    LEAD,
    Outcome,
    Sequences,
    StreamMark,
    beginning,
    sealed,
    unsealed,
    verdict,
)
from tests.storage.conftest import entry

ACCEPTED, DUPLICATE, BEHIND = Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.BEHIND


def outcomes(seqs: list[int]) -> list[Outcome]:
    return Sequences().judgement([entry(seq) for seq in seqs]).outcomes


def test_the_next_number_is_accepted_and_the_same_again_is_a_duplicate() -> None:
    assert outcomes([5, 6, 6, 5, 7]) == [ACCEPTED, ACCEPTED, DUPLICATE, DUPLICATE, ACCEPTED]


def test_a_gap_is_counted_once_and_what_fills_it_is_counted_back() -> None:
    judgement = Sequences().judgement([entry(seq) for seq in (0, 4, 2, 2, 1, 3)])
    assert judgement.outcomes == [ACCEPTED, ACCEPTED, ACCEPTED, DUPLICATE, ACCEPTED, ACCEPTED]
    assert (judgement.missing, judgement.filled) == (3, 3)
    assert judgement.touched["plant/press", "daq", 1].holes == ()


def test_a_stream_may_begin_out_of_order_without_counting_as_missing() -> None:
    judgement = Sequences().judgement([entry(seq) for seq in (2, 0, 1, 0)])
    assert judgement.outcomes == [ACCEPTED, ACCEPTED, ACCEPTED, DUPLICATE]
    assert (judgement.missing, judgement.filled) == (0, 0)


@pytest.mark.parametrize(
    ("distance", "outcome"), [(LEAD - 1, ACCEPTED), (LEAD, ACCEPTED), (LEAD + 1, BEHIND)]
)
def test_the_lead_of_a_stream_is_bounded(distance: int, outcome: Outcome) -> None:
    assert verdict(beginning(5000), 5000 - distance).outcome is outcome


@pytest.mark.parametrize(
    ("holes", "outcome"), [(HOLES - 1, ACCEPTED), (HOLES, ACCEPTED), (HOLES + 1, BEHIND)]
)
def test_only_the_latest_holes_are_remembered(holes: int, outcome: Outcome) -> None:
    mark = beginning(0)
    for i in range(1, holes + 1):
        mark = verdict(mark, 2 * i).mark
    assert len(mark.holes) == min(holes, HOLES)
    assert verdict(mark, 1).outcome is outcome


def test_streams_do_not_see_each_other() -> None:
    batch = [entry(1), entry(1, boot=2), entry(1, component="plant/other"), entry(1)]
    assert Sequences().judgement(batch).outcomes == [ACCEPTED, ACCEPTED, ACCEPTED, DUPLICATE]


def test_a_judgement_changes_nothing() -> None:
    sequences = Sequences()
    assert sequences.judgement([entry(1)]) == sequences.judgement([entry(1)])
    assert len(sequences) == 0


@given(st.lists(st.integers(0, 60), max_size=80))
def test_every_number_is_accepted_exactly_once(seqs: list[int]) -> None:
    found = outcomes(seqs)
    accepted = [seq for seq, outcome in zip(seqs, found, strict=True) if outcome is ACCEPTED]
    assert accepted == list(dict.fromkeys(seqs))


@given(st.lists(st.integers(0, 10**6), max_size=400))
def test_nothing_is_ever_accepted_twice_and_a_refusal_has_its_reason(seqs: list[int]) -> None:
    found = outcomes(seqs)
    seen: set[int] = set()
    for seq, outcome in zip(seqs, found, strict=True):
        if outcome is ACCEPTED:
            assert seq not in seen
            seen.add(seq)
        if outcome is DUPLICATE:
            assert seq in seen


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60))
def test_what_is_missing_and_not_filled_is_what_never_came(seqs: list[int]) -> None:
    judgement = Sequences().judgement([entry(seq) for seq in seqs])
    mark = judgement.touched["plant/press", "daq", 1]
    never = set(range(seqs[0], mark.high + 1)) - set(seqs)
    assert judgement.missing - judgement.filled == len(never)


def test_a_mark_survives_its_bytes_and_a_flipped_bit_does_not() -> None:
    key, mark = ("plant/press", "daq", 1), StreamMark(3, 90, 0, ((4, 5), (9, 9)))
    data = sealed(key, mark, 7)
    assert unsealed(key, data) == (mark, 7)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 4
        with pytest.raises(CorruptError, match="plant/press"):
            unsealed(key, bytes(damaged))
    with pytest.raises(CorruptError):
        unsealed(("plant/press", "daq", 2), data)


@pytest.mark.parametrize(
    ("left_out", "missing"), [(JUMP - 1, JUMP - 1), (JUMP, JUMP), (JUMP + 1, 0)]
)
def test_a_number_far_above_the_last_is_a_jump_and_not_so_many_losses(
    left_out: int, missing: int
) -> None:
    judgement = Sequences().judgement([entry(5), entry(6 + left_out)])
    assert judgement.outcomes == [ACCEPTED, ACCEPTED]
    assert judgement.missing == missing
    assert [(j.last, j.seq) for j in judgement.jumps] == ([] if missing else [(5, 6 + left_out)])
    assert judgement.touched["plant/press", "daq", 1].missing == missing


def test_real_losses_count_after_two_far_numbers_and_nobody_fills_them_for_others() -> None:
    """They made 1.8e16 missing, to which a float cannot add ten."""
    far = 2**53 - 1000
    judgement = Sequences().judgement([entry(seq) for seq in (0, far // 2, far, far + 11)])
    assert (judgement.missing, len(judgement.jumps)) == (10, 2)
    sequences = Sequences()
    sequences.advance(judgement.touched, sequences.numbered(judgement.touched))
    inside = [1, 2, 500_000, 3, 400_000, far - 1, far // 2 + 1]
    after = sequences.judgement([entry(seq) for seq in inside])
    assert after.outcomes == [ACCEPTED] * len(inside), "what comes after all is taken"
    assert (after.missing, after.filled) == (0, 0)
    filled = sequences.judgement([entry(far + 5)])
    assert (filled.outcomes, filled.filled) == ([ACCEPTED], 1)


def test_marks_know_their_jumps_again_and_those_of_earlier_releases() -> None:
    key = ("plant/press", "daq", 1)
    mark = verdict(verdict(beginning(0), 5 * JUMP).mark, 10).mark
    assert mark.jumped == ((1, 5 * JUMP - 1),)
    assert unsealed(key, sealed(key, mark, 7)) == (mark, 7)
    far = verdict(beginning(0), 5 * JUMP).mark
    before = sealed(key, far._replace(jumped=()), 7)
    assert unsealed(key, before)[0].missing == 0
    gap = verdict(beginning(0), 3).mark
    assert msgspec.msgpack.decode(sealed(key, gap, 7)[:-4]) == [[0, 3, 0, [[1, 2]]], 7]
