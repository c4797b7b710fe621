"""Training of the stress-intensity operator: cracks kept apart, the domain kept, the bound set."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
import torch

from models.fatigue.geometry import EdgeCrack
from models.intensity.features import ALPHA, CHECKS, EVEN, ODD
from models.intensity.operator import CrackOperator
from models.intensity.random_paths import FARTHEST
from models.intensity.recipe import (
    OUTLYING,
    TipExamples,
    chosen,
    errors,
    examples,
    held_out_scores,
    library_tips,
    loss,
    network,
    settled,
)
from models.recipe import Arrays
from models.training import Schedule, trained

SAMPLES, NODES, WIDTH = 30, 45, 10e-3


def straight(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A straight crack and the handbook's intensities: no XFEM is needed."""
    a = WIDTH * np.linspace(generator.uniform(0.08, 0.12), 0.98, NODES - 1)
    path = np.stack([np.append(0.0, a), np.full(NODES, 1e-4)], axis=1)
    length, k = torch.from_numpy(a), np.zeros((NODES, 2, 2))
    root, crack = torch.sqrt(math.pi * length), EdgeCrack(WIDTH)
    k[1:, 0, 0], k[1:, 1, 1] = crack.F(length) * root, crack.F_II(length) * root
    k[0] = np.nan
    return path, k


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    generator = np.random.Generator(np.random.PCG64(0))
    drawn = [straight(generator) for _ in range(SAMPLES)]
    return {
        "path": np.array([path for path, _ in drawn]),
        "nodes": np.full(SAMPLES, NODES),
        "k_unit": np.array([k for _, k in drawn]),
        "load": generator.normal(200e6, 50e6, (SAMPLES, 3, 2)),
        "frame_node": np.tile([1, 10, 20, NODES - 1], (SAMPLES, 1)),
    }


def test_cracks_to_learn_from_and_to_validate_by_are_apart(arrays: Arrays) -> None:
    learned, held = (TipExamples(*part) for part in examples(arrays, 0, wanderers=0))
    assert not set(learned.sample.tolist()) & set(held.sample.tolist())
    assert len(set(held.sample.tolist())) == 3
    again, other = examples(arrays, 0, wanderers=0)[1], examples(arrays, 1, wanderers=0)[1]
    assert torch.equal(TipExamples(*again).sample, held.sample)
    assert not torch.equal(TipExamples(*other).sample, held.sample)


def test_nothing_is_learned_from_tips_beyond_the_domain(arrays: Arrays) -> None:
    whole = library_tips(arrays)
    assert whole.seen[:, ALPHA].max() > FARTHEST
    for part in examples(arrays, 0, wanderers=0):
        assert TipExamples(*part).seen[:, ALPHA].max() <= FARTHEST


def test_a_tip_meets_the_load_of_the_slice_that_it_grows_into(arrays: Arrays) -> None:
    tips = library_tips(arrays)
    first = chosen(tips, tips.sample == 0)  # nodes 1 to the last
    load = torch.from_numpy(arrays["load"][0])
    for node, piece in ((1, 0), (9, 0), (10, 1), (19, 1), (20, 2), (NODES - 1, 2)):
        assert torch.equal(first.load[node - 1], load[piece]), node


def test_the_network_learns_and_keeps_what_it_has_seen(arrays: Arrays) -> None:
    learned, held = examples(arrays, 0, wanderers=0)
    operator = network(0)
    schedule = Schedule(epochs=8, batch=64, lr=3e-3)
    run = list(islice(trained(operator, learned, held, loss, schedule), 8))
    assert run[-1].validation[-1] < 0.2 * run[0].validation[0]
    seen = TipExamples(*learned).seen
    sized = seen.clone()
    sized[:, EVEN : EVEN + ODD] = seen[:, EVEN : EVEN + ODD].abs()
    assert torch.equal(operator.low, sized.amin(0))
    assert torch.equal(operator.high, sized.amax(0))
    operator.eval()(2.0 * seen)
    assert torch.equal(operator.high, sized.amax(0))
    assert operator.inside(seen).all()
    assert not operator.inside(2.0 * seen).any()
    settled(operator, held)
    found = held_out_scores(operator, arrays)
    assert set(found) == {"tips", "inside", "error_median", "error_99", "covered"}
    assert found["inside"] < 1.0  # the tips beyond the domain


def noisy(count: int, share: float) -> TipExamples:
    """Tips of band 5 that the operator says zero of, but for `share` of their size."""
    seen = torch.zeros(count, EVEN + ODD + CHECKS, dtype=torch.float64)
    seen[:, ALPHA] = 0.55
    y = torch.tensor([1.0, 0.0, 0.0, 0.5], dtype=torch.float64).expand(count, 4).clone()
    y *= 1.0 + share * torch.linspace(0.0, 1.0, count, dtype=torch.float64)[:, None]
    load = torch.ones(count, 2, dtype=torch.float64)
    return TipExamples(seen, y, load, torch.ones(count, dtype=torch.bool), torch.arange(count))


def one_answer() -> CrackOperator:
    """Members that say 1 and 0.5 of every tip, and lie a little apart."""
    operator = network(0)
    with torch.no_grad():
        operator.w3.zero_()
        operator.b3.zero_()
        operator.b3[:, 0, 0], operator.b3[:, 0, 1] = 1.0, 0.5
        operator.b3[:, 0, 0] += torch.tensor([-2e-3, -1e-3, 0.0, 1e-3, 2e-3])
    return operator.eval()


def test_the_bound_holds_for_ninety_five_of_a_hundred_tips_of_validation() -> None:
    tips, operator = noisy(400, 0.02), one_answer()
    settled(operator, tips)
    off = errors(operator, tips)
    within = (operator.bound(tips.seen[:, ALPHA], off.spread) >= off.K).double().mean()
    assert within == pytest.approx(0.95, abs=0.005)
    assert (operator.factor != 1.0).nonzero().flatten().tolist() == [5]


def test_the_bound_of_both_kinds_holds_for_the_mean_of_their_shares_whatever_their_number() -> None:
    near, far, operator = noisy(900, 0.02), noisy(300, 0.08), one_answer()
    far = far._replace(library=torch.zeros_like(far.library))
    settled(operator, TipExamples(*(torch.cat(leaves) for leaves in zip(near, far, strict=True))))
    within = []
    for tips in (near, far):
        off = errors(operator, tips)
        within.append((operator.bound(tips.seen[:, ALPHA], off.spread) >= off.K).double().mean())
    assert float(sum(within)) / 2 == pytest.approx(0.95, abs=0.005)
    assert within[1] < within[0] == 1.0


@torch.no_grad()
def lost(share: float) -> float:
    """The loss of a tip whose K_I is missed by `share`."""
    y = torch.tensor([[1.0 / (1.0 - share), 0.0, 0.0, 0.5]], dtype=torch.float64)
    return float(loss(one_answer(), noisy(1, 0.0)._replace(y=y)))


def test_an_outlier_counts_by_its_size_and_not_by_its_square() -> None:
    assert lost(0.6) / lost(0.3) == pytest.approx(2.0, rel=0.1)
    assert lost(0.01) / lost(0.005) == pytest.approx(4.0, rel=0.2)
    assert lost(0.3) == pytest.approx(0.3 * OUTLYING, rel=0.15)
