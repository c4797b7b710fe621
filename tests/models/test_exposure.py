"""What is remembered of the load, and the mix that comes back."""

import numpy as np
import pytest
import torch

from models.crack import CrackStepper, blocks, spectrum_load
from models.exposure import (
    BINS,
    COUNT,
    LOWEST,
    SLOTS,
    Exposure,
    exposed,
    exposure,
    typical_blocks,
)
from models.forecast import life, remaining
from models.geometry import EdgeCrack
from models.laws import LAWS, FormanLaw, Law, ParisLaw, WalkerLaw
from models.materials import MATERIALS, Material
from models.retardation import NoRetardation

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


def test_the_mix_keeps_the_shares_of_all_and_of_like_cycles_the_mean() -> None:
    row = [(102e6, 60e6, 3.0), (103e6, 70e6, 1.0), (10e6, 5e6, 12.0)]
    mix = typical_blocks(exposed(exposure(1), blocks([row])))
    assert mix.range.tolist() == pytest.approx([10e6, 102.25e6], rel=1e-4)
    assert mix.mean.tolist() == pytest.approx([5e6, 62.5e6], rel=5e-3)
    assert mix.count.tolist() == [0.75, 0.25]


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
    assert memory.sums[0, 0, COUNT] == (2.0 if span > 0.0 else 1.0)  # that is a load ratio of one
    alone = exposed(exposure(1), blocks([[(span, span, 1.0)]]))
    assert typical_blocks(alone).range.tolist() == pytest.approx([span], rel=1e-14)


def test_there_are_two_bins_to_an_octave() -> None:
    sizes = [LOWEST * 2.0**octave * half for octave in (3, 4, 5) for half in (1.01, 1.49, 1.51)]
    memory = exposed(exposure(1), blocks([[(size, 0.5 * size, 1.0) for size in sizes]]))
    assert memory.sums[0, :6, COUNT].tolist() == [2.0, 1.0] * 3


def test_what_does_not_fit_joins_the_nearest_and_the_gravest_stay() -> None:
    rows = random_cycles(20.0, shear=15.0)
    memory = exposed(exposure(1), blocks([rows]))
    assert (memory.key.diff() > 0).all()
    assert memory.sums[0, :, COUNT].sum() == len(rows)
    mix = typical_blocks(memory)
    assert len(mix.range) == SLOTS
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


def test_no_load_leaves_the_memory_and_gives_no_mix() -> None:
    memory = exposure(3)
    assert exposed(memory, blocks([[], [], []])) is memory
    assert typical_blocks(memory).offset.tolist() == [0, 0, 0, 0]
