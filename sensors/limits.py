"""How much one message may hold: checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sensors.observation import Quantity

LARGEST = 1.7976931348623157e308  # the largest finite float64
SMALLEST = 2.2250738585072014e-308  # the smallest normal float64
SOURCE_CHARACTERS, LONGEST_SOURCE = "A-Za-z0-9._:-", 64  # of the name of a source
KEY_END = 2**53  # seq and boot stay exact in every JSON reader
LATEST_NS = 7_258_118_400_000_000_000  # 2200-01-01T00:00:00Z [ns since 1970]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes that a sensor's message may reach, and magnitudes that no part survives.

    The magnitudes are not calibration: they stop an error of units (GPa for MPa) or a
    logger's code for "missing" from becoming a load that nothing downstream can hold.
    """

    message: int = 1 << 20  # [byte], of load and inspection
    samples: int = 100_000  # in one series
    cycles: int = 10_000  # rows in one spectrum
    image: int = 16 << 20  # [byte]
    pixels: int = 64_000_000
    earliest_ns: int = 0  # before it a clock was not set, or counts in another unit
    rate_hz: float = 1e6
    stress: float = 1e12  # [Pa]
    strain: float = 10.0  # [m/m]
    count: float = 1e15  # cycles in one row
    length: float = 1e3  # [m]
    shortest: float = 1e-9  # [m] a few atoms: growth over decades of nothing would take for ever
    # What stands for "missing" at a component, beyond all magnitudes; None: the usual codes.
    null_codes: Callable[[str], Sequence[float]] | None = None

    def largest(self, quantity: Quantity) -> float:
        """The largest magnitude [Pa] or [m/m] of a sample, a range or a mean."""
        return self.stress if quantity == "stress" else self.strain
