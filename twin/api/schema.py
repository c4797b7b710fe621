"""What requests and answers hold, for the OpenAPI document and for the tests.

Lengths are in metres, stresses in pascals, times in RFC 3339 and UTC.
"""

# Over 300 lines: the OpenAPI document is read as one, and its models refer to each other.

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sensors.errors import MalformedError
from sensors.limits import LARGEST, Limits
from sensors.refusal import shown
from sensors.units import LENGTH, STRAIN, STRESS, length_unit, load_unit
from twin.belief.fleet_file_drift import Apart
from twin.belief.status import Flag, Status
from twin.component import NAME, Registration

_LIMITS = Limits()
LOAD_UNITS = (*STRESS, *STRAIN)


def _load_unit(name: str) -> str:
    return _known_unit(name, load_unit)


def _length_unit(name: str) -> str:
    return _known_unit(name, length_unit)


def _known_unit(name: str, unit: Callable[[str], object]) -> str:
    """The name of a unit, if the wire knows it too."""
    try:
        unit(name)
    except MalformedError as exc:
        raise ValueError(str(exc)) from exc
    return name


def _time_as_text(value: Any) -> Any:  # noqa: ANN401  whatever was sent
    """The text as it came; ValueError for the number of an epoch."""
    if isinstance(value, int | float):
        raise ValueError(
            f"time is {shown(value)}: write it as RFC 3339 with a zone, 2026-11-20T10:05:00Z"
        )
    return value


def _unit_said(values: Any, what: str, known: Collection[str]) -> Any:  # noqa: ANN401  anything
    """The fields as they came; ValueError, naming the units, where none is said."""
    if isinstance(values, dict) and "unit" not in values:
        raise ValueError(f"unit is missing: say which one {what} are in ({', '.join(known)})")
    return values


Quantiles = Annotated[
    dict[Literal["0.05", "0.5", "0.95"], float | None], Field(description="By probability.")
]
Told = Literal["0.05", "0.25", "0.5", "0.75", "0.95"]
Reason = Literal["null", "range", "rail", "spike", "clipping", "stuck"]
Remaining = Literal["finite", "unbounded", "unknown"]
HistoryIs = Literal["complete", "catching_up", "incomplete"]
_HISTORY_IS = (
    "catching_up: evidence came far behind, and the history of its times is made up for soon; "
    "incomplete: it cannot be, as the journal has been cut off."
)
_REMAINING = (
    "finite; unbounded: no growth under that load; unknown: no load seen up to the last record tick"
)


