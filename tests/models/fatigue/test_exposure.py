"""What is remembered of the load, and the mix that comes back."""

import numpy as np
import pytest
import torch

from models.crack.forecast import life, remaining
from models.crack.load import blocks, series_load, spectrum_load
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.exposure import Exposure, exposed, exposure, load_ratios, typical_blocks
from models.fatigue.exposure_kernel import BINS, COUNT, LOWEST, OFTEN, SLOTS
from models.fatigue.geometry import EdgeCrack
from models.fatigue.laws import LAWS, FormanLaw, Law, ParisLaw, WalkerLaw
from models.fatigue.materials import MATERIALS, Material
from models.fatigue.retardation import NoRetardation

PARIS, WALKER = ParisLaw(9.7e-30, 3.0), WalkerLaw(9.7e-30, 3.0, 0.5)
FORMAN = FormanLaw(7e-22, 2.7, 60e6)
A_LIMIT = 5e-3  # [m]
Row = tuple[float, float, float, float]  # range, mean, count, shear


def random_cycles(mean: float, shear: float = 0.0) -> list[Row]:
    """Ranges like those of narrow-band noise, means and shear that have nothing to do with them."""
    rng = np.random.default_rng(0)
    values = zip(rng.rayleigh(30, 3000), rng.normal(mean, 40, 3000), rng.normal(0, 1, 3000),
                 strict=True)  # fmt: skip  # two lines
    return [(1e6 * size, 1e6 * middle, 1.0, 1e6 * shear * side) for size, middle, side in values]


def share_of_life(law: Law, rows: list[Row]) -> float:
    """Remaining life after a little of a load, in terms of that of the load itself."""
    geometry, free = EdgeCrack(W=0.01), NoRetardation()
    stepper = CrackStepper(law=law, geometry=geometry, retardation=free, a_0=1e-3, a_limit=A_LIMIT)
    few = [(span, mean, 1e-4 * count, shear) for span, mean, count, shear in rows]
    state = stepper.step(stepper.init(1), spectrum_load(torch.tensor([1]), blocks([few])))
    return float(remaining(state)) / float(life(state, blocks([rows]), A_LIMIT))


def counts(memory: Exposure) -> list[float]:
    """How many cycles each class of the first row has."""
    return (memory.sums[0, :, COUNT] + memory.top[0, :, OFTEN]).tolist()


def equal(one: Exposure, other: Exposure) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_constant_amplitude_comes_back() -> None:
    memory = exposure(2)
    for _ in range(7):
        memory = exposed(memory, blocks([[(48e6, 36e6, 2.0, 24e6)], []]))
    mix = typical_blocks(memory)
    assert mix.offset.tolist() == [0, 1, 1]
    values = [leaf.item() for leaf in mix[:4]]
    assert values == pytest.approx([48e6, 36e6, 1.0, 24e6], rel=1e-14)


def rows_of(memory: Exposure) -> list[tuple[float, ...]]:
    """Range, mean [MPa], count and shear [MPa] of what comes back, the smallest first."""
    mix = typical_blocks(memory)
    some = zip(*(leaf.tolist() for leaf in mix[:4]), strict=True)
    return sorted((1e-6 * span, 1e-6 * mean, n, 1e-6 * shear) for span, mean, n, shear in some)


