"""Original images, each under the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage.durable import disk, make_directory, remove_leftovers, write_whole
from storage.errors import CorruptError, MissingError
from storage.space import part

DISK_PART = 2  # all images together take no more than half of the disk
ANY = 1 << 62  # [byte]
LENT = ".lent"  # suffix of a file beside an image: it is not settled whether that stays
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class _Lent:
    """An image of which it is not settled yet whether it stays."""

    is_new: bool  # it was not here before
    times: int = 0  # messages that brought it and are not settled
    kept: bool = False


class ImageStore:
    """A directory of images: `ab/abcdef…`."""

    def __init__(self, directory: Path, *, is_look: bool = False) -> None:
        """Create the directory if need be, remove what a crash left half-written."""
        self._directory = directory
        self._lock = threading.Lock()
        self._lent: dict[str, _Lent] = {}
        with disk():
            if not is_look:
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

    @property
    def most_bytes(self) -> int:
        """What all images may take, by the disk that they lie on."""
        return part(self._directory, DISK_PART, ANY)

    def lend(self, data: bytes, since: int) -> str:
        """Keep an image until it is settled whether the journal refers to it; as `put`.

        No entry before the offset `since` refers to an image that was not here: that is where to
        look for one after a crash.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        with self._lock:
            lent = self._lent.setdefault(sha256, _Lent(is_new=not path.exists()))
            lent.times += 1
        try:
            if lent.is_new:
                with disk():
                    make_directory(path.parent, self._directory)
                    path.with_name(sha256 + LENT).write_text(str(since))  # durable with the image
            return self.put(data)
        except BaseException:
            self.settle(sha256, kept=False)
            raise

    def settle(self, sha256: str, *, kept: bool) -> None:
        """Let an image that was lent stay, or go again unless it was here before.

        It stays while another message that brought the same waits to be settled.
        """
        with self._lock:
            lent = self._lent[sha256]
            lent.times -= 1
            lent.kept |= kept
            if not lent.times:
                del self._lent[sha256]
                if lent.is_new:
                    self.decide(sha256, kept=lent.kept)

    def unsettled(self) -> dict[str, int]:
        """The images that were lent when a process ended, and from where on to look for each."""
        found = {}
        for path in self._directory.glob(f"??/*{LENT}"):
            if (name := path.name.removesuffix(LENT)) not in self._lent:
                with suppress(OSError, ValueError):  # half-written: nothing is known of it
                    found[name] = int(path.read_text())
        return found

    def decide(self, sha256: str, *, kept: bool) -> None:
        """Let an unsettled image stay or go; where the disk refuses, it is unsettled as before."""
        path = self._path(sha256)
        with suppress(OSError):
            if not kept and path.exists():
                size = path.stat().st_size
                path.unlink()
                self._count, self._size = self._count - 1, self._size - size
            path.with_name(sha256 + LENT).unlink(missing_ok=True)

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
            make_directory(path.parent, self._directory)
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
