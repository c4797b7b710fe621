"""A directory that is made under another name beside its place, and renamed when it is whole.

So what has the name of a store or of a backup is one, whenever its making is cut off.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.durable import disk, sync_directory
from storage.errors import StorageError
from twin.errors import SettingsError

UNFINISHED = ".unfinished"  # the suffix of what is being made
LOCK = "making"  # in it, locked as long as it is


@contextmanager
def made_aside(to: Path) -> Iterator[Path]:
    """An empty directory beside `to`, which is gone afterwards unless `take_place` had it.

    Raises SettingsError where somebody else makes it, or something else has its name.
    """
    aside = to.with_name(to.name + UNFINISHED)
    _require_own(aside)
    with disk():
        aside.mkdir(exist_ok=True)
        descriptor = os.open(aside / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise SettingsError(f"another command is just making {aside}") from exc
        with disk():
            _emptied(aside)  # of one that was cut off
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        os.close(descriptor)


def take_place(aside: Path, to: Path) -> None:
    """Let what is whole have its name; raises StorageError where something has it by now."""
    with disk():
        (aside / LOCK).unlink()
        sync_directory(aside)
        if os.path.lexists(to) and not (to.is_dir() and not any(to.iterdir())):
            raise StorageError(f"{to} was made by somebody else meanwhile")
        aside.rename(to)
        sync_directory(to.absolute().parent)


def _require_own(aside: Path) -> None:
    """Raises SettingsError for what no command of ours has left: it is not to be removed."""
    if not os.path.lexists(aside):
        return
    is_place = aside.is_dir() and not aside.is_symlink()
    if is_place and ((aside / LOCK).is_file() or not any(aside.iterdir())):
        return
    raise SettingsError(
        f"{aside} is there, and no command of the twin has left it: under that name things are "
        "made before they get their own. Move it away, or name another place"
    )


def _emptied(aside: Path) -> None:
    for path in aside.iterdir():
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
