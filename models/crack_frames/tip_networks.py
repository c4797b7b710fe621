"""Two networks of one size and with the same inputs: a spiking one, and an artificial one.

Each has an eye, which reads the tip of a crack from a crop of its picture to a fraction of a
pixel, and a cell, which says how the crack goes on over the next piece of its way. What a cell
remembers goes in and comes out; nothing is drawn at random when it is called.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from models.spiking import lif_step

CROP = (25, 32)  # rows and columns of the eye's crop, the tip at the middle of the right edge
CELL_INPUTS = 4  # inputs of a cell: load angle, length, height, slope
MAPS = (8, 16)  # of the eye
_FLAT = MAPS[1] * 7 * 8  # of a crop, halved twice


class CellState(NamedTuple):
    """What a cell remembers: two layers of membranes, or an LSTM's output and cell."""

    first: Tensor  # (n, width)
    second: Tensor  # (n, width)


class CrackCell(Protocol):
    """An eye and a cell."""

    @property
    def width(self) -> int:
        """Of the memory."""
        ...

    def read(self, crop: Tensor) -> Tensor:
        """Offset of the tip from the middle of its pixel [pixel] and slope (n, 2)."""
        ...

    def piece(self, seen: Tensor, memory: CellState) -> tuple[Tensor, CellState]:
        """The slope (n,) of the next piece for inputs (n, 4), and what is remembered then."""
        ...


class SpikingCell(nn.Module):
    """Strided spiking convolutions, and two layers of spiking neurons with kept membranes.

    The inputs of a cell are constant currents over `times` inner steps. Both layers are read as
    firing rates, beside a direct current from the inputs.
    """

    def __init__(self, width: int = 128, times: int = 4) -> None:
        super().__init__()
        self.width, self.times = width, times
        self.current = nn.Linear(CELL_INPUTS, width)
        self.synapses = nn.Linear(width, width)
        self.first_out = nn.Linear(width, 1, bias=False)
        self.second_out = nn.Linear(width, 1, bias=False)
        self.direct = nn.Linear(CELL_INPUTS, 1)
        self.leak = nn.Parameter(torch.ones(2, width))
        self.retina = nn.Conv2d(1, MAPS[0], 5, 2, 2)
        self.fovea = nn.Conv2d(MAPS[0], MAPS[1], 3, 2, 1)
        self.eye_leak = nn.Parameter(torch.ones(2))
        self.eye_out = nn.Linear(_FLAT, 2)
        nn.init.normal_(self.current.weight)
        nn.init.uniform_(self.current.bias, -0.5, 1.0)
        nn.init.uniform_(self.retina.weight, -0.4, 0.6)

    def read(self, crop: Tensor) -> Tensor:
        """Offset of the tip from the middle of its pixel [pixel] and slope (n, 2)."""
        current = self.retina(crop[:, None])
        one = torch.zeros_like(current)
        two = torch.zeros_like(self.fovea(one))
        rate = torch.zeros_like(two)
        for _ in range(self.times):
            spikes, one = lif_step(one, current, self.eye_leak[0])
            spikes, two = lif_step(two, self.fovea(spikes), self.eye_leak[1])
            rate = rate + spikes / self.times
        answer: Tensor = self.eye_out(rate.flatten(1))
        return answer

    def piece(self, seen: Tensor, memory: CellState) -> tuple[Tensor, CellState]:
        """The slope (n,) of the next piece for inputs (n, 4), and the membranes then."""
        current, (one, two) = self.current(seen), memory
        first, second = torch.zeros_like(one), torch.zeros_like(two)
        for _ in range(self.times):
            spikes, one = lif_step(one, current, self.leak[0])
            first = first + spikes / self.times
            spikes, two = lif_step(two, self.synapses(spikes), self.leak[1])
            second = second + spikes / self.times
        slope = self.first_out(first) + self.second_out(second) + self.direct(seen)
        return slope[:, 0], CellState(one, two)


class ArtificialCell(nn.Module):
    """The same strided convolutions with rectifiers, and one LSTM layer."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.cell = nn.LSTMCell(CELL_INPUTS, width)
        self.out = nn.Linear(width, 1, bias=False)
        self.direct = nn.Linear(CELL_INPUTS, 1)
        self.retina = nn.Conv2d(1, MAPS[0], 5, 2, 2)
        self.fovea = nn.Conv2d(MAPS[0], MAPS[1], 3, 2, 1)
        self.eye_out = nn.Linear(_FLAT, 2)

    def read(self, crop: Tensor) -> Tensor:
        """Offset of the tip from the middle of its pixel [pixel] and slope (n, 2)."""
        maps = relu(self.fovea(relu(self.retina(crop[:, None]))))
        answer: Tensor = self.eye_out(maps.flatten(1))
        return answer

    def piece(self, seen: Tensor, memory: CellState) -> tuple[Tensor, CellState]:
        """The slope (n,) of the next piece for inputs (n, 4), and output and cell then."""
        after = CellState(*self.cell(seen, tuple(memory)))
        return (self.out(after.first) + self.direct(seen))[:, 0], after


def forgotten(network: CrackCell, n: int, dtype: torch.dtype = torch.float64) -> CellState:
    """The memory of `n` cracks of which nothing has been seen."""
    zeros = torch.zeros(n, network.width, dtype=dtype)
    return CellState(zeros, zeros.clone())
