"""What is remembered of the load, and the mix that comes back."""

import pytest
import torch

from models.crack_load import blocks
from models.exposure import BINS, HIGHEST, LOWEST, exposed, exposure, typical_blocks


def test_constant_amplitude_comes_back_exactly() -> None:
    memory = exposure(2)
    for _ in range(7):
        memory = exposed(memory, blocks([[(48e6, 36e6, 2.0, 24e6)], []]))
    mix = typical_blocks(memory)
    assert mix.offset.tolist() == [0, 1, 1]
    values = [leaf.tolist() for leaf in mix[:4]]
    assert values == [[48e6], [36e6], [1.0], [24e6]]


def test_the_mix_keeps_the_means_of_each_bin_and_the_shares_of_all() -> None:
    row = [(100e6, 60e6, 3.0), (101e6, 70e6, 1.0), (10e6, 5e6, 12.0)]
    mix = typical_blocks(exposed(exposure(1), blocks([row])))
    assert mix.range.tolist() == [10e6, 100.25e6]
    assert mix.mean.tolist() == [5e6, 62.5e6]
    assert mix.count.tolist() == [0.75, 0.25]


@pytest.mark.parametrize("span", [0.0, 0.5 * LOWEST, LOWEST, HIGHEST, 3.0 * HIGHEST])
def test_ranges_beyond_the_bins_are_kept_in_the_outermost(span: float) -> None:
    memory = exposed(exposure(1), blocks([[(span, 1e6, 1.0)]]))
    assert memory.count[0, 0 if span <= LOWEST else BINS - 1] == 1.0
    assert typical_blocks(memory).range.tolist() == [span]


def test_the_bins_rise_geometrically() -> None:
    inside = [LOWEST * (HIGHEST / LOWEST) ** ((i + 0.5) / BINS) for i in range(BINS)]
    memory = exposed(exposure(1), blocks([[(span, 0.0, 1.0) for span in inside]]))
    assert memory.count.tolist() == [[1.0] * BINS]


def test_cutting_a_load_into_messages_changes_nothing() -> None:
    rows = [(10e6 * i, 5e6 * i, float(i)) for i in range(1, 20)]
    whole = exposed(exposure(1), blocks([rows]))
    parts = exposure(1)
    for i in range(0, 19, 4):
        parts = exposed(parts, blocks([rows[i : i + 4]]))
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_no_load_leaves_the_memory_and_gives_no_mix() -> None:
    memory = exposure(3)
    assert exposed(memory, blocks([[], [], []])) is memory
    assert typical_blocks(memory).offset.tolist() == [0, 0, 0, 0]
