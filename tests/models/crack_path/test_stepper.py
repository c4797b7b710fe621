"""Cracks along paths: where they turn, when they rest, and how they end."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from models.crack.load import blocks, inspection_load, series_load, spectrum_load
from models.crack_path.driving_force import pull
from models.crack_path.forecast import foresight, life, rollout, with_remaining
from models.crack_path.front import at_end, moved, nodes
from models.crack_path.intensities import WithFallback
from models.crack_path.plate import Plates, TipIntensities
from models.crack_path.polyline import between, kinked, length, tips, unkinked
from models.crack_path.stepper import EdgePlate, PathState, PathStepper
from models.fatigue.laws import FormanLaw, ParisLaw
from models.fatigue.mixed_mode import equivalent, kink
from models.tree import rows
from twin import networks

MM, ONE = 1e-3, torch.ones(1, dtype=torch.int64)
PARIS = ParisLaw(9.7e-30, 3.0)
STRAIGHT = np.array([[0.0, 0.0], [1.0 * MM, 0.0]])
PLATE = EdgePlate(10 * MM, 20 * MM, "uniform", STRAIGHT)


def stepper(**changes: Any) -> PathStepper:
    return dataclasses.replace(
        PathStepper(PARIS, PLATE, 8 * MM, find=networks.intensities()), **changes
    )


def loaded(
    state: PathState, cycles: float, ratio: float = 0.5, span: float = 4e7, mean: float = 2e7
) -> PathState:
    load = blocks([[(span, mean, cycles, ratio * span)]] * len(state.a))
    return stepper().step(state, spectrum_load(ONE.expand(len(state.a)), load))


def slopes(state: PathState) -> list[float]:
    steps = np.diff(np.array(nodes(state.front)), axis=0)
    return [math.degrees(math.atan2(y, x)) for x, y in steps.tolist()]


def test_the_first_kink_is_that_of_the_maximum_tangential_stress() -> None:
    state = loaded(stepper().init(1), 10.0)
    x, y = state.front.aim[0].tolist()
    assert math.degrees(math.atan2(y, x)) == pytest.approx(-38.9, abs=0.5)  # finite elements
    later = slopes(loaded(state, 1.5e6))
    assert -38.9 < later[1] < later[3] < later[5] < -20.0  # it turns back to −22.5°


def test_shear_of_the_other_sign_gives_the_mirror_image() -> None:
    one, other = (loaded(stepper().init(1), 1.5e6, ratio) for ratio in (0.5, -0.5))
    mirrored = torch.tensor([1.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(one.front.path, other.front.path * mirrored, rtol=0.0, atol=1e-9)


def test_without_shear_a_crack_runs_straight() -> None:
    state = loaded(stepper().init(1), 2e6, ratio=0.0)
    assert float(state.a) > 1.5 * MM
    assert max(map(abs, slopes(state))) < 0.5


@pytest.mark.parametrize("angle", [-0.6, 0.1, 0.5])
def test_the_opening_behind_a_kink_is_the_tangential_stress_before(angle: float) -> None:
    k = torch.tensor([[[1.0, 0.3], [0.2, 0.9]]], dtype=torch.float64)
    by = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    K_I, K_II = k[..., 0], k[..., 1]
    c, half = math.cos(angle / 2) ** 2, math.cos(angle / 2)
    expected = half * (K_I * c - 1.5 * K_II * math.sin(angle))
    torch.testing.assert_close(kinked(k, by)[..., 0], expected)


def test_a_kink_in_the_direction_of_growth_leaves_no_sliding() -> None:
    to = kink(*torch.tensor([[1.0], [0.6]], dtype=torch.float64))
    by = torch.stack((torch.cos(to.angle), torch.sin(to.angle)), 1)
    after = kinked(torch.tensor([[[1.0, 0.6], [0.0, 0.0]]], dtype=torch.float64), by)
    assert float(after[0, 0, 0]) == pytest.approx(float(to.K))
    assert float(after[0, 0, 1]) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("angle", [-70.0, -20.0, 0.0, 40.0, 70.0])
def test_what_is_taken_back_of_a_kink_leaves_none(angle: float) -> None:
    k = torch.tensor([[[1.2, 0.0], [-0.1, 1.1]]], dtype=torch.float64)
    turn = torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))]])
    torch.testing.assert_close(unkinked(kinked(k, turn.double()), turn.double()), k)


def test_a_closed_crack_rests_and_its_cycles_are_counted() -> None:
    state = stepper().init(1)
    for span, mean, ratio in ((4e7, -3e7, 0.5), (4e7, -2e7, 0.5)):
        after = loaded(state, 1e6, ratio, span, mean)
        assert float(after.a) == float(state.a)
        assert float(after.cycles) == 1e6


def test_blocks_of_one_load_turn_the_crack_between_their_directions() -> None:
    load = blocks([[(4e7, 2e7, 5e5, 2e7), (4e7, 2e7, 5e5, -2e7)]])
    both = stepper().step(stepper().init(1), spectrum_load(ONE, load))
    assert float(both.a) > 1.2 * MM
    assert abs(float(both.front.tip[0, 1])) < 0.02 * MM


def alternating(ratio: float, messages: int) -> PathState:
    """A crack after a million cycles, the sign of the shear of which changes with the message."""
    state = stepper().init(1)
    for k in range(messages):
        state = loaded(state, 1e6 / messages, ratio if k % 2 == 0 else -ratio)
    return state


@pytest.mark.parametrize(("ratio", "messages"), [(0.2, 40), (0.5, 100)])
def test_loads_that_alternate_one_by_one_bring_the_tip_where_they_bring_it_together(
    ratio: float, messages: int
) -> None:
    both = [(4e7, 2e7, 5e5, side * ratio * 4e7) for side in (1.0, -1.0)]
    together = stepper().step(stepper().init(1), spectrum_load(ONE, blocks([both]))).front.tip[0]
    alone = alternating(ratio, messages).front.tip[0]
    way = float(together[0]) - 1 * MM
    assert way > 0.2 * MM
    torch.testing.assert_close(alone, together, rtol=0.0, atol=0.03 * way)


@pytest.mark.parametrize("ratio", [0.2, 0.5])
def test_a_path_is_as_long_as_the_crack_whatever_turns_it(ratio: float) -> None:
    state = alternating(ratio, 40)
    path = torch.tensor([nodes(state.front)]).double()
    assert float(length(path)) == pytest.approx(float(state.a), rel=1e-3)


def turned_after(share: float, messages: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes [segments], and where the shear changed sign in a segment: the tip (2,)."""
    segment, state = 0.018 * 10 * MM, loaded(stepper().init(1), 1.2e6, 0.4)
    goal = float(state.front.start + (1.0 + share) * segment)
    while float(state.a) < goal:
        state = loaded(state, 2e3, 0.4)
    change = np.array(nodes(state.front)[-1])
    for _ in range(messages):
        state = loaded(state, 1.2e6 / messages, -0.4)
    return np.array(nodes(state.front)) / segment, change / segment


