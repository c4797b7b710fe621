"""What a backup consists of: every file with its size and SHA-256, and the moment it is of.

The last line of the file is the SHA-256 of all before it. It is written last: a directory without
it is no backup.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from storage.durable import disk, write_whole
from storage.errors import CorruptError, MissingError, StorageError

MANIFEST = "manifest.json"
FORM = 1  # raised by every change that an older program cannot read
_SEAL = 65  # bytes of the last line
_LATEST_NS = 2**63 - 1


class BackedUpFile(msgspec.Struct, frozen=True):
    """A file of a backup."""

    size: int  # [byte]
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of, and what it consists of."""

    form: int = FORM
    release: str  # that made it
    source: str  # the directory that was copied
    made_ns: Annotated[int, msgspec.Meta(ge=0, le=_LATEST_NS)]
    start: int  # the first offset that is kept
    end: int  # the offset behind the last line
    committed_ns: Annotated[
        int, msgspec.Meta(ge=0, le=_LATEST_NS)
    ]  # when its last line was committed, 0 for none
    dead_letters: int  # the number of the last one
    rows: dict[str, int]  # of each group of the trajectory
    checkpoints: list[str]  # newest first
    damage: list[str]  # what was damaged in the source, and is so here
    files: dict[str, BackedUpFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def write(directory: Path, manifest: Manifest) -> None:
    """Let a directory be a backup; raises UnavailableError."""
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    with disk():
        write_whole(directory / MANIFEST, body + _seal(body))


def read(directory: Path) -> Manifest:
    """The manifest of a backup.

    Raises MissingError where there is none, CorruptError, StorageError for a later form.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise MissingError(f"{directory} is no backup: there is no {MANIFEST} in it")
    with disk():
        data = path.read_bytes()
    body, seal = data[:-_SEAL], data[-_SEAL:]
    if _seal(body) != seal:
        raise CorruptError(f"{path} is damaged: it is not what was written")
    try:
        form = msgspec.json.decode(body, type=dict[str, object]).get("form")
        if form != FORM:
            raise StorageError(f"{path} has form {form}, this program reads {FORM}")
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise CorruptError(f"{path} is no manifest of a backup: {exc}") from exc


def _seal(body: bytes) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}\n".encode()


def files(directory: Path) -> Iterator[str]:
    """The files in a directory, but for the manifest, by their names within it."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if name != MANIFEST and not path.is_dir():
            yield name


def differing(directory: Path, manifest: Manifest) -> list[str]:
    """The files that are missing, too many or of another size, a sentence each; reads none."""
    found, there = [], set(files(directory))
    for name, file in manifest.files.items():
        path = directory / name
        if name not in there:
            found.append(f"{path} is gone")
        elif path.is_symlink() or not path.is_file():
            found.append(f"{path} is not a plain file")
        elif (size := path.stat().st_size) != file.size:
            found.append(f"{path} has {size} bytes, and had {file.size}")
    found += [
        f"{directory / name} is not part of the backup"
        for name in sorted(there)
        if name not in manifest.files
    ]
    return found
