"""The store that a service opens: never a fresh one where there was one before.

A disk that is not mounted leaves an empty directory, which looks like a first start. So a service
leaves a mark beside its data once it has some; and the setting `storage.expect_store` tells the
same where the mark would be lost with the disk.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import structlog

from storage.durable import write_whole
from storage.store import Store
from storage.swapping import holds_store, left_beside, settled
from twin.errors import SettingsError
from twin.settings import StorageTable

log = structlog.get_logger()

_MARK = """\
The twin keeps its data in the directory {name}, which is beside this file. If that is missing or
empty, twin serve refuses to begin anew: a disk may not be mounted. To begin anew on purpose,
remove this file.
"""


def opened(settings: StorageTable) -> Store:
    """The store of a service; raises SettingsError where one is expected and none is there."""
    directory = settings.directory.absolute()
    if (said := settled(directory)) is not None:
        log.warning("swap_settled", what=said)
    if not holds_store(directory) and (expected := _expected(settings, directory)) is not None:
        raise SettingsError(expected)
    store = Store(settings.directory)
    with suppress(OSError):  # where nothing can be written beside the data, the setting has to do
        if not mark(directory).exists():
            write_whole(mark(directory), mark_text(directory))
    return store


def mark_text(directory: Path) -> bytes:
    """What the file says that says that there was a store."""
    return _MARK.format(name=directory.name).encode()


def mark(directory: Path) -> Path:
    """The file that says that there was a store."""
    return directory.with_name(f"{directory.name}.expected")


def absent(directory: Path) -> str:
    """That there are no data in a directory, and where they may be."""
    place = directory.absolute()
    what = f"{directory} holds no data of a twin: no journal.sqlite"
    if not directory.is_dir():
        what = f"there is no data directory {directory}"
    if left := left_beside(place):
        return f"{what}; {left[-1]} is there: mv {left[-1]} {place}"
    if mark(place).exists():
        return f"{what}, and {mark(place).name} says that there were: is its disk not mounted?"
    return what


def _expected(settings: StorageTable, directory: Path) -> str | None:
    """Why a store should be in a directory that holds none, and what to do."""
    if left := left_beside(directory):
        return (
            f"{directory} holds no store, but {left[-1]} does, which a rebuild or somebody has put "
            f"there: mv {left[-1]} {directory} brings it back; to begin anew, move it away"
        )
    if mark(directory).exists():
        return (
            f"{directory} holds no store, and there was one: is its disk not mounted, or was it "
            f"moved? Put it back; to begin anew, remove {mark(directory)}"
        )
    if settings.expect_store:
        return (
            f"{directory} holds no store, and storage.expect_store says that there is one: is its "
            "disk not mounted? For the first start leave the setting out"
        )
    return None
