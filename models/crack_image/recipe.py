"""The recipe of the network that finds cracks in pictures: made-up pictures, loss, scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from models.crack_image.calibration import ScoredMeasurement, calibrated
from models.crack_image.measures import score, scored, summary
from models.crack_image.network import SegmentationNetwork, probability, standardised
from models.crack_image.reader import CrackReader, network_reader
from models.crack_image.scenes import Scene, SceneKind, scene
from models.crack_image.trust import Trust
from models.recipe import Arrays, Recipe, Scores
from models.training import Examples, Schedule, seeded

Floats = NDArray[np.floating]

TRAIN, VALIDATION, CALIBRATION, HELD_OUT = 3200, 240, 1000, 400  # pictures
LARGE = SceneKind(size=384, widest=12.0)
BLIND = Trust(chance=0.0, shortest=0.0, relative=math.inf)  # trusts whatever is seen
ALLOWANCE = 1.5  # on uncertainties: photographs are not made-up scenes
WEIGHT = 3.0  # of a pixel of crack, over one without


def library_paths(arrays: Arrays, samples: slice) -> list[Floats]:
    """The paths (n, 2) of samples of the crack library."""
    paths, nodes = arrays["path"][samples], arrays["nodes"][samples]
    return [np.asarray(path[:n]) for path, n in zip(paths, nodes, strict=True)]


def scenes(
    seed: int, purpose: int, count: int, library: Sequence[Floats], kind: SceneKind
) -> list[Scene]:
    """`count` scenes; each depends on the seed, the purpose and its number alone."""
    rngs = (np.random.default_rng([seed, purpose, k]) for k in range(count))
    return [scene(rng, kind, library) for rng in rngs]


def as_examples(found: Sequence[Scene]) -> Examples:
    """Pictures (n, 2, h, w) float16 and cracks (n, h, w) bool."""
    pictures = np.stack([standardised(s.picture).astype(np.float16) for s in found])
    return torch.from_numpy(pictures), torch.from_numpy(np.stack([s.crack for s in found]))


def examples(arrays: Arrays, seed: int) -> tuple[Examples, Examples]:
    """Training and validation pictures, the library's paths of the first samples in them."""
    library, kind = library_paths(arrays, slice(None)), SceneKind()
    train = as_examples(scenes(seed, 0, TRAIN, library, kind))
    return train, as_examples(scenes(seed, 1, VALIDATION, library, kind))


def loss(network: nn.Module, batch: Examples) -> Tensor:
    """Cross-entropy of the pixels, and what is missing of the overlap of each picture."""
    logits, crack = network(batch[0].float()), batch[1].float()
    entropy = binary_cross_entropy_with_logits(logits, crack, pos_weight=torch.tensor(WEIGHT))
    p = torch.sigmoid(logits)
    both, either = (p * crack).sum((1, 2)), (p + crack).sum((1, 2))
    has = crack.flatten(1).any(1)
    overlap = torch.where(has, (2.0 * both + 1.0) / (either + 1.0), 1.0)
    return entropy + 0.5 * (1.0 - overlap).mean()


def network(seed: int) -> SegmentationNetwork:
    """A new network."""
    with seeded(seed):
        return SegmentationNetwork()


SCHEDULE = Schedule(epochs=12, batch=16, lr=3e-3, patience=12, cosine=True, clip=1.0)


def large_scenes(purpose: int, count: int, library: Sequence[Floats] = ()) -> list[Scene]:
    """Scenes of the size of a photograph, on which measurements are judged."""
    return scenes(0, purpose, count, library, LARGE)


def settled(network: nn.Module, _validation: Examples) -> None:
    """Set what is needed to trust a measurement, and its uncertainty, on scenes of their own."""
    assert isinstance(network, SegmentationNetwork)
    found = (judged(network, s) for s in large_scenes(2, CALIBRATION))
    trust = calibrated([f for f in found if f is not None], ALLOWANCE)
    network.settings.copy_(torch.tensor(trust))


def judged(network: SegmentationNetwork, s: Scene) -> ScoredMeasurement | None:
    """A measurement of a scene that is trusted in any case; None where nothing is seen."""
    chances = probability(network, s.picture)
    measurement = CrackReader(lambda _: chances, BLIND)(chances)
    if measurement.outcome != "measured":
        return None
    found = scored(measurement, np.asarray(chances >= 0.5), s.crack)
    return ScoredMeasurement(measurement.against, found)


def held_out_scores(network: nn.Module, arrays: Arrays) -> Scores:
    """Scores on scenes that nothing was set on, with the library's held-out paths in them."""
    assert isinstance(network, SegmentationNetwork)
    reader, library = network_reader(network), library_paths(arrays, slice(None))
    found = [score(reader, s.picture, s.crack) for s in large_scenes(3, HELD_OUT, library)]
    return summary(found)


CRACK_IMAGE = Recipe(
    about="finds the crack in a picture; trained on made-up pictures only",
    network=network,
    examples=examples,
    loss=loss,
    schedule=SCHEDULE,
    scores=held_out_scores,
    settled=settled,
)
