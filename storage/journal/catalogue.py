"""The small tables beside the observations: components, checkpoints, arrays, aliases."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import msgspec

from storage.errors import CorruptError, MissingError
from storage.journal.database import Database, Row, inserted, typed


class LatestRegistration(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The latest registration of a component."""

    name: str
    revision: int  # the sequence number of that registration
    offset: int  # where it stands in the journal
    body: bytes


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """A state on disk, and the place in the journal from where to go on."""

    name: str
    offset: int  # the first entry that the state does not contain
    rows: dict[str, int]  # trajectory rows written up to then, of each group
    sha256: str
    size: int  # [byte]
    created_ns: int
    durable: bool  # retention may rely on it


class Order(msgspec.Struct, frozen=True, array_like=True):
    """That the journal is folded in another order than that of arrival, up to an offset.

    Each step takes those entries before an offset, and up to a time, that are not taken yet.
    """

    generation: int  # counts the orders; the trajectory belongs to the last
    steps: list[tuple[int, int]]  # offsets and times [ns]; the last one takes all that is left
    pace_ns: int  # what the hall needs to tell which clocks to believe
    max_jump_ns: int

    @property
    def until(self) -> int:
        """The offset from which entries are folded as they came."""
        return self.steps[-1][0]


class Loss(msgspec.Struct, frozen=True, array_like=True):
    """Something that was kept and is gone, in a sentence; told for ever."""

    found_ns: int
    sentence: str


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    since_ns: int


class _Layout(msgspec.Struct, frozen=True, array_like=True):
    number: int


class _Committed(msgspec.Struct, frozen=True, array_like=True):
    rows: int


class _Alias(msgspec.Struct, frozen=True, array_like=True):
    version: str


S = TypeVar("S", bound=msgspec.Struct)


