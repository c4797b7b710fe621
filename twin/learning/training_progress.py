"""A training that is under way: what the loop knows of it, and what its file holds."""

from __future__ import annotations

from pathlib import Path

from models.training import Progress, packed, unpacked
from storage.artifacts import progress
from storage.artifacts.progress import Identity, Kept
from storage.errors import CorruptError
from twin.errors import ConflictError
from twin.learning.output_paths import written
from twin.networks import leaves, tensors

BEST, NOW = "best/", "weights/"  # how `packed` names its leaves


def keep(path: Path, now: Progress, identity: Identity, cpu_s: float) -> None:
    """Write progress, and the CPU-seconds that it took; the file is whole at any time.

    Raises SettingsError where it cannot be written.
    """
    found = packed(now)
    if now.best is now.weights:  # kept once
        found = {name: leaf for name, leaf in found.items() if not name.startswith(BEST)}
    with written(path):
        progress.keep(path, Kept(identity, leaves(found), cpu_s))


def kept(path: Path, identity: Identity) -> tuple[Progress | None, float]:
    """Progress and CPU-seconds, if there are any; ConflictError where they are another run's."""
    try:
        found = progress.read(path)
    except CorruptError as exc:
        raise ConflictError(str(exc)) from exc
    if found is None:
        return None, 0.0
    same(path, found.identity, identity)
    own = tensors(found.leaves)
    if not any(name.startswith(BEST) for name in own):
        own |= {BEST + k.removeprefix(NOW): v for k, v in own.items() if k.startswith(NOW)}
    try:
        return unpacked(own), found.cpu_s
    except KeyError as exc:
        raise ConflictError(f"{path} is there and is no progress of a training: {exc}") from exc


def same(path: Path, found: Identity, identity: Identity) -> None:
    """ConflictError where the run at `path` is not that of `identity`."""
    different = [key for key, value in identity.items() if found.get(key) != value]
    if different:
        raise ConflictError(f"{path} is of another run: {', '.join(different)} differ")