@pytest.mark.parametrize("rare", [0.5, 1e-2, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    "two",
    [
        pytest.param([(68.0, 34.0, 0.0), (100.0, 50.0, 0.0)], id="peaks"),
        pytest.param([(100.0, 50.0, 0.0), (68.0, 34.0, 0.0)], id="the larger one often"),
        pytest.param([(70.0, 40.0, 0.0), (90.0, 80.0, 0.0)], id="load ratios"),
        pytest.param([(95.0, 60.0, 0.0), (70.0, 65.0, 0.0)], id="the smaller one peaks higher"),
        pytest.param([(80.0, 40.0, 28.0), (90.0, 45.0, 50.0)], id="shear"),
        pytest.param([(120.0, 20.0, 0.0), (200.0, -5.0, 0.0)], id="compression"),
    ],
)
def test_two_cycles_of_a_class_come_back_in_any_proportion(
    two: list[tuple[float, float, float]], first: int, rare: float
) -> None:
    rows = [
        (1e6 * span, 1e6 * mean, share, 1e6 * shear)
        for (span, mean, shear), share in zip(two, (1.0 - rare, rare), strict=True)
    ]
    memory = exposed(exposure(1), blocks([[rows[first], rows[1 - first]] * 3]))
    assert len([n for n in counts(memory) if n]) == 1  # of a class
    wanted = [(1e-6 * a, 1e-6 * b, n, 1e-6 * c) for a, b, n, c in rows]
    for found, true in zip(rows_of(memory), sorted(wanted), strict=True):
        assert found == pytest.approx(true, rel=1e-12)


@pytest.mark.parametrize("shares", [(1.0, 1.0, 1.0), (1e5, 300.0, 1.0), (1.0, 1e4, 1e-3)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_three_cycles_of_a_class_come_back(
    shares: tuple[float, ...], order: tuple[int, ...]
) -> None:
    rows = [
        (1e6 * span, 1e6 * mean, n)
        for (span, mean), n in zip(((70.0, 40.0), (80.0, 42.0), (95.0, 70.0)), shares, strict=True)
    ]
    memory = exposed(exposure(1), blocks([[rows[i] for i in order] * 2]))
    total = sum(shares)
    wanted = [(1e-6 * a, 1e-6 * b, n / total, 0.0) for a, b, n in rows]
    for found, true in zip(rows_of(memory), wanted, strict=True):
        assert found == pytest.approx(true, rel=1e-6)


def test_the_highest_peak_of_all_is_never_forgotten() -> None:
    """However small its range: of more classes than there is room for it is in the last one."""
    rows = random_cycles(20.0, shear=15.0)
    ripple = (1e6, 500e6, 1.0, 0.0)
    memory = exposed(exposure(1), blocks([[*rows[:1000], ripple, *rows[1000:]]]))
    mix = typical_blocks(memory)
    at = int((mix.mean + 0.5 * mix.range).argmax())
    assert (float(mix.range[at]), float(mix.mean[at])) == (1e6, 500e6)
    assert float(mix.count[at]) == 1.0 / (len(rows) + 1)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(60e6, 30e6, 1.0, 0.0), (60e6, -200e6, 1.0, 0.0)], id="half compressive"),
        pytest.param([(100e6, 50e6, 1.0, 0.0), (100e6, 0.0, 1.0, 0.0)], id="half reversed"),
        pytest.param([(100e6, 150e6, 1.0, 0.0), (100e6, -25e6, 1.0, 0.0)], id="high and low"),
        pytest.param([(60e6, 30e6, 1.0, 60e6), (60e6, 30e6, 1.0, -60e6)], id="shear both ways"),
        pytest.param(
            [(60e6, 30e6, 1.0, 42e6), (60e6, 30e6, 1.0, 120e6)], id="shear, little and much"
        ),
        pytest.param([(20e6, 31e6, 1.0, 0.0), (20e6, 390e6, 1.0, 0.0)], id="high load ratios"),
        pytest.param([(x * 1e6, x * 5e5, 1.0, 0.0) for x in range(45, 64)], id="one class"),
        pytest.param(random_cycles(0.0), id="random"),
        pytest.param(random_cycles(-20.0), id="random, mostly closed"),
        pytest.param(random_cycles(60.0), id="random, mostly open"),
    ],
)
@pytest.mark.parametrize("law", [PARIS, WALKER, FORMAN])
def test_remaining_life_is_that_of_the_load_so_far(law: Law, rows: list[Row]) -> None:
    assert 0.97 < share_of_life(law, rows) < 1.001


