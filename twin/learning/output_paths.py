"""Where a command is to write, tried before its work begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.durable import make_directory
from storage.errors import UnavailableError
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
    """Turn a failed write inside the block into a SettingsError."""
    try:
        yield
    except (OSError, UnavailableError) as exc:
        cause = exc.__cause__ if isinstance(exc, UnavailableError) else exc
        reason = cause.strerror if isinstance(cause, OSError) else None
        raise SettingsError(f"{path} cannot be written: {reason or exc}") from exc
