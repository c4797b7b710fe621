"""The one contract that every time-stepper keeps."""

from __future__ import annotations

from typing import Protocol, TypeVar

State = TypeVar("State")
Load = TypeVar("Load", contravariant=True)


class Stepper(Protocol[State, Load]):
    """Advance a batch of components, without side effects.

    `State` and `Load` are trees of tensors (`models.tree`) whose axis 0 is the component.
    Every implementation passes `tests/laws/test_steppers.py`.
    """

    def init(self, n: int) -> State:
        """The state of `n` new components."""
        ...

    def step(self, state: State, load: Load) -> State:
        """The state after `load`; raises ValueError for a load that is not finite."""
        ...
