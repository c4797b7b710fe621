"""A simulated plant: parts with hidden truth, and the messages of their sensors."""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sensors.instrument import Installation
from sensors.payload.encode import EncodedMessage
from sensors.simulation.faults import TYPICAL, LossyLink, Rates
from sensors.simulation.instruments import Camera, Counter, Inspector, StrainGauge, is_due
from sensors.simulation.parts import (
    COEFFICIENT,
    DUTIES,
    EXPONENT,
    SAMPLED,
    THRESHOLD,
    YOUNGS_MODULUS,
    Block,
    Load,
    Part,
    TrueCrack,
    Truth,
    part,
)
from sensors.timed import Registration, Renewal, Timed
from sensors.topics import Topics
from sensors.unreadable import Form

_SECOND_NS = 1_000_000_000
_named = re.compile(
    r"plant-[abc]/(?:press|shaft|bogie|blade|plate)-\d+(?:-(\d+))?", re.ASCII
).fullmatch
_LATENCY_NS = 20_000_000  # from the end of an interval to the message
_KINDS = ("press", "shaft", "bogie", "blade")
_EARLY = (240.0, 450.0)  # [s] of watching, until the first two parts reach their limits
_LATER = (750.0, 15_000.0)  # [s] of watching, between which the others do
_CHANGEOVER_S = 5.0  # [s] of watching, from the notice of a fresh part to its first second of load


@dataclass(frozen=True, slots=True)
class PlantSettings:
    """A plant is wholly determined by these."""

    parts: int = 24
    seed: int = 0
    speed: float = 60.0  # event seconds a second of watching: lives are chosen to suit it
    boot: int = 1  # of every instrument
    inspect_every_s: float = 300.0  # event time
    inspection_sd: float = 3e-5  # [m]
    image_every_s: float | None = None  # event time; None for no images
    sampled_every: int = 6  # one part in so many sends series at 100 Hz instead of spectra
    swing: float = 0.1  # standard deviation of the logarithm of the load's level
    overload: float = 1.0 / 300.0  # probability in a second
    faults: Rates = TYPICAL
    root: str = "twin/v1"
    renew_after_s: float | None = None  # [s] of watching a part at its end, until it is replaced
    generation: int = 0  # how many were in each place before

    def __post_init__(self) -> None:
        if not 1 <= self.parts <= 1_000_000:
            raise ValueError(f"parts = {self.parts} is not between 1 and 1,000,000")
        for name in ("speed", "inspect_every_s", "inspection_sd", "sampled_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)} is not positive")
        if not 0 <= self.generation <= 1_000_000:
            raise ValueError(f"generation = {self.generation} is not between 0 and 1,000,000")


class Plant:
    """Parts under load, seen through imperfect sensors."""

    def __init__(self, settings: PlantSettings) -> None:
        self.settings = settings
        self._parts = [_part(settings, index) for index in range(settings.parts)]
        self._cracks = {part.name: TrueCrack(part) for part in self._parts}

    @property
    def names(self) -> list[str]:
        """The "site/component" of every part, those that are worn out before the fresh ones."""
        return list(self._cracks)

    def truth(self, name: str) -> Truth:
        """How a part really is, as far as the latest `messages` was read; KeyError if unknown."""
        return self._cracks[name].truth

    def messages(
        self, start_ns: int, renewed: Callable[[Renewal], None] = lambda _: None
    ) -> Iterator[Timed]:
        """What the sensors send from `start_ns` on, for ever, in the order in which it is due.

        Every call begins anew, with the cracks as they were; what is kept waiting is the
        messages of a second and those that are late. `renewed` is told of a fresh part some
        seconds before its first message is due.
        """
        self._cracks = {part.name: TrueCrack(part) for part in self._parts}
        places = [
            _Place(_Sensors(self.settings, i, self._cracks[part.name], start_ns))
            for i, part in enumerate(self._parts)
        ]
        waiting: list[tuple[int, int, Timed]] = []
        order = itertools.count()
        for second in itertools.count():
            for timed in itertools.chain.from_iterable(p.sensors.sent(second) for p in places):
                heapq.heappush(waiting, (timed.t_ns, next(order), timed))
            # The next second's messages are due after its own end.
            while waiting and waiting[0][0] < start_ns + (second + 2) * _SECOND_NS:
                yield heapq.heappop(waiting)[2]
            for index, place in enumerate(places):
                if place.is_over(self.settings):
                    renewed(self._renewed(index, place, second, start_ns))

    def _renewed(self, index: int, place: _Place, second: int, start_ns: int) -> Renewal:
        """Put a fresh part into a place, at work a little later."""
        settings, old = self.settings, place.sensors.crack.part.name
        place.generation, place.idle_s = place.generation + 1, 0
        generation = settings.generation + place.generation
        part = _part(settings, index, generation)
        self._cracks[part.name] = crack = TrueCrack(part)
        first = second + 1 + math.ceil(_CHANGEOVER_S * settings.speed)
        place.sensors = _Sensors(
            settings, index, crack, start_ns, generation=generation, first=first
        )
        return Renewal(old, _registration(index, part))


@dataclass(slots=True)
class _Place:
    """Where one part after the other is mounted."""

    sensors: _Sensors
    generation: int = 0  # parts that were here before, in this plant
    idle_s: int = 0  # since the part was taken out of load

    def is_over(self, settings: PlantSettings) -> bool:
        """Whether the part has been out of load for long enough; asked once a second."""
        if settings.renew_after_s is None or not self.sensors.crack.is_stopped:
            return False
        self.idle_s += 1
        return self.idle_s >= settings.renew_after_s * settings.speed


