"""The state at one line of the journal, while some components lag behind the others.

A checkpoint holds what all are believed to be at one offset. Laggards are never all there at once
with the others, but each of them passes every offset that the others have reached: its part is
taken over as it does, and the last one makes the state whole. Nobody is held for it.
"""

from __future__ import annotations

from collections.abc import Collection

from twin.belief.fleet import Fleet
from twin.stepping.laggards import Laggard, joined


class Level:
    """A fleet that lacks, at its offset, the parts of some laggards."""

    def __init__(self, fleet: Fleet, names: Collection[str]) -> None:
        self.fleet = fleet
        self._lacking = set(names)

    @property
    def is_whole(self) -> bool:
        """Whether all are as they are believed to be at the offset."""
        return not self._lacking

    def is_met(self, laggard: Laggard) -> bool:
        """Whether a laggard that is lacked stands at the offset just now."""
        return laggard.name in self._lacking and laggard.offset == self.fleet.offset

    def take(self, laggard: Laggard) -> None:
        """Take over the part of a laggard by which the level `is_met`."""
        self.fleet = joined(self.fleet, Laggard(laggard.name, laggard.fleet, laggard.offset))
        self._lacking.discard(laggard.name)