@pytest.mark.parametrize("messages", [1, 60])
def test_a_segment_ends_where_the_shear_changes_its_sign(messages: int) -> None:
    path, change = turned_after(0.6, messages)
    off = np.linalg.norm(path - change, axis=1)
    assert off.min() < (1e-9 if messages == 1 else 0.2)


def test_a_short_segment_takes_the_place_of_a_node_that_is_not_missed() -> None:
    steps = np.linalg.norm(np.diff(turned_after(0.6, 1)[0], axis=0), axis=1)[1:-1]
    assert steps.min() > 0.98
    assert steps.max() > 1.5


def test_a_short_segment_behind_a_kink_is_kept() -> None:
    state = loaded(stepper().init(1), 2.5e5, 0.5)
    assert 0.2 < float((state.a - state.front.start) / state.front.span) < 0.9
    after = loaded(state, 1e6, -0.5)
    path = np.array(nodes(after.front))
    assert path[2].tolist() == state.front.tip[0].tolist()
    assert path[2, 1] < -0.05 * MM
    assert path[-1, 1] > path[2, 1] + 0.05 * MM


def test_a_short_segment_far_behind_the_tip_is_left_out_and_hardly_missed() -> None:
    line = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.13, -0.01], [0.137, -0.015], [0.157, -0.02],
                         [0.176, -0.026]]).double()  # fmt: skip  # one path, in plate widths
    plates = Plates(torch.ones(1).double(), 2.0 * torch.ones(1).double(), torch.tensor([0]))
    for count, asked in ((5, 5), (6, 5)):
        seen: list[int] = []

        def finding(plates: Plates, path: torch.Tensor, nodes: torch.Tensor) -> TipIntensities:
            seen.append(int(nodes))  # noqa: B023  the list of this turn
            return networks.solver()(plates, path, nodes)

        whole = networks.solver()(plates, line[None, :count], torch.tensor([count])).k[0]
        found = tips(plates, line[None], torch.tensor([count]), finding).k[0]
        assert seen == [asked]
        assert float((found - whole).norm() / whole.norm()) < 0.005


