"""What is known of a component before anything is observed: its registration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)

from sensors.calibration import Calibration
from sensors.quality import Gauge
from twin.gauge_parameters import CalibrationParameters, GaugeParameters, healthy
from twin.kinds.catalogue import KINDS, groups
from twin.kinds.crack_settings import CrackSettings
from twin.kinds.entered import require_sound

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}")
DEPRECATED = (
    'the crack\'s fields stand beside calibration and gauge: move them into "crack", as in this '
    "answer; a later release will refuse them here"
)


class _Shared(BaseModel):
    """What belongs to a component, whatever is believed of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    calibration: CalibrationParameters = CalibrationParameters()
    gauge: GaugeParameters = Field(
        GaugeParameters(), description="What a healthy gauge says; else samples are set aside."
    )
    stale_after_s: Annotated[float, Field(strict=True, gt=0, le=1e9)] = Field(
        600.0, description="Silence after which the component counts as stale [s]."
    )
    unusual: bool = Field(
        False, description="Constants that hardly any part has are meant, and taken."
    )

    @model_validator(mode="after")
    def _sensitive(self) -> _Shared:
        if self.calibration.gain == 0.0:
            raise ValueError("calibration.gain is 0: it must not be, or no load is ever seen")
        return self

    @cached_property
    def calibrated(self) -> Calibration:
        """The map from what the gauge says to stress."""
        c = self.calibration
        return Calibration(c.gain, c.offset, c.youngs_modulus)

    @cached_property
    def plausible(self) -> Gauge:
        """What the gauge can mean; equal registrations share it."""
        return healthy(self.gauge)


class _Believed(_Shared):
    """And what is believed of it, a part for each kind; everything is in SI units."""

    crack: CrackSettings = Field(description="Its crack: every component has one.")

    @model_validator(mode="before")
    @classmethod
    def _inside(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        if not isinstance(values, dict) or "crack" not in values:
            return values
        own = [name for name in values if name in CrackSettings.model_fields]
        if own:
            raise ValueError(f"{', '.join(own)} must stand inside of crack, not beside it")
        inside = values["crack"] if isinstance(values["crack"], dict) else {}
        shared = [name for name in inside if name in _Shared.model_fields]
        if shared:
            raise ValueError(f"{', '.join(shared)} must stand beside crack, not inside of it")
        return values

    def part(self, group: str) -> BaseModel | None:
        """What is registered of a kind of belief."""
        found: BaseModel | None = getattr(self, group)
        return found


require_sound(KINDS, _Shared.model_fields)
if TYPE_CHECKING:
    Registration = _Believed
else:  # a kind that is entered in the catalogue has its settings here
    Registration = create_model(
        "Registration",
        __base__=_Believed,
        __doc__="A component as somebody registers it.",
        **{group: (own | None, None) for group, own in groups().items() if group != "crack"},
    )


class FlatRegistration(_Shared, CrackSettings):
    """The form of the first release, deprecated: the fields of the crack beside the others."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, values: Any) -> Any:  # noqa: ANN401  whatever was sent
        others = [name for name in values if name in groups()] if isinstance(values, dict) else []
        if others:
            raise ValueError(
                f"{', '.join(others)} cannot stand beside the fields of a crack: move these into "
                '"crack"'
            )
        return values

    def nested(self) -> Registration:
        """The same in the form of today."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        own = {name: values[name] for name in CrackSettings.model_fields}
        shared = {name: values[name] for name in _Shared.model_fields}
        return Registration(crack=CrackSettings.model_construct(**own), **shared)


def form(values: object) -> Literal["Registration", "FlatRegistration"]:
    """Which form a registration is written in."""
    if isinstance(values, Mapping) and "crack" not in values:
        return "FlatRegistration" if CrackSettings.model_fields.keys() & values else "Registration"
    return "FlatRegistration" if isinstance(values, FlatRegistration) else "Registration"


Sent = Annotated[
    Annotated[Registration, Tag("Registration")]
    | Annotated[FlatRegistration, Tag("FlatRegistration")],
    Discriminator(form),
]


FORMS: dict[str, type[BaseModel]] = {
    "Registration": Registration,
    "FlatRegistration": FlatRegistration,
}


def parsed(values: Mapping[str, Any]) -> Registration:
    """A registration in either form; raises ValidationError of that form's model."""
    if form(values) == "FlatRegistration":
        return FlatRegistration(**values).nested()
    return Registration(**values)


def _either(values: Any) -> Any:  # noqa: ANN401  whatever was written
    return parsed(values) if isinstance(values, Mapping) else values


class Component(BaseModel):
    """A registration with its name and history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=f"^{NAME.pattern}$")
    revision: int = Field(ge=1, description="Counts changes; the ETag.")
    registered_by: Literal["file", "api"]
    retired: bool = False
    registration: Annotated[Registration, BeforeValidator(_either)]
    registered_ns: int = Field(
        0, ge=0, description="Since when it is watched: registered or brought back [ns, UTC]."
    )
