"""Straight cracks believed as particles: what nobody knows beforehand, inspections as evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.crack.forecast import has_load
from models.crack.joint import joint
from models.crack.load import CrackLoad
from models.crack.run import Along
from models.crack.state import CrackState, lengths_told, lives_told
from models.crack.uncertain import Scatter, UncertainCrackStepper
from models.crack.uncertain_ahead import life, remaining, rollout
from models.crack.uncertain_changes import carried, taken_over
from models.crack.uncertain_state import (
    MEDIAN,
    PROBABILITIES,
    UNKNOWN,
    UncertainCrack,
    array,
)
from models.fatigue.rainflow import Cycles
from sensors.observation import Series, Spectrum
from twin.kinds.ahead import Ahead, Question
from twin.kinds.crack import CrackKind
from twin.kinds.crack_like import CrackLike
from twin.kinds.crack_settings import CrackSettings, Uncertainty
from twin.kinds.kind import Expected, Kind, Manner

PARTICLE_S = 2e-7  # of stepping a load, for each particle, about


class UncertainCrackKind(CrackLike[UncertainCrackStepper, UncertainCrack]):
    """Straight cracks as guides and particles; see `Kind`."""

    name: ClassVar[str] = "uncertain_crack"
    runs_together: ClassVar[bool] = True
    is_weighed: ClassVar[bool] = True

    def __init__(self, exact: CrackKind) -> None:
        """A kind whose guides are of the kind `exact`."""
        self._exact = exact

    def fits(self, settings: CrackSettings) -> bool:
        """Whether what is not known is registered."""
        return settings.uncertainty is not None and self._exact.is_straight(settings)

    def start(self, settings: CrackSettings) -> tuple[object, ...]:
        """The initial length."""
        return self._exact.start(settings)

    def stepper(self, settings: CrackSettings) -> UncertainCrackStepper:
        """The exact stepper of the guides, and what is not known."""
        own = settings.uncertainty or Uncertainty()
        scatter = Scatter(
            length_sd=own.crack_length_sd / settings.crack_length,
            growth_sd=own.growth_sd,
            local_sd=own.local_sd,
            local_length=own.local_length,
            wrong=own.wrong_readings,
            reading_sd=own.reading_sd,
        )
        return UncertainCrackStepper(self._exact.stepper(settings), scatter, own.particles)

    def key(self, stepper: UncertainCrackStepper) -> str:
        """That of the exact stepper, and how many particles there are."""
        return f"{self._exact.key(stepper.exact)}-{stepper.particles}"

    def parts(self, stepper: UncertainCrackStepper) -> Mapping[str, str]:
        """The names of law, geometry and retardation."""
        return self._exact.parts(stepper.exact)

    def beginnings(
        self, steppers: Sequence[UncertainCrackStepper], names: Sequence[str] = ()
    ) -> UncertainCrack:
        """Cracks that have seen nothing; what is drawn hangs on the names of the components."""
        columns = zip(*(stepper.scatter.values for stepper in steppers), strict=True)
        scatter = Scatter(*(torch.tensor(column, dtype=torch.float64) for column in columns))
        exact = joint([stepper.exact for stepper in steppers])
        keys = torch.tensor([_key(name) for name in names or [""] * len(steppers)])
        return UncertainCrackStepper(exact, scatter, steppers[0].particles).init(
            len(steppers), keys
        )

    def effort(self, stepper: UncertainCrackStepper, load: Series | Spectrum) -> float:
        """That of three exact cracks, and of the particles [s]."""
        return 3.0 * self._exact.effort(stepper.exact, load) + stepper.particles * PARTICLE_S

    def ran(
        self, stepper: UncertainCrackStepper, state: UncertainCrack, load: CrackLoad, row: Tensor
    ) -> tuple[UncertainCrack, Along]:
        """The state after loads, each on its `row` (k,), and what each of them has left."""
        return stepper.run(state, load, row)

    def expected(self, state: UncertainCrack) -> Expected:
        """The mean of the particles that are not broken: a broken part is not inspected."""
        return Expected(state.expected, state.length_sd, state.particles.reading_sd)

    def takes_over(self, other: Kind[Any, Any, Any]) -> bool:
        """From a crack without particles, too."""
        return other is self or other is self._exact

    def carried(
        self, history: UncertainCrack | CrackState, fresh: UncertainCrack, how: Manner
    ) -> UncertainCrack:
        """The new constants with the old history."""
        if isinstance(history, CrackState):
            return taken_over(history, fresh, stressed=how.stressed)
        return carried(history, fresh, stressed=how.stressed)

    def dated(self, state: UncertainCrack, row: int, t_ns: int) -> UncertainCrack:
        """The state with the last evidence of a component no earlier than `t_ns`."""
        return state._replace(guides=self._exact.dated(state.guides, row, t_ns))

    def lives(
        self, stepper: UncertainCrackStepper, state: UncertainCrack
    ) -> tuple[UncertainCrack, Tensor]:
        """The state with the quantiles of the cycles left, and their median (n,)."""
        found = torch.from_numpy(lives_told(array(remaining(state)), PROBABILITIES))
        known = has_load(state)
        outlook = torch.where(known[:, None], found, UNKNOWN)
        return state._replace(outlook=outlook), torch.where(known, found[:, MEDIAN], torch.nan)

    def with_outlook(self, state: UncertainCrack, asked: UncertainCrack) -> UncertainCrack:
        """The state with the quantiles of what was asked."""
        return state._replace(outlook=asked.outlook)

    def outlook(self, state: UncertainCrack, remaining: NDArray[np.float64]) -> NDArray[np.float64]:
        """Those of `outlook`; NaN where nothing is known."""
        some = state.outlook[:, :: len(PROBABILITIES) // 2].numpy()
        return np.where(some < 0.0, np.nan, some)

    def lengths(self, state: UncertainCrack) -> NDArray[np.float64]:
        """Those of the particles."""
        return lengths_told(array(state.particles.a), array(state.a_limit), _OUTER)

    def spread(self, state: UncertainCrack, row: int) -> dict[str, Any]:
        """Quantiles of length and cycles left, and how many particles they are of."""
        a, limit = state.particles.a[row : row + 1], state.a_limit[row : row + 1]
        lengths = lengths_told(array(a), array(limit), PROBABILITIES)[0].tolist()
        lives = dict(zip(_TOLD, state.outlook[row].tolist(), strict=True))
        return {
            "particles": a.shape[1],
            "crack_length": dict(zip(_TOLD, lengths, strict=True)),
            "remaining_cycles": None if state.outlook[row, MEDIAN] < 0.0 else lives,
            "probability_beyond_limit": float((a >= limit).double().mean()),
        }

    def ahead(
        self,
        stepper: UncertainCrackStepper,
        state: UncertainCrack,
        load: Cycles,
        question: Question,
        go_on: Callable[[], None],
    ) -> Ahead:
        """Lives and lengths of the particles under `load`."""
        left = life(state, load, go_on)
        cycles = question.cycles(torch.from_numpy(lives_told(array(left), PROBABILITIES))[0, -1:])
        return Ahead(left[0], cycles, rollout(state, load, cycles, go_on))

    def check_sizes(self, settings: CrackSettings) -> None:
        """Raise ValueError for lengths and sizes that no crack can have or be followed over."""
        self._exact.check_sizes(settings)

    def check(self, settings: CrackSettings) -> None:
        """Raise ValueError for sizes, geometry factors and laws by which no crack can grow."""
        self._exact.check(settings)

    def sound(self, steppers: Sequence[UncertainCrackStepper], ends: Tensor) -> Tensor:
        """Whether law and geometry give numbers at the ends (n, 2) [m]."""
        return self._exact.sound([stepper.exact for stepper in steppers], ends)

    def live(self, steppers: Sequence[UncertainCrackStepper]) -> None:
        """Raise EffortError where whole lives take too many strides."""
        self._exact.live([stepper.exact for stepper in steppers])


_OUTER = PROBABILITIES[:: len(PROBABILITIES) // 2]
_TOLD = [str(probability) for probability in PROBABILITIES.tolist()]


def _key(name: str) -> int:
    """A number of 64 bits that stands for a component."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
