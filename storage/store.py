"""One data directory: everything that lasts, opened by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.checkpoints import Checkpoints
from storage.durable import disk, make_directory, sync_directory, write_whole
from storage.errors import CorruptError, InUseError, StorageError
from storage.images import Images
from storage.journal import Journal
from storage.trajectories import Trajectories

LAYOUT = 1  # raised by every change that an older program cannot read

_LAYOUT_FILE = "layout"
_LOCK_FILE = "lock"
_TRAJECTORIES = "trajectories.zarr"


class Store:
    """Journal, trajectories, images and checkpoints under one directory."""

    def __init__(self, directory: Path) -> None:
        """Open or create.

        Raises UnavailableError if another process has it or the disk does not obey,
        CorruptError for damage, StorageError for a layout of a newer release.
        """
        self.directory = directory
        with ExitStack() as stack:
            with disk():
                make_directory(directory)
            stack.callback(os.close, _locked(directory / _LOCK_FILE))
            known = _known_layout(directory / _LAYOUT_FILE)
            if known and not (directory / "journal.sqlite").exists():
                raise CorruptError(f"{directory / 'journal.sqlite'} is gone")
            self.journal = Journal(directory / "journal.sqlite")
            stack.callback(self.journal.close)
            _settle(directory, _generation(self.journal))
            _clear(directory, _generation(self.journal))
            self.trajectories = Trajectories(directory / _TRAJECTORIES)
            self.images = Images(directory / "images")
            self.checkpoints = Checkpoints(directory / "checkpoints")
            if not known:  # last, so that a layout file means that there is a journal
                with disk():
                    write_whole(directory / _LAYOUT_FILE, f"{LAYOUT}\n".encode())
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close everything and let others in; may be called twice."""
        self._stack.close()

    def verify(self) -> list[str]:
        """Everything that is wrong on disk, one sentence each; reads all of it."""
        return [problem for found in self.findings().values() for problem in found]

    def findings(self) -> dict[str, list[str]]:
        """Everything that is wrong on disk, by where it is; reads all of it."""
        found = {"journal": self.journal.verify(), "trajectory": list[str]()}
        for name in self.trajectories.groups():
            found["trajectory"] += self.trajectories.verify(name)
        found["checkpoints"] = []
        for kept in self.journal.catalogue.checkpoints():
            try:
                self.checkpoints.read(kept.name, kept.sha256)
            except StorageError as exc:
                found["checkpoints"].append(str(exc))
        return found | {"images": self.images.verify()}

    def aside(self, generation: int) -> Trajectories:
        """An empty trajectory beside the one that counts, for another order of the journal."""
        path = _aside(self.directory, generation)
        with disk():
            shutil.rmtree(path, ignore_errors=True)
        return Trajectories(path)

    def settle(self, generation: int) -> None:
        """Let the trajectory of an order take the place of the one before.

        The catalogue says by now that this order counts: what a crash leaves undone here is done
        at the next opening. May be called again after UnavailableError.
        """
        self.trajectories.exchanged(lambda: _settle(self.directory, generation))
        self.discard()

    def discard(self) -> None:
        """Remove trajectories of orders that never counted."""
        _clear(self.directory, _generation(self.journal))

    def keep_checkpoints(self, count: int) -> list[str]:
        """Remove all but the newest checkpoints, from the catalogue first; their names."""
        kept = self.journal.catalogue.checkpoints()
        for old in kept[count:]:
            self.journal.catalogue.remove_checkpoint(old.name)
        return self.checkpoints.keep(new.name for new in kept[:count])


def _aside(directory: Path, generation: int) -> Path:
    return directory / f"trajectories.{generation}.zarr"


def _settle(directory: Path, generation: int) -> None:
    """Put the trajectory of the order that counts in its place, if it still lies beside it."""
    aside, place = _aside(directory, generation), directory / _TRAJECTORIES
    with disk():
        if not aside.exists():
            return
        if place.exists():
            old = directory / "trajectories.old.zarr"
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
        aside.rename(place)
        sync_directory(directory)


def _clear(directory: Path, generation: int) -> None:
    """Remove trajectories beside the one in its place, but that of the order that counts."""
    with disk():
        for path in directory.glob("trajectories.*.zarr"):
            if path != _aside(directory, generation):
                shutil.rmtree(path, ignore_errors=True)


def _generation(journal: Journal) -> int:
    order = journal.catalogue.order()
    return 0 if order is None else order.generation


def _locked(path: Path) -> int:
    """A descriptor that holds the lock as long as it, or the process, lives."""
    with disk():
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise InUseError(f"another process uses {path.parent}") from exc
    return descriptor


def _known_layout(path: Path) -> bool:
    with disk():
        text = path.read_text(errors="replace").strip() if path.exists() else ""
    if not path.exists():
        return False
    layout = -1
    with suppress(ValueError):
        layout = int(text)
    if layout > LAYOUT:
        raise StorageError(
            f"{path.parent} has layout {layout}, this program reads {LAYOUT}: "
            "use the release that wrote it"
        )
    if layout != LAYOUT:
        raise CorruptError(f"{path} holds {text!r}, not a layout")
    return True
