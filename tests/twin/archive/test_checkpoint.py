"""A checkpoint is the whole belief: what comes back goes on as if nothing had happened."""

from __future__ import annotations

import pytest

from tests.twin.belief.test_fold import assert_same, mixed_lines, three
from tests.twin.fleets import CLOCK, component
from twin.archive.checkpoint import (
    FORMAT,
    carried,
    metadata,
    restored,
    tensors,
)
from twin.belief.fleet import EMPTY
from twin.belief.fold import folded
from twin.belief.leaves import OtherFormatError
from twin.belief.segments import Line


def test_a_restored_fleet_goes_on_like_the_original() -> None:
    lines = mixed_lines(40, 1)
    half = folded(three(), lines[:20], CLOCK).fleet
    back = restored(tensors(half), metadata(half, CLOCK))
    assert back.components == half.components
    assert back.places == half.places
    assert_same(folded(back, lines[20:], CLOCK).fleet, folded(half, lines[20:], CLOCK).fleet)


def test_an_empty_fleet_can_be_kept() -> None:
    assert restored(tensors(EMPTY), metadata(EMPTY, CLOCK)) == EMPTY


def test_a_cohort_that_lost_all_members_leaves_nothing_behind() -> None:
    wheeler = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": "plane_stress"}
    change = Line("plant/press-2", component("plant/press-2", revision=2))
    again = Line("plant/press-2", component("plant/press-2", revision=3, retardation=wheeler))
    value = folded(three(), [change, again], CLOCK).fleet
    back = restored(tensors(value), metadata(value, CLOCK))
    assert back.places == value.places


def test_a_checkpoint_of_another_format_is_refused() -> None:
    page = metadata(EMPTY, CLOCK).replace(b'"format":%d' % FORMAT, b'"format":99')
    with pytest.raises(ValueError, match="format 99"):
        restored({}, page)


def test_watches_of_another_width_are_passed_over_and_not_read_beyond_their_end() -> None:
    fleet = folded(three(), mixed_lines(10, 1), CLOCK).fleet
    narrow = {
        name: leaf[:, :-1] if name.endswith("/5.whole") else leaf
        for name, leaf in tensors(fleet).items()
    }
    assert any(name.endswith("/5.whole") for name in narrow)
    with pytest.raises(OtherFormatError, match="something else of channels"):
        restored(narrow, metadata(fleet, CLOCK))


def test_cohorts_are_named_by_registries_and_those_of_earlier_releases_are_read() -> None:
    fleet = folded(three(), mixed_lines(10, 1), CLOCK).fleet
    names = {
        "paris-edge_crack-none": "ParisLaw-EdgeCrack-NoRetardation",
        "paris-edge_crack-wheeler": "ParisLaw-EdgeCrack-Wheeler",
    }
    assert list(fleet.cohorts) == list(names)
    page, leaves = metadata(fleet, CLOCK), tensors(fleet)
    for new, old in names.items():
        page = page.replace(new.encode(), old.encode())
        leaves = {name.replace(f"{new}/", f"{old}/", 1): leaf for name, leaf in leaves.items()}
    assert {name.partition("/")[0] for name in leaves} == set(names.values())
    for read in (restored, carried):
        back = read(leaves, page)
        assert back.places == fleet.places
        assert_same(back, fleet)
