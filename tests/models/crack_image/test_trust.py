"""When measurements are believed: odds, least chance and uncertainties from known cracks."""

from __future__ import annotations

import numpy as np
import pytest

from models.crack_image.calibration import FEW, WRONG, ScoredMeasurement, calibrated
from models.crack_image.measures import Score
from models.crack_image.trust import Doubts, Trust, chance_right, length_sd, tip_sd


def judged(rng: np.random.Generator, count: int) -> list[ScoredMeasurement]:
    """Measurements that are the likelier right, and the more exact, the better they are seen."""
    return [_one(rng) for _ in range(count)]


def _one(rng: np.random.Generator) -> ScoredMeasurement:
    unseen, length = float(rng.uniform(0.0, 0.6)), float(rng.uniform(50.0, 400.0))
    right = rng.random() < 1.0 / (1.0 + np.exp(20.0 * (unseen - 0.35)))
    wide = 1.5 + 0.1 * unseen * length
    error = float(wide * rng.standard_t(3))
    ends = sorted(np.abs(rng.standard_t(3, 2) * (1.0 + 8.0 * unseen)).tolist())
    score = Score(
        has_crack=True, outcome="measured", iou=0.5, recall=1.0, precision=1.0,
        on_crack=1.0 if right else 0.0, covered=1.0 if right else 0.0, length=length,
        length_true=length - error, length_sd=1.0, ends=(ends[0], ends[1]), tip_sd=1.0,
    )  # fmt: skip
    against = Doubts(unseen=unseen, gaps=0.0, rival=0.0, swaying=0.0, fading=unseen)
    return ScoredMeasurement(against, score)


def trusted(trust: Trust, found: list[ScoredMeasurement]) -> list[ScoredMeasurement]:
    return [f for f in found if chance_right(trust, f.against) >= trust.chance]


@pytest.fixture(scope="module")
def trust() -> Trust:
    return calibrated(judged(np.random.default_rng(0), 1500))


def test_few_of_the_readings_that_are_believed_are_wrong(trust: Trust) -> None:
    believed = trusted(trust, judged(np.random.default_rng(1), 4000))
    wrong = sum(not f.score.is_right for f in believed)
    assert len(believed) > 800
    assert wrong < 1.6 * WRONG * len(believed)


def test_what_is_believed_is_as_uncertain_as_it_is_said_to_be(trust: Trust) -> None:
    believed = [
        f for f in trusted(trust, judged(np.random.default_rng(1), 4000)) if f.score.is_right
    ]
    sds = [length_sd(trust, f.against, f.score.length) for f in believed]
    within = [abs(f.score.error) <= 1.96 * sd for f, sd in zip(believed, sds, strict=True)]
    assert 0.93 < np.mean(within) < 0.97
    for_some = [w for w, f in zip(within, believed, strict=True) if f.against.unseen < 0.05]
    assert np.mean(for_some) > 0.88  # not only on the whole
    ends = [
        off <= 2.45 * tip_sd(trust, f.against, sd)
        for f, sd in zip(believed, sds, strict=True)
        for off in f.score.ends
    ]
    assert 0.93 < np.mean(ends) < 0.97


def test_an_allowance_widens_all_uncertainties(trust: Trust) -> None:
    wide = calibrated(judged(np.random.default_rng(0), 1500), allowance=2.0)
    against = Doubts(0.1, 0.0, 0.0, 0.0, 0.1)
    one, two = (length_sd(t, against, 100.0) for t in (trust, wide))
    assert two / one == pytest.approx(2.0, rel=0.2)
    assert tip_sd(wide, against, two) / tip_sd(trust, against, one) == pytest.approx(2.0, rel=0.2)


def test_every_sign_lowers_the_chance_and_none_raises_it(trust: Trust) -> None:
    nothing = Doubts(*[0.0] * 5)
    for name in Doubts._fields:
        worse = nothing._replace(**{name: 0.5})
        assert chance_right(trust, worse) <= chance_right(trust, nothing)
        assert chance_right(Trust(), worse) <= chance_right(Trust(), nothing)


def test_by_few_readings_nothing_is_believed() -> None:
    found = calibrated(judged(np.random.default_rng(0), FEW))
    assert found.chance == 1.0
    assert chance_right(found, Doubts(0.02, 0.0, 0.0, 0.0, 0.02)) < found.chance
