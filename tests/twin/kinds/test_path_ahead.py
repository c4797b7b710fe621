"""Where the spiking stepper draws the way ahead, and how near to physics it is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from models.crack.forecast import mix
from models.crack.load import blocks
from models.crack_path.driving_force import pull
from models.crack_path.front import acting, known
from models.crack_path.stepper import PathState
from models.fatigue.rainflow import Cycles
from tests.twin.belief.test_fold import state
from tests.twin.belief.test_plates import NAME, PLATE, foreseen, plate
from tests.twin.fleets import fleet
from twin import networks
from twin.kinds import path_ahead
from twin.kinds.ahead import Question
from twin.kinds.path_ahead import Turn, turned, unlearned

W = 0.01
DEMO = (0.5, 0.2, 0.7, -0.1, 0.4)  # the shifts of a plate of `twin demo`


def load(*ratios: float) -> Cycles:
    return blocks([[(4e7, 2.4e7, 1.0, 4e7 * ratio) for ratio in ratios]])


def drawn(mouth: float, tip: float, *ratios: float) -> dict[str, Any]:
    """The paths of a forecast of a straight crack; lengths in plate widths."""
    part = plate(geometry=PLATE | {"mouth": mouth * W}, crack_length=tip * W)
    page: dict[str, Any] = foreseen(fleet(part), Question(load(*ratios), None, 2)).page["paths"]
    return page


def away(page: dict[str, Any]) -> float:
    """The greatest distance in y [W]."""
    physics, spiking = (np.array(page[method]) for method in ("physics", "spiking"))
    x = np.linspace(0.0, physics[-1, 0], 500)
    return float(np.abs(np.interp(x, *physics.T) - np.interp(x, *spiking.T)).max()) / W


def fresh(mouth: float = 0.0) -> PathState:
    found = state(fleet(plate(geometry=PLATE | {"mouth": mouth * W})), NAME)
    assert isinstance(found, PathState)
    return found._replace(front=known(found.front, found.plates, networks.intensities()))


@pytest.mark.parametrize(("tip", "asked"), [(0.099, False), (0.1, True), (0.4, True)])
def test_the_network_draws_from_where_its_slices_begin(tip: float, asked: bool) -> None:
    page = drawn(0.0, tip, 0.5)
    assert (page["spiking"] is not None) is asked
    why = (
        None
        if asked
        else "the tip is 0.00099 m from the side, the network has learned from 0.1 W on"
    )
    assert page["why"] == why


@pytest.mark.parametrize("ratios", [(0.5,), (-1.0,), DEMO, (0.8, 0.2), (0.9, -0.4)])
def test_one_load_turns_the_crack_as_the_mixture_does(ratios: tuple[float, ...]) -> None:
    crack = fresh(0.1)
    (k, _), a = acting(crack.front, crack.a[:, 0]), crack.a[:, 0]
    wanted, found = (
        pull(crack.law, mix(load(*each))).heading(k, a)
        for each in (ratios, (turned(crack, load(*ratios)).ratio,))
    )
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_the_ratio_of_one_direction_is_its_own() -> None:
    for ratio in (-1.0, 0.0, 0.3):
        assert turned(fresh(), load(ratio, ratio)) == pytest.approx(Turn(ratio, 0.0), abs=1e-9)
    assert turned(fresh(), load(0.5)._replace(range=torch.ones(1).double())).spread == 0.0  # arrest


def test_directions_may_differ_by_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    crack, mixed = fresh(), load(*DEMO)
    turn = turned(crack, mixed)
    assert unlearned(crack, mixed, turn) is None
    monkeypatch.setattr(path_ahead, "SPREAD", turn.spread)
    assert unlearned(crack, mixed, turn) is None
    monkeypatch.setattr(path_ahead, "SPREAD", np.nextafter(turn.spread, 0.0))
    assert str(unlearned(crack, mixed, turn)).startswith("shear over tension varies by 0.2")
    assert "varies by 0.67" in str(drawn(0.0, 0.1, 1.0, -0.5)["why"])


@pytest.mark.parametrize(
    ("mouth", "tip", "ratios", "most"),
    [
        (0.0, 0.1, (0.0,), 0.03),  # by symmetry straight, but the network has not learned that
        (0.05, 0.2, (0.0,), 0.03),
        (0.1, 0.1, (1.0,), 0.03),
        (0.0, 0.1, DEMO, 0.025),
        (0.1, 0.1, (-0.6, -0.3, 0.1, -0.5), 0.035),
    ],
)
def test_where_it_draws_the_network_is_as_near_to_physics_as_is_said(
    mouth: float, tip: float, ratios: tuple[float, ...], most: float
) -> None:
    assert away(drawn(mouth, tip, *ratios)) < most
