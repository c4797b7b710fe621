"""Straight cracks: by the formula of their geometry, in compiled code, many loads in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.crack.forecast import life, remaining, rollout
from models.crack.growth import lanes, remarked
from models.crack.joint import joint
from models.crack.load import CrackLoad, blocks
from models.crack.run import Along
from models.crack.state import CrackState, limit_of
from models.crack.stepper import CrackStepper, with_constants
from models.crack.uncertain_changes import as_certain
from models.crack.uncertain_state import UncertainCrack
from models.fatigue.effort import at_most
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.integration import STRIDE, advanced, strides
from models.fatigue.rainflow import Cycles
from models.fatigue.retardation import RETARDATIONS, NoRetardation
from sensors.observation import Series, Spectrum
from twin.kinds.ahead import Ahead, Question
from twin.kinds.crack_constants import key, law, toughness, yield_stress
from twin.kinds.crack_like import CrackLike, known_lives
from twin.kinds.crack_settings import CrackSettings
from twin.kinds.growth_checks import check_growth, grows
from twin.kinds.kind import Kind, Manner
from twin.parameters import PlateParameters

LIFE_POINTS = 65  # of the quadrature of remaining lives, once a record tick for every component
SHORTEST = 1e-9  # [m] a few atoms: growth over decades of nothing would take for ever
MOST_STRIDES = 545  # of a crack, whatever its life is like: from 1 µm to 9.5 m
LIVES = ((1e7, 0.1), (1e8, 0.1), (1e8, -1.0), (1e8, 0.7))  # [Pa], [1]: ranges and load ratios

# What it takes to step a component by itself, about; see `tests/twin/stepping/test_stepping.py`
LOAD_S, CYCLE_S, RETARDED_S = 4e-5, 1e-6, 2e-6  # a load; each sample or cycle of it


class CrackKind(CrackLike[CrackStepper, CrackState]):
    """Straight cracks; see `Kind`."""

    name: ClassVar[str] = "crack"
    runs_together: ClassVar[bool] = True

    def fits(self, settings: CrackSettings) -> bool:
        """Whether the geometry has a formula or a table, and nothing is said to be uncertain."""
        return settings.uncertainty is None and self.is_straight(settings)

    def is_straight(self, settings: CrackSettings) -> bool:
        """Whether the geometry has a formula or a table."""
        return not isinstance(settings.geometry, PlateParameters)

    def start(self, settings: CrackSettings) -> tuple[object, ...]:
        """The initial length: a corrected geometry leaves the crack where it is."""
        return (settings.crack_length,)

    def stepper(self, settings: CrackSettings) -> CrackStepper:
        """The crack stepper with the laws that are registered."""
        retardation = settings.retardation
        shortened = 0.999999 * settings.longest  # see `CrackSettings._ever_longest`
        return CrackStepper(
            law=law(settings),
            geometry=settings.geometry.built(GEOMETRIES),
            retardation=retardation.built(RETARDATIONS) if retardation else NoRetardation(),
            a_0=min(settings.crack_length, shortened),
            a_limit=settings.crack_limit,
            gate=settings.gate,
            replace=settings.inspection == "replace",
            K_c=toughness(settings),
            yield_stress=yield_stress(settings),
        )

    def key(self, stepper: CrackStepper) -> str:
        """Law, geometry and retardation."""
        return key(stepper.law, stepper.geometry, stepper.retardation)

    def parts(self, stepper: CrackStepper) -> Mapping[str, str]:
        """The names of law, geometry and retardation."""
        return {
            "law": type(stepper.law).__name__,
            "geometry": type(stepper.geometry).__name__,
            "retardation": type(stepper.retardation).__name__,
        }

    def beginnings(self, steppers: Sequence[CrackStepper], names: Sequence[str] = ()) -> CrackState:
        """Cracks that have seen nothing, made together."""
        return joint(steppers).init(len(steppers))

    def effort(self, stepper: CrackStepper, load: Series | Spectrum) -> float:
        """By the number of samples or cycles [s]."""
        many = len(load.tension) // 8 if isinstance(load, Series) else len(load.cycles) // 24
        return LOAD_S + many * (RETARDED_S if stepper.retardation.interacts else CYCLE_S)

    def ran(
        self, stepper: CrackStepper, state: CrackState, load: CrackLoad, row: Tensor
    ) -> tuple[CrackState, Along]:
        """The state after loads, each on its `row` (k,), and what each of them has left."""
        return stepper.run(state, load, row)

    def takes_over(self, other: Kind[Any, Any, Any]) -> bool:
        """From a crack with particles, too: their mean."""
        return other is self or (other.is_weighed and other.group == self.group)

    def carried(
        self, history: CrackState | UncertainCrack, fresh: CrackState, how: Manner
    ) -> CrackState:
        """The new constants with the old history; no zone stays where ΔK comes from elsewhere."""
        if isinstance(history, UncertainCrack):
            history = as_certain(history)
        state = with_constants(history, fresh, stressed=how.stressed)
        return remarked(state, torch.ones(len(state.t_ns), dtype=torch.bool))

    def lives(self, stepper: CrackStepper, state: CrackState) -> tuple[CrackState, Tensor]:
        """The cycles (n,) left to the limit; nothing changes by the question."""
        return state, known_lives(state, remaining(state, LIFE_POINTS))

    def ahead(
        self,
        stepper: CrackStepper,
        state: CrackState,
        load: Cycles,
        question: Question,
        go_on: Callable[[], None],
    ) -> Ahead:
        """Life and lengths under `load`."""
        left = life(state, load, state.a_limit[:, None], LIFE_POINTS)[0]
        left = torch.where(state.fractured, 0.0, left)
        cycles = question.cycles(left)
        return Ahead(left, cycles, rollout(state, load, cycles, go_on)[0])

    def check_sizes(self, settings: CrackSettings) -> None:
        """Raise ValueError for lengths and sizes that no crack can have or be followed over."""
        if settings.crack_length < SHORTEST:
            raise ValueError(
                f"crack_length is {settings.crack_length} m: no crack is below {SHORTEST} m"
            )
        for size, value in settings.geometry.sizes:
            if not value > 0.0:
                raise ValueError(f"geometry.{size} is {value:g}: a size has to be above 0")
        a, limit = settings.crack_length, settings.longest
        if (count := strides(a, limit)) > MOST_STRIDES:
            raise ValueError(
                f"crack_length is {a:g} m where a crack may become {limit:.3g} m: to follow it "
                f"takes {count} strides, at most {MOST_STRIDES} are taken. A crack of "
                f"{limit / (1.0 + STRIDE) ** MOST_STRIDES:.2g} m is long enough"
            )

    def check(self, settings: CrackSettings) -> None:
        """Raise ValueError for sizes, geometry factors and laws by which no crack can grow."""
        self.check_sizes(settings)
        _check_factors(settings)
        check_growth(law(settings), settings.crack_length)

    def sound(self, steppers: Sequence[CrackStepper], ends: Tensor) -> Tensor:
        """Whether law and geometry give numbers at the ends (n, 2) [m]."""
        one = joint(steppers)
        factors = one.geometry.F(ends)
        return (torch.isfinite(factors) & (factors > 0.0)).all(1) & grows(one.law, ends[:, 0])

    def live(self, steppers: Sequence[CrackStepper]) -> None:
        """Raise EffortError where whole lives take too many strides."""
        for span, ratio in LIVES:
            mean = 0.5 * span * (1.0 + ratio) / (1.0 - ratio)
            state = self.beginnings(steppers)
            with at_most(MOST_STRIDES):
                lived(state, blocks([[[span, mean, 1e15]]] * len(steppers)))


def lived(state: CrackState, cycles: Cycles) -> Tensor:
    """Whether cracks (n·p,) break under cycles that all act together.

    By the form of the integration that counts its strides; steps take the same ones, in compiled
    code that counts none.
    """
    return advanced(state.length.reshape(-1), lanes(state, cycles), limit_of(state)).broken


def _check_factors(settings: CrackSettings) -> None:
    ends = [[settings.crack_length, settings.crack_limit]]
    factors = settings.geometry.built(GEOMETRIES).F(torch.tensor(ends, dtype=torch.float64))
    if not bool((torch.isfinite(factors) & (factors > 0.0)).all()):
        raise ValueError(
            f"the geometry factors at crack_length and crack_limit are {factors[0].tolist()}: "
            "they must be above 0"
        )
