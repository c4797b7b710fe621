"""How much work a load takes, in strides: a count, the same on every machine and at every replay.

Nothing that is believed hangs on it. It is asked before a part is registered, when a part that
takes too long can still be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_left: ContextVar[list[int] | None] = ContextVar("strides_left", default=None)


class EffortError(ArithmeticError):
    """More work than was allowed."""


@contextmanager
def at_most(strides: int) -> Iterator[None]:
    """Raises EffortError where what is done within takes more strides; elsewhere none are counted.

    Cracks that stride together count once.
    """
    token = _left.set([strides])
    try:
        yield
    finally:
        _left.reset(token)


def spend() -> None:
    """Count one stride.

    Raises EffortError where there were too many.
    """
    left = _left.get()
    if left is None:
        return
    left[0] -= 1
    if left[0] < 0:
        raise EffortError("it takes more strides than are allowed")
