"""The solver of paths: what it keeps, and which plates it answers for."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from models.crack_path.plate import CLOSURES, LONGEST, Plates, Solver, checked_path
from models.xfem.grid import Floats

MIB = 1 << 20
W = 10e-3
STRAIGHT = np.array([[0.0, 0.0], [1e-3, 0.0]])
BENT = np.array([[0.0, 0.0], [1e-3, 0.0], [2.3e-3, -0.4e-3]])


def asked(own: Solver, path: Floats, *forms: tuple[float, str]) -> Tensor:
    """K (n, 2, 2) of one path in plates of some H/W and closures."""
    aspect, closures = zip(*forms, strict=True)
    closure = torch.tensor([CLOSURES.index(c) for c in closures])
    width = torch.full((len(forms),), W).double()
    plates = Plates(width, W * torch.tensor(aspect).double(), closure)
    many = torch.from_numpy(path).expand(len(forms), -1, -1)
    return own(plates, many, torch.full((len(forms),), len(path))).k


def test_as_many_forms_as_fit_stay_factorised() -> None:
    own = Solver()
    forms = [(2.0, "uniform"), (2.0, "grip"), (3.0, "uniform"), (3.0, "grip")]
    asked(own, STRAIGHT, *forms)
    assert all(form in own.memory for form in forms)
    held = own.memory.held
    asked(own, STRAIGHT, *forms)
    assert own.memory.held == held  # nothing was new


def test_the_form_asked_longest_ago_goes_first() -> None:
    own, alone, second = Solver(60 * MIB), Solver(), (2.0, "grip")
    asked(own, STRAIGHT, (2.0, "uniform"))
    for solver in (own, alone):
        asked(solver, STRAIGHT, second)
    assert (2.0, "uniform") not in own.memory
    assert second in own.memory
    assert own.memory.held >= alone.memory.held  # with all that was found out about it


def test_no_answer_depends_on_what_was_asked_before_or_forgotten() -> None:
    questions = list(product((STRAIGHT, BENT), ((2.0, "uniform"), (2.0, "grip"))))
    fresh = [asked(Solver(), *question) for question in questions]
    for memory in (0, 24 * MIB, 60 * MIB):  # nothing fits; a plate and few of its nodes; more
        own = Solver(memory)
        for question, K in zip(questions, fresh, strict=True):
            assert torch.equal(asked(own, *question), K)
            assert own.memory.held <= memory


def test_a_row_of_many_plates_gets_what_it_gets_alone() -> None:
    own = Solver()
    forms = [(2.0, "uniform"), (3.0, "grip"), (2.0, "uniform"), (2.0, "grip")]
    together = asked(own, BENT, *forms)
    alone = torch.cat([asked(own, BENT, form) for form in forms])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("aspect", [2.0, 0.99 * LONGEST, LONGEST])
def test_a_plate_up_to_the_longest_is_accepted(aspect: float) -> None:
    assert checked_path(STRAIGHT, W, aspect * W) is STRAIGHT


@pytest.mark.parametrize("aspect", [1.001 * LONGEST, 1e5, 1e11])
def test_a_longer_plate_is_refused(aspect: float) -> None:
    with pytest.raises(ValueError, match=r"too much for a width of 0.01 m: .* up to 20 widths"):
        checked_path(STRAIGHT, W, aspect * W)


def test_in_the_longest_plate_ends_are_far_and_grips_let_it_turn() -> None:
    """K of `uniform` is that of any long plate; K_I of `grip` comes near to it from below."""
    short, *long = asked(Solver(), BENT, (5.0, "uniform"), (LONGEST, "uniform"), (LONGEST, "grip"))
    torch.testing.assert_close(long[0], short, rtol=1e-3, atol=1e-6)
    assert 0.97 < float(long[1][0, 0] / short[0, 0]) < 1.0
