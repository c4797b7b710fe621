"""The parts of a promtool test: series over time, and what fires when.

The formats are https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
INSTANCE, JOB = "twin:8080", "twin"
A_MINUTE = 4  # samples
GONE = "gone"  # the scraper has noticed that the series is not there any more

Value = float | str | None  # a number, a ramp "0+15", GONE, or None: nobody scraped
Span = tuple[float, Value]  # for how many minutes
Spans = Sequence[Span]
Series = Mapping[str, str]  # values by selector


class Fires(NamedTuple):
    """One alert that fires."""

    labels: Mapping[str, str] = {}  # beside job, instance and severity
    says: str = ""  # stands in the summary for what is made of $value
    instance: str = INSTANCE
    summary: str = ""  # where no instance is known: all of it


class Moment(NamedTuple):
    """What fires at a time."""

    minute: float
    alerts: Sequence[Fires]


class Case(NamedTuple):
    """What one alert does in one situation."""

    alert: str
    situation: str
    claim: str
    series: Series
    moments: Sequence[Moment]


@cache
def rules() -> dict[str, dict[str, Any]]:
    """The alerts of the rules file, by name."""
    groups = yaml.safe_load((DEPLOY / "twin.rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def over(*spans: Span) -> str:
    """Values that hold for some minutes each, one after the other."""
    return " ".join(_span(round(minutes * A_MINUTE), value) for minutes, value in spans)


def _span(samples: int, value: Value) -> str:
    if value is None:
        return f"_x{samples}"
    if value == GONE:
        return f"stale _x{samples - 1}"
    return f"{value}x{samples - 1}"


def selector(name: str, instance: str = INSTANCE, **labels: str) -> str:
    """A series as the scraper writes it."""
    pairs = {**labels, "instance": instance, "job": JOB}
    inside = ", ".join(f'{key}="{value}"' for key, value in pairs.items())
    return f"{name}{{{inside}}}"


def page(cases: Sequence[Case]) -> str:
    """The test file of some cases."""
    head: dict[str, Any] = {
        "rule_files": ["twin.rules.yml"],
        "evaluation_interval": "15s",
        "tests": [_test(case) for case in cases],
    }
    text: str = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=200)
    return text


def _test(case: Case) -> dict[str, Any]:
    return {
        "name": f"{case.alert}, {case.situation}: {case.claim}",
        "interval": "15s",
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{round(60 * moment.minute)}s",
                "alertname": case.alert,
                "exp_alerts": [_expected(case.alert, fires) for fires in moment.alerts],
            }
            for moment in case.moments
        ],
    }


def _expected(alert: str, fires: Fires) -> dict[str, Any]:
    rule = rules()[alert]
    place = {"instance": fires.instance} if fires.instance else {}
    labels = {"severity": rule["labels"]["severity"], **fires.labels, **place, "job": JOB}
    notes = rule["annotations"]
    summary = fires.summary or _rendered(notes["summary"], labels, fires.says)
    return {
        "exp_labels": labels,
        "exp_annotations": {"summary": summary, "action": notes["action"]},
    }


def _rendered(template: str, labels: Mapping[str, str], says: str) -> str:
    told = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], template)
    return re.sub(r"\{\{ (if gt \$value.*\{\{ end|\$value.*?) \}\}", says, told)
