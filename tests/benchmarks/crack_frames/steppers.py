"""What the load-aware crack steppers know and cost: the spiking one beside the artificial one.

    python -m tests.benchmarks.crack_frames.steppers --library crack.zarr [--runs FOLDER …]

`--runs` are folders of `twin train --out`, one for each seed. Operations are counted in free runs
of the held-out samples: a spike costs one addition for each synapse that it reaches. A CPU's dense
kernels take no profit from spikes that do not come: time says what it is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from models.crack_frames.measures import CONTEXT_FRAMES, shown
from models.crack_frames.stepper import (
    NETWORKS,
    PIECES,
    PictureStepper,
    SliceLoad,
    rollout,
    settled,
)
from models.crack_frames.stepper_recipe import load_of, stepper_scores
from models.crack_frames.tip_networks import CELL_INPUTS, MAPS, ArtificialCell, SpikingCell
from models.recipe import Arrays, Scores
from models.tree import rows
from storage.artifacts.weights import load
from tests.benchmarks.crack_frames.baselines import baselines
from tests.benchmarks.crack_frames.steppers_elsewhere import LENGTHS, errors
from tests.benchmarks.crack_frames.steppers_rows import markdown, spread
from tests.benchmarks.report import Figure, at_least, at_most, middle, table
from twin import networks
from twin.learning.library_fields import Library

HELD_OUT, BATCH, REPEATS = 108, 1000, 5


class Count:
    """Spikes and synaptic operations of a spiking network while it runs."""

    def __init__(self, network: SpikingCell) -> None:
        self.cell = self.eye = self.spikes = self.chances = 0.0
        self._times = network.times
        ones = torch.ones(1, MAPS[0], 3, 3, dtype=torch.float64)

        def synapses(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            fan_out = network.synapses.out_features
            self.cell += float(given[0].sum()) * fan_out
            self._fired(float(given[0].sum()), given[0].numel())

        def out(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.cell += float(given[0].sum()) * self._times

        def second(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            out(module, given)
            self._fired(float(given[0].sum()) * self._times, given[0].numel() * self._times)

        def fovea(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.eye += float(conv2d(given[0], ones, stride=2, padding=1).sum()) * MAPS[1]

        def eye_out(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.eye += float(given[0].sum()) * self._times * 2

        hooks = ((network.synapses, synapses), (network.first_out, out),
                 (network.second_out, second), (network.fovea, fovea),
                 (network.eye_out, eye_out))  # fmt: skip  # by layer
        self._handles = [module.register_forward_pre_hook(hook) for module, hook in hooks]

    def _fired(self, spikes: float, chances: int) -> None:
        self.spikes += spikes
        self.chances += chances

    def close(self) -> None:
        """Count no more."""
        for handle in self._handles:
            handle.remove()


def multiply_adds(network: nn.Module) -> tuple[float, float]:
    """Dense multiply-adds of a piece and of a look, without element-wise work."""
    retina = MAPS[0] * 25 * 13 * 16
    fovea, answer = MAPS[1] * MAPS[0] * 9 * 7 * 8, MAPS[1] * 7 * 8 * 2
    if isinstance(network, SpikingCell):
        w, t = network.width, network.times
        return CELL_INPUTS * (w + 1) + t * w * w + 2 * w, retina + t * fovea + answer
    assert isinstance(network, ArtificialCell)
    w = network.width
    return 4 * w * (CELL_INPUTS + w) + w + CELL_INPUTS, retina + fovea + answer


def operations(arrays: Arrays) -> list[Figure]:
    """Of a slice and of a look, for each network."""
    stepper = networks.picture_stepper("crack-spiking")
    network = stepper.network
    assert isinstance(network, SpikingCell)
    artificial = networks.picture_stepper("crack-artificial").network
    assert isinstance(artificial, ArtificialCell)
    count = Count(network)
    state = stepper.seen(torch.from_numpy(shown(arrays["frames"])[:, CONTEXT_FRAMES - 1]))
    steps = arrays["load"].shape[1] - CONTEXT_FRAMES + 1
    for k in range(CONTEXT_FRAMES - 1, CONTEXT_FRAMES - 1 + steps):
        state = stepper.step(state, load_of(arrays, k))
    count.close()
    n = len(arrays["load"])
    analog = PIECES * CELL_INPUTS * (network.width + 1)
    cell, eye = count.cell / (n * steps), count.eye / n
    dense, theirs = multiply_adds(network), multiply_adds(artificial)
    retina = MAPS[0] * 25 * 13 * 16
    return [
        _versus("rate of firing in the cell", 100 * count.spikes / count.chances, "%"),
        _versus("synaptic operations a slice", cell, "additions", PIECES * theirs[0],
                "artificial, multiply-adds"),
        _versus("currents of the inputs a slice", analog, "multiply-adds"),
        _versus("dense, as a CPU does it, a slice", PIECES * dense[0], "multiply-adds",
                PIECES * theirs[0], "artificial, multiply-adds"),
        _versus("synaptic operations a look", eye, "additions", theirs[1],
                "artificial, multiply-adds"),
        _versus("currents of the crop a look", retina, "multiply-adds"),
        _versus("dense, as a CPU does it, a look", dense[1], "multiply-adds", theirs[1],
                "artificial, multiply-adds"),
    ]  # fmt: skip  # a line each


def sizes() -> list[Figure]:
    """Numbers learned, bytes of weights and of what is remembered of a crack."""
    out = []
    for name in NETWORKS:
        network = networks.picture_stepper(name).network
        assert isinstance(network, nn.Module)
        learned = sum(p.numel() for p in network.parameters())
        out += [
            Figure(name, "parameters", learned, "", "", None, *at_most(100_000, learned)),
            Figure(name, "weights in memory, double", 8 * learned, "bytes"),
            Figure(name, "memory of a crack", 2 * 8 * network.width, "bytes"),
        ]
    return out


def times() -> list[Figure]:
    """A step of 1,000 cracks in one batch, beside 1,000 steps of one, in the same run."""
    out = []
    for name in NETWORKS:
        stepper = networks.picture_stepper(name)
        state, pull = stepper.init(BATCH), _loads(BATCH)
        one, alone = rows(state, torch.tensor([0])), rows(pull, torch.tensor([0]))
        path = torch.zeros(BATCH, 2, 2, dtype=torch.float64)
        path[:, 1, 0] = 1e-3
        together = _least(partial(stepper.step, state, pull))
        start = time.perf_counter()
        for _ in range(BATCH):
            stepper.step(one, alone)
        single = time.perf_counter() - start
        ahead = _least(partial(rollout, stepper, path, pull, 7))
        look = _least(partial(stepper.seen, state.picture))
        out += [
            Figure(name, f"a step of {BATCH:,} cracks in one batch", 1e3 * together, "ms",
                   f"{BATCH:,} single calls {1e3 * single:,.0f} ms", single / together),
            Figure(name, f"paths of seven slices of {BATCH:,} cracks", 1e3 * ahead, "ms"),
            Figure(name, f"a look at {BATCH:,} pictures", 1e3 * look, "ms"),
        ]  # fmt: skip  # a figure each
    return out


def targets(spiking: Scores, line: Scores, still: Scores) -> list[Figure]:
    """What is asked of the spiking stepper on held-out samples."""
    tip, mae = spiking["last_tip_mm"], spiking["free_mae"]
    baseline, last = line["last_tip_mm"], still["last_mae"]
    return [
        Figure("accuracy", "tip at the end", tip, "mm", f"linear extrapolation {baseline:.3g} mm",
               tip / baseline, *at_most(0.5, tip / baseline)),
        Figure("accuracy", "MAE of a free run", 1e3 * mae, "‰",
               f"persistence {1e3 * still['free_mae']:.3g} ‰", mae / still["free_mae"],
               *at_most(0.5, mae / still["free_mae"])),
        Figure("accuracy", "MAE of the last picture", 1e3 * spiking["last_mae"], "‰",
               f"persistence {1e3 * last:.3g} ‰", spiking["last_mae"] / last,
               *at_most(0.5, spiking["last_mae"] / last)),
        Figure("accuracy", "recall of new pixels within one", spiking["free_recall_1"], "", "",
               None, *at_least(0.8, spiking["free_recall_1"])),
        Figure("accuracy", "the same, last picture", spiking["last_recall_1"], "", "",
               None, *at_least(0.8, spiking["last_recall_1"])),
    ]  # fmt: skip  # a figure each


def elsewhere() -> list[Figure]:
    """The way ahead of cracks whose slices are not the library's."""
    out = []
    for name in NETWORKS:
        mean, most = errors(networks.picture_stepper(name))
        what = f"distance from XFEM, first cracks of {len(LENGTHS)} other lengths"
        out += [
            Figure(name, f"{what}, mean", mean, "mm"),
            Figure(name, f"{what}, most", most, "mm"),
        ]
    return out


