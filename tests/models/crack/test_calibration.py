"""Beliefs are honest where truths are drawn as they are registered: a small benchmark."""

import math

import pytest
from scipy import stats

from tests.benchmarks.belief.calibration import INSTANTS, covered, judged

PARTS = 300


@pytest.mark.parametrize("is_retarded", [False, True], ids=["straight", "retarded"])
@pytest.mark.parametrize("sd", [math.inf, 1e-5, 1e-3], ids=["uninspected", "exact", "rough"])
def test_intervals_cover_as_many_truths_as_they_say(sd: float, is_retarded: bool) -> None:
    early = [each for each in judged(PARTS, sd, is_retarded=is_retarded) if each.share == 1.0]
    assert {each.message for each in early} >= set(INSTANTS[:2])
    assert {each.name for each in early} >= {"length", "growth"}
    for each in early:
        for width in (0.5, 0.8, 0.9):
            inside = round(PARTS * covered(each.ranks, width))
            assert stats.binomtest(inside, PARTS, width).pvalue > 1e-4, (each, width)
