"""Peaks that break a crack when they pass, whether their cycle ever closes or not.

A load is taken as a whole. Only where a crack would break on the way, or could, its samples are
taken in halves, and these again, until it is known what comes first: the growth, or the peak.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from models.crack.load import CrackLoad, parts_of, series_of
from models.tree import joined, rows, with_rows

S = TypeVar("S", bound=tuple[Any, ...])

MOST_PARTS = 64  # of a load at once; each is taken in parts again if need be


class Peaks(NamedTuple):
    """The largest of each row of samples; zero for a row without, and for one in compression."""

    tension: Tensor  # (n,) [Pa]
    shear: Tensor  # (n,) of either sign, and perhaps at another instant [Pa]


class Breakable(Protocol[S]):
    """What a stepper of cracks must say of the states that it steps."""

    def taken(self, state: S, load: CrackLoad) -> S:
        """The cracks after samples and blocks; whether a peak breaks them is left open."""
        ...

    def breaks(self, state: S, tension: Tensor, shear: Tensor) -> Tensor:
        """Whether (…, p) stresses (…, 1) [Pa] break cracks of the lengths that they have now."""
        ...

    def hurry(self, before: S, after: S) -> Tensor:
        """In how many parts (n,) a load is to be taken, by how far it grows the cracks."""
        ...

    def ended(self, state: S) -> Tensor:
        """Which cracks (n, p) are at the end of their part, broken."""
        ...

    def broken(self, state: S, which: Tensor) -> S:
        """The cracks with those at `which` (n, p) broken."""
        ...


def peaks_of(load: CrackLoad) -> Peaks:
    """The peaks of a load's samples."""
    return Peaks(*(_largest(x, load.sample_offset) for x in (load.samples, load.companion.abs())))


def _largest(samples: Tensor, offset: Tensor) -> Tensor:
    found = torch.zeros(len(offset) - 1, dtype=torch.float64)
    filled = offset.diff() > 0
    if samples.numel():
        largest = np.maximum.reduceat(samples.numpy(), offset[:-1][filled].numpy())
        found[filled] = torch.from_numpy(largest).clamp(min=0.0)
    return found


def loaded(cracks: Breakable[S], state: S, load: CrackLoad) -> S:
    """The cracks after the samples and blocks; a peak breaks a crack of the length it meets."""
    after = cracks.taken(state, load)
    if not load.samples.numel():
        return after
    index = _unsure(cracks, state, after, peaks_of(load)).nonzero().squeeze(1)
    if not index.numel():
        return after
    resolved = [
        _in_parts(cracks, rows(state, i), series_of(load, i)) for i in index[:, None].unbind(0)
    ]
    return with_rows(after, index, joined(resolved))


def _unsure(cracks: Breakable[S], before: S, after: S, peaks: Peaks) -> Tensor:
    """Rows (n,) that hurry, break on the way, or that their peak would break at the end of it."""
    tension, shear = peaks.tension[:, None], peaks.shear[:, None]
    doubt = cracks.ended(after) | cracks.breaks(after, tension, shear)
    doubt = doubt | (cracks.hurry(before, after) > 1)[:, None]
    return ((tension > 0.0) & doubt & ~cracks.ended(before)).any(1)


def _in_parts(cracks: Breakable[S], state: S, load: CrackLoad) -> S:
    """One crack after one load, which may break it at any of its samples."""
    after = cracks.taken(state, load)
    if not bool(_unsure(cracks, state, after, peaks_of(load))):
        return after
    if bool(_reached(cracks, state, load).all()):
        return cracks.broken(after, torch.ones_like(cracks.ended(after)))
    if len(load.samples) < 2:
        return cracks.broken(after, _reached(cracks, after, load) | cracks.ended(after))
    for part in parts_of(load, min(max(int(cracks.hurry(state, after)), 2), MOST_PARTS)):
        state = _in_parts(cracks, state, part)
    return state


def _reached(cracks: Breakable[S], state: S, load: CrackLoad) -> Tensor:
    """Whether (1, p) a sample breaks one crack that does not grow meanwhile."""
    found = cracks.breaks(state, load.samples[:, None], load.companion[:, None])
    return found.any(0, keepdim=True)
