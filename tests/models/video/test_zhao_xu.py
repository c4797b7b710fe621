"""The base crack networks: sizes, explicit states, what the spiking one can see."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from models.crack_frames.config import CONFIGS
from models.crack_frames.recipe import (
    CRACK_LSTM,
    CRACK_RNN,
    CRACK_SNN,
    examples,
    free,
    held_out_scores,
    one_step,
    squared,
    windows,
)
from models.crack_frames.window import frames as drawn
from models.training import parameters, seeded
from models.video.zhao_xu import COLUMNS, ROWS, BaseSpikingNetwork, RecurrentNetwork

Network = RecurrentNetwork | BaseSpikingNetwork


def small(kind: str) -> Network:
    with seeded(0):
        if kind == "snn":
            return BaseSpikingNetwork()
        return RecurrentNetwork(nn.RNN if kind == "rnn" else nn.LSTM, rows=8, columns=12)


def window(seed: int = 0, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(2, count, 8, 12, generator=generator) > 0.7).float()


def samples(count: int) -> np.ndarray:
    """Straight cracks at several slopes."""
    out = []
    for k in range(count):
        x = np.array([0.0, *np.linspace(1.0, 9.4, 8)])
        nodes = 1e-3 * np.stack([x, -0.4 * k / count * x], axis=1)
        out.append(drawn(nodes, np.arange(1, 9), CONFIGS["crack"].window))
    return np.stack(out)


def test_the_sizes_are_those_that_were_stated() -> None:
    assert parameters(CRACK_SNN.network(0)) == 1_477
    for recipe, recurrent in ((CRACK_RNN, 10.9e6), (CRACK_LSTM, 43.5e6)):
        assert parameters(recipe.network(0)) == pytest.approx(recurrent, rel=0.005)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "snn"])
def test_a_network_keeps_nothing_between_calls(kind: str) -> None:
    network = small(kind)
    with torch.no_grad():
        first = network(window())
        network(window(seed=1))
        assert torch.equal(network(window()), first)
        assert first.shape == (2, 8, 12)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "snn"])
def test_a_batch_is_its_rows(kind: str) -> None:
    network, both = small(kind), window()
    with torch.no_grad():
        alone = torch.cat([network(row[None]) for row in both])
        torch.testing.assert_close(network(both), alone)


def test_spikes_in_two_parts_with_the_membranes_between_are_those_of_one_run() -> None:
    network = small("snn")
    assert isinstance(network, BaseSpikingNetwork)
    with torch.no_grad():
        whole, after = network.run(8.0 * window(count=4))
        _, half = network.run(8.0 * window(count=4)[:, :2])
        kept = [leaf.clone() for leaf in half]
        rest, end = network.run(8.0 * window(count=4)[:, 2:], half)
    assert torch.equal(rest, whole)
    assert all(torch.equal(a, b) for a, b in zip(end, after, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(half, kept, strict=True))  # input untouched
    assert float(half[0].abs().max()) > 0.0


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_a_recurrent_state_that_is_passed_in_is_used(kind: str) -> None:
    network = small(kind)
    with torch.no_grad():
        first, state = network.run(window())
        again, _ = network.run(window(), state)  # type: ignore[arg-type]  # its own
    assert not torch.equal(first, again)


def test_a_neuron_is_that_of_the_paper() -> None:
    """u ← ½ u (1 − o) + 0.8: the membrane climbs to 1.2, fires, and starts from nothing."""
    neuron = BaseSpikingNetwork().neurons[0]
    membrane, seen = torch.zeros(1), []
    for _ in range(5):
        spike, membrane = neuron(torch.tensor([0.8]), membrane)
        seen.append((round(float(membrane), 6), float(spike)))
    assert seen == [(0.8, 0.0), (1.2, 1.0), (0.8, 0.0), (1.2, 1.0), (0.8, 0.0)]


def test_no_list_keeps_the_neurons_of_networks_that_are_gone() -> None:
    before = len(snntorch.SpikingNeuron.instances)
    for _ in range(3):
        BaseSpikingNetwork()
    assert len(snntorch.SpikingNeuron.instances) == before


def test_the_spiking_network_answers_in_zeros_and_ones_and_learns() -> None:
    network = small("snn")
    with torch.no_grad():
        assert set(network(8.0 * window()).unique().tolist()) <= {0.0, 1.0}
    loss = (network(8.0 * window()) - window()[:, 0]).square().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert all(torch.isfinite(part).all() for part in gradients)
    assert sum(bool(part.abs().max() > 0.0) for part in gradients) >= 5  # biases, and what fired


def test_the_spiking_network_sees_four_pixels_and_no_more() -> None:
    """No new segment of seventeen pixels can come out of it."""
    network = BaseSpikingNetwork()
    picture = torch.zeros(1, 1, 33, 33, requires_grad=True)
    drawn, _ = network.run(picture)
    (gradient,) = torch.autograd.grad(drawn[0, 16, 16], picture)
    row, column = torch.nonzero(gradient[0, 0], as_tuple=True)
    assert (int(row.min()), int(row.max())) == (12, 20)
    assert (int(column.min()), int(column.max())) == (12, 20)


def test_windows_are_five_for_each_sample_and_split_by_sample() -> None:
    frames = samples(4)
    assert windows(frames).shape == (20, 4, ROWS, COLUMNS)
    learned, validation = examples({"frames": frames}, 0)
    assert (len(learned[0]), len(validation[0])) == (15, 5)
    last = [{bytes(one[3].numpy()) for one in part[0]} for part in (learned, validation)]
    assert not last[0] & last[1]


class Copy(nn.Module):
    """Draws the last picture again, one column further."""

    def forward(self, window: Tensor) -> Tensor:
        return torch.maximum(window[:, -1], window[:, -1].roll(1, dims=-1))


def test_a_free_run_goes_on_from_its_own_pictures_and_one_step_from_the_true_ones() -> None:
    frames = samples(2)
    own, told = free(Copy(), frames), one_step(Copy(), frames)
    true = frames > 0
    widths = own.sum((2, 3))
    assert (np.diff(widths[:, 2:], axis=1) > 0).all()  # five steps, each one column further
    step = np.maximum(true[:, 2:-1], np.roll(true[:, 2:-1], 1, axis=-1))
    assert (told[:, 3:] == step).all()


def test_held_out_scores_have_sizes_too() -> None:
    found = held_out_scores(CRACK_SNN.network(0), {"frames": samples(2)})
    assert {"one_step_mae", "free_recall_1", "last_tip_mm"} <= set(found)
    assert found["weights_bytes"] == 4 * 1_477
    assert found["state_bytes"] == 4 * (16 + 4 + 16 + 1) * ROWS * COLUMNS


def test_the_loss_is_that_of_the_last_picture() -> None:
    batch = windows(samples(1))[:2]
    error = float(squared(Copy(), (batch,)))
    want = (Copy()(batch[:, :3].float()) - batch[:, 3].float()).square().mean()
    assert error == pytest.approx(float(want))


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="needs more than 3 of 96 × 132"):
        examples({"frames": np.zeros((4, 8, 128, 132), dtype=np.uint8)}, 0)
