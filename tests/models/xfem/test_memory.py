"""What is forgotten, and that it does not matter."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest

from models.xfem.crack import PolylineCrack
from models.xfem.memory import ByteCache
from models.xfem.plate import Plate

CRACK = PolylineCrack(
    np.array([[0.0, 0.0], [1.13e-3, 0.0], [2.07e-3, -0.61e-3], [2.9e-3, -0.7e-3]])
)
OTHER = PolylineCrack(np.array([[0.0, 0.2e-3], [2.5e-3, 0.9e-3]]))


def filled(most: float, *keys: str) -> ByteCache:
    """A memory that was asked for some keys of ten bytes each."""
    memory = ByteCache(most)
    for key in keys:
        assert memory.recall(key, partial("value {}".format, key), lambda _: 10) == f"value {key}"
    return memory


@pytest.mark.parametrize(("most", "kept"), [(29.0, "bc"), (30.0, "abc"), (31.0, "abc")])
def test_a_memory_holds_what_fits_and_no_more(most: float, kept: str) -> None:
    memory = filled(most, "a", "b", "c")
    assert [key for key in "abc" if key in memory] == list(kept)
    assert memory.held == 10 * len(kept)


def test_what_was_used_longest_ago_goes_first() -> None:
    assert "b" not in filled(30, "a", "b", "c", "a", "d")
    memory = filled(30, "a", "b", "c")
    memory.renew("a")
    memory.recall("d", lambda: "value d", lambda _: 10)
    assert "a" in memory
    assert "b" not in memory


def test_what_is_known_is_not_made_again() -> None:
    memory = filled(30, "a")
    assert memory.recall("a", lambda: "another", lambda _: 10) == "value a"


def test_what_is_larger_than_the_memory_drives_nothing_out() -> None:
    memory = filled(30, "a")
    assert memory.recall("b", lambda: "large", lambda _: 31) == "large"
    assert "a" in memory
    assert "b" not in memory


@pytest.mark.parametrize("runs", [0, 1, 5])
def test_a_plate_that_forgets_answers_the_same_to_the_bit(runs: int) -> None:
    """So many runs of nodes are remembered; a crack needs more, within one solve."""
    free, short = Plate(columns=24), Plate(columns=24)
    free.K(CRACK)
    one = free.intact.inverse.memory.held / len(list(free.intact.inverse.memory))
    memory = short.intact.inverse.memory
    memory.most = runs * one
    for crack in (CRACK, OTHER, CRACK):
        np.testing.assert_array_equal(short.K(crack), free.K(crack))
        assert memory.held == memory.most


def test_memory_is_bound_while_it_grows() -> None:
    """Arrays are measured, not what the memory says of itself."""
    inverse, nodes = Plate(columns=24).intact.inverse, np.arange(400, 600)
    whole = inverse.between(nodes, nodes[:4])
    assert inverse.memory.held > 4 << 20
    inverse.memory = ByteCache(1 << 20)
    tracemalloc.start()
    try:
        again = inverse.between(nodes, nodes[:4])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 1 << 19 < peak < 3 << 19  # a run on its way comes on top
    np.testing.assert_array_equal(again, whole)


def test_plates_that_share_a_memory_do_not_mistake_each_other() -> None:
    shared, alone = ByteCache(), Plate(columns=24, closure="grip").K(CRACK)
    for plate in (Plate(columns=24), Plate(columns=24, closure="grip")):
        plate.intact.inverse.memory = shared
        found = plate.K(CRACK)
    np.testing.assert_array_equal(found, alone)
