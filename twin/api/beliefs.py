"""What is believed of one component, as the page that HTTP gives."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

from sensors.observation import Inspection
from sensors.quality import REASONS
from sensors.watch import DOUBT, HOLDS, IS_STUCK, SET_ASIDE, SINCE
from twin.api.answers import remaining, time_or_none
from twin.cohort import Cohort, Readings
from twin.component import Component
from twin.fleet import Fleet
from twin.outside import outside
from twin.overview import Views
from twin.status import Signs, status
from twin.surprise import identity, instrument


class Row(NamedTuple):
    """Where the readings of one component are."""

    readings: Readings
    cohort: Cohort
    row: int


def row(fleet: Fleet, views: Views, name: str) -> Row:
    """The readings of a registered component."""
    place = fleet.places[name]
    return Row(views.readings(fleet, place.cohort), fleet.cohorts[place.cohort], place.row)


def state(
    fleet: Fleet, views: Views, component: Component, *, can_catch_up: bool
) -> dict[str, Any]:
    """The belief now; see `schema.State`."""
    r, cohort, i = row(fleet, views, component.name)
    length, limit = float(r.crack_length[i]), component.registration.crack_limit
    t_ns, fractured = int(r.t_ns[i]), bool(r.fractured[i])
    stale_after_ns = round(component.registration.stale_after_s * 1e9)
    signs = Signs(component.retired, fractured, length >= limit, t_ns, stale_after_ns)
    evidence = time_or_none(t_ns)
    return {
        "component": component.name,
        "time": evidence,
        "status": status(signs, time.time_ns()),
        "crack_length": length,
        "crack_length_sd": float(r.crack_length_sd[i]),
        "crack_limit": limit,
        "growth_rate": float(r.growth_rate[i]),
        "open_growth": float(r.open_growth[i]),
        "cycles": float(r.cycles[i]),
        **remaining(float(cohort.remaining[i])),
        "reason": _reason(cohort, i, at_limit=fractured or length >= limit),
        "fractured": fractured,
        "outside": outside(component, cohort.state, i),
        "inspection": _inspection(r, i),
        "held": _held(fleet.held.get(component.name)),
        "quality": _quality(cohort, i),
        "last_evidence": evidence,
        "history_is": _history_is(fleet, component.name, can_catch_up=can_catch_up),
        "offset": fleet.offset,
    }


def _history_is(fleet: Fleet, name: str, *, can_catch_up: bool) -> str:
    if name not in fleet.behind:
        return "complete"
    return "catching_up" if can_catch_up else "incomplete"


def _reason(cohort: Cohort, i: int, *, at_limit: bool) -> str | None:
    """Why there is no number of remaining cycles, or none left, in a sentence."""
    left = float(cohort.remaining[i])
    if left == 0.0 and not at_limit:
        return "the largest load seen so far would break the part if it came again now"
    if math.isfinite(left):
        return None
    if math.isinf(left):
        return "the load seen so far does not grow the crack to its limit"
    if not cohort.has_load(i):
        return "no load cycle has been seen yet"
    return "it could not be computed from the load seen so far: see the event life_unknown"


def _inspection(r: Readings, i: int) -> dict[str, Any] | None:
    t_ns = int(r.t_inspected_ns[i])
    if not t_ns:
        return None
    return {
        "time": time_or_none(t_ns),
        "crack_length": float(r.measured[i]),
        "crack_length_sd": float(r.measured_sd[i]),
        "innovation": float(r.innovation[i]),
    }


def _held(o: Inspection | None) -> dict[str, Any] | None:
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


def _quality(cohort: Cohort, i: int) -> dict[str, Any]:
    counts = cohort.watched.whole[i].tolist()
    reasons = [reason for k, reason in enumerate(REASONS) if counts[DOUBT] >> k & 1]
    return {
        "doubtful": bool(reasons),
        "reasons": reasons,
        "set_aside": counts[SET_ASIDE],
        "waiting": counts[HOLDS] + int(counts[SINCE] > 0),
        "stuck": bool(counts[IS_STUCK]),
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
        "crack_limit": component.registration.crack_limit,
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
        "last_evidence": time_or_none(last["last_evidence"]),
        "history_is": None,
        "offset": None,
    }
