"""Model states on disk: safetensors files, each either wholly there or not at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from storage.durable import disk, make_directory, remove_leftovers, sync_directory, write_whole
from storage.errors import CorruptError, MissingError

METADATA = "__metadata_bytes__"  # the tensor that holds the caller's bytes
SEAL = "__crc32__"  # and the one that holds a checksum of all others
SUFFIX = ".safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class CheckpointFile(NamedTuple):
    """A file that is durable."""

    name: str
    sha256: str
    size: int  # [byte]


class Checkpoints:
    """A directory of checkpoints."""

    def __init__(self, directory: Path, *, is_look: bool = False) -> None:
        """Create the directory if need be, remove what a crash left half-written."""
        self._directory = directory
        if is_look:
            return
        with disk():
            make_directory(directory)
            remove_leftovers(directory)

    def write(
        self, name: str, tensors: dict[str, np.ndarray], metadata: bytes = b""
    ) -> CheckpointFile:
        """Write a checkpoint durably; raises UnavailableError, and then there is none."""
        path = self._path(name)
        if reserved := {METADATA, SEAL} & tensors.keys():
            raise ValueError(f"{min(reserved)!r} is reserved")
        # safetensors writes the memory as it lies: a strided view would be stored wrongly.
        whole = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        whole[METADATA] = np.frombuffer(metadata, np.uint8)
        data = save(whole | {SEAL: np.array([_crc(whole)], np.uint32)})
        with disk():
            write_whole(path, data)
        return CheckpointFile(name, hashlib.sha256(data).hexdigest(), len(data))

    def read(self, name: str, sha256: str) -> tuple[dict[str, np.ndarray], bytes]:
        """The tensors and metadata of a checkpoint.

        Raises MissingError, UnavailableError, and CorruptError for anything but what was written.
        """
        path = self._path(name)
        if not path.exists():
            raise MissingError(f"there is no checkpoint {name!r}")
        with disk():
            data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise CorruptError(f"checkpoint {name!r} has sha256 {found}, not {sha256}")
        try:
            tensors = load(data)
            metadata = tensors.pop(METADATA).tobytes()
        except (SafetensorError, KeyError) as exc:
            raise CorruptError(f"checkpoint {name!r} is not one of ours: {exc}") from exc
        tensors.pop(SEAL, None)
        return tensors, metadata

    def sealed(self, name: str) -> CheckpointFile:
        """A checkpoint that nobody has the SHA-256 of, by what it says of itself.

        Raises MissingError, UnavailableError, and CorruptError for what is damaged or does not say.
        """
        path = self._path(name)
        if not path.exists():
            raise MissingError(f"there is no checkpoint {name!r}")
        with disk():
            data = path.read_bytes()
        try:
            tensors = load(data)
            crc = int(tensors.pop(SEAL)[0])
        except (SafetensorError, KeyError, IndexError) as exc:
            raise CorruptError(f"checkpoint {name!r} does not say whether it is whole") from exc
        if crc != _crc(tensors):
            raise CorruptError(f"checkpoint {name!r} does not match its checksum")
        return CheckpointFile(name, hashlib.sha256(data).hexdigest(), len(data))

    def names(self) -> list[str]:
        """The checkpoints on disk, by name."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._directory.glob(f"*{SUFFIX}"))

    def keep(self, names: Iterable[str]) -> list[str]:
        """Remove all other checkpoints; their names."""
        doomed = sorted(set(self.names()) - set(names))
        with disk():
            for name in doomed:
                self._path(name).unlink(missing_ok=True)
            sync_directory(self._directory)
        return doomed

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name for a checkpoint")
        return self._directory / f"{name}{SUFFIX}"


def _crc(tensors: dict[str, np.ndarray]) -> int:
    """The checksum of tensors: of their names, forms and bytes."""
    crc = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = crc32(f"{name} {tensor.dtype.str} {tensor.shape}".encode(), crc)
        crc = crc32(tensor.tobytes(), crc)
    return crc
