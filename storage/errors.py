"""What can go wrong on disk, by what the caller does about it.

* StorageError
  + UnavailableError  the disk is full or does not obey: stop acknowledging, retry
    - InUseError      another process has the store: stop it, or name another
  + CorruptError      bytes are not those that were written: report, rebuild from the journal
  + MissingError      there is no such thing: tell who asked
"""

from __future__ import annotations


class StorageError(Exception):
    """Anything the storage room raises on purpose."""


class UnavailableError(StorageError):
    """The disk is full, or writing or fsync failed; nothing was acknowledged."""


class CorruptError(StorageError):
    """Bytes on disk are not those that were written."""


class MissingError(StorageError):
    """There is no such checkpoint, image, array or dead letter."""


class InUseError(UnavailableError):
    """Another process has the store."""


def complaint(exc: OSError) -> str:
    """What the operating system complains about, as people say it: no `[Errno 28]` before it."""
    if not exc.strerror:
        return str(exc)
    return exc.strerror if exc.filename is None else f"{exc.strerror}: {exc.filename}"
