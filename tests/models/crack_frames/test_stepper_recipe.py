"""What load-aware crack steppers learn from: stretches of paths, and crops of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.crack_frames.pixels import PIXEL, WIDTH
from models.crack_frames.stepper import FIRST_LENGTH, PIECE, PIECES, SLICE
from models.crack_frames.stepper_recipe import ARTIFICIAL, BETWEEN, SLICES, SPIKING, held_out_scores
from models.crack_frames.tip_networks import CROP
from models.crack_frames.window import PictureWindow, frames
from models.recipe import Recipe
from models.training import Schedule, trained

EDGES = FIRST_LENGTH + SLICE * np.arange(SLICES + 1)


def arrays(count: int = 10) -> dict[str, NDArray[Any]]:
    """Made-up cracks: each slice as steep as its load says."""
    generator = np.random.default_rng(0)
    load = np.stack([np.full((count, SLICES), 2e8), generator.uniform(0, 2e8, (count, SLICES))], 2)
    path = np.zeros((count, SLICES + 2, 2))
    path[:, 1:, 0] = EDGES * WIDTH
    path[:, 2:, 1] = np.cumsum(-0.4 * load[:, :, 1] / load[:, :, 0], 1) * SLICE * WIDTH
    pictures = np.stack([frames(one, np.arange(1, SLICES + 2), PictureWindow()) for one in path])
    nodes = np.full(count, SLICES + 2)
    return {"load": load, "path": path, "nodes": nodes, "frames": pictures}


def test_stretches_are_parts_of_the_paths() -> None:
    (crop, pull, x, line, offset), validation = SPIKING.examples(arrays(), 0)
    assert len(x) == 8 * (SLICES + BETWEEN)
    assert len(validation[0]) == 2 * (SLICES + BETWEEN)
    assert crop.shape[1:] == CROP
    assert pull.shape[1:] == (PIECES,)
    for k in range(len(x)):
        at = float(x[k]) + PIECE * np.arange(-1, PIECES + 1)
        gaps = [np.abs(np.interp(at * WIDTH, one[:, 0], one[:, 1]) / WIDTH - line[k].numpy()).max()
                for one in arrays()["path"]]  # fmt: skip  # one line more
        assert min(gaps) < 1e-6
    assert float(offset.abs().max()) < 2.0
    assert float(crop[:, CROP[0] // 2, -1].float().min()) == 1.0  # the tip is where it should be
    assert PIXEL < PIECE


def test_another_seed_validates_by_other_samples() -> None:
    first, other = (SPIKING.examples(arrays(), seed)[1][3] for seed in (0, 1))
    again = SPIKING.examples(arrays(), 0)[1][3]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("recipe", [SPIKING, ARTIFICIAL], ids=["spiking", "artificial"])
def test_a_few_epochs_teach_something(recipe: Recipe) -> None:
    learned, validation = recipe.examples(arrays(), 0)
    schedule = Schedule(epochs=4, batch=16, lr=3e-3, clip=1.0)
    run = list(trained(recipe.network(0), learned, validation, recipe.loss, schedule))
    assert run[-1].train[-1] < 0.3 * run[0].train[0]


def test_scores_leave_the_network_as_it_was() -> None:
    network = ARTIFICIAL.network(0)
    found = held_out_scores(network, arrays(2))
    assert {leaf.dtype for leaf in network.parameters()} == {torch.float32}
    assert found["parameters"] == sum(leaf.numel() for leaf in network.parameters())
    assert found["free_tip_mm"] > 0.0
