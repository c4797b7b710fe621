"""Leaky integrate-and-fire neurons as a pure function: membrane in, membrane out.

The threshold is 1, the reset is soft (what is above the threshold stays) and acts at once. Only
the surrogate gradient is snntorch's; its neurons keep a hidden state of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from snntorch import surrogate
from torch import Tensor

THRESHOLD = 1.0
_spike = surrogate.atan(alpha=2.0)


class LIFStep(NamedTuple):
    """What neurons do in one time step."""

    spikes: Tensor  # 0 or 1, shaped as the membrane
    membrane: Tensor  # [threshold]


def lif_step(membrane: Tensor, current: Tensor, leak: Tensor) -> LIFStep:
    """One time step, u ← σ(leak) u + current; bounded by |current| / (1 − σ(leak)) and 1.

    `membrane` and `current` of one shape [threshold]; `leak` broadcasts, and is a logit.
    """
    charged = torch.sigmoid(leak) * membrane + current
    spikes = _spike(charged - THRESHOLD).to(charged.dtype)
    return LIFStep(spikes, charged - THRESHOLD * spikes.detach())
