"""A fleet as tensors and a page of JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from numpy.typing import NDArray

from sensors.observation import Inspection, encoded, observation
from twin.belief.cohort import Cohort, newcomers
from twin.belief.fleet import Clock, Fleet, Section
from twin.belief.leaves import OtherFormatError, leaves_of, with_leaves
from twin.belief.seating import Place
from twin.belief.watermark import FIRST, MAX_JUMP_NS, NEVER, Clocks
from twin.collecting import uncollected
from twin.component import Component
from twin.kinds.crack_fields import GROUP

# before 4: no believed lengths, no strength, no watches, every clock believed, no registration time
# before 5: turning points met no overload, classes of loads had no highest peak
# before 6: registrations were flat, which is read all the same
FORMAT = 6


def tensors(fleet: Fleet) -> dict[str, NDArray[Any]]:
    """Every leaf of every cohort: `cohort/path` of cracks, `group:cohort/path` of others."""
    return {
        f"{_prefix(group)}{key}/{path}": leaf
        for group, section in fleet.sections.items()
        for key, cohort in section.cohorts.items()
        for path, leaf in leaves_of(cohort).items()
    }


def _prefix(group: str) -> str:
    return "" if group == GROUP else f"{group}:"


def metadata(fleet: Fleet, clock: Clock) -> bytes:
    """Everything else, as JSON."""
    page = {
        "format": FORMAT,
        "offset": fleet.offset,
        "rows": fleet.rows,
        "watermark_ns": fleet.watermark_ns,
        "clocks": _clocks_page(fleet.clocks),
        "recorded_ns": fleet.recorded_ns,
        "behind": dict(fleet.behind),
        "record_every_ns": clock.record_every_ns,
        "lateness_ns": clock.lateness_ns,
        "max_jump_ns": clock.max_jump_ns,
        "members": fleet.members,
        **_section_page(fleet, fleet.sections[GROUP]),  # before 6 there were cracks alone
        "beside": {
            group: {"began": section.began, **_section_page(fleet, section)}
            for group, section in fleet.sections.items()
            if group != GROUP
        },
        "held": [list(encoded(held)) for held in fleet.held.values()],
        "components": [c.model_dump(mode="json") for c in fleet.components.values()],
    }
    return msgspec.json.encode(page)


def _section_page(fleet: Fleet, section: Section) -> dict[str, Any]:
    return {
        "cohorts": {key: cohort.members for key, cohort in section.cohorts.items()},
        "templates": {key: _template(fleet, c).name for key, c in section.cohorts.items()},
    }


def restored(values: dict[str, NDArray[Any]], page: bytes) -> Fleet:
    """The fleet that `tensors` and `metadata` describe; raises ValueError if they do not fit.

    The ValueError is an OtherFormatError if another release wrote them.
    """
    meta = msgspec.json.decode(page)
    if meta["format"] not in (5, FORMAT):
        raise OtherFormatError(f"checkpoint format {meta['format']} is not {FORMAT}")
    return _fleet(values, meta, is_other=False)


def carried(values: dict[str, NDArray[Any]], page: bytes) -> Fleet:
    """As `restored`, also of an earlier release: what that did not know is as for a newcomer.

    For a store whose journal has lost its beginning to retention: there is nothing to fold again.
    Raises OtherFormatError for a later release.
    """
    meta = msgspec.json.decode(page)
    if meta["format"] > FORMAT:
        raise OtherFormatError(
            f"checkpoint format {meta['format']} is of a later release, this one reads up to "
            f"{FORMAT}"
        )
    return _fleet(values, _BEFORE | meta, is_other=True)


def clock_in(page: bytes) -> Clock:
    """The clock by which the rows of a state were recorded, but for what it is behind by."""
    meta = msgspec.json.decode(page)
    most = meta.get("max_jump_ns", MAX_JUMP_NS)
    return Clock(meta["record_every_ns"], meta["lateness_ns"], most)


# what earlier releases did not write
_BEFORE: dict[str, Any] = {"clocks": list(FIRST), "recorded_ns": NEVER, "behind": {}, "held": []}


def _fleet(values: dict[str, NDArray[Any]], meta: dict[str, Any], *, is_other: bool) -> Fleet:
    with uncollected():
        components = {c["name"]: Component(**c) for c in meta["components"]}
    sections = {GROUP: _section(GROUP, meta, components, values, is_other=is_other)}
    for group, page in meta.get("beside", {}).items():
        sections[group] = _section(group, page, components, values, is_other=is_other)
    return Fleet(
        sections=sections,
        components=components,
        members=tuple(meta["members"]),
        offset=meta["offset"],
        rows=meta["rows"],
        watermark_ns=meta["watermark_ns"],
        clocks=msgspec.convert(meta["clocks"], Clocks),
        recorded_ns=meta["recorded_ns"],
        behind=meta["behind"],
        held={o.component: o for o in map(_inspection, meta["held"])},
    )


def _section(
    group: str,
    page: dict[str, Any],
    components: Mapping[str, Component],
    values: dict[str, NDArray[Any]],
    *,
    is_other: bool,
) -> Section:
    cohorts = {}
    for key, members in page["cohorts"].items():
        template = components[page["templates"][key]]
        own = [components.get(name, template) for name in members] if is_other else [template]
        fresh = newcomers(own, group)
        here = f"{_prefix(group)}{key}/"
        kept = {n.removeprefix(here): leaf for n, leaf in values.items() if n.startswith(here)}
        try:
            found = with_leaves(fresh, tuple(members), kept, may_lack=is_other)
        except ValueError as exc:
            raise type(exc)(f"checkpoint of cohort {key}: {exc}") from exc
        cohorts[fresh.kind.key(fresh.stepper)] = found  # earlier releases wrote names of classes
    places = {
        name: Place(key, row)
        for key, cohort in cohorts.items()
        for row, name in enumerate(cohort.members)
        if name
    }
    return Section(cohorts, places, page.get("began", 0))


def _inspection(body: list[int]) -> Inspection:
    held = observation(bytes(body))
    if not isinstance(held, Inspection):
        raise ValueError(f"checkpoint holds {held.component} seq {held.seq}, which is none")
    return held


def _clocks_page(clocks: Clocks) -> list[Any]:
    """The sources in an order of their own: a set has none."""
    page = clocks._asdict() | {"near": sorted(clocks.near), "before": sorted(clocks.before)}
    return list(page.values())


def _template(fleet: Fleet, cohort: Cohort) -> Component:
    """A member that says which laws the cohort steps with."""
    return next(fleet.components[name] for name in cohort.members if name)
