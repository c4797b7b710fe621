"""How many lines are folded in one go, so that a stop is heard soon whatever a line costs."""

from __future__ import annotations

GO_S = 0.5  # that one go is to take
FIRST, FASTER = 16, 4  # lines of the first go, and how much larger than one the next may be


class Pace:
    """Learns from each go how large the next may be; what is folded does not depend on it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.lines = min(FIRST, most)

    def took(self, lines: int, seconds: float) -> None:
        """Note what a go took."""
        fitting = round(lines * GO_S / max(seconds, 1e-6))
        self.lines = max(1, min(fitting, FASTER * self.lines, self._most))
