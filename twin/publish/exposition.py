"""What Prometheus sees of every component: text written by hand, eight times as fast as gauges.

The format is https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, generate_latest

from storage.trajectories.layout import INSTANT
from twin.belief.fleet import Fleet
from twin.belief.overview import Overview
from twin.belief.record import flagged, recorded
from twin.kinds.catalogue import fields_of
from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import TOLD

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(registry: CollectorRegistry, overview: Overview, fleet: Fleet) -> bytes:
    """The whole page: the service's own metrics, then those of the components."""
    return generate_latest(registry) + (components(overview) + beside(fleet)).encode()


def beside(fleet: Fleet) -> str:
    """A gauge for every field of what is believed beside the cracks, of who is not retired.

    Instants are in seconds, and left out where they never were.
    """
    lines: list[str] = []
    for group, section in fleet.sections.items():
        if group == GROUP:
            continue
        columns = recorded(group, section, {name: i for i, name in enumerate(fleet.members)})
        names = [n for n in fleet.members if n in section.places]
        kept = [i for i, n in enumerate(fleet.members) if n in section.places]
        there = np.array([not fleet.components[n].retired for n in names], np.bool_)
        labels = [_labels(n) for n in names]
        for field in fields_of(group):
            values = columns[field.name][kept].astype(np.float64)
            known, name, units = there & ~np.isnan(values), f"{group}_{field.name}", field.units
            if units == INSTANT:
                known, values = known & (values != 0.0), values / 1e9
                name, units = f"{name}_timestamp_seconds", "s since 1970-01-01"
            about = f"{field.long_name[:1].upper()}{field.long_name[1:]} [{units}]."
            lines += _gauge(name, about, _kept(labels, known), values[known])
        for name, flags in flagged(section, names).items():
            about = {"at_limit": "1 if it is at its limit.", "ended": "1 if nothing is left."}[name]
            values = flags[there].astype(np.float64)
            lines += _gauge(f"{group}_{name}", about, _kept(labels, there), values)
    return "".join(lines)


def components(overview: Overview) -> str:
    """The gauges of every component that is not retired.

    A remaining life that is not known, a threshold that is not set, and the time of an observation
    that never was are left out: no number stands for them.
    """
    # Over 60 lines: a gauge after the other, in the order of the page.
    roll = overview.roll
    rows = np.flatnonzero(~roll.retired)
    labels = [_labels(roll.names[i]) for i in rows.tolist()]
    r, t_ns = overview.readings, overview.readings.t_ns[rows]
    at_limit, life_alert = overview.at_limit[rows], roll.life_alert[rows]
    remaining = np.where(at_limit, 0.0, overview.remaining[rows])
    outlook = overview.outlook[rows] if len(rows) else np.empty((0, len(TOLD)))
    beyond = outlook > overview.remaining[rows][:, None]  # no particle of these is at the limit
    outlook = np.where(at_limit[:, None] & ~beyond, 0.0, outlook)
    lines: list[str] = []
    lines += _gauge("crack_length_meters", "Believed crack length.", labels, r.crack_length[rows])
    lines += _gauge(
        "crack_length_sd_meters",
        "Standard deviation of the believed crack length.",
        labels,
        r.crack_length_sd[rows],
    )
    lines += _gauge("crack_limit_meters", "Alarm length.", labels, overview.crack_limit[rows])
    lines += _gauge(
        "fractured",
        "1 if the part counts as broken, however long its crack is.",
        labels,
        r.fractured[rows].astype(np.float64),
    )
    lines += _gauge(
        "at_limit",
        "1 if the status is `limit` or `fractured`.",
        labels,
        at_limit.astype(np.float64),
    )
    lines += _gauge(
        "cycles", "Cycles of load that were counted since registration.", labels, r.cycles[rows]
    )
    lines += _gauge(
        "registered_timestamp_seconds",
        "When the component was registered, or brought back after it was retired.",
        labels,
        roll.registered_ns[rows] / 1e9,
    )
    lines += _gauge(
        "last_observation_timestamp_seconds",
        "Event time of the last evidence.",
        _kept(labels, t_ns != 0),
        t_ns[t_ns != 0] / 1e9,
    )
    lines += _gauge(
        "stale_after_seconds",
        "Silence after which the component counts as stale.",
        labels,
        roll.stale_after_ns[rows] / 1e9,
    )
    lines += _gauge(
        "life_alert_cycles",
        "Remaining life below which an alert tells of it.",
        _kept(labels, ~np.isnan(life_alert)),
        life_alert[~np.isnan(life_alert)],
    )
    channels = overview.channels
    lines += _gauge(
        "samples_set_aside",
        "Samples and rows of spectra set aside since registration; the state says why.",
        labels,
        channels.set_aside[rows].astype(np.float64),
    )
    lines += _gauge(
        "channel_stuck",
        "1 while the channel says the same all the time.",
        labels,
        channels.stuck[rows].astype(np.float64),
    )
    lines += _gauge(
        "channel_clipped",
        "1 from when peaks are cut off until the signal goes beyond.",
        labels,
        channels.clipped[rows].astype(np.float64),
    )
    known = ~np.isnan(remaining)
    lines += _gauge(
        "remaining_cycles",
        "Cycles left to the limit under the load so far, fewer with the given probability.",
        [f'{label},probability="{p}"' for p in TOLD for label in _kept(labels, known)],
        outlook[known].T.ravel(),
    )
    return "".join(lines)


def _gauge(
    name: str, text: str, labels: Sequence[str], values: NDArray[np.float64]
) -> Iterable[str]:
    head = f"# HELP twin_component_{name} {text}\n# TYPE twin_component_{name} gauge\n"
    prefix = f"twin_component_{name}{{"
    pairs = zip(labels, _numbers(values), strict=True)
    return [head, *(f"{prefix}{label}}} {number}\n" for label, number in pairs)]


def _numbers(values: NDArray[np.float64]) -> list[str]:
    texts = list(map(repr, values.tolist()))
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        texts[i] = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}[texts[i]]
    return texts


def _kept(labels: Sequence[str], keep: NDArray[np.bool_]) -> list[str]:
    return [label for label, kept in zip(labels, keep.tolist(), strict=True) if kept]


def _labels(name: str) -> str:
    site_and_component = name.translate(_ESCAPES).replace("/", '",component="', 1)
    return f'site="{site_and_component}"'