def test_a_crack_that_reaches_the_toughness_runs_through() -> None:
    law = FormanLaw(7e-22, 2.7, 12e6)
    state = stepper(law=law).init(1)
    load = blocks([[(4e7, 2e7, 1e9, 2e7)]])
    after = stepper(law=law).step(state, spectrum_load(ONE, load))
    assert bool(after.fractured)
    assert float(after.front.tip[0, 0]) == pytest.approx(10 * MM)
    again = stepper(law=law).step(after, spectrum_load(ONE, load))
    assert torch.equal(again.a, after.a)
    assert float(again.cycles) == 2e9


def test_a_peak_below_the_toughness_breaks_nothing_however_large_the_range_of_shear() -> None:
    law = FormanLaw(7e-22, 2.7, 12e6)
    wave = torch.tensor([32e6, 40e6]).double().repeat(20)
    part = stepper(law=law)
    after = part.step(part.init(1), series_load(ONE, [wave], [5.0 * (wave - 36e6)]))
    assert not bool(after.fractured)
    k = part.find(after.plates, after.front.path[:, :2], torch.tensor([2])).k[0]
    peak = equivalent(*(40e6 * k[0] + 20e6 * k[1]))
    assert float(peak) < 0.5 * 12e6


def test_a_series_counts_like_its_spectrum() -> None:
    wave = torch.tensor([0.0, 4e7]).double().repeat(501)[:-1]
    series = stepper().step(
        stepper().init(1), series_load(ONE, [wave], [0.5 * wave], continues=True)
    )
    closed = loaded(stepper().init(1), float(series.cycles))
    assert float(series.a - 1 * MM) == pytest.approx(float(closed.a - 1 * MM), rel=1e-6)
    assert float(series.open_growth) > 0.0


def test_a_plate_twice_as_large_is_similar() -> None:
    small, large = (
        PathStepper(
            PARIS,
            EdgePlate(s * 10 * MM, s * 20 * MM, "uniform", s * STRAIGHT),
            8 * MM,
            find=networks.intensities(),
        )
        for s in (1.0, 2.0)
    )
    load = blocks([[(4e7, 2e7, 1.0, 2e7)]])
    one, two = (
        foresight(plate.init(1), load, torch.tensor([to * MM]), plate.find).outlook
        for plate, to in ((small, 4), (large, 8))
    )
    torch.testing.assert_close(2.0 * one.a, two.a, rtol=1e-9, atol=0.0)
    torch.testing.assert_close(math.sqrt(2.0) * one.k, two.k, rtol=1e-9, atol=1e-9)


def test_where_the_operator_is_not_trusted_xfem_answers_and_is_counted() -> None:
    judged = networks.intensities()
    assert isinstance(judged, WithFallback)
    path = torch.from_numpy(STRAIGHT).expand(2, 2, 2)
    plates = Plates(
        torch.full((2,), 10 * MM).double(), torch.full((2,), 20 * MM).double(), torch.tensor([0, 1])
    )
    tips = judged(plates, path, torch.tensor([2, 2]))
    assert tips.by_xfem.tolist() == [False, True]
    exact = networks.solver()(plates, path, torch.tensor([2, 2])).k
    assert torch.equal(tips.k[1], exact[1])
    torch.testing.assert_close(tips.k[0, 0, 0], exact[0, 0, 0], rtol=0.01, atol=0.0)


def test_a_full_path_loses_its_least_bend() -> None:
    turns = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.01], [3.0, 1.0]]]).double()
    front = at_end(turns, 4)
    longer = moved(front, front.start + 1.0, torch.tensor([0.1]))
    assert longer.path[0, 0].tolist() == [0.0, 0.0]
    assert int(longer.nodes) <= 4


def test_a_full_path_that_is_moved_keeps_its_mouth() -> None:
    turns = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.01], [3.0, 1.0]]]).double()
    front = at_end(turns, 4)._replace(tip=torch.tensor([[4.0, 1.0]]).double())
    longer = moved(front, front.start + 2.0, torch.tensor([0.1]))
    assert longer.path[0, 0].tolist() == [0.0, 0.0]
    assert int(longer.nodes) == 4
    assert longer.tip[0].tolist() == pytest.approx([5.0, 1.0])


def test_a_crack_measured_longer_than_the_plate_ends_at_its_edge_and_is_broken() -> None:
    state = loaded(stepper().init(1), 1.2e6, 0.5)
    after = stepper().step(state, inspection_load(ONE, torch.tensor([20.0 * MM]).double()))
    assert bool(after.fractured)
    assert float(after.front.tip[0, 0]) == pytest.approx(10 * MM)
    drawn = torch.tensor([nodes(after.front)]).double()
    assert float(after.a) == pytest.approx(float(length(drawn)), rel=1e-6)
    assert float(with_remaining(after, stepper().find)[1]) == 0.0
    assert float(after.measured) == pytest.approx(20 * MM)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
