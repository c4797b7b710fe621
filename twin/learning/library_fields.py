"""The fields of a library on disk, for a range of its samples, read when they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from storage.artifacts.library import ReadLibrary
from storage.errors import MissingError
from twin.errors import SettingsError


class Fields(Mapping[str, NDArray[Any]]):
    """Arrays of the samples `start` to `stop` alone: nothing else of them can be seen.

    Indexing raises SettingsError for a field that the library does not have.
    """

    def __init__(self, library: Library, start: int, stop: int) -> None:
        self._library, self._range = library, slice(start, stop)
        self._read: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A field, samples along axis 0."""
        if name not in self._read:
            self._read[name] = self._library.read(name, self._range)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._library.names)

    def __len__(self) -> int:
        return len(self._library.names)


class Library:
    """A finished library; SettingsError where there is none at `path`."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = ReadLibrary(path)
        except MissingError as exc:
            raise SettingsError(str(exc)) from exc
        attributes = self._file.attributes
        try:
            self.name, self.seed = str(attributes["name"]), int(attributes["seed"])
            self.samples, done = int(attributes["samples"]), int(attributes["committed"])
            self._config = config = attributes["config"]
        except (KeyError, TypeError, ValueError) as exc:
            raise SettingsError(f"{path} is no library: it has no {exc}") from exc
        if done < self.samples:
            raise SettingsError(
                f"{path} is not finished: {done} of {self.samples} samples are there"
            )
        self.path = path
        self.digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        self.names = self._file.names()

    def parts(self, held_out: int) -> tuple[Fields, Fields]:
        """The fields of all samples but the last `held_out`, and of these.

        Raises SettingsError where so many cannot be held out.
        """
        first = self.samples - held_out
        if held_out < 1 or first < 1:
            raise SettingsError(
                f"{held_out} of {self.samples} samples cannot be held out: one must be, one left"
            )
        return Fields(self, 0, first), Fields(self, first, self.samples)

    def read(self, name: str, samples: slice) -> NDArray[Any]:
        """A field of some samples.

        Raises SettingsError for a library of another kind.
        """
        if name not in self.names:
            raise SettingsError(
                f"{self.path} is a library of another kind: {self.name!r} has no {name!r}"
            )
        return self._file.read(name, samples)

    def configured(self, key: str) -> Any:  # noqa: ANN401  whatever JSON can hold
        """The value at a dotted key of the configuration; None where there is none."""
        value: Any = self._config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def card(self) -> dict[str, Any]:
        """Which samples these are: equal where name, seed and configuration are."""
        return {"library": self.name, "seed": self.seed, "samples": self.samples,
                "config_sha256": self.digest}  # fmt: skip  # one line
