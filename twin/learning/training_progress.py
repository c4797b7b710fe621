"""A training that is under way, in a file: written aside, fsynced, renamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models.training import Progress, packed, unpacked
from storage.durable import ASIDE, put_in_place
from twin.errors import ConflictError
from twin.learning.output_paths import written

BEST, NOW = "best/", "weights/"  # how `packed` names its leaves

Identity = dict[str, Any]  # JSON; all that the weights of a run depend on


def keep(path: Path, progress: Progress, identity: Identity, cpu_s: float) -> None:
    """Write progress, and the CPU-seconds that it took; the file is whole at any time.

    SettingsError where the disk does not obey.
    """
    leaves = packed(progress)
    if progress.best is progress.weights:  # a file does not hold a leaf under two names
        leaves = {name: leaf for name, leaf in leaves.items() if not name.startswith(BEST)}
    aside = path.with_name(path.name + ASIDE)
    page = {"run": json.dumps(identity), "cpu_s": str(cpu_s)}
    with written(path):
        save_file({name: leaf.contiguous() for name, leaf in leaves.items()}, aside, page)
        put_in_place(aside, path)


def kept(path: Path, identity: Identity) -> tuple[Progress | None, float]:
    """Progress and CPU-seconds, if there are any; ConflictError where they are another run's."""
    if not path.exists():
        return None, 0.0
    try:
        with safe_open(path, framework="pt") as file:
            page = file.metadata() or {}
            found, cpu_s = json.loads(page["run"]), float(page["cpu_s"])
            leaves = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, OSError, KeyError, ValueError) as exc:
        raise ConflictError(f"{path} is there and is no progress of a training: {exc}") from exc
    same(path, found, identity)
    if not any(name.startswith(BEST) for name in leaves):
        leaves |= {BEST + k.removeprefix(NOW): v for k, v in leaves.items() if k.startswith(NOW)}
    return unpacked(leaves), cpu_s


def same(path: Path, found: Identity, identity: Identity) -> None:
    """ConflictError where the run at `path` is not that of `identity`."""
    different = [key for key, value in identity.items() if found.get(key) != value]
    if different:
        raise ConflictError(f"{path} is of another run: {', '.join(different)} differ")
