"""A few of the shared specimens, by the benchmark's own code."""

import math

import numpy as np
import pytest

from tests.benchmarks.belief.virkler import SHARED, SHARES, asked, prepared
from twin.learning.growth_readings import specimens


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not here")
def test_inspections_bring_late_answers_nearer_to_the_truth() -> None:
    curves = [one.curve for one in specimens(SHARED)][:8]
    cases = [prepared(curves, i, 64) for i in range(3)]
    for case in cases:
        seen, alone = (asked(case, every, 0.0, 7) for every in (12_500.0, math.inf))
        assert seen.keys() == set(SHARES)
        off, blind = (np.abs(x[0.7].lives - x[0.7].true).mean() for x in (seen, alone))
        assert off < blind
        widths = [np.ptp(np.quantile(seen[share].lives, (0.05, 0.95))) for share in (0.1, 0.7)]
        assert widths[1] < widths[0]
