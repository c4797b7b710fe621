"""A seeded stream of observations as bad links deliver it, and the truth of what was sent.

Messages come twice, overtake each other and go missing; instruments restart in mid-stream. What
counts is `sent`: every observation that left at least once, and so must be kept exactly once.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensors.mqtt.packets import Message
from sensors.observation import AnyObservation, Inspection, Series, Spectrum
from sensors.payload.encode import inspection_message, load_message, spectrum_message
from sensors.unreadable import Form
from storage.journal.entry import Entry
from twin.belief.lines import observed

SECOND_NS = 1_000_000_000
RATE_HZ = 100.0
CHUNKS = 2  # messages in which a second of samples is sent
SHEAR = 0.25  # over tension, at most

Key = tuple[str, str, int, int]  # component, source, boot, seq

_WALKER: dict[str, Any] = {
    "material": "2024-t3-walker",
    "geometry": {"kind": "centre_crack", "W": 0.15},
}
_WHEELER: dict[str, Any] = {
    "material": "2024-t3-paris",
    "geometry": {"kind": "edge_crack", "W": 0.06},
    "retardation": {
        "kind": "wheeler",
        "gamma": 1.5,
        "yield_stress": 350e6,
        "zone": "irwin_plane_stress",
    },
}
_PLATE: dict[str, Any] = {
    "law": {"kind": "paris", "C": 2e-27, "m": 3.0},  # some segments within a test
    "geometry": {"kind": "plate", "W": 0.04},
}
# three cohorts: in two the order of loads matters; plates, which cost most, are the fewest
_LAWS = (_WALKER, _WHEELER, _WALKER, _PLATE, _WHEELER)


@dataclass(frozen=True, slots=True)
class Rates:
    """How bad the links are: probabilities of a message, and delays."""

    twice: float = 0.08
    overtaken: float = 0.08
    missing: float = 0.01
    restart: float = 0.004
    delay_s: float = 4.0  # the longest; more than the lateness of the services under test


def fleet(count: int) -> list[dict[str, Any]]:
    """Tables of the fleet file: without and with retardation, and plates; inspected both ways."""
    return [
        {
            "name": f"plant-{'ab'[i % 2]}/part-{i:02d}",
            "crack_length": 0.005 + 0.0002 * (i % 20),
            "crack_limit": 0.018,
            "gate": 6e6,  # above the noise of the samples
            "inspection": "record" if i % 5 == 4 else "replace",
            **_LAWS[i % len(_LAWS)],
        }
        for i in range(count)
    ]


@dataclass(slots=True)
class _Instrument:
    component: str
    source: str
    boot: int = 1
    seq: int = -1

    def key(self) -> dict[str, Any]:
        self.seq += 1
        return {
            "component": self.component,
            "source": self.source,
            "boot": self.boot,
            "seq": self.seq,
        }

    def restart(self) -> None:
        self.boot, self.seq = self.boot + 1, -1


class Traffic:
    """What the instruments of some components publish, second after second of event time."""

    def __init__(
        self, components: Sequence[str], *, seed: int, start_ns: int, rates: Rates = Rates()
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._rates = rates
        self._start_ns = start_ns
        self._second = 0
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, AnyObservation]] = []
        self._loads: list[_Instrument] = []
        self._inspectors: list[_Instrument] = []
        self.sent: dict[Key, Entry] = {}  # by key: what the journal must hold
        self.missing = 0  # sequence numbers that were never sent
        self.repeated = 0
        self.overtaken = 0
        self.add(components)

    def add(self, components: Sequence[str]) -> None:
        """Instruments for more components, from the next second on."""
        self._loads += [_Instrument(name, "daq-1") for name in components]
        self._inspectors += [_Instrument(name, "ndt-1") for name in components]

    @property
    def components(self) -> list[str]:
        """Who has instruments."""
        return [instrument.component for instrument in self._loads]

    def second(self) -> list[Message]:
        """What arrives within the next second of event time, in the order of arrival."""
        for observation in self._observed():
            self._send(observation)
        self._second += 1
        return list(self._due(self.now_ns))

    def rest(self) -> list[Message]:
        """What is still on its way."""
        return list(self._due(math.inf))

    @property
    def now_ns(self) -> int:
        """The second of event time that comes next."""
        return self._start_ns + self._second * SECOND_NS

    def _observed(self) -> Iterator[AnyObservation]:
        for i, instrument in enumerate(self._loads):
            if self._random.random() < self._rates.restart:
                instrument.restart()
            if i % 3 == 0:
                yield from self._series(instrument, i)
            else:
                yield self._spectrum(instrument)
        for instrument in self._inspectors:
            if self._random.random() < 0.03:
                yield self._inspection(instrument)

    def _series(self, instrument: _Instrument, i: int) -> Iterator[Series]:
        """One second of a wave that runs on over seconds, in chunks."""
        count = int(RATE_HZ) // CHUNKS
        for chunk in range(CHUNKS):
            start_ns = self.now_ns + chunk * SECOND_NS // CHUNKS
            t = self._second + chunk / CHUNKS + np.arange(count) / RATE_HZ  # [s]
            wave = np.sin(2 * np.pi * 1.7 * t + i) + 0.6 * np.sin(2 * np.pi * 6.1 * t)
            stress = 60e6 + 25e6 * wave + 2e6 * self._random.standard_normal(count)  # [Pa]
            yield Series(
                **instrument.key(),
                t_ns=start_ns,
                quantity="stress",
                unit="Pa",
                rate_hz=RATE_HZ,
                tension=stress.astype("<f8").tobytes(),
                shear=(self._shear() * stress).astype("<f8").tobytes(),
            )

    def _shear(self) -> float:
        """Shear over tension, which turns a plate's crack to and fro."""
        return float(self._random.uniform(-SHEAR, SHEAR))

    def _spectrum(self, instrument: _Instrument) -> Spectrum:
        k = int(self._random.integers(1, 4))
        cycles = np.stack(
            [
                self._random.uniform(20e6, 90e6, k),  # range [Pa]
                self._random.uniform(40e6, 70e6, k),  # mean [Pa]
                self._random.integers(1, 40, k).astype(float),  # count
            ],
            axis=1,
        )
        return Spectrum(
            **instrument.key(),
            t_ns=self.now_ns + SECOND_NS,
            quantity="stress",
            unit="Pa",
            cycles=cycles.astype("<f8").tobytes(),
            shear_ratio=self._shear(),
        )

    def _inspection(self, instrument: _Instrument) -> Inspection:
        return Inspection(
            **instrument.key(),
            t_ns=self.now_ns + int(self._random.integers(SECOND_NS)),
            crack_length=float(self._random.uniform(0.005, 0.012)),
            crack_length_sd=1e-4,
            method="eddy-current",
        )

    def _send(self, observation: AnyObservation) -> None:
        """Put an observation on its way: once, twice, late or not at all."""
        rates, draw = self._rates, self._random.random(3)
        if draw[0] < rates.missing:
            self.missing += 1
            return
        delays = [0.0]
        if draw[1] < rates.overtaken:
            self.overtaken += 1
            delays = [self._random.uniform(0.0, rates.delay_s)]
        if draw[2] < rates.twice:
            self.repeated += 1
            delays.append(self._random.uniform(0.0, rates.delay_s))
        for delay_s in delays:
            due_ns = observation.t_ns + round(delay_s * SECOND_NS)
            heapq.heappush(self._waiting, (due_ns, next(self._order), observation))

    def _due(self, until_ns: float) -> Iterator[Message]:
        while self._waiting and self._waiting[0][0] <= until_ns:
            observation = heapq.heappop(self._waiting)[2]
            self.sent[_key(observation)] = observed(observation)
            yield _message(observation)


