"""When a service is killed: at any moment, as it writes, or while it comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

import numpy as np

from tests.end_to_end.harness import Twin

LIFE_S = 1.5  # the longest between readiness and a kill anywhere
PHASE_S = 0.1  # the longest between the first sign of a write and the kill
WAIT_S = 120.0  # for a life to leave something behind, on a machine that others use too
PATIENCE_S = 10.0  # the longest wait for such a sign
LINES = 60  # that a life at least adds to the journal
FSYNC_S = 0.004  # so much longer every fsync takes, so that a kill finds something under way

Moment = Literal["anywhere", "flushing", "starting", "checkpointing", "rebuilding"]
MOMENTS: tuple[Moment, ...] = ("anywhere", "flushing", "starting", "checkpointing", "anywhere")


def chances(moments: Sequence[Moment], kills: int, seed: int) -> Iterator[tuple[Moment, float]]:
    """The moments in turn, each with a number below one that says how far in."""
    drawn = np.random.default_rng(seed).random(kills).tolist()
    return zip(islice(cycle(moments), kills), drawn, strict=True)


def kill(twin: Twin, moment: Moment, chance: float, start_s: float, lines: int = LINES) -> None:
    """Kill at a chosen kind of moment, of a life that has left something behind."""
    if moment == "starting":
        time.sleep(chance * start_s)
        twin.kill()
        return
    wanted, checkpoints = twin.journal_end() + lines, _checkpoints(twin)
    twin.until(lambda: twin.journal_end() >= wanted, f"keeps {lines} more lines", WAIT_S)
    twin.until(lambda: not _checkpoints(twin) <= checkpoints, "writes a checkpoint", WAIT_S)
    if moment == "flushing":
        watch(twin.data, "trajectories.zarr/crack/*/c/*/*.aside")
    elif moment == "checkpointing":
        watch(twin.data, "checkpoints/*.aside")
    time.sleep(chance * (LIFE_S if moment == "anywhere" else PHASE_S))
    twin.kill()


def _checkpoints(twin: Twin) -> set[str]:
    return {path.name for path in (twin.data / "checkpoints").glob("*.safetensors")}


def watch(directory: Path, pattern: str) -> None:
    """Wait, closely, for a file; not for ever: a kill at another moment is a kill as well."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and next(directory.glob(pattern), None) is None:
        pass