class _Sensors:
    """Everything that measures one part."""

    def __init__(
        self,
        settings: PlantSettings,
        index: int,
        crack: TrueCrack,
        start_ns: int,
        *,
        generation: int | None = None,
        first: int = 0,
    ) -> None:
        self._settings, self._index, self.crack, self._first = settings, index, crack, first
        turn = settings.generation if generation is None else generation
        rngs = [_rng(settings, index, purpose, turn) for purpose in range(5)]
        self._load = Load(crack.part, rngs[1], swing=settings.swing, overload=settings.overload)
        self._link = LossyLink(settings.faults, rngs[2])
        self._noise, self._grains = rngs[3], rngs[4]
        # Loggers do not tick together.
        self._end_ns = start_ns + _SECOND_NS + int(self._noise.integers(_SECOND_NS))
        self._inspect_s, self._image_s = self._noise.random(2).tolist()  # of their periods
        form: Form = "msgpack" if index % 3 == 1 else "json"
        installation = Installation(crack.part.name, settings.boot, form, Topics(settings.root))
        self._counter, self._gauge = (
            Counter(installation, "daq-1"),
            StrainGauge(installation, "daq-1"),
        )
        self._inspector, self._camera = (
            Inspector(installation, "ndt-1"),
            Camera(installation, "camera-1"),
        )

    def sent(self, second: int) -> Iterator[Timed]:
        """What arrives of the messages of one second."""
        if second < self._first:
            return
        end_ns = self._end_ns + second * _SECOND_NS
        for message in self._taken(second, end_ns):
            yield from self._link.delivered(Timed(end_ns + _LATENCY_NS, message))

    def _taken(self, second: int, end_ns: int) -> Iterator[EncodedMessage]:
        """Let a second of load act, and measure it and what it did."""
        settings = self._settings
        blocks = self._load.blocks(second, stopped=self.crack.is_stopped)
        self.crack.grow(blocks)
        yield self._loaded(blocks, end_ns)
        every_s = settings.inspect_every_s
        if is_due(second, every_s, every_s * self._inspect_s):
            yield self._inspected(end_ns)
        every_s = settings.image_every_s or math.inf
        if every_s < math.inf and is_due(second, every_s, every_s * self._image_s):
            yield self._camera.micrograph(end_ns, self._grains)

    def _loaded(self, blocks: Sequence[Block], end_ns: int) -> EncodedMessage:
        if not _is_sampled(self._settings, self._index):
            return self._counter.message(end_ns, blocks)
        strain = self._index // self._settings.sampled_every % 2 == 1
        return self._gauge.series(end_ns - _SECOND_NS, blocks, self._noise, strain=strain)

    def _inspected(self, end_ns: int) -> EncodedMessage:
        sd = self._settings.inspection_sd
        measured = self.crack.a + sd * self._noise.standard_normal()
        unit = "mm" if self._index % 2 else "m"
        return self._inspector.inspection(end_ns, measured, sd, unit=unit)


def fleet(settings: PlantSettings) -> list[Registration]:
    """What is known of the parts from the outside: names, drawings, data sheets."""
    return [_registration(i, _part(settings, i)) for i in range(settings.parts)]


def _registration(index: int, part: Part) -> Registration:
    return {
        "name": part.name,
        "calibration": {"gain": 1.0, "offset": 0.0, "youngs_modulus": YOUNGS_MODULUS},
        "crack": {
            "law": {"kind": "paris", "C": COEFFICIENT, "m": EXPONENT, "dK_th": THRESHOLD},
            "geometry": {"kind": "edge_crack", "W": part.width},
            "crack_length": part.expected,
            "crack_limit": part.limit,
            "inspection": "record" if index % 4 == 3 else "replace",
        },
    }


def _rng(settings: PlantSettings, index: int, purpose: int, generation: int) -> np.random.Generator:
    """One stream for each part and purpose: neither more parts nor more faults alter the rest."""
    key = (index, purpose, generation) if generation else (index, purpose)
    return np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=key))


def _is_sampled(settings: PlantSettings, index: int) -> bool:
    return index % settings.sampled_every == settings.sampled_every - 1


def _part(settings: PlantSettings, index: int, generation: int | None = None) -> Part:
    """The part in a place: the first there, or one that came later."""
    turn = settings.generation if generation is None else generation
    rng = _rng(settings, index, 0, turn)
    is_early = index < len(_EARLY) and turn == settings.generation
    watched_s = _EARLY[index] if is_early else float(np.exp(rng.uniform(*np.log(_LATER))))
    suffix = f"-{turn + 1}" if turn else ""
    return part(
        index,
        f"plant-{'abc'[index // 8 % 3]}/{_KINDS[index % len(_KINDS)]}-{index + 1:02d}{suffix}",
        rng,
        life_s=watched_s * settings.speed,
        duty=SAMPLED if _is_sampled(settings, index) else DUTIES[index % len(DUTIES)],
    )


def generation(names: Iterable[str]) -> int:
    """How many parts, at most, were in one place of a plant, or of its plates, by their names."""
    found = (_named(name) for name in names)
    return max((int(match[1] or 1) for match in found if match), default=0)
