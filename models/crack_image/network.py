"""A small convolutional network that says for every pixel whether a crack covers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle

from models.crack_image.trust import Trust

Floats = NDArray[np.floating]

WIDE: Final = 24.0  # of the neighbourhood that a pixel is compared with, standard deviation [pixel]
MULTIPLE: Final = 8  # sides are filled up to whole multiples of it [pixel]


class _Block(nn.Module):
    """Convolution, normalisation within groups, and what is above zero."""

    def __init__(self, inner: int, outer: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 3, stride, dilation, dilation, bias=False)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class SegmentationNetwork(nn.Module):
    """Pictures (n, 2, h, w) as `standardised` gives them to logits (n, h, w).

    It works at a half, a quarter and an eighth of the size, sees about 200 pixels far at the
    coarsest, and adds what it found there to what it sees nearer by.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 40)) -> None:
        super().__init__()
        a, b, c = widths
        self.near = nn.Sequential(_Block(8, a), _Block(a, a))
        self.middle = nn.Sequential(_Block(a, b, stride=2), _Block(b, b))
        self.far = nn.Sequential(
            _Block(b, c, stride=2),
            _Block(c, c, dilation=2),
            _Block(c, c, dilation=4),
        )
        self.far_to_middle = nn.Conv2d(c, b, 1)
        self.middle_again = _Block(b, b)
        self.middle_to_near = nn.Conv2d(b, a, 1)
        self.near_again = _Block(a, a)
        self.out = nn.Conv2d(a, 4, 1)
        self.settings: Tensor
        self.register_buffer("settings", torch.tensor(Trust()))

    def trust(self) -> Trust:
        """What is needed to believe what is read with it."""
        return Trust(*self.settings.tolist())

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (n, h, w) of pictures (n, 2, h, w); both sides are multiples of `MULTIPLE`."""
        near = self.near(pixel_unshuffle(pictures, 2))
        middle = self.middle(near)
        far = self.far(middle)
        middle = self.middle_again(middle + _doubled(self.far_to_middle(far)))
        near = self.near_again(near + _doubled(self.middle_to_near(middle)))
        return pixel_shuffle(self.out(near), 2)[:, 0]


def _doubled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")


def standardised(picture: NDArray[Any]) -> NDArray[np.float32]:
    """A picture (h, w) of any shades as (2, h, w): against the whole, and against what is near."""
    shade = picture.astype(np.float32)
    whole = (shade - shade.mean()) / max(float(shade.std()), 1e-6)
    near = whole - ndimage.gaussian_filter(whole, WIDE, mode="nearest")
    spread = np.sqrt(ndimage.gaussian_filter(near * near, WIDE, mode="nearest"))
    return np.stack([np.clip(whole, -4, 4), np.clip(near / (spread + 0.05), -6, 6)])


@torch.no_grad()
def probability(network: SegmentationNetwork, picture: NDArray[Any]) -> Floats:
    """How likely a crack covers each pixel (h, w) of a picture; the mean of four views."""
    h, w = picture.shape
    network.eval()
    fill = (0, -w % MULTIPLE, 0, -h % MULTIPLE)
    x = pad(torch.from_numpy(standardised(picture))[None], fill, mode="replicate")
    total = torch.zeros(x.shape[2:])
    for axes in ((), (1,), (2,), (1, 2)):
        seen = network(torch.flip(x, [a + 1 for a in axes]))
        total += torch.flip(torch.sigmoid(seen), list(axes))[0]
    return np.asarray(total[:h, :w].numpy() / 4.0)
