"""The contract that every sort of belief keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from pydantic import BaseModel
from torch import Tensor

from models.crack.load import CrackLoad
from models.crack.run import Along
from models.fatigue.rainflow import Cycles
from models.stepper import Stepper
from sensors.observation import Series, Spectrum
from storage.trajectories.trajectories import Field
from twin.kinds.ahead import Ahead, Question

Settings = TypeVar("Settings", bound=BaseModel, contravariant=True)  # its part of a registration
Own = TypeVar("Own", bound=Stepper[object, CrackLoad])  # the stepper of a kind
State = TypeVar("State")


class Manner(NamedTuple):
    """What of a registration stays when it changes."""

    start: bool  # where the crack began, so that it is the same one
    stressed: bool  # what the stress intensity of a load comes from
    channel: bool  # what says whether a channel is clipped or stuck


class Kind(Protocol[Settings, Own, State]):
    """What must be known of one sort of belief, to step, keep, record and show it.

    Steppers of a kind that have the same `key` are stepped together, as one cohort.
    """

    name: str
    group: str  # of the trajectory, in which it is recorded; the name of its part of a registration
    settings: type[BaseModel]  # that part
    fields: tuple[Field, ...]  # what is recorded
    runs_together: bool  # consecutive loads of a component can be stepped in one go (`ran`)
    networks: frozenset[str]  # whose weights it asks

    def fits(self, settings: Settings) -> bool:
        """Whether these settings ask for this kind, among those of its group."""
        ...

    def start(self, settings: Settings) -> tuple[object, ...]:
        """What must not change for what is believed to be of the same thing."""
        ...

    def stepper(self, settings: Settings) -> Own:
        """The time-stepper that a registration asks for."""
        ...

    def key(self, stepper: Own) -> str:
        """The name of its cohort, of names in registries: it is on disk."""
        ...

    def parts(self, stepper: Own) -> Mapping[str, str]:
        """What a stepper consists of, for people."""
        ...

    def beginnings(self, steppers: Sequence[Own]) -> State:
        """The first state of each stepper, one row each; they have one key."""
        ...

    def effort(self, stepper: Own, load: Series | Spectrum) -> float:
        """About how long one component takes to be stepped by a load of its own [s]."""
        ...

    def ran(self, stepper: Own, state: State, load: CrackLoad, row: Tensor) -> tuple[State, Along]:
        """The state after loads, each on its `row` (k,), and what each of them has left.

        Of kinds alone that run together.
        """
        ...

    def carried(self, history: State, fresh: State, how: Manner) -> State:
        """The states of a changed registration (`fresh`) with their history, row by row."""
        ...

    def lives(self, stepper: Own, state: State) -> tuple[State, Tensor]:
        """The state after the question, and the cycles (n,) left to the limit under its load."""
        ...

    def ahead(
        self,
        stepper: Own,
        state: State,
        load: Cycles,
        question: Question,
        go_on: Callable[[], None],
    ) -> Ahead:
        """How the only row of a state goes on; `go_on` is called before what takes long."""
        ...

    def path(self, state: State, row: int) -> list[tuple[float, float]] | None:
        """The nodes [m] of the crack, mouth first; None for one that is straight."""
        ...

    def intensities(self, state: State) -> tuple[int, int]:
        """How many stress intensities were asked for, and how many of them XFEM found."""
        ...

    def check_sizes(self, settings: Settings) -> None:
        """Raise ValueError for sizes that no such thing can have; quickly."""
        ...

    def check(self, settings: Settings) -> None:
        """Raise ValueError for sizes and laws by which nothing can be stepped, in a sentence."""
        ...

    def sound(self, steppers: Sequence[Own], ends: Tensor) -> Tensor:
        """Which steppers (n,) pass `check`; `ends` (n, 2) are initial and alarm lengths [m]."""
        ...

    def live(self, steppers: Sequence[Own]) -> None:
        """Raise EffortError where following whole lives takes too long."""
        ...
