"""Resumable commands: on SIGINT or SIGTERM, stop cleanly and say how to resume."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

BY_SIGNAL = 128  # a shell adds the number of the signal to it


class _Stopped(BaseException):
    """SIGTERM, where it would have ended the process on the spot."""


@contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Work whose progress lies at `path`; SIGINT and SIGTERM end it in order, once.

    A second SIGTERM ends the process at once. The exit code is 130 or 143.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt:
        _leave(path, signal.SIGINT)
    except _Stopped:
        _leave(path, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise _Stopped


def _leave(path: Path, number: signal.Signals) -> None:
    typer.echo(
        f"twin: interrupted by {number.name}; run the same command to resume {path}", err=True
    )
    raise typer.Exit(BY_SIGNAL + number)
