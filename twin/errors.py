"""What the hall raises on purpose.

* TwinError
  + SettingsError    a setting or a file cannot be used: say so and stop
  + UnknownError     there is no such component
  + ConflictError    somebody else changed it first
  + UnreadableError  a line of the journal is of another release: say which, and stop
  + OverloadedError  too much is asked at once: come again later
  + BelatedError     it is durable, and believed once what came before it is
"""

from __future__ import annotations

import tomllib


class TwinError(Exception):
    """Anything the hall raises on purpose."""


class SettingsError(TwinError):
    """A setting or a file cannot be used."""


class UnknownError(TwinError):
    """There is no such component."""


class ConflictError(TwinError):
    """Somebody else changed it first."""


class UnreadableError(TwinError):
    """A line of the journal that this release cannot read."""


class OverloadedError(TwinError):
    """Too much is asked at once."""


class BelatedError(TwinError):
    """It is durable, and believed once what came before it is."""


def unreadable(exc: Exception) -> str:
    """Why a file of TOML cannot be read, in words, from what reading it raised."""
    if isinstance(exc, UnicodeDecodeError):
        return f"it is not UTF-8 text, at byte {exc.start}"
    if isinstance(exc, tomllib.TOMLDecodeError):
        return f"it is not TOML: {str(exc)[:1].lower()}{str(exc)[1:]}"
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)
