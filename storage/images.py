"""Original images, each under the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from storage.durable import disk, make_directory, remove_leftovers, write_whole
from storage.errors import CorruptError, MissingError

_SHA = re.compile(r"[0-9a-f]{64}")


class Images:
    """A directory of images: `ab/abcdef…`."""

    def __init__(self, directory: Path) -> None:
        """Create the directory if need be, remove what a crash left half-written."""
        self._directory = directory
        with disk():
            make_directory(directory)
            remove_leftovers(directory)
            kept = [path.stat().st_size for path in self._paths()]
        self._count, self._size = len(kept), sum(kept)

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return self._size

    def put(self, data: bytes) -> str:
        """Keep an image durably; its SHA-256. Again with the same bytes, nothing happens.

        How large one may be is decided at the door. Raises UnavailableError.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        with disk():
            before = path.stat().st_size if path.exists() else None
            if before is not None and path.read_bytes() == data:
                return sha256
            make_directory(path.parent)
            write_whole(path, data)
        self._count += before is None
        self._size += len(data) - (before or 0)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes of an image; raises MissingError, CorruptError, UnavailableError."""
        path = self._path(sha256)
        if not path.exists():
            raise MissingError(f"there is no image {sha256}")
        with disk():
            data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise CorruptError(f"image {sha256} has sha256 {found}")
        return data

    def names(self) -> list[str]:
        """The SHA-256 of every image."""
        return [path.name for path in self._paths()]

    def verify(self) -> list[str]:
        """The images that are not those that were put, one sentence each; reads all of them."""
        problems = []
        for path in self._paths():
            try:
                self.get(path.name)
            except CorruptError as exc:
                problems.append(str(exc))
        return problems

    def _paths(self) -> list[Path]:
        return [path for path in self._directory.glob("??/*") if _SHA.fullmatch(path.name)]

    def _path(self, sha256: str) -> Path:
        if not _SHA.fullmatch(sha256):
            raise MissingError(f"{sha256!r} is not the SHA-256 of an image")
        return self._directory / sha256[:2] / sha256
