"""One data directory: everything that lasts, opened by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.checkpoints import Checkpoints
from storage.durable import disk, make_directory, sync_directory, write_whole
from storage.errors import CorruptError, InUseError, StorageError
from storage.images import ImageStore
from storage.journal.journal import Journal
from storage.journal.seal import SUFFIX
from storage.quarantine import set_aside
from storage.trajectories.trajectories import COPIES, Trajectories, copies_of

LAYOUT = 1  # raised by every change that an older program cannot read

JOURNAL = "journal.sqlite"
LAYOUT_FILE = "layout"
_LOCK_FILE = "lock"
_TRAJECTORIES = "trajectories.zarr"


def latest_state(directory: Path) -> int:
    """The last line that any checkpoint in a directory is of, by their names; 0: of none."""
    names = Checkpoints(directory / "checkpoints", is_look=True).names()
    offsets = (name.split("-")[0] for name in names)
    return max((int(offset) for offset in offsets if offset.isdecimal()), default=0)


def beyond(reached: int, end: int) -> str | None:
    """What is lost where a checkpoint is of a line behind the end of the journal."""
    if reached <= end:
        return None
    return (
        f"the journal ends at line {end}, and there is a checkpoint of line {reached}: what was "
        "acknowledged between them is gone, with its log or because an older one was put back"
    )


class Store:
    """Journal, trajectories, images and checkpoints under one directory."""

    def __init__(self, directory: Path, *, is_look: bool = False) -> None:
        """Open or create; with `is_look` nothing is created or changed.

        Raises UnavailableError if another process has it or the disk does not obey,
        CorruptError for damage, StorageError for a layout of a newer release. What is damaged
        and did not keep it from being opened is in `damage`.
        """
        self.directory = directory
        if is_look:
            self._look(directory)
            return
        with ExitStack() as stack:
            with disk():
                make_directory(directory)
            stack.callback(os.close, _locked(directory / _LOCK_FILE))
            known, said = _known_layout(directory / LAYOUT_FILE)
            _require_journal(directory, is_known=known or said is not None)
            self.journal = Journal(directory / JOURNAL)
            stack.callback(self.journal.close)
            self.damage = [*self.journal.damage, *_layout_damage(said, self.journal, known=known)]
            _settle(directory, _generation(self.journal))
            _clear(directory, _generation(self.journal))
            self.trajectories = Trajectories(directory / _TRAJECTORIES)
            self.images = ImageStore(directory / "images")
            self.checkpoints = Checkpoints(directory / "checkpoints")
            if not known:  # last, so that a layout file means that there is a journal
                with disk():
                    write_whole(directory / LAYOUT_FILE, f"{LAYOUT}\n".encode())
                    self.journal.catalogue.put_layout(LAYOUT)
            self._stack = stack.pop_all()

    def _look(self, directory: Path) -> None:
        """Open everything to be looked at."""
        with ExitStack() as stack:
            if (directory / _LOCK_FILE).exists():
                stack.callback(os.close, _locked(directory / _LOCK_FILE))
            known, said = _known_layout(directory / LAYOUT_FILE)
            _require_journal(directory, is_known=known or said is not None)
            self.journal = Journal(directory / JOURNAL, is_look=True)
            stack.callback(self.journal.close)
            self.damage = [*self.journal.damage, *_layout_damage(said, self.journal, known=known)]
            aside = _aside(directory, _generation(self.journal))
            place = aside if aside.exists() else directory / _TRAJECTORIES
            self.trajectories = Trajectories(place, is_look=True)
            self.images = ImageStore(directory / "images", is_look=True)
            self.checkpoints = Checkpoints(directory / "checkpoints", is_look=True)
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
        found["journal"] += [text for text in self.damage if text not in self.journal.damage]
        if (lost := beyond(latest_state(self.directory), self.journal.end)) is not None:
            found["journal"].append(f"{self.directory / JOURNAL}: {lost}")
        known = self.journal.catalogue.arrays()
        for name in sorted({*self.trajectories.groups(), *self.trajectories.copies(), *known}):
            found["trajectory"] += self._of_group(name, known.get(name, 0))
        found["checkpoints"] = []
        for kept in self.journal.catalogue.checkpoints():
            try:
                self.checkpoints.read(kept.name, kept.sha256)
            except StorageError as exc:
                found["checkpoints"].append(str(exc))
        return found | {"images": self.images.verify()}

    def _of_group(self, name: str, rows: int) -> list[str]:
        """What is wrong with a group that is known to have had so many rows."""
        problems = self.trajectories.verify(name)
        try:
            committed = self.trajectories.committed(name)
        except StorageError:
            return problems
        if committed < rows:
            problems.append(f"group {name!r} has {committed} rows of the {rows} that were written")
        return problems

    def set_group_aside(self, name: str) -> Path:
        """Put a group of the trajectory that cannot be read into quarantine; where it lies now."""
        kept = set_aside(self.directory / _TRAJECTORIES / name, self.directory)
        self.trajectories.forget(name)
        return kept

    def aside(self, generation: int) -> Trajectories:
        """An empty trajectory beside the one that counts, for another order of the journal."""
        path = _aside(self.directory, generation)
        with disk():
            shutil.rmtree(path, ignore_errors=True)
            shutil.rmtree(copies_of(path), ignore_errors=True)
            make_directory(path, self.directory)
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
            shutil.rmtree(copies_of(place), ignore_errors=True)
        aside.rename(place)
        if (copies := copies_of(aside)).exists():
            copies.rename(copies_of(place))
        sync_directory(directory)


def _clear(directory: Path, generation: int) -> None:
    """Remove trajectories beside the one in its place, but that of the order that counts."""
    with disk():
        kept = _aside(directory, generation)
        for pattern in ("trajectories.*.zarr", f"{COPIES}/trajectories.*"):
            for path in directory.glob(pattern):
                if path not in (kept, copies_of(kept)):
                    shutil.rmtree(path, ignore_errors=True)


def _generation(journal: Journal) -> int:
    order = journal.catalogue.order()
    return 0 if order is None else order.generation


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Nobody else uses the store at `directory`; raises UnavailableError. Creates nothing."""
    path = directory / _LOCK_FILE
    descriptor = _locked(path) if path.exists() else None
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(path: Path) -> int:
    """A descriptor that holds the lock as long as it, or the process, lives."""
    with disk():
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            if exc.errno not in (errno.EROFS, errno.ENOSPC) or not path.exists():
                raise
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a lock needs no writing
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise InUseError(f"another process uses {path.parent}") from exc
    return descriptor


