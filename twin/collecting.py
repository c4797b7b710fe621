"""When Python looks for garbage: not while very many things are made that stay.

A collection walks all that there is. While a hundred thousand registrations are read, each of them
some dozens of objects, it does so again and again, finds nothing, and takes longer than the work.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 1000  # registrations that are not walked again later on


@contextmanager
def uncollected() -> Iterator[None]:
    """Let nothing be collected meanwhile."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settle(registrations: int) -> None:
    """Let no later collection walk what is there now, if that is much: it would stop the loop."""
    if registrations >= MANY:
        gc.freeze()