@pytest.mark.parametrize("material", MATERIALS.values(), ids=lambda material: material.name)
def test_remaining_life_under_random_loads_holds_for_all_materials(material: Material) -> None:
    law = LAWS[material.law](**material.constants)
    assert 0.95 < share_of_life(law, random_cycles(80.0)) < 1.001


@pytest.mark.parametrize("law", [PARIS, WALKER])
def test_remaining_life_is_too_short_where_cycles_have_more_classes_than_fit(law: Law) -> None:
    assert 0.75 < share_of_life(law, random_cycles(20.0, shear=15.0)) < 1.0


HIGHEST = LOWEST * 2.0 ** (BINS / 2)  # [Pa]


@pytest.mark.parametrize("span", [0.0, 0.5 * LOWEST, LOWEST, 0.99 * HIGHEST, 3.0 * HIGHEST])
def test_ranges_beyond_the_bins_are_kept_in_the_outermost(span: float) -> None:
    edge = LOWEST if span <= LOWEST else 0.99 * HIGHEST
    memory = exposed(exposure(1), blocks([[(span, span, 1.0), (edge, edge, 1.0)]]))
    assert counts(memory)[0] == (2.0 if span > 0.0 else 1.0)  # that is a load ratio of one
    alone = exposed(exposure(1), blocks([[(span, span, 1.0)]]))
    assert typical_blocks(alone).range.tolist() == pytest.approx([span], rel=1e-14)


def test_there_are_two_bins_to_an_octave() -> None:
    sizes = [LOWEST * 2.0**octave * half for octave in (3, 4, 5) for half in (1.01, 1.49, 1.51)]
    memory = exposed(exposure(1), blocks([[(size, 0.5 * size, 1.0) for size in sizes]]))
    assert counts(memory)[:6] == [2.0, 1.0] * 3


def test_what_does_not_fit_joins_the_nearest_and_the_gravest_stay() -> None:
    rows = random_cycles(20.0, shear=15.0)
    memory = exposed(exposure(1), blocks([rows]))
    assert (memory.key.diff() > 0).all()
    assert sum(counts(memory)) == len(rows)
    mix = typical_blocks(memory)
    assert SLOTS <= len(mix.range) <= 3 * SLOTS
    gravest = max(rows)
    assert float(mix.range.max()) > 0.8 * gravest[0]


@pytest.mark.parametrize("shear", [0.0, 15.0])
def test_cutting_a_load_into_messages_changes_nothing(shear: float) -> None:
    rows = random_cycles(20.0, shear)[:400]
    whole = exposed(exposure(1), blocks([rows]))
    parts = exposure(1)
    for i in range(0, 400, 7):
        parts = exposed(parts, blocks([rows[i : i + 7]]))
    assert equal(whole, parts)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    one, other = random_cycles(20.0, 15.0)[:200], random_cycles(-20.0)[200:400]
    both = exposed(exposure(2), blocks([one, other]))
    for row, cycles in enumerate((one, other)):
        alone = exposed(exposure(1), blocks([cycles]))
        assert equal(alone, Exposure(*(leaf[row : row + 1] for leaf in both)))
        mix, start, end = typical_blocks(both), *typical_blocks(both).offset[row : row + 2].tolist()
        for leaf, own in zip(mix[:5], typical_blocks(alone)[:5], strict=True):
            assert torch.equal(leaf[start:end], own)


def test_no_load_leaves_the_memory_and_gives_no_mix() -> None:
    memory = exposure(3)
    assert exposed(memory, blocks([[], [], []])) is memory
    assert typical_blocks(memory).offset.tolist() == [0, 0, 0, 0]


def test_a_rare_load_ratio_within_a_class_is_told() -> None:
    memory = exposed(exposure(1), blocks([[(80e6, 50e6, 99.0), (80e6, 78e6, 1.0)]]))
    ratio, share = load_ratios(memory)
    found = sorted(zip(ratio[share > 0.0].tolist(), share[share > 0.0].tolist(), strict=True))
    assert found[0] == pytest.approx((1.0 / 9.0, 0.99))
    assert found[1] == pytest.approx((38.0 / 118.0, 0.01))


