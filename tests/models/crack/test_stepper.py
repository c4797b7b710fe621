"""The crack stepper: what a load, an inspection and an overload do to a belief."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.crack.load import (
    CrackLoad,
    blocks,
    inspection_load,
    no_load,
    series_load,
    spectrum_load,
)
from models.crack.state import CrackState, belief
from models.crack.stepper import CrackStepper
from models.fatigue.geometry import CentreCrack, EdgeCrack
from models.fatigue.laws import FormanLaw, ParisLaw, WalkerLaw, si_coefficient
from models.fatigue.mixed_mode import kink
from models.fatigue.retardation import ZONES, NoRetardation, Wheeler
from models.tree import joined, rows

PARIS = ParisLaw(si_coefficient(9.7e-12, 3.0), 3.0)
ALONE = NoRetardation()
NOW = torch.tensor([5])


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def stepper(**changes: object) -> CrackStepper:
    values = {
        "law": PARIS,
        "geometry": EdgeCrack(0.1),
        "retardation": ALONE,
        "a_0": 0.005,
        "a_limit": 0.04,
    }
    return CrackStepper(**{**values, **changes})  # type: ignore[arg-type]


def spectrum(*row: tuple[float, ...], t_ns: int = 5) -> CrackLoad:
    return spectrum_load(torch.tensor([t_ns]), blocks([row]))


def test_one_cycle_grows_by_the_law() -> None:
    part = stepper()
    state = part.step(part.init(1), spectrum((100e6, 50e6, 1.0)))
    a = t(0.005)
    K = EdgeCrack(0.1).F(a) * 100e6 * torch.sqrt(math.pi * a)
    assert float(state.rate) == pytest.approx(float(PARIS(K)), rel=1e-12)
    assert float(state.a - 0.005) == pytest.approx(float(PARIS(K)), rel=1e-6)
    assert state.cycles.tolist() == [1.0]
    assert state.t_ns.tolist() == [5]


def test_a_million_cycles_in_one_message_equal_a_thousand_messages() -> None:
    part = stepper()
    once = part.step(part.init(1), spectrum((50e6, 40e6, 1e6)))
    many = part.init(1)
    for _ in range(1000):
        many = part.step(many, spectrum((50e6, 40e6, 1e3)))
    assert float(once.a) > 0.008
    assert float(once.a) == pytest.approx(float(many.a), rel=1e-6)
    assert once.cycles.tolist() == many.cycles.tolist() == [1e6]


def test_a_cycle_in_compression_does_nothing_but_count() -> None:
    part = stepper()
    state = part.step(part.init(1), spectrum((100e6, -50e6, 7.0), (100e6, -90e6, 1.0)))
    assert state.a.tolist() == [[0.005]]
    assert state.cycles.tolist() == [8.0]
    opened = part.step(part.init(1), spectrum((100e6, -49e6, 7.0)))
    assert float(opened.a) > 0.005


def test_a_reversed_cycle_grows_by_its_tensile_half() -> None:
    part = stepper()
    reversed_, tensile = (
        part.step(part.init(1), spectrum((span, mean, 100.0))).a
        for span, mean in ((200e6, 0.0), (100e6, 50e6))
    )
    torch.testing.assert_close(reversed_, tensile, rtol=1e-12, atol=0)


def test_shear_acts_through_the_maximum_tangential_stress() -> None:
    part, geometry, a = stepper(), EdgeCrack(0.1), t(0.005)
    sheared = part.step(part.init(1), spectrum((100e6, 60e6, 1.0, 50e6)))
    root = torch.sqrt(math.pi * a)
    K = kink(geometry.F(a) * 100e6 * root, geometry.F_II(a) * 50e6 * root).K
    assert float(sheared.rate) == pytest.approx(float(PARIS(K)), rel=1e-12)
    mirrored = part.step(part.init(1), spectrum((100e6, 60e6, 1.0, -50e6)))
    assert torch.equal(mirrored.a, sheared.a)


def test_the_peak_is_that_of_both_loads_where_shear_is_not_proportional() -> None:
    """Small cycles of tension about a large mean, with shear that changes its sign in each."""
    law, geometry, a = FormanLaw(7e-22, 2.7, 8e6), EdgeCrack(0.1), t(0.005)
    part = stepper(law=law)
    wave = t(32e6, 40e6).repeat(20)
    after = part.step(part.init(1), series_load(NOW, [wave], [5.0 * (wave - 36e6)]))
    F, F_II = (f * torch.sqrt(math.pi * a) for f in (geometry.F(a), geometry.F_II(a)))
    dK, K_max = (kink(F * s, F_II * tau).K for s, tau in ((8e6, 40e6), (40e6, 20e6)))
    assert not after.fractured.any()
    assert float(after.rate) == pytest.approx(float(law(dK, 1.0 - dK / K_max, a)), rel=1e-6)


def test_shear_that_stays_takes_part_in_the_peak() -> None:
    part = stepper(law=WalkerLaw(si_coefficient(1e-11, 3.0), 3.0, 0.5))
    wave = t(0.0, 40e6).repeat(20)
    alone, sheared = (
        part.step(part.init(1), series_load(NOW, [wave], [torch.full_like(wave, shear)]))
        for shear in (0.0, 40e6)
    )
    assert float(sheared.rate) > 1.2 * float(alone.rate)


def test_shear_is_left_out_where_its_factor_is_not_known() -> None:
    part = stepper(geometry=CentreCrack(0.1))
    a, b = (part.step(part.init(1), spectrum((9e7, 6e7, 1.0, s))).a for s in (0.0, 5e7))
    assert torch.equal(a, b)


def test_a_series_grows_the_crack_by_its_closed_cycles() -> None:
    part = stepper()
    load = series_load(NOW, [t(0.0, 100e6, 40e6, 70e6, 0.0, 100e6, 0.0)])
    state = part.step(part.init(1), load)
    counted = part.step(part.init(1), spectrum((30e6, 55e6, 1.0), (100e6, 50e6, 1.0)))
    assert 1.0 <= float(state.cycles) <= 2.0
    assert float(state.a) <= float(counted.a)
    both = float(state.a + state.open_growth)
    assert both == pytest.approx(float(counted.a), rel=2e-4)


def test_open_half_cycles_are_evaluated_and_never_consumed() -> None:
    part = stepper()
    state = part.step(part.init(1), series_load(NOW, [t(0.0, 100e6)]))
    assert state.a.tolist() == [[0.005]]
    half = float(state.open_growth)
    one = float(part.step(part.init(1), spectrum((100e6, 50e6, 1.0))).rate)
    assert half == pytest.approx(0.5 * one, rel=1e-12)
    again = part.step(state, no_load(1))
    assert torch.equal(again.open_growth, state.open_growth)
    assert torch.equal(again.a, state.a)


def test_how_a_series_is_cut_into_messages_changes_nothing() -> None:
    part = stepper(law=WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68))
    draw = torch.Generator().manual_seed(4)
    series = 80e6 * torch.rand(400, generator=draw, dtype=torch.float64)
    whole = part.step(part.init(1), series_load(NOW, [series]))
    cut = part.init(1)
    for piece in (series[i : i + 37] for i in range(0, 400, 37)):
        cut = part.step(cut, series_load(NOW, [piece]))
    assert torch.equal(cut.cycles, whole.cycles)
    torch.testing.assert_close(cut.a - 0.005, whole.a - 0.005, rtol=1e-3, atol=0)


def test_a_crack_at_its_geometrys_limit_is_fractured_and_grows_no_more() -> None:
    part = stepper()
    state = part.step(part.init(1), spectrum((300e6, 160e6, 1e9)))
    assert state.fractured.tolist() == [True]
    assert state.a.tolist() == [[0.95 * 0.1]]
    after = part.step(state, spectrum((300e6, 160e6, 1e9)))
    assert torch.equal(after.a, state.a)


@pytest.mark.parametrize(("share", "broken"), [(0.9, False), (1.000001, True), (2.0, True)])
def test_a_peak_at_the_toughness_breaks_the_part_at_once(share: float, broken: bool) -> None:
    part = stepper(law=FormanLaw(si_coefficient(5e-9, 1.88), 2.88, 70e6))
    a = t(0.005)
    critical = 70e6 / float(EdgeCrack(0.1).F(a) * torch.sqrt(math.pi * a))
    state = part.step(
        part.init(1), spectrum((0.5 * share * critical, 0.75 * share * critical, 1.0))
    )
    assert state.fractured.tolist() == [broken]


def test_an_inspection_replaces_the_belief_and_says_by_how_much() -> None:
    part = stepper()
    state = part.step(part.init(1), inspection_load(torch.tensor([9]), t(0.0062), t(1e-4)))
    told = belief(state)
    assert told.crack_length.tolist() == told.measured.tolist() == [0.0062]
    assert told.measured_sd.tolist() == [1e-4]
    assert float(told.innovation) == pytest.approx(0.0012)
    assert told.t_inspected_ns.tolist() == told.t_ns.tolist() == [9]


def test_an_inspection_can_be_recorded_only() -> None:
    part = stepper(replace=False)
    state = part.step(part.init(1), inspection_load(torch.tensor([9]), t(0.0062)))
    assert state.a.tolist() == [[0.005]]
    assert state.measured.tolist() == [0.0062]
    assert float(state.innovation) == pytest.approx(0.0012)


def test_load_acts_before_the_inspection_of_the_same_step() -> None:
    part = stepper()
    cycles = spectrum((100e6, 50e6, 1e4))
    found = inspection_load(NOW, t(0.007))
    both = part.step(part.init(1), found._replace(blocks=cycles.blocks))
    grown = part.step(part.init(1), cycles)
    assert both.a.tolist() == [[0.007]]
    assert float(both.innovation) == pytest.approx(0.007 - float(grown.a), rel=1e-12)


def test_an_inspection_of_a_part_believed_broken_revives_it() -> None:
    part = stepper()
    broken = part.step(part.init(1), spectrum((300e6, 160e6, 1e9)))
    found = part.step(broken, inspection_load(NOW, t(0.01)))
    assert found.fractured.tolist() == [False]
    assert float(part.step(found, spectrum((100e6, 50e6, 1.0))).a) > 0.01


@pytest.mark.parametrize(("length", "broken"), [(0.0949, False), (0.095, True), (0.2, True)])
def test_an_inspected_length_at_the_limit_is_a_fracture(length: float, broken: bool) -> None:
    part = stepper()
    state = part.step(part.init(1), inspection_load(NOW, t(length)))
    assert state.fractured.tolist() == [broken]
    assert state.measured.tolist() == [length]
    assert float(state.a) <= 0.95 * 0.1


def test_only_the_inspected_row_is_inspected() -> None:
    part = stepper()
    load = inspection_load(torch.tensor([3, 4]), t(math.nan, 0.006))
    state = part.step(part.init(2), load)
    assert state.a.flatten().tolist() == [0.005, 0.006]
    assert state.t_ns.tolist() == state.t_inspected_ns.tolist() == [0, 4]


def test_time_of_evidence_never_runs_backwards_and_needs_evidence() -> None:
    part = stepper()
    state = part.step(part.init(1), spectrum((1e6, 1e6, 1.0), t_ns=50))
    assert part.step(state, spectrum((1e6, 1e6, 1.0), t_ns=40)).t_ns.tolist() == [50]
    empty = no_load(1)._replace(t_ns=torch.tensor([99]))
    assert part.step(state, empty).t_ns.tolist() == [50]


def test_particles_grow_each_by_its_own_law_and_are_summed_up() -> None:
    C = PARIS.C * t(1.0, 2.0, 6.0)[None]
    part = stepper(law=ParisLaw(C, 3.0), particles=3)
    state = part.step(part.init(1), spectrum((50e6, 25e6, 1.0)))
    growth = (state.a - 0.005)[0]
    torch.testing.assert_close(growth / growth[0], t(1.0, 2.0, 6.0), rtol=1e-5, atol=0)
    told = belief(state)
    assert float(told.crack_length) == pytest.approx(float(state.a.mean()), rel=1e-14)
    assert float(told.crack_length_sd) == pytest.approx(float(state.a.std(correction=0)))


def test_components_of_unlike_parameters_share_a_batch() -> None:
    thin, thick = stepper(), stepper(geometry=EdgeCrack(0.5), a_0=0.02, a_limit=0.3)
    state = joined([thin.init(1), thick.init(2)])
    row = [(100e6, 50e6, 100.0)]
    load = spectrum_load(torch.tensor([1, 1, 1]), blocks([row, row, row]))
    together = thin.step(state, load)
    alone = thick.step(thick.init(1), spectrum(row[0], t_ns=1))
    assert torch.equal(rows(together, torch.tensor([2])).a, alone.a)
    assert together.a_limit.tolist() == [0.04, 0.3, 0.3]


def test_blocks_and_series_of_one_step_act_both() -> None:
    part = stepper()
    series = t(0.0, 90e6, 0.0, 95e6, 0.0, 100e6, 0.0)
    load = series_load(NOW, [series])._replace(blocks=blocks([[(50e6, 30e6, 10.0)]]))
    only = part.step(part.init(1), series_load(NOW, [series]))
    both = part.step(part.init(1), load)
    assert both.cycles.tolist() == [float(only.cycles) + 10.0]
    assert float(both.a) > float(only.a)


@pytest.mark.parametrize(
    ("load", "word"),
    [
        (spectrum((math.nan, 1e6, 1.0)), "range"),
        (spectrum((-1.0, 1e6, 1.0)), "range"),
        (spectrum((1e6, math.inf, 1.0)), "mean"),
        (spectrum((1e6, 1e6, -1.0)), "count"),
        (spectrum((1e6, 1e6, 1.0, math.nan)), "shear"),
        (series_load(NOW, [t(1.0, math.nan)]), "sample"),
        (series_load(NOW, [t(1.0, 2.0)], [t(math.inf, 0.0)]), "companion"),
        (inspection_load(NOW, t(-0.01)), "length"),
        (inspection_load(NOW, t(0.0)), "length"),
        (inspection_load(NOW, t(math.inf)), "length"),
        (inspection_load(NOW, t(0.01), t(-1.0)), "sd"),
        (spectrum_load(torch.tensor([1, 2]), blocks([[], []])), "components"),
        (
            spectrum((1e6, 1e6, 1.0))._replace(
                blocks=blocks([[(1e6, 1e6, 1.0)]])._replace(offset=torch.tensor([0, 2]))
            ),
            "offsets",
        ),
    ],
)
def test_what_is_no_load_is_refused_in_a_sentence(load: CrackLoad, word: str) -> None:
    part = stepper()
    with pytest.raises(ValueError, match=word):
        part.step(part.init(1), load)


@pytest.mark.parametrize(
    "wrong", [{"a_0": 0.0}, {"a_0": math.nan}, {"a_0": 0.095}, {"a_limit": 0.0}]
)
def test_lengths_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a_"):
        stepper(**wrong).init(1)


def closed_cycles(points: list[float]) -> list[tuple[float, float]]:
    """(range, mean) of the cycles of turning points, in order, by the four-point rule."""
    cycles: list[tuple[float, float]] = []
    stack: list[float] = []
    for x in points:
        if len(stack) > 1 and (stack[-1] - stack[-2]) * (x - stack[-1]) >= 0.0:
            stack[-1] = x
        elif not stack or x != stack[-1]:
            stack.append(x)
        while len(stack) > 3:
            a, b, c, d = stack[-4:]
            if not min(a, d) <= min(b, c) <= max(b, c) <= max(a, d):
                break
            cycles.append((abs(b - c), 0.5 * (b + c)))
            del stack[-3:-1]
    return cycles


@pytest.mark.parametrize(("name", "peak"), [("rainflow-seq2", 125e6), ("rainflow-seq5", 145e6)])
def test_a_measured_sequence_in_blocks_equals_cycle_by_cycle(
    data: Path, name: str, peak: float
) -> None:
    text = (data / "easigrow" / f"{name}.txt").read_text()
    sequence = [peak * float(x) for x in text.split()]
    passes = 150
    part, message = stepper(), series_load(NOW, [t(*sequence)])
    state = part.init(1)
    for _ in range(passes):
        state = part.step(state, message)
    reference = _cycle_by_cycle(0.005, closed_cycles(sequence * passes))
    assert reference > 0.008  # several mm
    assert float(state.a - 0.005) == pytest.approx(reference - 0.005, rel=1e-3)


def _cycle_by_cycle(a: float, cycles: list[tuple[float, float]]) -> float:
    """The edge crack of `stepper`, in plain Python."""
    for span, mean in cycles:
        x = a / 0.1
        half = 0.5 * math.pi * x
        shape = 0.752 + 2.02 * x + 0.37 * (1.0 - math.sin(half)) ** 3
        F = math.sqrt(math.tan(half) / half) * shape / math.cos(half)
        tensile = min(span, mean + 0.5 * span)
        a += 9.7e-12 * (1e-6 * F * tensile * math.sqrt(math.pi * a)) ** 3
    return a


def test_a_sequence_with_load_interaction_equals_cycle_by_cycle() -> None:
    law = WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68)
    part = stepper(law=law, retardation=Wheeler(1.5, 365e6, ZONES["plane_stress"]))
    load = [(180e6, 95e6, 1.0), (90e6, 60e6, 500.0), (60e6, 50e6, 2000.0)]
    at_once, one_by_one = part.init(1), part.init(1)
    for _ in range(3):
        at_once = part.step(at_once, spectrum(*load))
        for span, mean, count in load:
            for _ in range(int(count) // 10 or 1):
                one_by_one = part.step(one_by_one, spectrum((span, mean, min(count, 10.0))))
    growth = float(one_by_one.a - 0.005)
    assert float(at_once.a - 0.005) == pytest.approx(growth, rel=1e-3)


def test_what_a_step_costs_in_memory_is_bounded_by_its_load() -> None:
    part = stepper()
    state: CrackState = part.init(1)
    for _ in range(50):
        state = part.step(state, series_load(NOW, [t(*[0.0, 50e6] * 50)]))
    assert state.counter.residue.shape == (1, 64)
