"""How the base crack networks are trained and judged: windows of three pictures, and the next.

The protocol of Zhao and Xu: five windows for each sample of eight pictures, mean squared error,
Adam at 1e-3, batches of 16; one step ahead, and on the network's own pictures to the last one.
Each window is seen from rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.crack_frames.measures import CONTEXT_FRAMES, Pictures, judged, shown
from models.recipe import Arrays, Recipe, Scores
from models.training import Examples, Schedule, parameters, seeded
from models.video.zhao_xu import COLUMNS, ROWS, BaseSpikingNetwork, RecurrentNetwork

VALIDATION = 0.05  # of the samples
TOGETHER = 54  # samples whose pictures are predicted at a time


def examples(arrays: Arrays, seed: int) -> tuple[Examples, Examples]:
    """Windows (n, 4, rows, columns) uint8 to learn from and, of other samples, to validate by.

    Raises ValueError for pictures of another size.
    """
    frames = _frames(arrays)
    order = np.random.default_rng(seed).permutation(len(frames))
    cut = max(1, round(VALIDATION * len(frames)))
    return (windows(frames[np.sort(order[cut:])]),), (windows(frames[np.sort(order[:cut])]),)


def windows(frames: NDArray[np.uint8]) -> Tensor:
    """All windows (5 n, 4, rows, columns) of samples of eight pictures: 0 or 1."""
    starts = range(frames.shape[1] - CONTEXT_FRAMES)
    parts = [(frames[:, k : k + CONTEXT_FRAMES + 1] > 0).astype(np.uint8) for k in starts]
    return torch.from_numpy(np.concatenate(parts))


def squared(network: nn.Module, batch: Examples) -> Tensor:
    """The mean squared error of the grey values."""
    window = batch[0].float()
    return nn.functional.mse_loss(network(window[:, :CONTEXT_FRAMES]), window[:, CONTEXT_FRAMES])


@torch.no_grad()
def one_step(network: nn.Module, frames: NDArray[np.uint8]) -> Pictures:
    """Pictures (n, frames, rows, columns), each told from the three true ones before it."""
    return _predicted(network, frames, own=False)


@torch.no_grad()
def free(network: nn.Module, frames: NDArray[np.uint8]) -> Pictures:
    """Pictures (n, frames, rows, columns) that follow on the first three by themselves."""
    return _predicted(network, frames, own=True)


def _predicted(network: nn.Module, frames: NDArray[np.uint8], *, own: bool) -> Pictures:
    true = torch.from_numpy(shown(frames))
    out = true.clone()
    source = out if own else true
    for first in range(0, len(true), TOGETHER):
        part = slice(first, first + TOGETHER)
        for k in range(CONTEXT_FRAMES, true.shape[1]):
            out[part, k] = network(source[part, k - CONTEXT_FRAMES : k]).clamp(0.0, 1.0)
    return out.numpy()


def held_out_scores(network: nn.Module, arrays: Arrays) -> Scores:
    """The scores of `models.crack_frames.measures.judged`, and what the network takes.

    `weights_bytes` and, for each component, `state_bytes` in single precision.
    """
    frames = _frames(arrays)
    scores = judged(one_step(network, frames), free(network, frames), frames)
    count = parameters(network)
    sizes = {"parameters": count, "weights_bytes": 4 * count, "state_bytes": _state_bytes(network)}
    return scores | {name: float(size) for name, size in sizes.items()}


def _state_bytes(network: nn.Module) -> int:
    if not isinstance(network, RecurrentNetwork | BaseSpikingNetwork):
        raise TypeError(f"{type(network).__name__} is no base network")
    return 4 * sum(
        leaf.numel() for leaf in _leaves(network.run(torch.zeros(1, 1, ROWS, COLUMNS))[1])
    )


def _leaves(state: Tensor | tuple[object, ...]) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [leaf for part in state if isinstance(part, Tensor | tuple) for leaf in _leaves(part)]


def _frames(arrays: Arrays) -> NDArray[np.uint8]:
    frames: NDArray[np.uint8] = arrays["frames"]
    if frames.shape[2:] != (ROWS, COLUMNS) or frames.shape[1] <= CONTEXT_FRAMES:
        raise ValueError(
            f"{frames.shape[1]} pictures of {' × '.join(map(str, frames.shape[2:]))} a sample, the "
            f"network needs more than {CONTEXT_FRAMES} of {ROWS} × {COLUMNS}"
        )
    return frames


def _drawn(make: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    def network(seed: int) -> nn.Module:
        with seeded(seed):
            return make()

    return network


def _recipe(about: str, make: Callable[[], nn.Module]) -> Recipe:
    schedule = Schedule(epochs=20, patience=5)
    return Recipe(about, _drawn(make), examples, squared, schedule, held_out_scores)


CRACK_RNN = _recipe("Base recurrent network of Zhao and Xu.", lambda: RecurrentNetwork(nn.RNN))
CRACK_LSTM = _recipe("Base LSTM of Zhao and Xu.", lambda: RecurrentNetwork(nn.LSTM))
CRACK_SNN = _recipe("Base spiking network of Zhao and Xu.", BaseSpikingNetwork)
