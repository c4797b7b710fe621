"""Cracks along paths in plates: stress intensities by the operator and by XFEM, load by load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from models.crack_path import forecast
from models.crack_path.front import known, nodes
from models.crack_path.polyline import IntensitySolver
from models.crack_path.stepper import PathState, PathStepper
from models.fatigue.rainflow import Cycles
from models.fatigue.retardation import NoRetardation
from sensors.observation import Series, Spectrum
from twin.kinds.ahead import Ahead, Question
from twin.kinds.crack_constants import key, law, toughness
from twin.kinds.crack_like import CrackLike, known_lives
from twin.kinds.crack_settings import CrackSettings
from twin.kinds.growth_checks import check_growth
from twin.kinds.kind import Manner
from twin.kinds.path_ahead import paths
from twin.networks import intensities
from twin.parameters import PlateParameters

HISTORY: Final = (  # fields of a state that stay with a crack whose registration changes
    *("a", "length", "open_growth", "fractured", "exposure", "cycles", "rate"),
    *("measured", "measured_sd", "innovation", "t_inspected_ns", "t_broken_ns", "t_ns", "front"),
)
PATH_S = 8e-3  # of stepping a load, about


class CrackPathKind(CrackLike[PathStepper, PathState]):
    """Cracks in plates; see `Kind`."""

    name: ClassVar[str] = "crack_path"
    networks: ClassVar[frozenset[str]] = frozenset({"crack-k", "crack-spiking"})

    def fits(self, settings: CrackSettings) -> bool:
        """Whether the geometry is a plate."""
        return isinstance(settings.geometry, PlateParameters)

    def start(self, settings: CrackSettings) -> tuple[object, ...]:
        """Initial length and plate: in another plate the path is another one."""
        return settings.crack_length, settings.geometry

    def stepper(self, settings: CrackSettings) -> PathStepper:
        """The path stepper, with the operator and the solver of this process."""
        return PathStepper(
            law=law(settings),
            plate=settings.geometry.plate(settings.crack_length),
            a_limit=settings.crack_limit,
            gate=settings.gate,
            replace=settings.inspection == "replace",
            K_c=toughness(settings),
            find=intensities(),
        )

    def key(self, stepper: PathStepper) -> str:
        """Law and plate."""
        return key(stepper.law, stepper.plate)

    def parts(self, stepper: PathStepper) -> Mapping[str, str]:
        """The names of law and plate; nothing retards."""
        return {
            "law": type(stepper.law).__name__,
            "geometry": type(stepper.plate).__name__,
            "retardation": NoRetardation.__name__,
        }

    def effort(self, stepper: PathStepper, load: Series | Spectrum) -> float:
        """The same for every load [s]."""
        return PATH_S

    def carried(self, history: PathState, fresh: PathState, how: Manner) -> PathState:
        """The new constants with the old history."""
        kept = {name: getattr(history, name) for name in HISTORY}
        return fresh._replace(**kept, counter=history.counter._replace(gate=fresh.counter.gate))

    def lives(self, stepper: PathStepper, state: PathState) -> tuple[PathState, Tensor]:
        """The state that remembers its outlook, and the cycles (n,) left to the limit."""
        after, life = forecast.with_remaining(state, stepper.find)
        return after, known_lives(state, life)

    def ahead(
        self,
        stepper: PathStepper,
        state: PathState,
        load: Cycles,
        question: Question,
        go_on: Callable[[], None],
    ) -> Ahead:
        """Life, lengths and paths; a broken plate has nothing ahead, and nothing is asked."""
        if bool(state.fractured):
            left = torch.zeros(1, dtype=torch.float64)
            cycles = question.cycles(left)
            lengths = state.length.expand(1, len(cycles))
            return Ahead(left, cycles, lengths, paths(state, state.front, load))
        stepper, before = replace(stepper, find=_while(stepper.find, go_on)), state.front
        left, found, by_xfem = _life(stepper, state, load, question)
        state = state._replace(front=known(before, state.plates, stepper.find))
        cycles = question.cycles(left)
        lengths, front = forecast.rollout(state, load, cycles, stepper.find, go_on)
        found += int(front.found - before.found)
        by_xfem += int(front.by_xfem - before.by_xfem)
        drawn = paths(state, front, load)
        return Ahead(left, cycles, lengths[0], drawn, found - by_xfem, by_xfem)

    def path(self, state: PathState, row: int) -> list[tuple[float, float]]:
        """The nodes [m], mouth first."""
        return nodes(state.front, row)

    def intensities(self, state: PathState) -> tuple[int, int]:
        """What the cracks have asked for, and what of it XFEM found."""
        return int(state.front.found.sum()), int(state.front.by_xfem.sum())

    def check(self, settings: CrackSettings) -> None:
        """Raise ValueError for a law that gives no growth."""
        check_growth(law(settings), settings.crack_length)

    def sound(self, steppers: Sequence[PathStepper], ends: Tensor) -> Tensor:
        """Whether the law gives growth at the initial lengths."""
        return torch.tensor(
            [_grows(s, float(a)) for s, a in zip(steppers, ends[:, 0], strict=True)]
        )


def _grows(stepper: PathStepper, length: float) -> bool:
    try:
        check_growth(stepper.law, length)
    except ValueError:
        return False
    return True


def _while(find: IntensitySolver, go_on: Callable[[], None]) -> IntensitySolver:
    """The same intensities, as long as there is leave to go on."""

    def found(*args: Any, **named: Any) -> Any:  # noqa: ANN401  whatever `find` takes and gives
        go_on()
        return find(*args, **named)

    return found


def _life(
    stepper: PathStepper, state: PathState, load: Cycles, question: Question
) -> tuple[Tensor, int, int]:
    """Cycles to the limit (1,), the intensities found for it, and those of them by XFEM.

    Under the load so far it is what the state says.
    """
    if question.blocks is None:
        after, left = forecast.with_remaining(state, stepper.find)
        asked, before = after.front, state.front
        by_xfem = int(asked.by_xfem - before.by_xfem)
        return left[0], int(asked.found - before.found), by_xfem
    state = state._replace(front=known(state.front, state.plates, stepper.find))
    seen = forecast.foresight(state, load, state.a_limit, stepper.find)
    left = forecast.life(state, seen.outlook, load, state.a_limit)
    return left, int(seen.found), int(seen.by_xfem)