class Page(BaseModel):
    """What all of them have in common: nothing is said that is not described."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Fault(Page):
    """One thing that is wrong with a request."""

    where: str
    what: str


class Problem(Page):
    """RFC 9457 problem details."""

    type: str = Field(description="Stable name of the kind of problem.")
    title: str
    status: int
    detail: str
    errors: list[Fault] = Field([], description="The faults of a request, one by one.")


class Innovation(Page):
    """The last inspection."""

    time: datetime
    crack_length: float = Field(description="Measured length [m].")
    crack_length_sd: float = Field(description="Its standard deviation [m], 0 if not stated.")
    innovation: float = Field(description="Measured less believed length [m].")


class HeldInspection(Page):
    """An inspection that contradicts the belief: it moves nothing until it is confirmed."""

    id: str = Field(description="For `POST …/inspections/{id}/confirm`.")
    time: datetime
    crack_length: float = Field(description="Measured length [m].")
    crack_length_sd: float = Field(description="Its standard deviation [m], 0 if not stated.")
    method: str
    source: str = Field(description="The instrument; of an image, the camera.")
    why: str | None = Field(
        description="Why it is not believed though it may be near: what an image shows is a part "
        "of the crack, or cannot be. Null where it is too far from the belief."
    )


class Quality(Page):
    """Whether the gauge can be believed, and what was left out so far."""

    doubtful: bool = Field(
        description="Now: the channel is clipped or stuck, or anything of the last load was set "
        "aside."
    )
    reasons: list[Reason] = Field(
        description="Why samples were set aside so far: `null` codes, out of `range`, at the "
        "`rail`, a lone `spike`; and `clipping` and `stuck` as long as the channel is: such "
        "samples count all the same."
    )
    set_aside: int = Field(description="Samples and rows of spectra that were set aside so far.")
    counts: dict[Reason, int] = Field(
        description="How many of them for each reason; of `clipping` and `stuck` how often so far."
    )
    waiting: int = Field(description="Samples that only the next ones will tell from a spike.")
    clipped: bool = Field(description="Peaks are cut off; until the signal goes beyond.")
    stuck: bool = Field(description="The channel says the same all the time, until it moves.")


class Spread(Page):
    """What is uncertain of a crack; quantiles by probability."""

    particles: int = Field(description="Possible cracks by which the crack is believed.")
    crack_length: dict[Told, float] = Field(description="[m]")
    remaining_cycles: dict[Told, float | None] | None = Field(
        description="Cycles left to the limit under the load so far, each null: unbounded; null as "
        "long as no load was seen."
    )
    probability_beyond_limit: float = Field(
        description="That the crack has reached the limit, or has broken the part."
    )


class State(Page):
    """What is believed of a component."""

    component: str = Field(pattern=f"^{NAME.pattern}$")
    time: datetime | None = Field(
        description="Now: time of the last evidence, null before any. With `at`: the record tick."
    )
    status: Status | None = Field(description="Null for an earlier time.")
    crack_length: float | None = Field(description="Believed length [m].")
    crack_length_sd: float | None = Field(description="Its standard deviation [m].")
    uncertainty: Spread | None = Field(
        description="Quantiles, where `uncertainty` is registered; null for an earlier time."
    )
    crack_limit: float = Field(description="Alarm length [m].")
    growth_rate: float | None = Field(description="Growth under the last load [m/cycle].")
    open_growth: float | None = Field(description="Growth if the open residue closed now [m].")
    cycles: float | None = Field(description="Load cycles counted so far.")
    remaining_cycles: float | None = Field(
        description="Cycles left to the limit under the load so far; 0 at the limit."
    )
    remaining_cycles_is: Remaining = Field(description=_REMAINING)
    reason: str | None = Field(description="Why there is no number, or 0 short of the limit.")
    fractured: bool | None = Field(description="Null for an earlier time.")
    outside: list[str] | None = Field(
        description="Load ratios that the law, and lengths that the geometry's formula is not known"
        " to hold for, in sentences; null for an earlier time."
    )
    inspection: Innovation | None = Field(description="The last one; null for an earlier time.")
    held: HeldInspection | None = Field(
        description="An inspection that waits to be confirmed: by another that agrees, of another "
        "instrument or of the same one at least a day later with another content, or by `POST "
        "…/inspections/{id}/confirm`. One that no crack there can have waits for that alone."
    )
    quality: Quality | None = Field(description="Of the load; null for an earlier time.")
    beside: dict[str, dict[str, Any]] | None = Field(
        description="What else is believed of it, by kind: the fields that are recorded of it, "
        "`at_limit` and `ended`; null for an earlier time."
    )
    last_evidence: datetime | None = Field(description="Time of the last evidence.")
    history_is: HistoryIs | None = Field(description=f"{_HISTORY_IS} Null for an earlier time.")
    offset: int | None = Field(
        description="Lines of the journal behind this; null for an earlier time."
    )


class Item(Page):
    """A component in a list."""

    component: str
    status: Status
    crack_length: float | None = Field(description="[m]")
    crack_length_sd: float | None = Field(description="[m]")
    crack_limit: float = Field(description="[m]")
    growth_rate: float | None = Field(description="[m/cycle]")
    cycles: float | None
    remaining_cycles: float | None
    remaining_cycles_is: Remaining = Field(description=_REMAINING)
    last_evidence: datetime | None
    revision: int
    outside: list[str] = Field(
        description="What the law, or the geometry's formula, is not known to hold for."
    )
    held: HeldInspection | None = Field(description="An inspection that waits.")
    quality: Quality
    history_is: HistoryIs = Field(description=_HISTORY_IS)


class Items(Page):
    """A page of components."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page, null on the last.")
    total: int = Field(description="Components on all pages of this list.")
    counts: dict[Status, int] = Field(
        description="Components of each status, whatever `status` and `flag` ask for."
    )
    flagged: dict[Flag, int] = Field(
        description="Components with each flag, likewise; none that is retired."
    )


