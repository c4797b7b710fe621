"""What is believed of one component, as the page that HTTP gives."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from sensors.observation import Inspection
from sensors.watch import channel_status
from twin.api.responses import time_or_none
from twin.belief.cohort import Beliefs, Cohort
from twin.belief.fleet import Fleet
from twin.belief.inspection_gate import identity, instrument
from twin.belief.life import reason, remaining, spread
from twin.belief.overview import Views
from twin.belief.record import one
from twin.belief.status import StatusInputs, status
from twin.belief.validity import outside
from twin.component import Component
from twin.kinds.catalogue import instants
from twin.kinds.crack_fields import GROUP


class ComponentRow(NamedTuple):
    """Where the readings of one component are."""

    readings: Beliefs
    cohort: Cohort
    row: int


def row(fleet: Fleet, views: Views, name: str) -> ComponentRow:
    """The readings of a registered component."""
    place = fleet.places[name]
    return ComponentRow(views.readings(fleet, place.cohort), fleet.cohorts[place.cohort], place.row)


def state(
    fleet: Fleet,
    views: Views,
    component: Component,
    *,
    can_catch_up: bool,
    offset: int,
) -> dict[str, Any]:
    """The belief now, of which lines up to `offset` are known; see `schema.State`."""
    r, cohort, i = row(fleet, views, component.name)
    length, limit = float(r.crack_length[i]), component.registration.crack.crack_limit
    t_ns, fractured = int(r.t_ns[i]), bool(r.fractured[i])
    stale_after_ns = round(component.registration.stale_after_s * 1e9)
    signs = StatusInputs(component.retired, fractured, length >= limit, t_ns, stale_after_ns)
    evidence = time_or_none(t_ns)
    return {
        "component": component.name,
        "time": evidence,
        "status": status(signs, time.time_ns()),
        "crack_length": length,
        "crack_length_sd": float(r.crack_length_sd[i]),
        "uncertainty": spread(cohort, i),
        "crack_limit": limit,
        "growth_rate": float(r.growth_rate[i]),
        "open_growth": float(r.open_growth[i]),
        "cycles": float(r.cycles[i]),
        **remaining(float(cohort.remaining[i])),
        "reason": reason(cohort, i, at_limit=fractured or length >= limit),
        "fractured": fractured,
        "outside": outside(component, cohort.state, i),
        "inspection": _inspection(r, i),
        "held": held(fleet.held.get(component.name)),
        "quality": channel_status(cohort.watched.whole[i : i + 1].numpy()).pages()[0],
        "beside": _beside(fleet, component.name),
        "last_evidence": evidence,
        "history_is": history_is(fleet, component.name, can_catch_up=can_catch_up),
        "offset": offset,
    }


def _beside(fleet: Fleet, name: str) -> dict[str, dict[str, Any]]:
    """What is believed of a component beside its crack, by kind."""
    found = dict[str, dict[str, Any]]()
    for group, section in fleet.sections.items():
        if group != GROUP and name in section.places:
            found[group] = dict(one(section, name))
            for field in instants(group):
                found[group][field] = time_or_none(int(found[group][field] or 0))
    return found


def history_is(fleet: Fleet, name: str, *, can_catch_up: bool) -> str:
    """Whether the history of a component knows all its evidence, or will."""
    if name not in fleet.behind:
        return "complete"
    return "catching_up" if can_catch_up else "incomplete"


def _inspection(r: Beliefs, i: int) -> dict[str, Any] | None:
    t_ns = int(r.t_inspected_ns[i])
    if not t_ns:
        return None
    return {
        "time": time_or_none(t_ns),
        "crack_length": float(r.measured[i]),
        "crack_length_sd": float(r.measured_sd[i]),
        "innovation": float(r.innovation[i]),
    }


def held(o: Inspection | None) -> dict[str, Any] | None:
    """An inspection that waits; see `schema.HeldInspection`."""
    if o is None:
        return None
    return {
        "id": identity(o),
        "time": time_or_none(o.t_ns),
        "crack_length": o.crack_length,
        "crack_length_sd": o.crack_length_sd,
        "method": o.method,
        "source": instrument(o),
        "why": o.why or None,
    }


def recorded_state(component: Component, columns: dict[str, Any]) -> dict[str, Any]:
    """The belief of a recorded row, the last of `columns`; see `schema.State`."""
    last = {name: values[-1].item() for name, values in columns.items()}
    return {
        "component": component.name,
        "time": time_or_none(last["time"]),
        "status": None,
        "crack_length": last["crack_length"],
        "crack_length_sd": last["crack_length_sd"],
        "uncertainty": None,
        "crack_limit": component.registration.crack.crack_limit,
        "growth_rate": last["growth_rate"],
        "open_growth": last["open_growth"],
        "cycles": last["cycles"],
        **remaining(last["remaining_cycles"]),
        "reason": None,
        "fractured": None,
        "outside": None,
        "inspection": None,
        "held": None,
        "quality": None,
        "beside": None,
        "last_evidence": time_or_none(last["last_evidence"]),
        "history_is": None,
        "offset": None,
    }