def _versus(
    what: str, found: float, unit: str, other: float | None = None, name: str = ""
) -> Figure:
    yardstick = "" if other is None else f"{name} {other:,.0f}"
    return Figure("crack-spiking", what, found, unit, yardstick, other and found / other)


def _loads(n: int) -> SliceLoad:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, n, generator=generator, dtype=torch.float64)
    return SliceLoad((200e6 + 50e6 * drawn[0]).clamp(min=30e6), 100e6 + 50e6 * drawn[1])


def _least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return middle(seconds)


def _trained(name: str, run: Path) -> PictureStepper:
    network = NETWORKS[name]()
    network.load_state_dict(networks.tensors(load(run / f"{name}.safetensors").leaves))
    return PictureStepper(settled(network))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _, held = Library(chosen.library).parts(HELD_OUT)
    arrays = {key: np.asarray(held[key]) for key in ("frames", "load")}
    found = {name: stepper_scores(networks.picture_stepper(name), arrays) for name in NETWORKS}
    others = dict(baselines(arrays))
    sys.stdout.write(markdown(found | others) + "\n")
    for name in NETWORKS if chosen.runs else ():
        scores = [stepper_scores(_trained(name, run), arrays) for run in chosen.runs]
        sys.stdout.write(spread(name, scores) + "\n")
    sys.stdout.write("\n")
    line, still = others["linear extrapolation"], others["persistence"]
    made = [
        *targets(found["crack-spiking"], line, still),
        *elsewhere(),
        *sizes(),
        *operations(arrays),
        *times(),
    ]
    sys.stdout.write(table(made) + "\n")


if __name__ == "__main__":
    main()