class Described(Page):
    """A component: how it is registered, and its state."""

    component: str
    revision: int = Field(description="Counts changes of the registration; the ETag.")
    registered_by: Literal["file", "api"]
    retired: bool
    fleet_file: Apart | None = Field(
        description="How the fleet file, as it was read at the start, and this part are apart: "
        "`missing`: the file registered it and does not name it any more, it lives on until it is "
        "deleted; `differs`: it was changed or deleted over HTTP since, which goes before the file."
    )
    deprecated: str | None = Field(
        description="What of the registration that was sent a later release will refuse; else null."
    )
    registration: Registration
    state: State | None = Field(description="Null right after a registration.")


class History(Page):
    """Columns of the trajectory of a component."""

    component: str
    units: dict[str, str]
    columns: dict[str, list[Any]] = Field(description="`time`, and the fields asked for.")
    next: datetime | None = Field(description="`from` of the next page, null on the last.")


class Circle(Page):
    """A round hole."""

    x: float
    y: float
    radius: float


class Crack(Page):
    """The crack in its plate: coordinates in metres, y upwards."""

    component: str
    time: datetime | None
    geometry: dict[str, Any]
    crack_length: float
    crack_length_sd: float
    crack_limit: float
    fractured: bool
    outline: list[tuple[float, float]] = Field(description="Closed.")
    holes: list[Circle]
    path: list[list[tuple[float, float]]] = Field(description="Each branch from mouth to tip.")
    path_at_limit: list[list[tuple[float, float]]] = Field(
        description="Straight on to the limit; empty for a crack along a path."
    )


class ImageTip(Page):
    """An end of a crack in an image."""

    x: float = Field(description="To the right from the left border [pixel].")
    y: float = Field(description="Downwards from the upper border [pixel].")
    sd: float = Field(description="Standard deviation of each coordinate [pixel].")


class ImageRead(Page):
    """What was read from a crack image."""

    outcome: Literal["measured", "unused", "untrusted", "nothing", "failed"] = Field(
        description="`measured`: it became an inspection of the component. `unused`: one that is "
        "not believed for itself; where it contradicts the belief it waits, as `held` of the state."
    )
    trusted: bool = Field(description="Whether what is seen may be relied on.")
    why: str | None = Field(description="Why it is no measurement of the component.")
    length: float | None = Field(description="Of the crack that is seen [m]; null if not trusted.")
    length_sd: float | None = Field(description="[m]")
    tips: list[ImageTip] = Field(description="Ends that the image shows, the tip first.")
    path: list[tuple[float, float]] = Field(
        description="x, y from mouth to tip [pixel], in the rows and columns as they are stored: a "
        "photograph's EXIF orientation does not turn them, a TIFF's does."
    )
    reader: str


class ImageInfo(Page):
    """An image that was received."""

    sha256: str
    kind: Literal["crack", "microstructure"]
    media_type: str
    width: int = Field(description="[pixel]")
    height: int = Field(description="[pixel]")
    pixel_size: float = Field(description="[m]")
    time: datetime
    source: str
    boot: int
    seq: int
    read: ImageRead | None = Field(description="What was read from it; null before that.")


class Images(Page):
    """Images of a component, newest first."""

    items: list[ImageInfo]
    total: int = Field(description="Images of it that are known so far, of which the newest stay.")
    complete: bool = Field(description="False while the journal is still being looked through.")


class Paths(Page):
    """Where a crack runs up to the last of `cycles`: nodes [m], the mouth first."""

    physics: list[tuple[float, float]] = Field(description="By fracture mechanics.")
    spiking: list[tuple[float, float]] | None = Field(
        description="By the spiking network, for comparison: as far as physics. Null where the "
        "question lies outside what it has learned: plates with H = 2 W and uniform shear alone, "
        "the mouth within 0.1 W of the middle, the tip at least 0.1 W from the side, shear no "
        "larger than tension (|τ/σ| ≤ 1), and cycles of about one direction."
    )
    why: str | None = Field(description="Why there is no `spiking` path.")


