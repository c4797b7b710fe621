"""Where a command is to write, tried before its work begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from storage.durable import make_directory
from twin.errors import SettingsError


def folder_to_write(path: Path) -> None:
    """Make the folder if it is not there; SettingsError where no file can be made in it."""
    with written(path):
        make_directory(path)
        tempfile.TemporaryFile(dir=path).close()


def file_to_write(path: Path) -> None:
    """SettingsError where no file can be written at `path`; what is there stays as it is."""
    with written(path):
        there = path.exists()
        path.open("ab").close()
        if not there:
            path.unlink()


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Where the disk does not obey in here it says so by SettingsError."""
    try:
        yield
    except (OSError, SafetensorError) as exc:  # the latter is what safetensors makes of the former
        reason = (exc.strerror if isinstance(exc, OSError) else None) or exc
        raise SettingsError(f"{path} cannot be written: {reason}") from exc
