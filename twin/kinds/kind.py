"""The contract that every sort of belief keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from models import tree
from models.crack.load import CrackLoad
from models.crack.run import Along
from models.fatigue.rainflow import Cycles
from models.stepper import Stepper
from sensors.observation import AnyObservation, Observation, Series, Spectrum
from storage.trajectories.layout import Field
from twin.kinds.ahead import Ahead, Question

TOLD = ("0.05", "0.5", "0.95")  # probabilities of the quantiles in metrics and forecasts
PORTION = 256  # newcomers that are made at a time
LOAD_S = 1e-4  # of stepping a load, about

Settings = TypeVar("Settings", bound=BaseModel)  # its part of a registration
Own = TypeVar("Own", bound=Stepper[Any, Any])  # its stepper
State = TypeVar("State")  # a named tuple of tensors with a row for each component

Columns = dict[str, NDArray[Any]]


class Manner(NamedTuple):
    """What of a registration stays when it changes."""

    start: bool  # what is believed is of the same thing
    stressed: bool  # what the effect of a load comes from
    channel: bool  # what says whether a channel is clipped or stuck


class Flags(NamedTuple):
    """How things stand; (n,) bool."""

    at_limit: Tensor
    ended: Tensor  # nothing is left, whatever the limit


class Expected(NamedTuple):
    """What inspections should find; (n,) [m]."""

    length: Tensor
    sd: Tensor  # of that; ∞: nobody knows it
    reading_sd: Tensor  # of an inspection that states none


class Kind(ABC, Generic[Settings, Own, State]):
    """What must be known of one sort of belief, to step, keep, record and show it.

    A component holds at most one belief of each `group`. Steppers of a kind that have the same
    `key` are stepped together, as one cohort. A state has a leaf `t_ns` (n,): its last evidence.
    """

    name: ClassVar[str]
    group: ClassVar[str]  # of the trajectory; the name of its part of a registration
    settings: ClassVar[type[BaseModel]]  # that part
    fields: ClassVar[tuple[Field, ...]]  # what is recorded; history and metrics follow from it
    takes: ClassVar[tuple[type[Observation], ...]] = (Series, Spectrum)
    is_inspected: ClassVar[bool] = False  # inspections are of what it believes
    is_weighed: ClassVar[bool] = False  # an inspection is weighed, and does not replace the belief
    runs_together: ClassVar[bool] = False  # consecutive loads can be stepped in one go (`ran`)
    networks: ClassVar[frozenset[str]] = frozenset()  # whose weights it asks

    # --- what each kind says for itself

    @abstractmethod
    def stepper(self, settings: Settings) -> Own:
        """The time-stepper that a registration asks for."""

    @abstractmethod
    def key(self, stepper: Own) -> str:
        """The name of its cohort, of names in registries: it is on disk."""

    @abstractmethod
    def flags(self, state: State) -> Flags:
        """Which components are at their limit, and which have ended."""

    @abstractmethod
    def columns(self, state: State, remaining: NDArray[np.float64]) -> Columns:
        """What is recorded: an array (n,) for each of `fields`."""

    @abstractmethod
    def carried(self, history: State, fresh: State, how: Manner) -> State:
        """The states of a changed registration (`fresh`) with their history, row by row."""

    @abstractmethod
    def check(self, settings: Settings) -> None:
        """Raise ValueError for settings by which nothing can be stepped, in a sentence."""

    # --- what most have in common

    def fits(self, settings: Settings) -> bool:
        """Whether settings ask for this kind, among those of its group."""
        return True

    def start(self, settings: Settings) -> tuple[object, ...]:
        """What must not change for what is believed to be of the same thing."""
        return ()

    def stressed(self, settings: Settings) -> tuple[object, ...]:
        """What the effect of a load comes from."""
        return ()

    def parts(self, stepper: Own) -> Mapping[str, str]:
        """What a stepper consists of, for people."""
        return {}

    def beginnings(self, steppers: Sequence[Own], names: Sequence[str] = ()) -> State:
        """The first state of each stepper, one row each; they have one key.

        `names` are those of the components, where they are known: draws may hang on them.
        """
        # joined in portions, as many small tensors take much memory
        portions = [steppers[i : i + PORTION] for i in range(0, len(steppers), PORTION)]
        found: State = tree.joined([tree.joined([s.init(1) for s in some]) for some in portions])
        return found

    def effort(self, stepper: Own, load: Series | Spectrum) -> float:
        """About how long one component takes to be stepped by a load of its own [s]."""
        return LOAD_S

    def load(self, load: CrackLoad, observations: Sequence[AnyObservation]) -> Any:  # noqa: ANN401
        """What the stepper takes, a row for each observation, of what is accepted of them."""
        return load

    def ran(self, stepper: Own, state: State, load: CrackLoad, row: Tensor) -> tuple[State, Along]:
        """The state after loads, each on its `row` (k,), and what each of them has left."""
        raise NotImplementedError(f"{self.name} does not run together")

    def takes_over(self, other: Kind[Any, Any, Any]) -> bool:
        """Whether `carried` takes the history of that kind."""
        return other is self

    def dated(self, state: State, row: int, t_ns: int) -> State:
        """The state with the last evidence of a component no earlier than `t_ns`."""
        after: Any = state
        times = after.t_ns.clone()
        times[row] = max(int(times[row]), t_ns)
        return cast(State, after._replace(t_ns=times))

    def with_outlook(self, state: State, asked: State) -> State:
        """The state with what `lives` has found out and is told of it, and nothing else."""
        return state

    def outlook(self, state: State, remaining: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantiles (n, 3) of what is left, at `TOLD`, where `remaining` (n,) is the median."""
        return np.repeat(remaining[:, None], len(TOLD), axis=1)

    def spread(self, state: State, row: int) -> dict[str, Any] | None:
        """What is uncertain of a component, for people; None: nothing is."""
        return None

    def lives(self, stepper: Own, state: State) -> tuple[State, Tensor]:
        """The state after the question, and the cycles (n,) left to the limit; NaN: unknown."""
        n = len(self.flags(state).ended)
        return state, torch.full((n,), torch.nan, dtype=torch.float64)

    def said(self, state: State, row: int) -> dict[str, float]:
        """What an event says of a component."""
        return {}

    # --- what cracks alone answer

    def ahead(
        self,
        stepper: Own,
        state: State,
        load: Cycles,
        question: Question,
        go_on: Callable[[], None],
    ) -> Ahead:
        """How the only row of a state goes on; `go_on` is called before what takes long."""
        raise NotImplementedError(f"{self.name} has no forecast")

    def expected(self, state: State) -> Expected:
        """What inspections should find."""
        raise NotImplementedError(f"{self.name} is not inspected")

    def path(self, state: State, row: int) -> list[tuple[float, float]] | None:
        """The nodes [m] of the crack, mouth first; None for one that is straight."""
        return None

    def intensities(self, state: State) -> tuple[int, int]:
        """How many stress intensities were asked for, and how many of them XFEM found."""
        return 0, 0

    def check_sizes(self, settings: Settings) -> None:
        """Raise ValueError for sizes that no such thing can have; quickly."""
        return

    def sound(self, steppers: Sequence[Own], ends: Tensor) -> Tensor:
        """Which steppers (n,) pass `check`; `ends` (n, 2) are initial and alarm lengths [m]."""
        return torch.ones(len(steppers), dtype=torch.bool)

    def live(self, steppers: Sequence[Own]) -> None:
        """Raise EffortError where following whole lives takes too long."""
        return