class Forecast(Page):
    """How the crack goes on under a load."""

    component: str
    time: datetime | None = Field(description="Of the state that the forecast starts from.")
    load: Literal["seen", "what-if"]
    largest_range: float | None = Field(
        description="Of the what-if spectrum, in the part [Pa]; null for the load seen."
    )
    deterministic: bool = Field(description="All quantiles are equal: nothing is uncertain yet.")
    cycles: list[float]
    crack_length: dict[Literal["0.05", "0.5", "0.95"], list[float]] = Field(description="[m]")
    paths: Paths | None = Field(
        description="Where a crack along a path runs, by method. Null for other parts."
    )
    crack_limit: float = Field(description="[m]")
    remaining_cycles: Quantiles = Field(description="Cycles to `crack_limit`.")
    remaining_cycles_is: Literal["finite", "unbounded"] = Field(description="Of the median.")
    outside: list[str] = Field(
        description="Load ratios of this load that the law, and lengths that the geometry's "
        "formula is not known to hold for, in sentences: nor is what is forecast then."
    )


# Strict in bodies, as MQTT is: true is no crack of 1 mm, and "4" no number.
Mean = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Range = Annotated[float, Field(strict=True, ge=0, le=LARGEST)]
Count = Annotated[float, Field(strict=True, gt=0, le=_LIMITS.count)]
Horizon = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
Points = Annotated[int, Field(ge=2, le=500)]


class WhatIf(Page):
    """A repeating mix of cycles."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "example": {"unit": "MPa", "cycles": [[180.0, 110.0, 250], [60.0, 95.0, 4000]]}
        },
    )

    unit: Annotated[
        str,
        AfterValidator(_load_unit),
        Field(
            description="Of ranges and means, as in a message of kind `load`: a strain becomes "
            "stress by the component's calibration.",
            json_schema_extra={"enum": list(LOAD_UNITS)},
        ),
    ]
    cycles: Annotated[
        list[tuple[Range, Mean, Count]],
        Field(
            min_length=1, max_length=1000, description="Rows of range [unit], mean [unit], count."
        ),
    ]
    shear_ratio: Annotated[
        float, Field(strict=True, ge=-1e3, le=1e3, description="Shear over tension.")
    ] = 0.0
    horizon_cycles: Annotated[Horizon, Field(strict=True)] | None = Field(
        None, description="How far to look; a little beyond the limit if absent."
    )
    points: Annotated[Points, Field(strict=True)] = 50

    @model_validator(mode="before")
    @classmethod
    def _with_unit(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        """Megapascals that are read as pascals give a life without end: nobody may guess."""
        return _unit_said(values, "ranges and means", LOAD_UNITS)


class InspectionBody(Page):
    """A measured crack length."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "example": {
                "crack_length": 12.3,
                "crack_length_sd": 0.1,
                "unit": "mm",
                "time": "2026-11-20T10:05:00Z",
                "method": "travelling-microscope",
            }
        },
    )

    crack_length: Annotated[float, Field(strict=True, gt=0, le=1e9)]
    crack_length_sd: Annotated[float, Field(strict=True, ge=0, le=1e9)] = 0.0
    unit: Annotated[
        str, AfterValidator(_length_unit), Field(json_schema_extra={"enum": list(LENGTH)})
    ]
    time: Annotated[
        str,
        BeforeValidator(_time_as_text),
        Field(max_length=40, description="RFC 3339 with a zone."),
    ]
    method: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="before")
    @classmethod
    def _with_unit(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        return _unit_said(values, "the lengths", LENGTH)


class Inspected(Page):
    """What became of an inspection."""

    component: str
    outcome: Literal["accepted", "duplicate"]
    time: datetime
    id: str = Field(description="The inspection's own, within its component.")
    held: bool = Field(
        description="It jumps from the belief, moves nothing, and waits for confirmation."
    )
    believed: bool = Field(
        description="It is the last inspection that the belief follows. False where it is held or "
        "older than the last one, and with 202: it is durable then, and in its turn behind loads "
        "that take long to step; whether it is held is not known yet. It is not to be sent again."
    )
    crack_length: float = Field(description="Measured length [m].")
    innovation: float | None = Field(
        description="Measured less believed length [m]; null for a duplicate, for one that is "
        "held, and for an inspection older than the last one, which changes no belief."
    )


class Confirmed(Page):
    """What became of a confirmation."""

    component: str
    id: str = Field(description="Of the inspection.")
    outcome: Literal["confirmed", "duplicate"] = Field(
        description="`duplicate`: it was confirmed before; nothing is done."
    )
