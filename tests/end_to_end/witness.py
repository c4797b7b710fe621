"""What a service has answered, held against its later answers and against the fold of its journal.

An era is the time between two rebuilds in place, which bring the lines into another order: within
one, a state that was told at an offset is that of the fold up to there, and a history only grows.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from storage.journal.entry import Entry
from tests.end_to_end.clients import AwayError, Door
from twin.belief.fleet import EMPTY, Clock, Fleet
from twin.belief.fold import folded
from twin.belief.lines import lines
from twin.belief.record import RecordRow
from twin.kinds.crack_fields import FIELDS as RECORDED

STATES = 6  # the last ones of each life that are held against the fold
FIELDS = ("crack_length", "crack_length_sd", "growth_rate", "open_growth", "cycles")
HISTORY = ("crack_length", "cycles", "growth_rate")
_DTYPES = {field.name: field.dtype for field in RECORDED}


class Told(NamedTuple):
    """A state as it was told."""

    component: str
    offset: int
    values: tuple[float | None, ...]  # of `FIELDS`, and whether it has broken


class Witness:
    """Asks on and on, and remembers."""

    def __init__(self, door: Door, components: Sequence[str], pictured: str, seed: int) -> None:
        self.faults: list[str] = []
        self.answers = 0
        self.compared = 0  # states and rows that were held against a fold
        self._door, self._components, self._pictured = door, list(components), pictured
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()  # held from a question until its answer is remembered
        self._life: list[Told] = []
        self._states: set[Told] = set()
        self._histories: dict[str, dict[str, list[Any]]] = {}
        self._revisions: dict[str, int] = {}
        self._pictures: set[str] = set()
        self._offset = 0
        self._is_held = False

    def turn(self) -> None:
        """Ask for a state, a registration, a history and the pictures, as far as it is there."""
        name = self._components[int(self._random.integers(len(self._components)))]
        here = f"/api/v1/components/{name}"
        try:
            self._ask(f"{here}/state", self._saw_state)
            self._ask(here, self._saw_component)
            self._ask(f"{here}/history?fields={','.join(HISTORY)}&limit=100000", self._saw_history)
            if self._random.random() < 0.2:
                about = f"/api/v1/components/{self._pictured}/images"
                self._ask(f"{about}?limit=1000", self._saw_pictures)
                for sha256 in sorted(self._pictures)[:2]:
                    self._look(f"{about}/{sha256}", sha256)
        except AwayError:
            return

    def died(self) -> None:
        """The service was killed: the last that it told counts most."""
        with self._still():
            self._states |= set(self._life[-STATES:])
            self._life.clear()

    def _still(self) -> AbstractContextManager[object]:
        """While nothing is being asked."""
        return nullcontext() if self._is_held else self._lock

    def turned(self, entries: Sequence[Entry], clock: Clock) -> None:
        """An era has ended, with these lines: hold all that was told in it against their fold."""
        self.died()
        with self._still():
            self.faults += self._held(entries, clock)
            self._states.clear()
            self._histories.clear()

    def hold(self) -> None:
        """Ask nothing until an era has been seen to end, or to go on."""
        if not self._is_held:
            self._lock.acquire()
            self._is_held = True

    def release(self) -> None:
        """Ask again."""
        if self._is_held:
            self._is_held = False
            self._lock.release()

    def _ask(self, path: str, saw: Any) -> None:
        with self._lock:
            said = self._door.ask("GET", path)
            if said.status != 200:
                self.faults.append(f"GET {path}: {said.status} {said.body.decode()}")
                return
            self.answers += 1
            saw(said.json())

    def _look(self, path: str, sha256: str) -> None:
        with self._lock:
            said = self._door.ask("GET", path)
            self.answers += 1
            if hashlib.sha256(said.body).hexdigest() != sha256:
                self.faults.append(f"GET {path}: {said.status}, another picture")

    def _saw_state(self, page: dict[str, Any]) -> None:
        if page["offset"] < self._offset:
            self.faults.append(f"offset {page['offset']} is told after {self._offset}")
        self._offset = max(self._offset, page["offset"])
        values = (*(page[field] for field in FIELDS), float(page["fractured"]))
        self._life.append(Told(page["component"], page["offset"], values))

    def _saw_component(self, page: dict[str, Any]) -> None:
        name, revision = page["component"], page["revision"]
        if revision < self._revisions.get(name, 0):
            self.faults.append(f"{name} has revision {revision} after {self._revisions[name]}")
        self._revisions[name] = revision

    def _saw_history(self, page: dict[str, Any]) -> None:
        name, columns = page["component"], page["columns"]
        before = self._histories.get(name, {field: [] for field in columns})
        count = len(before["time"])
        for field, values in columns.items():
            if values[:count] != before[field]:
                self.faults.append(f"{field} of {name} was told otherwise before")
        self._histories[name] = columns

    def _saw_pictures(self, page: dict[str, Any]) -> None:
        told = {item["sha256"] for item in page["items"]}
        if page["complete"] and not self._pictures <= told:
            self.faults.append(f"{len(self._pictures - told)} pictures are not told of any more")
        self._pictures |= told

    def _held(self, entries: Sequence[Entry], clock: Clock) -> list[str]:
        """What was told otherwise than the fold of these lines gives it."""
        fleet, rows, faults = EMPTY, list[RecordRow](), list[str]()
        told: dict[int, list[Told]] = {}
        for state in self._states:
            told.setdefault(state.offset, []).append(state)
        stops = sorted({0, *told, len(entries)})
        for start, stop in pairwise(stops):
            result = folded(fleet, lines(entries[start:stop]), clock)
            fleet = result.fleet
            rows += result.rows
            for state in told.get(stop, ()):
                self.compared += 1
                if state.values != (found := _values(fleet, state.component)):
                    faults.append(f"{state} was told, the fold gives {found}")
        for name, columns in self._histories.items():
            faults += self._recorded(name, columns, rows)
        return faults

    def _recorded(
        self, name: str, columns: dict[str, list[Any]], rows: Sequence[RecordRow]
    ) -> list[str]:
        """Whether the rows that were told of a component are those of a fold."""
        own = [row for row in rows if name in row.members]
        told = len(columns["time"])
        self.compared += told
        if told > len(own):
            return [f"{told} rows of {name} were told, a fold gives {len(own)}"]
        faults = []
        for field in HISTORY:
            column = [row.columns[field][row.members.index(name)] for row in own[:told]]
            found, said = np.array(column), np.array(columns[field], float)  # null is NaN
            one, other = (values.astype(_DTYPES[field]) for values in (found, said))
            if not np.array_equal(one, other, equal_nan=True):
                faults.append(f"{field} of {name} was told otherwise than a fold gives it")
        return faults


def _values(fleet: Fleet, name: str) -> tuple[float | None, ...]:
    place = fleet.places[name]
    view, i = fleet.cohorts[place.cohort].view(), place.row
    values = (
        view.crack_length[i],
        view.crack_length_sd[i],
        view.growth_rate[i],
        view.open_growth[i],
        view.cycles[i],
    )
    return (*(_plain(float(value)) for value in values), float(view.fractured[i]))


def _plain(value: float) -> float | None:
    """A number as JSON has it."""
    return value if math.isfinite(value) else None
