"""A training that is under way, in a file that is whole at any time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as packed

from storage.artifacts.weights import Leaves
from storage.durable import disk, write_whole
from storage.errors import CorruptError

Identity = dict[str, Any]  # JSON; all that the weights of a run depend on


class Kept(NamedTuple):
    """What is kept of a run."""

    identity: Identity
    leaves: Leaves
    cpu_s: float  # that it took so far


def keep(path: Path, kept: Kept) -> None:
    """Write the progress of a run durably; raises UnavailableError."""
    page = {"run": json.dumps(kept.identity), "cpu_s": str(kept.cpu_s)}
    with disk():
        write_whole(path, packed(kept.leaves, page))


def read(path: Path) -> Kept | None:
    """The progress at `path`, if there is any; raises CorruptError for what is none."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            page = file.metadata() or {}
            leaves = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
            return Kept(json.loads(page["run"]), leaves, float(page["cpu_s"]))
    except (SafetensorError, OSError, KeyError, ValueError) as exc:
        raise CorruptError(f"{path} is there and is no progress of a training: {exc}") from exc