@pytest.mark.parametrize("messages", [1, 30, 200])
def test_one_early_cycle_does_not_steer_a_segment(ratio: float, messages: int) -> None:
    count = 1.2e6 if ratio < 1.0 else 3e5
    alone = loaded(stepper().init(1), count, -ratio)
    state = loaded(stepper().init(1), 1.0, ratio)
    for _ in range(messages):
        state = loaded(state, count / messages, -ratio)
    grown, unhindered = float(state.a) - 1 * MM, float(alone.a) - 1 * MM
    assert unhindered > 0.1 * MM
    assert grown == pytest.approx(unhindered, rel=0.03)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_no_segment_under_way_hides_the_life_under_another_load(ratio: float) -> None:
    find, limit = networks.intensities(), torch.tensor([6 * MM]).double()
    state = loaded(stepper().init(1), 1.0, ratio)
    state, _ = with_remaining(state, find)
    mix = blocks([[(4e7, 2e7, 1.0, -ratio * 4e7)]])
    left = float(life(state, foresight(state, mix, limit, find).outlook, mix, limit))
    at = torch.tensor([0.98, 1.02]).double() * left
    early, late = rollout(state, mix, at, find)[0][0, 0].tolist()
    assert early < 6 * MM <= late


@pytest.mark.parametrize("share", [0.5, 0.9, 1.3])
def test_a_moved_tip_lies_on_the_path_or_straight_ahead(share: float) -> None:
    state = loaded(stepper().init(1), 1.2e6)
    to = torch.tensor([float(state.a) * share])
    if share < 1.0:
        to = to.clamp(min=0.9 * MM)
    load = inspection_load(ONE, to.double())
    after = stepper().step(state, load)
    assert float(after.a) == float(to.double())
    path = torch.tensor([nodes(after.front)]).double()
    assert float(length(path)) == pytest.approx(float(to), rel=2e-3)


def test_life_is_where_the_rollout_arrives() -> None:
    state = loaded(stepper().init(1), 1e5)
    find = networks.intensities()
    state, left = with_remaining(state, find)
    mix = blocks([[(4e7, 2e7, 1.0, 2e7)]])
    at = torch.tensor([0.995, 1.005]).double() * float(left)
    early, late = rollout(state, mix, at, find)[0][0, 0].tolist()
    assert early < 8 * MM <= late
    again, same = with_remaining(state, find)
    assert torch.equal(same, left)
    assert again.outlook.k is state.outlook.k  # the way is known


def test_what_a_remaining_life_asks_of_xfem_is_counted() -> None:
    asked: list[int] = []

    def finding(plates: Plates, path: torch.Tensor, nodes: torch.Tensor) -> TipIntensities:
        asked.append(len(nodes))
        return networks.solver()(plates, path, nodes)

    plate = stepper(find=finding)
    load = blocks([[(4e7, 2e7, 1e4, 2e7)]])
    state = plate.step(plate.init(1), spectrum_load(ONE, load))
    state, _ = with_remaining(state, finding)
    assert int(state.front.found) == int(state.front.by_xfem) == sum(asked)
    assert sum(asked) > 10


def test_a_load_in_another_direction_asks_for_another_way() -> None:
    find = networks.intensities()
    state, _ = with_remaining(loaded(stepper().init(1), 1e5), find)
    after, left = with_remaining(loaded(state, 1e5, ratio=0.2), find)
    assert not torch.equal(after.outlook.k, state.outlook.k)
    assert float(left) > 0.0


def test_growth_of_a_row_is_that_of_its_blocks() -> None:
    state = rows(stepper().init(2), torch.tensor([0, 1]))
    k = torch.tensor([[[0.06, 0.0], [0.0, 0.06]]] * 2, dtype=torch.float64)
    cycles = blocks([[(1e8, 5e7, 2.0, 0.0)], [(1e8, 5e7, 1.0, 0.0), (1e8, 5e7, 3.0, 0.0)]])
    grown = pull(state.law, cycles)(k, state.a[:, 0])
    assert grown.tolist() == pytest.approx([2 * 9.7e-30 * 6e6**3, 4 * 9.7e-30 * 6e6**3])


def test_between_turns_one_direction_into_the_other() -> None:
    one, other = torch.tensor([[0.6, 0.8]]).double(), torch.tensor([[0.0, 1.0]]).double()
    torch.testing.assert_close(between(one, other), torch.tensor([[0.8, 0.6]]).double())
