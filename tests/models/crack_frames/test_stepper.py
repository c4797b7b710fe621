"""Load-aware crack steppers: what holds for both networks, and what the committed weights know."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.crack_frames.pixels import PIXEL, TOP, WIDTH, drawn, sighted
from models.crack_frames.stepper import (
    FIRST_LENGTH,
    PIECE,
    PIECES,
    SLICE,
    STEEPEST_SLOPE,
    PictureFront,
    PictureState,
    PictureStepper,
    SliceLoad,
    rollout,
    through,
)
from models.crack_frames.tip_networks import CellState
from models.crack_frames.window import PictureWindow, frames
from models.spiking import lif_step
from models.tree import leaves, mapped, rows
from twin import networks

NAMES = ("crack-spiking", "crack-artificial")
# y [mm] at the ends of the slices under 200 and 100 MPa, by finite elements of another kind
REFERENCE = (-0.828, -1.492, -2.016, -2.420, -2.711, -2.891, -2.955)


@pytest.fixture(scope="module", params=NAMES)
def stepper(request: pytest.FixtureRequest) -> PictureStepper:
    return networks.picture_stepper(request.param)


def load(n: int, seed: int = 0) -> SliceLoad:
    generator = torch.Generator().manual_seed(seed)
    drawn_ = torch.randn(2, n, generator=generator, dtype=torch.float64)
    return SliceLoad((200e6 + 50e6 * drawn_[0]).clamp(min=30e6), 100e6 + 50e6 * drawn_[1])


def stepped(stepper: PictureStepper, state: PictureState, steps: int = 3) -> PictureState:
    for k in range(steps):
        state = stepper.step(state, load(len(state.mouth), k))
    return state


def straight(n: int) -> Tensor:
    path = torch.zeros(n, 2, 2, dtype=torch.float64)
    path[:, 1, 0] = FIRST_LENGTH * WIDTH
    return path


def worst(a: object, b: object) -> float:
    pairs = zip(leaves(a), leaves(b), strict=True)
    return max(float((x - y).abs().max()) for (_, x), (_, y) in pairs)


def test_the_two_networks_are_of_one_size_and_small() -> None:
    sizes = [sum(leaf.numel() for leaf in networks.default(name)[0].values()) for name in NAMES]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)
    assert max(sizes) <= 100_000


def test_the_state_that_goes_in_is_untouched(stepper: PictureStepper) -> None:
    state = stepped(stepper, stepper.init(3))
    before = mapped(torch.clone, state)
    stepper.step(state, load(3))
    assert worst(state, before) == 0.0


def test_batching_changes_nothing(stepper: PictureStepper) -> None:
    together = stepped(stepper, stepper.init(40))
    for i in (0, 17, 39):
        alone = rows(stepper.init(40), torch.tensor([i]))
        for k in range(3):
            alone = stepper.step(alone, SliceLoad(*(leaf[i : i + 1] for leaf in load(40, k))))
        assert worst(rows(together, torch.tensor([i])), alone) < 1e-12


def test_a_step_depends_on_nothing_but_state_and_load(stepper: PictureStepper) -> None:
    state = stepper.init(2)
    first = stepper.step(state, load(2))
    stepped(stepper, stepper.init(5))
    torch.manual_seed(1)
    assert worst(stepper.step(state, load(2)), first) == 0.0


def test_dtypes_are_kept(stepper: PictureStepper) -> None:
    before = stepper.init(2)
    after = stepped(stepper, before)
    assert [leaf.dtype for _, leaf in leaves(before)] == [leaf.dtype for _, leaf in leaves(after)]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_load_that_is_not_finite_is_refused(stepper: PictureStepper, wrong: float) -> None:
    whole = torch.full((1,), 1e8, dtype=torch.float64)
    for spoilt in (SliceLoad(whole * wrong, whole), SliceLoad(whole, whole * wrong)):
        with pytest.raises(ValueError, match="not finite"):
            stepper.step(stepper.init(1), spoilt)
        with pytest.raises(ValueError, match="not finite"):
            rollout(stepper, straight(1), spoilt, 1)


def test_a_closed_crack_stays_and_an_open_one_grows(stepper: PictureStepper) -> None:
    tension = torch.tensor([-1e8, 0.0, 1e6], dtype=torch.float64)
    state = stepper.init(3)
    after = stepper.step(state, SliceLoad(tension, torch.zeros(3, dtype=torch.float64)))
    grew = (after.picture != state.picture).any(2).any(1)
    assert grew.tolist() == [False, False, True]
    assert worst(rows(after, torch.tensor([0, 1])), rows(state, torch.tensor([0, 1]))) == 0.0


def test_a_crack_never_shrinks_and_ends_at_the_far_edge(stepper: PictureStepper) -> None:
    states = [stepper.init(4)]
    for k in range(9):
        states.append(stepper.step(states[-1], load(4, k)))
    for before, after in pairwise(states):
        assert (after.picture >= before.picture).all()
    assert torch.allclose(states[7].front.x, torch.ones(4, dtype=torch.float64))
    assert worst(states[9], states[8]) < 1e-12


def test_a_thousand_steps_stay_finite_and_bounded(stepper: PictureStepper) -> None:
    state = stepper.init(2).front
    most = 0.0
    for k in range(1000):
        _, state = through(stepper.network, state, load(2, k))
        most = max(most, *(float(leaf.abs().max()) for _, leaf in leaves(state)))
        begins = state.x >= 1.0  # a new crack, with the memory of the old one
        x, y = torch.where(begins, FIRST_LENGTH, state.x), torch.where(begins, 0.0, state.y)
        state = PictureFront(x, y, state.slope, state.memory)
    assert all(bool(torch.isfinite(leaf).all()) for _, leaf in leaves(state))
    assert most < 1e3


def test_the_mirror_image_grows_into_the_mirror_image(stepper: PictureStepper) -> None:
    path, pull = straight(6), load(6)
    path[:, 1, 1] = torch.linspace(-3e-4, 3e-4, 6, dtype=torch.float64)
    flip = torch.tensor([1.0, -1.0], dtype=torch.float64)
    there = rollout(stepper, path, pull, 4)
    mirrored = rollout(stepper, path * flip, SliceLoad(pull.tension, -pull.shear), 4)
    assert float((mirrored - there * flip).abs().max()) < 1e-12


def test_reversed_shear_turns_a_crack_the_other_way(stepper: PictureStepper) -> None:
    pull = torch.full((2,), 2e8, dtype=torch.float64)
    shear = torch.tensor([1e8, -1e8], dtype=torch.float64)
    nodes = rollout(stepper, straight(2), SliceLoad(pull, shear), 1)
    assert nodes[0, -1, 1] < -5e-4
    assert nodes[1, -1, 1] > 5e-4


def test_a_wider_plate_has_a_larger_path(stepper: PictureStepper) -> None:
    widths = torch.tensor([10e-3, 50e-3], dtype=torch.float64)
    same = SliceLoad(*(leaf.expand(2) for leaf in load(1)))
    path = straight(2) * torch.tensor([1.0, 5.0])[:, None, None]
    nodes = rollout(stepper, path, same, 3, width=widths)
    assert torch.allclose(nodes[1], 5.0 * nodes[0], rtol=1e-9, atol=1e-15)


def test_the_way_ahead_is_that_of_the_pictures(stepper: PictureStepper) -> None:
    state = stepper.init(3)
    whole = SliceLoad(*(torch.stack(leaf, 1) for leaf in zip(*(load(3, k) for k in range(4)),
                        strict=True)))  # fmt: skip  # one call
    nodes = rollout(stepper, straight(3), whole, 4)
    after = stepped(stepper, state, 4)
    assert torch.allclose(nodes[:, -1, 0], after.front.x * WIDTH)
    assert torch.allclose(nodes[:, -1, 1], after.front.y * WIDTH)
    assert nodes.shape == (3, 33, 2)
    assert torch.equal(nodes[:, 0], straight(3)[:, 1])


def test_paths_of_several_lengths_go_together(stepper: PictureStepper) -> None:
    long = torch.tensor([[0.0, 0.0], [0.5e-3, 0.0], [1e-3, 0.0]], dtype=torch.float64)
    both = torch.full((2, 3, 2), math.nan, dtype=torch.float64)
    both[0], both[1, :2] = long, straight(1)[0]
    nodes = rollout(stepper, both, SliceLoad(*(leaf.expand(2) for leaf in load(1))), 2)
    assert torch.allclose(nodes[0], nodes[1])


def test_a_path_of_one_node_is_refused(stepper: PictureStepper) -> None:
    with pytest.raises(ValueError, match="two nodes"):
        rollout(stepper, straight(1)[:, :1], load(1), 1)


def test_the_path_under_a_constant_load_is_that_of_finite_elements(
    stepper: PictureStepper,
) -> None:
    pull = SliceLoad(*(torch.full((1,), v, dtype=torch.float64) for v in (200e6, 100e6)))
    y = rollout(stepper, straight(1), pull, 7)[0, 8::8, 1] * 1e3
    assert float((y - torch.tensor(REFERENCE)).abs().max()) < 0.1


def test_the_eye_reads_a_tip_to_a_fraction_of_a_pixel(stepper: PictureStepper) -> None:
    slopes = np.linspace(-1.0, 0.0, 21)
    nodes = [np.array([[0.0, 0.0], [1e-3, 0.0], [SLICE * WIDTH + 1e-3, s * SLICE * WIDTH]])
             for s in slopes]  # fmt: skip  # one line more
    pictures = np.stack([frames(one, np.array([2]), PictureWindow())[0] > 0 for one in nodes])
    front = stepper.seen(torch.from_numpy(pictures).double()).front
    mouth = TOP - 24.5 * PIXEL  # it is read as the middle of its pixel
    wrong = (front.y + mouth).numpy() - slopes * SLICE
    assert np.sqrt((wrong**2).mean()) < 0.35 * PIXEL
    assert np.abs(front.slope.numpy() - slopes).mean() < 0.15
    assert torch.allclose(front.x, torch.tensor(FIRST_LENGTH + SLICE, dtype=torch.float64))


def test_pictures_of_another_size_or_without_a_crack_are_refused(stepper: PictureStepper) -> None:
    with pytest.raises(ValueError, match="not of the library"):
        stepper.seen(torch.zeros(1, 96, 96))
    with pytest.raises(ValueError, match="no crack"):
        stepper.seen(torch.zeros(1, 96, 132))


def test_lines_are_drawn_as_the_library_draws_them() -> None:
    generator = np.random.default_rng(0)
    nodes = np.zeros((50, PIECES + 1, 2))
    nodes[:, :, 0] = (
        FIRST_LENGTH + PIECE * np.arange(PIECES + 1) + generator.uniform(0, 0.7, (50, 1))
    )
    slopes = generator.uniform(-2.0, 1.0, (50, 1)) + generator.normal(0.0, 0.1, (50, PIECES))
    nodes[:, 1:, 1] = PIECE * np.cumsum(slopes, 1)
    theirs = np.stack(
        [frames(one * WIDTH, np.array([PIECES]), PictureWindow())[0] > 0 for one in nodes]
    )
    blank = torch.zeros(50, 96, 132, dtype=torch.float64)
    ours = drawn(blank, torch.from_numpy(nodes), torch.zeros(50, dtype=torch.float64)).numpy() > 0
    assert theirs.sum() > 500
    assert (theirs != ours).sum() <= 0.01 * theirs.sum()


def test_the_tip_is_the_last_column_of_ink() -> None:
    picture = torch.zeros(1, 96, 132)
    picture[0, 10, :40] = 1.0
    picture[0, 12:15, 40] = 1.0
    sight = sighted(picture)
    assert [int(leaf) for leaf in sight] == [40, 13, 10, 1]


def test_a_neuron_fires_above_its_threshold_and_keeps_what_is_above() -> None:
    membrane, leak = torch.zeros(1, dtype=torch.float64), torch.zeros(1)  # half of it stays
    seen = []
    for _ in range(5):
        spikes, membrane = lif_step(membrane, torch.full((1,), 0.8, dtype=torch.float64), leak)
        seen.append((round(float(membrane), 4), bool(spikes)))
    assert seen == [(0.8, False), (0.2, True), (0.9, False), (0.25, True), (0.925, False)]
    assert not lif_step(torch.zeros(1), torch.ones(1), leak).spikes.any()
    assert lif_step(torch.zeros(1), torch.full((1,), 1.0001), leak).spikes.all()


class Step(nn.Module):
    """A step with flat inputs and outputs, to be exported."""

    def __init__(self, stepper: PictureStepper) -> None:
        super().__init__()
        self.network = stepper.network

    def forward(self, *parts: Tensor) -> tuple[Tensor, ...]:
        picture, mouth, x, y, slope, one, two, tension, shear = parts
        front = PictureFront(x, y, slope, CellState(one, two))
        nodes, front = through(self.network, front, SliceLoad(tension, shear))
        return (drawn(picture, nodes, mouth), *front[:3], *front.memory)


def test_an_exported_step_gives_the_same(stepper: PictureStepper) -> None:
    state = stepper.init(4)
    given = tuple(leaf for _, leaf in leaves(state)) + tuple(load(4))
    batch = torch.export.Dim("n", min=2, max=4096)
    sizes = (tuple({0: batch} for _ in given),)
    program = torch.export.export(Step(stepper), given, dynamic_shapes=sizes)
    state = stepped(stepper, stepper.init(7))
    given = tuple(leaf for _, leaf in leaves(state)) + tuple(load(7, 5))
    after = stepper.step(state, load(7, 5))
    found = program.module()(*given)
    expected = [after.picture, *after.front[:3], *after.front.memory]
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).abs().max()) < 1e-12


def test_slopes_are_bounded(stepper: PictureStepper) -> None:
    pull = SliceLoad(torch.tensor([1e-3], dtype=torch.float64), torch.tensor([1e12]).double())
    nodes = rollout(stepper, straight(1), pull, 7)[0]
    going = nodes[1:, 0] - nodes[:-1, 0] > 1e-9
    slopes = (nodes[1:, 1] - nodes[:-1, 1])[going] / (nodes[1:, 0] - nodes[:-1, 0])[going]
    assert float(slopes.abs().max()) <= STEEPEST_SLOPE * (1.0 + 1e-9)