def _key(o: AnyObservation) -> Key:
    return o.component, o.source, o.boot, o.seq


def key(entry: Entry) -> Key:
    """What tells an entry from all others."""
    return entry.component, entry.source, entry.boot, entry.seq


def _message(observation: AnyObservation) -> Message:
    """In SI units, which no conversion rounds; half of it as MessagePack."""
    form: Form = "msgpack" if observation.seq % 2 else "json"
    if isinstance(observation, Series):
        plain = load_message(observation, form=form)
    elif isinstance(observation, Spectrum):
        plain = spectrum_message(observation, form=form)
    elif isinstance(observation, Inspection):
        plain = inspection_message(observation, form=form)
    else:
        raise TypeError(f"{type(observation).__name__} is not part of this traffic")
    return Message(plain.topic, plain.payload, plain.content_type or "")


def toml(tables: Sequence[dict[str, Any]]) -> str:
    """The tables as a fleet file."""
    return "\n".join(_table(table) for table in tables)


def _table(table: dict[str, Any]) -> str:
    plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
    lines = ["[[component]]", *(_line(name, value) for name, value in plain.items())]
    for name in table.keys() - plain.keys():
        lines += [f"[component.{name}]", *(_line(k, v) for k, v in table[name].items())]
    return "\n".join(lines) + "\n"


def _line(name: str, value: object) -> str:
    return f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value!r}"
