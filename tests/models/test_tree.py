"""States are trees whose rows can be gathered, replaced and joined."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models import tree


@dataclass(frozen=True)
class Law:
    C: Tensor


class State(NamedTuple):
    a: Tensor
    law: Law
    memory: tuple[()] = ()


def _state(n: int) -> State:
    return State(torch.arange(n, dtype=torch.float64), Law(torch.ones(n, 2)))


def test_leaves_have_dotted_paths() -> None:
    assert [path for path, _ in tree.leaves(_state(3))] == ["a", "law.C"]


def test_replacing_rows_copies() -> None:
    state, index = _state(4), torch.tensor([1, 3])
    changed = tree.with_rows(state, index, tree.mapped(lambda x: x + 10, tree.rows(state, index)))
    assert changed.a.tolist() == [0, 11, 2, 13]
    assert state.a.tolist() == [0, 1, 2, 3]
    assert changed.memory == ()


def test_joining_then_filling_from_leaves_gives_the_same_state() -> None:
    state = tree.joined([_state(2), _state(3)])
    again = tree.filled(_state(1), dict(tree.leaves(state)))
    assert torch.equal(again.a, state.a)
    assert torch.equal(again.law.C, state.law.C)
