"""Where a recording pauses, told by the steps around: no rate has to be known for that."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

WINDOW = 50  # steps before and after that say what is usual
GAP_STEPS = 3.0  # a step longer than that many usual ones is a gap


class RecordedSample(NamedTuple):
    """A row of a recording."""

    line: int
    t_ns: int
    value: float  # NaN where it is missing


class Paced(NamedTuple):
    """A sample, whether recording paused before it, and the usual step around it."""

    sample: RecordedSample
    is_gap: bool
    step_ns: int  # 0 where there is no other sample


class _Window:
    """The last steps, and their median."""

    def __init__(self) -> None:
        self._steps: deque[int] = deque()
        self._sorted: list[int] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step_ns: int) -> None:
        """Add a step; the oldest goes when there are more than `WINDOW`."""
        self._steps.append(step_ns)
        insort(self._sorted, step_ns)
        if len(self._steps) > WINDOW:
            self.first()

    def first(self) -> int:
        """Take the oldest step out."""
        step_ns = self._steps.popleft()
        del self._sorted[bisect_left(self._sorted, step_ns)]
        return step_ns

    @property
    def median(self) -> int:
        """The lower median [ns], 0 if there is none."""
        return self._sorted[(len(self._sorted) - 1) // 2] if self._sorted else 0


def paced(samples: Iterator[RecordedSample], step_ns: int = 0) -> Iterator[Paced]:
    """The samples, with the gaps before them, told by the usual step or by a stated `step_ns`.

    The usual step is the larger of the medians of the 50 steps before and the 50 after: single
    long steps, missing rows and jitter move neither, and where a logger changes its rate nothing
    is torn apart.
    """
    before, after = _Window(), _Window()
    held: deque[RecordedSample] = deque()
    own: int | None = None  # the step that leads to the first of those held

    def told() -> Paced:
        nonlocal own
        usual = max(before.median, after.median) or own or 0
        is_gap = own is not None and own > GAP_STEPS * (step_ns or usual)
        if own is not None:
            before.add(own)
        own = after.first() if after else None
        return Paced(held.popleft(), is_gap, usual or (own or 0))

    for sample in samples:
        if held:
            after.add(sample.t_ns - held[-1].t_ns)
        held.append(sample)
        if len(held) > WINDOW:
            yield told()
    while held:
        yield told()
