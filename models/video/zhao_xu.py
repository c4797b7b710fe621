"""The base networks of Zhao and Xu: three pictures of a crack in, the next one out.

Yuhan Zhao and Xu, Neural network modeling of microstructure complexity using digital libraries,
supplementary note 1. What it leaves open is decided here:

* Recurrent networks: the convolutions halve the picture twice, so that 4 channels of 24 × 33
  give F = 3,168 features (3,128 is printed); between the layers of a coder stands a ReLU; the
  read-out is linear and is cut to [0, 1] where it is judged or fed back.
* Spiking network: stride 1 (1,477 parameters; "about 1,000" is said), a leaky neuron after each
  layer; the read-out is the spike of the last one, hence 0 or 1. It sees four pixels around a
  pixel, while the tip advances by seventeen.

Every state comes in and goes out; None is rest.
"""

from __future__ import annotations

from typing import NamedTuple

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

ROWS, COLUMNS = 96, 132
HIDDEN = 128
CHANNELS = (1, 16, 4)


class RecurrentState(NamedTuple):
    """Of both recurrent layers; (1, b, features)."""

    narrow: Tensor | tuple[Tensor, Tensor]
    wide: Tensor | tuple[Tensor, Tensor]


class RecurrentNetwork(nn.Module):
    """Convolutions in space and time, two recurrent layers, deconvolutions in space.

    `kind` is nn.RNN or nn.LSTM; `rows` and `columns` are multiples of four.
    """

    def __init__(
        self, kind: type[nn.RNN | nn.LSTM], rows: int = ROWS, columns: int = COLUMNS
    ) -> None:
        super().__init__()
        one, middle, few = CHANNELS
        self.shape = (few, rows // 4, columns // 4)
        features = few * (rows // 4) * (columns // 4)
        self.encoder = nn.Sequential(
            nn.Conv3d(one, middle, 3, (1, 2, 2), 1),
            nn.ReLU(),
            nn.Conv3d(middle, few, 3, (1, 2, 2), 1),
            nn.ReLU(),
        )
        self.narrow = kind(features, HIDDEN, batch_first=True)
        self.wide = kind(HIDDEN, features, batch_first=True)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(few, middle, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(middle, one, 3, 2, 1, 1),
        )

    def run(
        self, window: Tensor, state: RecurrentState | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """The next picture (b, rows, columns), and the state after `window` (b, t, …)."""
        seen = self.encoder(window[:, None]).transpose(1, 2).flatten(2)  # (b, t, features)
        narrow, narrow_state = self.narrow(seen, None if state is None else state.narrow)
        wide, wide_state = self.wide(narrow, None if state is None else state.wide)
        drawn = self.decoder(wide[:, -1].unflatten(1, self.shape))
        return drawn[:, 0], RecurrentState(narrow_state, wide_state)

    def forward(self, window: Tensor) -> Tensor:
        """The next picture, from rest."""
        return self.run(window)[0]


Membranes = tuple[Tensor, ...]  # of each layer (b, channels, rows, columns) [threshold]


class BaseSpikingNetwork(nn.Module):
    """Two convolutions and two deconvolutions with leaky neurons; pictures are the time steps."""

    def __init__(self) -> None:
        super().__init__()
        one, middle, few = CHANNELS
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(one, middle, 3, padding=1),
                nn.Conv2d(middle, few, 3, padding=1),
                nn.ConvTranspose2d(few, middle, 3, padding=1),
                nn.ConvTranspose2d(middle, one, 3, padding=1),
            ]
        )
        self.neurons = nn.ModuleList([_leaky() for _ in self.layers])

    def step(self, picture: Tensor, state: Membranes | None = None) -> tuple[Tensor, Membranes]:
        """The spikes (b, rows, columns) that answer one picture, and the membranes after it."""
        spikes, after = picture[:, None], []
        for k, (layer, neuron) in enumerate(zip(self.layers, self.neurons, strict=True)):
            current = layer(spikes)
            before = torch.zeros_like(current) if state is None else state[k]
            spikes, membrane = neuron(current, before)
            after.append(membrane)
        return spikes[:, 0], tuple(after)

    def run(self, window: Tensor, state: Membranes | None = None) -> tuple[Tensor, Membranes]:
        """The next picture (b, rows, columns), and the state after `window` (b, t, …)."""
        drawn, now = self.step(window[:, 0], state)
        for k in range(1, window.shape[1]):
            drawn, now = self.step(window[:, k], now)
        return drawn, now

    def forward(self, window: Tensor) -> Tensor:
        """The next picture, from rest."""
        return self.run(window)[0]


def _leaky() -> nn.Module:
    """U ← ½ u (1 − o) + W o_in, o = 1 where u > 1: a reset to zero by the spike before.

    snntorch keeps every neuron in a list, in order to reset all of a process at once; ours hold
    no state that matters, and are taken out, so that they die with their network.
    """
    neuron: nn.Module = snntorch.Leaky(
        beta=0.5, threshold=1.0, reset_mechanism="zero", reset_delay=True,
        spike_grad=surrogate.atan(alpha=2.0),
    )  # fmt: skip  # one call
    listed = snntorch.SpikingNeuron.instances
    listed[:] = [other for other in listed if other is not neuron]
    return neuron
