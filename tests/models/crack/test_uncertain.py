"""Uncertain cracks against exact ones, particle by particle, and what readings make of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models import tree
from models.crack.forecast import life as exact_life
from models.crack.load import (
    CrackLoad,
    blocks,
    inspection_load,
    no_load,
    series_load,
    spectrum_load,
)
from models.crack.run import ran
from models.crack.state import lengths_told, lives_told
from models.crack.stepper import CrackStepper
from models.crack.uncertain import Scatter, UncertainCrackStepper
from models.crack.uncertain_ahead import life, remaining, rollout
from models.crack.uncertain_changes import as_certain, carried, taken_over
from models.crack.uncertain_state import GUIDES, PROBABILITIES, UncertainCrack, limits
from models.fatigue.geometry import CentreCrack, EdgeCrack
from models.fatigue.laws import NasgroLaw, ParisLaw, WalkerLaw, scaled, si_coefficient
from models.fatigue.rainflow import Cycles, Floats
from models.fatigue.retardation import ZONES, NoRetardation, Wheeler

WALKER = WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68)
PARIS = ParisLaw(si_coefficient(9.7e-12, 3.0), 3.0)
NASGRO = NasgroLaw(
    si_coefficient(1.545e-10, 3.284), 3.284, 0.5, 1.0, 3.187e6, 1.5, 72.5e6, 1.5, 0.3
)
NO_LOCAL = Scatter(0.03, 0.15, 0.0, 0.1, 0.01)
ROW = torch.tensor([1])


def centre(law: object = WALKER, retardation: object = None) -> CrackStepper:
    return CrackStepper(
        law,  # type: ignore[arg-type]
        CentreCrack(0.1524),
        retardation or NoRetardation(),  # type: ignore[arg-type]
        0.009,
        0.0498,
        K_c=70e6,
    )


def load(*rows: tuple[float, float, float]) -> CrackLoad:
    return spectrum_load(ROW, blocks([rows]))


def exact_particles(stepper: UncertainCrackStepper, state: UncertainCrack) -> CrackStepper:
    """A crack of its own for each particle, with its growth factor."""
    p = state.particles
    law = tree.mapped(lambda leaf: torch.as_tensor(leaf), stepper.exact.law)
    return replace(
        stepper.exact,
        particles=stepper.particles,
        a_0=p.a,
        law=scaled(law, torch.exp(p.growth)),
    )


def told(length: Tensor) -> np.ndarray:
    return np.asarray(np.quantile(length[0].numpy(), (0.05, 0.25, 0.5, 0.75, 0.95)))


def outlook(state: UncertainCrack) -> Floats:
    return np.asarray(lives_told(remaining(state).numpy(), PROBABILITIES)[0])


def distinct(state: UncertainCrack) -> int:
    return len(np.unique(state.particles.a))


@pytest.mark.parametrize("law", [WALKER, PARIS, NASGRO], ids=lambda law: type(law).__name__)
def test_particles_grow_as_cracks_of_their_own_would(law: object) -> None:
    stepper = UncertainCrackStepper(centre(law), NO_LOCAL, 200)
    state = stepper.init(1)
    exact = exact_particles(stepper, state)
    own = exact.init(1)
    draw = np.random.default_rng(1)
    for _ in range(60):
        some = load(*((float(s), 0.75 * float(s), 250.0) for s in draw.uniform(30e6, 60e6, 8)))
        state, own = stepper.step(state, some), exact.step(own, some)
    assert float(own.length.median()) > 0.0095
    found, expected = told(state.particles.a), told(own.length)
    assert found == pytest.approx(expected, rel=1e-2)


def test_particles_grow_by_series_as_cracks_of_their_own_would() -> None:
    stepper = UncertainCrackStepper(centre(), NO_LOCAL, 200)
    state = stepper.init(1)
    exact = exact_particles(stepper, state)
    own = exact.init(1)
    draw = np.random.default_rng(2)
    for k in range(40):
        samples = torch.from_numpy(90e6 * draw.beta(2, 2, 3000))
        some = series_load(ROW + k, [samples])
        state, own = stepper.step(state, some), exact.step(own, some)
    assert float(own.length.median()) > 0.0093
    grown, grown_own = (told(x - exact.a_0) for x in (state.particles.a, own.length))
    assert grown == pytest.approx(grown_own, rel=1e-2)


@pytest.mark.parametrize("key", [0, 1, 2])
def test_particles_feel_overloads_as_cracks_of_their_own_do(key: int) -> None:
    wheeler = Wheeler(1.5, 365e6, ZONES["plane_stress"])
    stepper = UncertainCrackStepper(centre(retardation=wheeler), NO_LOCAL, 200)
    state = stepper.init(1, torch.tensor([key]))
    exact = exact_particles(stepper, state)
    own = exact.init(1)
    for k in range(80):
        over = (110e6, 60e6, 1.0) if k % 8 == 0 else (48e6, 36e6, 1.0)
        some = load(over, *((48e6, 36e6, 500.0) for _ in range(4)))
        state, own = stepper.step(state, some), exact.step(own, some)
    assert float(own.length.median()) > 0.0095
    grown, grown_own = (told(x - exact.a_0) for x in (state.particles.a, own.length))
    assert grown[1:-1] == pytest.approx(grown_own[1:-1], rel=2e-2)
    assert grown == pytest.approx(grown_own, rel=4e-2)  # guides are long and fast, or neither


def test_lives_are_those_of_cracks_of_their_own() -> None:
    stepper = UncertainCrackStepper(centre(), NO_LOCAL, 100)
    some = load((48e6, 36e6, 100.0), (30e6, 36e6, 300.0))
    state = stepper.step(stepper.init(1), some)
    own = exact_particles(stepper, state).init(1)
    expected = exact_life(own, some.blocks, 0.0498)
    assert torch.allclose(life(state, some.blocks), expected, rtol=2e-3)
    assert torch.allclose(remaining(state), expected, rtol=2e-3)


@pytest.mark.parametrize(("local_sd", "local_length"), [(0.3, 0.2), (0.3, 0.01), (0.15, 2.0)])
def test_lives_with_factors_that_wander_are_those_of_stepping_on(
    local_sd: float, local_length: float
) -> None:
    scatter = Scatter(0.0, 0.0, local_sd, local_length, 0.0)
    stepper = UncertainCrackStepper(centre(), scatter, 1000)
    start = stepper.init(1)
    some = load((48e6, 36e6, 2000.0))
    forecast = np.sort(life(start, some.blocks)[0].numpy())
    state, lives = start, torch.full((1000,), math.nan, dtype=torch.float64)
    for k in range(400):
        before, state = state, stepper.step(state, some)
        passed = (state.particles.a[0] >= 0.0498) & torch.isnan(lives)
        share = (0.0498 - before.particles.a[0]) / (state.particles.a[0] - before.particles.a[0])
        lives = torch.where(passed, 2000.0 * (k + share), lives)
        if not torch.isnan(lives).any():
            break
    stepped = np.sort(lives.numpy())
    assert np.median(forecast) == pytest.approx(np.median(stepped), rel=0.02)
    assert np.log(forecast).std() == pytest.approx(np.log(stepped).std(), rel=0.1)


def test_broken_particles_do_not_change_the_lives_of_others() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.3, 1.0, 0.1, 0.01), 128)
    state = stepper.step(stepper.init(1), load((48e6, 36e6, 10_000.0)))
    alone, p = remaining(state), state.particles
    a = p.a.clone()
    a[0, 1:60] = float(limits(state)[0, 0])
    beside = remaining(state._replace(particles=p._replace(a=a)))
    start = p.a[0].argmin() not in range(1, 60)  # of the table, which has other points otherwise
    assert torch.allclose(beside[0, 60:], alone[0, 60:], rtol=1e-12 if start else 1e-3)
    assert (beside[0, 1:60] == 0.0).all()


@pytest.mark.parametrize("threshold", [0.008, 0.0085, 0.0088])
def test_those_below_a_threshold_take_no_life_from_others(threshold: float) -> None:
    stepper, exact, some = thresholded(threshold)
    state = stepper.step(stepper.init(1), some)
    expected = exact_life(exact.init(1), some.blocks, 0.0498)
    found = life(stepper.init(1), some.blocks)
    grows = torch.isfinite(expected)
    assert 0.5 < float(grows.double().mean()) < 1.0
    assert torch.allclose(found[grows], expected[grows], rtol=2e-3)
    assert torch.isfinite(remaining(state)[grows]).all()


@pytest.mark.parametrize("threshold", [0.008, 0.0085, 0.0095])
def test_no_particle_stops_that_would_grow_beside_a_guide_that_does_not(threshold: float) -> None:
    stepper, exact, _ = thresholded(threshold)
    state, own, some = stepper.init(1), exact.init(1), load((48e6, 36e6, 20_000.0))
    start = state.particles.a
    for _ in range(5):
        state, own = stepper.step(state, some), exact.step(own, some)
    grown = own.length > start
    assert 0.0 < float(grown.double().mean()) < 1.0
    assert (state.particles.a > start)[grown].all()
    assert (told(state.particles.a) >= told(own.length) * (1.0 - 3e-3)).all()  # not too short


def thresholded(length: float) -> tuple[UncertainCrackStepper, CrackStepper, CrackLoad]:
    """Cracks that grow from a length on, and one of its own for each particle."""
    dK_th = 48e6 * math.sqrt(math.pi * length) * float(CentreCrack(0.1524).F(torch.tensor(length)))
    law, some = replace(PARIS, dK_th=dK_th), load((48e6, 36e6, 1.0))
    stepper = UncertainCrackStepper(centre(law), Scatter(0.05, 0.2, 0.0, 0.1, 0.0), 200)
    return stepper, exact_particles(stepper, stepper.init(1)), some


def test_lengths_ahead_reach_the_limit_when_lives_end_and_are_those_of_stepping_on() -> None:
    stepper = UncertainCrackStepper(centre(), NO_LOCAL, 60)
    some = load((48e6, 36e6, 50_000.0))
    state = stepper.init(1)
    ahead = rollout(state, some.blocks, torch.tensor([0.0, 50_000.0]).double(), lambda: None)
    assert torch.equal(ahead[:, 0], state.particles.a[0])
    stepped = stepper.step(state, some).particles.a[0]
    assert torch.allclose(ahead[:, 1], stepped, rtol=2e-3)


def inspected(
    stepper: UncertainCrackStepper, state: UncertainCrack, length: float, sd: float, epoch: int
) -> UncertainCrack:
    found = inspection_load(
        ROW + epoch, torch.tensor([length]).double(), torch.tensor([sd]).double()
    )
    return stepper.step(state, found._replace(epoch=torch.tensor([epoch])))


def test_readings_teach_the_growth_factor_of_a_part() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.02, 0.3, 0.1, 0.1, 0.01), 256)
    truth = replace(stepper.exact, law=replace(WALKER, C=WALKER.C * math.exp(0.4)))
    state, own = stepper.init(1), truth.init(1)
    for k in range(8):
        some = load((48e6, 36e6, 10_000.0))
        state, own = stepper.step(state, some), truth.step(own, some)
        state = inspected(stepper, state, float(own.length), 1e-4, k)
        assert float(state.length) == pytest.approx(float(own.length), abs=3e-4)
    assert float(state.particles.growth.mean()) == pytest.approx(0.4, abs=0.12)
    left = outlook(state)
    true_left = float(exact_life(own, some.blocks, 0.0498))
    assert left[0] < true_left < left[-1]


def test_many_readings_are_worth_one_that_is_as_exact() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.03, 0.3, 0.1, 0.1, 0.0), 128)
    start = stepper.step(stepper.init(1), load((48e6, 36e6, 30_000.0)))
    length, sd = float(start.length) * 1.02, 2e-4
    many = start
    for epoch in range(25):
        many = inspected(stepper, many, length, sd, epoch + 1)
    one = inspected(stepper, start, length, sd / 5.0, 1)
    assert float(many.length) == pytest.approx(float(one.length), abs=0.02 * sd)
    assert float(many.length_sd) == pytest.approx(float(one.length_sd), rel=0.02)
    for name in ("growth", "local"):
        found, expected = (getattr(s.particles, name) for s in (many, one))
        sd = float(expected.std())  # each reading leaves out what chance may make: 2 % of a mean
        assert float(found.mean()) == pytest.approx(float(expected.mean()), abs=0.05 * sd)
        assert float(found.std()) == pytest.approx(sd, rel=0.02)
    assert outlook(many) == pytest.approx(outlook(one), rel=0.02)


def test_readings_without_any_load_teach_nothing_of_growth() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.03, 0.3, 0.1, 0.1, 0.01), 128)
    start = stepper.init(1)
    state, draw = start, np.random.default_rng(3)
    for epoch in range(100):
        state = inspected(stepper, state, 0.009 + 1e-4 * draw.normal(), 1e-4, epoch + 1)
    for name in ("growth", "local", "ahead"):
        old, new = (getattr(each.particles, name) for each in (start, state))
        sd = float(old.std())
        assert torch.allclose(old.mean(), new.mean(), atol=0.02 * sd), name
        assert float(new.std()) == pytest.approx(sd, rel=0.02), name
    assert distinct(state) == 128


def test_a_reading_shorter_than_what_was_registered_is_believed_as_it_says() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.1, 0.3, 0.1, 0.1, 0.0), 128)
    state = inspected(stepper, stepper.init(1), 0.007, 1e-4, 1)
    assert float(state.length) == pytest.approx(0.00703, abs=2e-5)
    assert float(state.length_sd) == pytest.approx(1e-4, rel=0.03)
    assert distinct(state) == 128


def test_what_is_told_at_first_is_what_was_registered() -> None:
    for particles in (16, 128):
        state = UncertainCrackStepper(centre(), Scatter(0.1, 0.3, 0.1, 0.1, 0.01), particles).init(
            3
        )
        assert torch.allclose(state.length, torch.tensor(0.009).double(), rtol=1e-3)
        assert torch.allclose(state.length_sd, torch.tensor(9e-4).double(), rtol=0.02)


def broken_in_part(seen: float = 0.3) -> tuple[UncertainCrackStepper, UncertainCrack]:
    """A crack of whose particles at least so many are broken, and not all."""
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.6, 0.1, 0.1, 0.01), 128)
    state = stepper.init(1)
    while float(broken_share(state)) < seen:
        state = stepper.step(state, load((48e6, 36e6, 5_000.0)))
    assert float(broken_share(state)) < 0.9
    return stepper, state


def broken_share(state: UncertainCrack) -> Tensor:
    return (state.particles.a >= torch.from_numpy(limits(state))).double().mean()


@pytest.mark.parametrize("seen", [0.3, 0.6])
def test_an_inspection_finds_the_crack_that_is_not_broken(seen: float) -> None:
    stepper, state = broken_in_part(seen)
    whole = state.particles.a < torch.from_numpy(limits(state))
    own = state.particles.a[whole]
    assert float(state.expected) == pytest.approx(float(own.mean()))
    assert float(state.length_sd) == pytest.approx(float(own.std(correction=0)))
    after = inspected(stepper, state, float(state.expected), 5e-4, 7)
    assert float(broken_share(after)) <= 0.01  # one that says the reading is wrong
    assert float(after.length) == pytest.approx(float(state.expected), abs=5e-4)
    assert distinct(after) > 64 * (1.0 - seen)


def test_the_median_is_at_the_limit_when_no_cycles_are_left_at_any_instant() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.5, 0.1, 0.1, 0.01), 32)
    state, over = stepper.init(1), list[bool]()
    while not bool(state.fractured):
        state = stepper.step(state, load((48e6, 36e6, 2_000.0)))
        beyond = float((state.particles.a >= state.a_limit).double().mean())
        over.append(bool(state.length >= state.a_limit))
        assert over[-1] == (outlook(state)[2] == 0.0) == (beyond >= 0.5)
    assert over[-1]
    assert not over[0]


def test_broken_particles_stay_broken_in_another_geometry() -> None:
    stepper, state = broken_in_part()
    for width in (0.12, 0.1524, 0.25):
        other = replace(stepper, exact=replace(stepper.exact, geometry=CentreCrack(width)))
        changed = carried(state, other.init(1), stressed=False)
        after = other.step(changed, load((48e6, 36e6, 100.0)))
        assert float(broken_share(changed)) >= float(broken_share(state))
        assert (after.particles.a >= changed.particles.a).all()
        assert (changed.particles.edge > changed.particles.a)[:, :8].any()


def test_a_crack_that_begins_anew_has_a_length_that_hangs_on_nothing() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.3, 0.1, 0.1, 0.01), 128)
    state = stepper.step(stepper.init(1), load((48e6, 36e6, 30_000.0)))
    found = inspection_load(ROW, torch.tensor([0.02]).double(), torch.tensor([0.002]).double())
    state = stepper.step(state, found._replace(confirmed=torch.tensor([True])))
    p = state.particles
    assert float(state.length) == pytest.approx(0.02, rel=1e-3)
    assert float(state.length_sd) == pytest.approx(0.002, rel=0.02)
    for other in (p.growth, p.local, p.ahead):
        assert abs(np.corrcoef(p.a[0].log(), other[0])[0, 1]) < 0.05


def test_a_rough_reading_that_is_confirmed_breaks_nothing() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.3, 0.1, 0.1, 0.01), 128)
    found = inspection_load(ROW, torch.tensor([0.03]).double(), torch.tensor([0.03]).double())
    state = stepper.step(stepper.init(1), found._replace(confirmed=torch.tensor([True])))
    assert float(broken_share(state)) == 0.0


def test_particles_that_are_drawn_anew_are_distinct_and_have_what_was_learned() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.3, 0.1, 0.1, 0.01), 128)
    state = stepper.step(stepper.init(1), load((48e6, 36e6, 30_000.0)))
    state = inspected(stepper, state, float(state.length) * 1.02, 2e-4, 3)
    fewer = carried(state, replace(stepper, particles=16).init(1), stressed=True)
    more = carried(fewer, replace(stepper, particles=1024).init(1), stressed=True)
    assert distinct(more) == 1024
    for name in ("a", "growth", "local"):
        was, now = (getattr(s.particles, name) for s in (state, more))
        sd = float(was.std(correction=0))
        assert float(now.mean()) == pytest.approx(float(was.mean()), abs=0.02 * sd)
        assert float(now.std(correction=0)) == pytest.approx(sd, rel=0.02)
    assert together(more) == pytest.approx(together(state), abs=0.02)
    stepper, part = broken_in_part()
    assert broken_share(carried(part, replace(stepper, particles=64).init(1), stressed=True)) == (
        pytest.approx(float(broken_share(part)), abs=1 / 128)
    )


def test_other_particles_before_any_load_are_as_if_they_had_been_registered() -> None:
    scatter = Scatter(0.0, 0.3, 0.15, 0.1, 0.01)  # all have one length: no growth hangs on it
    stepper = UncertainCrackStepper(centre(), scatter, 128)
    for many in (64, 256):
        other = replace(stepper, particles=many)
        changed = carried(stepper.init(1), other.init(1), stressed=True)
        some = load((48e6, 36e6, 1_000.0))
        found, expected = (other.step(s, some) for s in (changed, other.init(1)))
        assert torch.allclose(found.length, expected.length, rtol=1e-3)
        assert outlook(found) == pytest.approx(outlook(expected), rel=0.15)


def test_other_particles_late_in_life_keep_the_long_ones() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.4, 0.15, 0.1, 0.01), 128)
    state = stepper.init(1)
    while float(state.particles.a.max()) < 0.045:
        state = stepper.step(state, load((48e6, 36e6, 2_000.0)))
    for many in (64, 129, 512):
        changed = carried(state, replace(stepper, particles=many).init(1), stressed=True)
        was, now = (
            lengths_told(each.particles.a.numpy(), np.ones(1), PROBABILITIES)
            for each in (state, changed)
        )
        assert now == pytest.approx(was, rel=0.06)


def together(state: UncertainCrack) -> float:
    return float(np.corrcoef(state.particles.a[0], state.particles.growth[0])[0, 1])


def test_another_scatter_of_growth_is_as_if_it_had_been_registered_at_first() -> None:
    def stepper(growth_sd: float) -> UncertainCrackStepper:
        return UncertainCrackStepper(centre(), Scatter(0.02, growth_sd, 0.0, 0.1, 0.0), 128)

    def grown(growth_sd: float) -> UncertainCrack:
        own = stepper(growth_sd)
        state = own.step(own.init(1), load((48e6, 36e6, 15_000.0)))
        return inspected(own, state, 0.01, 1e-4, 3)

    for was, now in ((0.3, 0.1), (0.1, 0.3)):
        changed = carried(grown(was), stepper(now).init(1), stressed=True)
        expected = grown(now)
        growth, other = changed.particles.growth, expected.particles.growth
        assert float(growth.mean()) == pytest.approx(
            float(other.mean()), abs=0.2 * float(other.std())
        )
        assert float(growth.std()) == pytest.approx(float(other.std()), rel=0.1)
        assert float(changed.length) == pytest.approx(float(expected.length), rel=2e-3)
    none = carried(grown(0.3), stepper(0.0).init(1), stressed=True)
    assert torch.equal(none.particles.growth, torch.zeros_like(none.particles.growth))
    again = carried(none, stepper(0.2).init(1), stressed=True)
    assert float(again.particles.growth.std(correction=0)) == pytest.approx(0.2)


def test_without_uncertainty_again_a_part_is_as_long_as_was_told() -> None:
    for seen in (0.3, 0.6):
        _, state = broken_in_part(seen)
        certain = as_certain(state)
        assert torch.equal(certain.length, state.length)
        assert bool(certain.fractured) == (seen > 0.5)


def test_one_wrong_reading_moves_little_and_lives_hardly() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.2, 0.1, 0.1, 0.01), 128)
    state = stepper.step(stepper.init(1), load((48e6, 36e6, 20_000.0)))
    after = inspected(stepper, state, 10.0 * float(state.length), 1e-3, 4)
    before, now = (outlook(s)[0] for s in (state, after))
    assert now == pytest.approx(before, rel=0.2)
    assert float(after.length) == pytest.approx(float(state.length), rel=0.02)


def test_a_confirmed_reading_beyond_the_limit_breaks_and_a_later_one_begins_anew() -> None:
    stepper = UncertainCrackStepper(centre(), NO_LOCAL, 64)
    start = stepper.init(1)
    doubted = inspected(stepper, start, 0.2, 1e-3, 1)
    assert float(doubted.length) == pytest.approx(float(start.length), rel=1e-3)
    found = inspection_load(ROW, torch.tensor([0.2]).double())
    broken = stepper.step(start, found._replace(confirmed=torch.tensor([True])))
    assert bool(broken.fractured)
    anew = inspected(stepper, broken, 0.01, 5e-4, 2)
    assert not bool(anew.fractured)
    assert float(anew.length) == pytest.approx(0.01, abs=3e-4)
    again = stepper.step(anew, load((48e6, 36e6, 1000.0)))
    assert float(again.length) > float(anew.length)


def test_runs_of_loads_are_messages_one_by_one_to_the_bit() -> None:
    stepper = UncertainCrackStepper(centre(), Scatter(0.05, 0.2, 0.15, 0.1, 0.01), 48)
    draw = np.random.default_rng(5)
    loads = [
        series_load(ROW + k, [torch.from_numpy(70e6 * draw.beta(2, 2, 50 * (k % 3)))])._replace(
            blocks=blocks([[(40e6, 30e6, 200.0)] * (k % 4)])
        )
        for k in range(12)
    ]
    state, lengths = stepper.init(1), []
    for each in loads:
        state, along = stepper.run(state, each, torch.tensor([0]))
        lengths.append(along.length)
    many = joined(loads)
    together, along = stepper.run(stepper.init(1), many, torch.zeros(12, dtype=torch.int64))
    assert torch.equal(along.length, torch.cat(lengths))
    for (path, one), (_, other) in zip(tree.leaves(together), tree.leaves(state), strict=True):
        assert torch.equal(one, other), path


def joined(loads: list[CrackLoad]) -> CrackLoad:
    k = len(loads)
    counts = torch.tensor([0, *(len(each.samples) for each in loads)])
    spectra = torch.tensor([0, *(len(each.blocks.range) for each in loads)])
    cycles = [torch.cat([each.blocks[i] for each in loads]) for i in range(5)]
    return no_load(k)._replace(
        t_ns=torch.cat([each.t_ns for each in loads]),
        samples=torch.cat([each.samples for each in loads]),
        companion=torch.cat([each.companion for each in loads]),
        sample_offset=counts.cumsum(0),
        continues=torch.cat([each.continues for each in loads]),
        blocks=Cycles._make([*cycles, spectra.cumsum(0)]),
    )


def test_guides_are_exact_cracks() -> None:
    stepper = UncertainCrackStepper(centre(), NO_LOCAL, 32)
    state, some = stepper.init(1), load((48e6, 36e6, 5000.0))
    after = stepper.step(state, some)
    alone, _ = ran(state.guides, some, torch.tensor([0]))
    assert torch.equal(after.guides.length, alone.length)
    assert after.guides.length.shape == (1, GUIDES)


def test_a_history_is_carried_to_other_constants_and_between_one_crack_and_many() -> None:
    stepper = UncertainCrackStepper(centre(), NO_LOCAL, 64)
    state = stepper.step(stepper.init(1), load((48e6, 36e6, 30_000.0)))
    fewer = replace(stepper, particles=16, exact=replace(stepper.exact, a_limit=0.03))
    changed = carried(state, fewer.init(1), stressed=True)
    assert changed.particles.a.shape == (1, 16)
    assert float(changed.length) == pytest.approx(float(state.length), rel=5e-3)
    assert float(changed.guides.a_limit) == 0.03
    assert float(changed.cycles) == 30_000.0
    certain = as_certain(state)
    assert torch.equal(certain.length, state.length)
    grown = centre().step(certain, load((48e6, 36e6, 100.0)))
    assert float(grown.length) > float(certain.length)
    back = taken_over(grown, stepper.init(1), stressed=True)
    assert float(back.length) == pytest.approx(float(grown.length), rel=5e-3)
    assert float(stepper.step(back, load((48e6, 36e6, 100.0))).length) > float(back.length)


def test_a_crack_that_does_not_grow_lasts_for_ever() -> None:
    law = replace(PARIS, dK_th=50e6)
    stepper = UncertainCrackStepper(
        CrackStepper(law, EdgeCrack(0.1), NoRetardation(), 0.001, 0.01), NO_LOCAL, 32
    )
    state = stepper.step(stepper.init(1), load((1e6, 1e6, 1000.0)))
    assert torch.isinf(remaining(state)).all()
    assert torch.isinf(remaining(stepper.init(1))).all()
