"""Every attack by its name; a new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.end_to_end.harness import Arrangement
from tests.end_to_end.hostile import (
    forecasts,
    half_open,
    headers,
    idle,
    letters,
    listeners,
    one_part,
    readers,
    strangers,
)
from tests.end_to_end.hostile.target import Seen, Target


class Attack(NamedTuple):
    """What is done to a service, and how that is set up; its settings are those of users."""

    run: Callable[[Target], Seen]
    about: str | None
    arrangement: Arrangement = Arrangement()
    parts: int = 4  # the second has retardation, the fourth is a plate, which takes long to step


ATTACKS: dict[str, Attack] = {
    "headers": Attack(headers.attack, headers.__doc__),
    "half-open": Attack(half_open.attack, half_open.__doc__),
    "idle": Attack(idle.attack, idle.__doc__, Arrangement(descriptors=idle.DESCRIPTORS)),
    "listeners": Attack(listeners.attack, listeners.__doc__),
    "readers": Attack(readers.attack, readers.__doc__, parts=2),
    "forecasts": Attack(forecasts.attack, forecasts.__doc__),
    "one-part": Attack(one_part.attack, one_part.__doc__),
    "letters": Attack(letters.attack, letters.__doc__),
    "strangers": Attack(strangers.attack, strangers.__doc__),
}
