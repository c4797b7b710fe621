"""What answers about the service itself hold: refused messages, models, health."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from twin.api.schema import Page


class Letter(Page):
    """A message that was refused."""

    id: int
    time: datetime
    topic: str
    reason: str
    sentence: str
    content_type: str
    properties: dict[str, str]
    payload: str = Field(description="The payload's beginning in base 64.")
    payload_bytes: int
    whole: bool = Field(description="False where it was cut: that is not submitted again.")
    decoded: str | None = Field(
        description="The payload's beginning as text: JSON as it came, MessagePack as JSON. Null "
        "for what is neither."
    )
    decoded_as: Literal["json", "msgpack", "text"] | None = Field(
        description="What the payload looks like, whatever `content_type` says."
    )


class Letters(Page):
    """Refused messages."""

    items: list[Letter]
    next: int | None = Field(
        description="`before` of the next page, `after` if `order` is `asc`; null on the last."
    )
    damaged: list[int] = Field(
        description="Numbers of letters that belong here and are damaged on disk: `twin check`."
    )
    total: int = Field(description="Letters that are kept, whatever is asked for.")
    counts: dict[str, int] = Field(description="Letters that are kept, by reason.")
    dropped: int = Field(description="Letters that made room for newer ones.")


class Resubmitted(Page):
    """What became of a letter that was judged again."""

    id: int
    outcome: Literal["accepted", "duplicate", "conflict", "behind"]


class SourceInfo(Page):
    """What one source has delivered since it last started."""

    source: str
    boot: int
    first: int = Field(description="The `seq` that came first.")
    high: int = Field(description="The highest `seq` so far.")
    floor: int = Field(description="Nothing is remembered of any `seq` below.")
    missing: int = Field(description="How many between the first and the highest have not come.")
    holes: list[tuple[int, int]] = Field(
        description="The `seq` that have not come, from and to; some before the first may be there."
    )


class Sources(Page):
    """The sources of a component."""

    component: str
    watermark: datetime | None = Field(description="What is older than this counts as late.")
    offset: int = Field(description="Lines of the journal; a state of that `offset` knows them.")
    sources: list[SourceInfo]
    total: int = Field(description="Sources on all pages; each boot counts as one.")
    next: str | None = Field(description="`after` of the next page.")


class CohortInfo(Page):
    """Components that are stepped together."""

    cohort: str
    belief: str = Field(description="Of what: `crack`, or another part of a registration.")
    law: str | None = Field(None, description="Of cracks.")
    geometry: str | None = Field(None, description="Of cracks.")
    retardation: str | None = Field(None, description="Of cracks.")
    components: int


class WeightsInfo(Page):
    """What a network has learned, and from what."""

    sha256: str = Field(description="Of the file of weights that this process works with.")
    version: str = Field(description="What results say that they are from, such as `reader`.")
    about: str
    used_for: str = Field(description="What a service asks it for; empty if none does.")
    in_use: bool = Field(
        description="Whether this service asks it, with the settings and parts that it has."
    )
    parameters: int = Field(description="Numbers that were learned.")
    data: dict[str, Any] = Field(description="What it was trained on, and how much was held out.")
    seed: int
    command: str = Field(description="What trained it.")
    figures: dict[str, float] = Field(description="Losses, as its card states them.")


class GeometryRange(Page):
    """For what the formula of a geometry is meant; what lies outside is refused."""

    valid: dict[str, tuple[float, float]] = Field(description="Least and greatest of each ratio.")
    accuracy: str = Field(description="How exact it is there, and by what that is known.")


class Models(Page):
    """What a component can be registered with, and what is in use."""

    laws: dict[str, str] = Field(description="What each is, in one sentence.")
    geometries: dict[str, str]
    geometry_ranges: dict[str, GeometryRange] = Field(description="By name of the geometry.")
    retardations: dict[str, str]
    materials: dict[str, str]
    material_load_ratios: dict[str, tuple[float, float]] = Field(
        description="Lowest and highest load ratio for which each material's constants hold."
    )
    weights: dict[str, WeightsInfo] = Field(description="Networks that come with the service.")
    cohorts: list[CohortInfo]


class Alive(Page):
    """The process answers."""

    alive: Literal[True]


class Checks(Page):
    """What readiness follows from; a broker that is away is told and does not count."""

    recovered: bool
    journal: bool
    archive: bool
    images: bool
    clock: bool = Field(description="Whether this host's clock is believed.")
    broker: bool | None = Field(description="Null where there is none.")
    steady: bool | None = Field(
        description="False while the broker ends connection after connection, soon after they were "
        "made: nothing gets on then. True again once one has lasted a minute."
    )


class Ready(Page):
    """Whether the service can do its work."""

    ready: bool
    checks: Checks
    broker_trouble: str | None = Field(
        description="What went wrong last with the broker, until a connection has lasted a minute, "
        "or for an hour that it had not kept our session."
    )
    disk_trouble: list[str] = Field(
        description="Why something cannot be written, and what to do; empty if all is well."
    )
    clock_trouble: str | None = Field(
        description="Why this host's clock is not believed, while nothing is acknowledged for it."
    )
    damage: list[str] = Field(description="What was found damaged, at the start and since.")
    overtaken: dict[str, int] = Field(
        description="Components whose loads take long to step, with how many of their observations "
        "wait: those of others overtake them. Empty for who sends no token where one is needed."
    )
