"""What requests and answers hold, for the OpenAPI document and for the tests.

Lengths are in metres, stresses in pascals, times in RFC 3339 and UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sensors.limits import Limits
from twin.component import NAME, Registration
from twin.status import Status

_LIMITS = Limits()
Quantiles = Annotated[
    dict[Literal["0.05", "0.5", "0.95"], float | None], Field(description="By probability.")
]
Remaining = Literal["finite", "unbounded", "unknown"]
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


class State(Page):
    """What is believed of a component."""

    component: str = Field(pattern=f"^{NAME.pattern}$")
    time: datetime | None = Field(
        description="Now: time of the last evidence, null before any. With `at`: the record tick."
    )
    status: Status | None = Field(description="Null for an earlier time.")
    crack_length: float | None = Field(description="Believed length [m].")
    crack_length_sd: float | None = Field(description="Its standard deviation [m].")
    crack_limit: float = Field(description="Alarm length [m].")
    growth_rate: float | None = Field(description="Growth under the last load [m/cycle].")
    open_growth: float | None = Field(description="Growth if the open residue closed now [m].")
    cycles: float | None = Field(description="Load cycles counted so far.")
    remaining_cycles: float | None = Field(
        description="Cycles left to the limit under the load so far, as of the last record tick."
    )
    remaining_cycles_is: Remaining = Field(description=_REMAINING)
    fractured: bool | None = Field(description="Null for an earlier time.")
    inspection: Innovation | None = Field(description="The last one; null for an earlier time.")
    last_evidence: datetime | None = Field(description="Time of the last evidence.")
    history_is: Literal["complete", "catching_up", "incomplete"] | None = Field(
        description="catching_up: evidence came far behind, and the history of its times is made "
        "up for soon; incomplete: it cannot be, as the journal has been cut off. Null for an "
        "earlier time."
    )
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


class Items(Page):
    """A page of components, by name."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page, null on the last.")


class Described(Page):
    """A component: how it is registered, and its state."""

    component: str
    revision: int = Field(description="Counts changes of the registration; the ETag.")
    registered_by: Literal["file", "api"]
    retired: bool
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
        description="`measured`: it became an inspection of the component."
    )
    trusted: bool = Field(description="Whether what is seen may be relied on.")
    why: str | None = Field(description="Why it is no measurement of the component.")
    length: float | None = Field(description="Of the crack that is seen [m]; null if not trusted.")
    length_sd: float | None = Field(description="[m]")
    tips: list[ImageTip] = Field(description="Ends that the image shows, the tip first.")
    path: list[tuple[float, float]] = Field(description="x, y from mouth to tip [pixel].")
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
    deterministic: bool = Field(description="All quantiles are equal: nothing is uncertain yet.")
    cycles: list[float]
    crack_length: dict[Literal["0.05", "0.5", "0.95"], list[float]] = Field(description="[m]")
    paths: Paths | None = Field(
        description="Where a crack along a path runs, by method. Null for other parts."
    )
    crack_limit: float = Field(description="[m]")
    remaining_cycles: Quantiles = Field(description="Cycles to `crack_limit`.")
    remaining_cycles_is: Literal["finite", "unbounded"] = Field(description="Of the median.")


Stress = Annotated[float, Field(ge=-_LIMITS.stress, le=_LIMITS.stress)]
Range = Annotated[float, Field(ge=0, le=_LIMITS.stress)]
Count = Annotated[float, Field(gt=0, le=_LIMITS.count)]
Horizon = Annotated[float, Field(gt=0, le=1e15)]
Points = Annotated[int, Field(ge=2, le=500)]


class WhatIf(Page):
    """A repeating mix of cycles."""

    cycles: Annotated[
        list[tuple[Range, Stress, Count]],
        Field(min_length=1, max_length=1000, description="Rows of range [Pa], mean [Pa], count."),
    ]
    shear_ratio: Annotated[float, Field(ge=-1e3, le=1e3, description="Shear over tension.")] = 0.0
    horizon_cycles: Horizon | None = Field(
        None, description="How far to look; a little beyond the limit if absent."
    )
    points: Points = 50


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

    crack_length: Annotated[float, Field(gt=0, le=1e9)]
    crack_length_sd: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    unit: Literal["m", "mm", "um", "in"]
    time: Annotated[str, Field(max_length=40, description="RFC 3339 with a zone.")]
    method: Annotated[str, Field(max_length=200)] = ""


class Inspected(Page):
    """What became of an inspection."""

    component: str
    outcome: Literal["accepted", "duplicate"]
    time: datetime
    crack_length: float = Field(description="Measured length [m].")
    innovation: float | None = Field(
        description="Measured less believed length [m]; null for a duplicate, and for an "
        "inspection older than the last one, which is recorded and changes no belief."
    )