def a_part(name: str, a_0: float, a_limit: float) -> CrackStepper:
    material = MATERIALS[name]
    law = LAWS[material.law](**material.constants)
    return CrackStepper(law, EdgeCrack(0.1), NoRetardation(), a_0, a_limit, K_c=material.K_c)


def seen(stepper: CrackStepper, peaks: list[float]) -> CrackState:
    """A part after cycles from 0 to `peaks` [MPa] and back."""
    samples = [value for peak in peaks for value in (0.0, 1e6 * peak)]
    load = series_load(torch.tensor([1]), [torch.tensor([*samples, 0.0], dtype=torch.float64)])
    return stepper.step(stepper.init(1), load)


def near(K: float, stress: float) -> float:
    """The crack [m] at which `stress` [Pa] has the intensity `K` [Pa √m]."""
    a = torch.linspace(1e-4, 0.09, 20_000, dtype=torch.float64)
    k = stress * EdgeCrack(0.1).F(a) * torch.sqrt(torch.pi * a)
    return float(a[int((k < K).sum())])


RARE = [68.0] * 500 + [100.0] + [68.0] * 500


def test_the_rare_peak_that_will_break_a_part_ends_its_life() -> None:
    """Once 0–100 MPa among 1,000 × 0–68: cycle by cycle the next one breaks it; as a mix, 80."""
    state = seen(a_part("nickel", 0.0445, 0.08), RARE)
    assert not bool(state.fractured)
    assert float(remaining(state)) == pytest.approx(80.0, rel=0.01)


@pytest.mark.parametrize("name", ["42crmo4-qt", "2024-t3-forman", "2024-t3-nasgro3"])
def test_the_life_of_a_state_is_that_of_the_same_cycles_asked_for(name: str) -> None:
    K_c = MATERIALS[name].K_c
    state = seen(a_part(name, near(0.9 * K_c, 100e6), 0.08), RARE[480:521])
    assert not bool(state.fractured)
    asked = life(state, blocks([[(68e6, 34e6, 40.0), (100e6, 50e6, 1.0)]]), 0.08)
    assert float(remaining(state)) == pytest.approx(float(asked), rel=1e-6)


def test_what_grows_beyond_a_threshold_alone_in_its_class_ends_a_life() -> None:
    """17 MPa does nothing, 24.8 MPa once in 101 cycles grows the crack: 25.4e6 cycles."""
    state = seen(a_part("2024-t3-nasgro3", 0.0077, 0.05), ([17.0] * 100 + [24.8]) * 30)
    left = float(remaining(state))
    assert left == pytest.approx(25.4e6, rel=0.01)
    rows = [(17e6, 8.5e6, 100.0), (24.8e6, 12.4e6, 1.0)]
    assert left == pytest.approx(float(life(state, blocks([rows]), 0.05)), rel=1e-6)


@pytest.mark.parametrize("material", MATERIALS.values(), ids=lambda material: material.name)
@pytest.mark.parametrize(("part", "most"), [(0.5, 1.01), (0.8, 1.03), (0.95, 1.05)])
def test_random_loads_near_the_toughness_leave_the_life_that_they_leave(
    material: Material, part: float, most: float
) -> None:
    rows = [(span, 0.5 * span, 1.0) for span, *_ in random_cycles(0.0)[:300]]
    a_0 = near(part * material.K_c, max(rows)[0])
    state = a_part(material.name, a_0, 0.09).init(1)
    exact = float(life(state, blocks([rows]), 0.09, 65))
    mix = typical_blocks(exposed(exposure(1), blocks([rows])))
    assert 0.99 < float(life(state, mix, 0.09, 65)) / exact < most