class Catalogue:
    """Rows of a few kinds, each with a checksum; changes are durable when they return."""

    def __init__(self, database: Database) -> None:
        """Check all rows; raises CorruptError."""
        self._database = database
        # Here, because a row whose kind or name is damaged would later just not be found.
        for row in database.rows("SELECT kind, name, crc32, body FROM catalogue"):
            _require_intact(row)

    def component(self, name: str) -> LatestRegistration:
        """The latest registration; raises MissingError."""
        return self._one("component", name, LatestRegistration)

    def components(self) -> list[LatestRegistration]:
        """The latest registrations of all components, by name."""
        return list(self._all("component", LatestRegistration).values())

    def put_components(
        self, connection: sqlite3.Connection, components: Sequence[LatestRegistration]
    ) -> None:
        """Remember registrations, within the transaction that appends them."""
        latest = {component.name: component for component in components}
        rows = [_row("component", name, component) for name, component in latest.items()]
        inserted(connection, "REPLACE INTO catalogue VALUES", rows)

    def keep_component(self, component: LatestRegistration) -> None:
        """Remember a registration whose line is not in the journal any more."""
        with self._database.transaction() as connection:
            self.put_components(connection, [component])

    def checkpoint(self, name: str) -> Checkpoint:
        """A checkpoint by its name; raises MissingError."""
        return self._one("checkpoint", name, Checkpoint)

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, newest first."""
        found = self._all("checkpoint", Checkpoint).values()
        return sorted(found, key=lambda kept: (kept.offset, kept.created_ns), reverse=True)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Record a checkpoint whose file is on disk already."""
        with self._database.transaction() as connection:
            self._put(connection, "checkpoint", checkpoint.name, checkpoint)

    def order(self) -> Order | None:
        """The order in which the journal is folded, or None for that of arrival."""
        return self._all("order", Order).get("")

    def put_order(self, order: Order, checkpoint: Checkpoint) -> None:
        """Let an order count from now on; of the checkpoints only this one, made in it, is left."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM catalogue WHERE kind = 'checkpoint'")
            self._put(connection, "order", "", order)
            self._put(connection, "checkpoint", checkpoint.name, checkpoint)
            for group, rows in checkpoint.rows.items():
                self._put(connection, "array", group, _Committed(rows))

    def remove_checkpoint(self, name: str) -> None:
        """Forget a checkpoint; its file goes afterwards. Raises MissingError."""
        self._remove("checkpoint", name)

    def arrays(self) -> dict[str, int]:
        """Committed rows of every trajectory group."""
        return {name: kept.rows for name, kept in self._all("array", _Committed).items()}

    def put_array(self, name: str, rows: int) -> None:
        """Record how many rows of a group are on disk."""
        with self._database.transaction() as connection:
            self._put(connection, "array", name, _Committed(rows))

    def losses(self) -> list[Loss]:
        """What was found gone so far, the oldest first."""
        return sorted(self._all("loss", Loss).values(), key=lambda loss: loss.found_ns)

    def put_losses(self, sentences: Sequence[str]) -> None:
        """Remember that something is gone; what is remembered already stays as it is."""
        known = {loss.sentence for loss in self.losses()}
        now_ns = time.time_ns()
        with self._database.transaction() as connection:
            for i, sentence in enumerate(s for s in sentences if s not in known):
                self._put(connection, "loss", f"{now_ns + i}", Loss(now_ns + i, sentence))

    def layout(self) -> int:
        """The layout of the directory, 0 where an earlier release did not say."""
        return sum(kept.number for kept in self._all("layout", _Layout).values())

    def put_layout(self, number: int) -> None:
        """Remember the layout of the directory: a file that says another is damaged."""
        if self.layout() != number:
            with self._database.transaction() as connection:
                self._put(connection, "layout", "", _Layout(number))

    def is_sealed(self) -> bool:
        """Whether a seal was ever written beside the journal."""
        return bool(self._all("sealed", _Sealed))

    def put_sealed(self, connection: sqlite3.Connection) -> None:
        """Remember that there is a seal, within the transaction behind the first."""
        self._put(connection, "sealed", "", _Sealed(time.time_ns()))

    def aliases(self) -> dict[tuple[str, str], str]:
        """Versions by (model, alias)."""
        found = self._all("alias", _Alias).items()
        return {(name.split("@")[0], name.split("@")[1]): kept.version for name, kept in found}

    def put_alias(self, model: str, alias: str, version: str) -> None:
        """Let an alias of a model stand for a version.

        Raises ValueError for a name with an @.
        """
        if "@" in model or "@" in alias:
            raise ValueError(f"neither model {model!r} nor alias {alias!r} may hold an @")
        with self._database.transaction() as connection:
            self._put(connection, "alias", f"{model}@{alias}", _Alias(version))

    def remove_alias(self, model: str, alias: str) -> None:
        """Forget an alias; raises MissingError."""
        self._remove("alias", f"{model}@{alias}")

    def _put(
        self, connection: sqlite3.Connection, kind: str, name: str, value: msgspec.Struct
    ) -> None:
        connection.execute("REPLACE INTO catalogue VALUES (?, ?, ?, ?)", _row(kind, name, value))

    def _remove(self, kind: str, name: str) -> None:
        with self._database.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM catalogue WHERE kind = ? AND name = ?", (kind, name)
            ).rowcount
        if not gone:
            raise MissingError(f"there is no {kind} {name!r}")

    def _one(self, kind: str, name: str, form: type[S]) -> S:
        rows = self._database.rows(
            "SELECT crc32, body FROM catalogue WHERE kind = ? AND name = ?", (kind, name)
        )
        if not rows:
            raise MissingError(f"there is no {kind} {name!r}")
        return _decoded(kind, name, rows[0], form)

    def _all(self, kind: str, form: type[S]) -> dict[str, S]:
        rows = self._database.rows(
            "SELECT name, crc32, body FROM catalogue WHERE kind = ? ORDER BY name", (kind,)
        )
        return {name: _decoded(kind, name, (crc, body), form) for name, crc, body in rows}


def _row(kind: str, name: str, value: msgspec.Struct) -> Row:
    body = msgspec.msgpack.encode(value)
    return kind, name, _crc(kind, name, body), body


def _crc(kind: str, name: str, body: bytes) -> int:
    return crc32(body, crc32(f"{kind}\0{name}".encode()))


def _require_intact(row: Row) -> None:
    kind, name, crc, body = typed(row, str, str, int, bytes)
    if crc != _crc(kind, name, body):
        raise CorruptError(f"{kind} {name!r} in the catalogue does not match its checksum")


def _decoded(kind: str, name: str, row: tuple[int, bytes], form: type[S]) -> S:
    crc, body = row
    _require_intact((kind, name, crc, body))
    return msgspec.msgpack.decode(body, type=form)