def _require_journal(directory: Path, *, is_known: bool) -> None:
    """Raises CorruptError for a store without its journal, which is made before all else."""
    path = directory / JOURNAL
    if path.exists():
        return
    others = (
        path.with_suffix(SUFFIX).name,
        f"{JOURNAL}-wal",
        _TRAJECTORIES,
        "images",
        "checkpoints",
    )
    parts = [name for name in others if (directory / name).exists()]
    if is_known or parts:
        left = ", ".join([*parts, *([LAYOUT_FILE] if is_known else [])])
        raise CorruptError(
            f"{path} is gone, of the store that was here {left} is left: put the journal back "
            f"from a copy; to begin anew, move {directory} away"
        )


def _known_layout(path: Path) -> tuple[bool, str | None]:
    """Whether the layout is ours, and what the file says if it is not."""
    if not path.exists():
        return False, None
    with disk():
        text = path.read_text(errors="replace").strip()
    return (True, None) if text == str(LAYOUT) else (False, text)


def _layout_damage(said: str | None, journal: Journal, *, known: bool) -> list[str]:
    """What there is to tell of the file that names the layout; the journal knows it too.

    Raises StorageError for a layout of a newer release.
    """
    path = journal.path.with_name(LAYOUT_FILE)
    wanted = journal.catalogue.layout()
    named = int(said) if said is not None and said.isdecimal() and said.isascii() else 0
    is_flipped = wanted == LAYOUT and (named ^ LAYOUT).bit_count() == 1  # of one digit
    if wanted > LAYOUT or (named > LAYOUT and not is_flipped):
        layout = max(wanted, named)
        raise StorageError(
            f"{path.parent} has layout {layout}, this program reads {LAYOUT}: "
            "use the release that wrote it"
        )
    if said is not None:
        return [f"{path} held {said[:40]!r}, not {LAYOUT}: a start writes it again"]
    if not known and wanted:
        return [f"{path} was gone: a start writes it again"]
    return []
