"""Prometheus accepts the configuration, and every alert fires when it should and only then."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import situations
from tests.deploy.patterns import SITUATIONS
from tests.deploy.promises import DEPLOY, page, rules

ALERTS = list(rules())


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory as a Prometheus would have it."""
    for name in ("prometheus.yml", "twin.rules.yml", "twin.rules.test.yml"):
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "metrics-token").write_text("not-a-secret")
    return tmp_path


def run(promtool: str, *arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, *arguments], cwd=directory, capture_output=True, text=True, timeout=120
    )


def alone(alert: str, directory: Path, *, rule: str = "", broken: str = "") -> None:
    """The rules file with one alert, and what is promised of it; with all it takes a minute."""
    text = (DEPLOY / "twin.rules.yml").read_text()
    found = yaml.safe_load(text)
    for group in found["groups"]:
        group["rules"] = [r for r in group["rules"] if r.get("alert", alert) == alert]
    before = [r["expr"] for group in found["groups"] for r in group["rules"]]
    for group in found["groups"]:
        for r in group["rules"]:
            r["expr"] = r["expr"].replace(rule, broken) if rule else r["expr"]
    after = [r["expr"] for group in found["groups"] for r in group["rules"]]
    assert not rule or before != after, f"{alert} has no {rule!r}"
    (directory / "twin.rules.yml").write_text(yaml.safe_dump(found))
    promised = yaml.safe_load((DEPLOY / "twin.rules.test.yml").read_text())
    kept = []
    for case in promised["tests"]:
        case["alert_rule_test"] = [m for m in case["alert_rule_test"] if m["alertname"] == alert]
        kept += [case] if case["alert_rule_test"] else []
    own = yaml.safe_load(page([case for case in situations.CASES if case.alert == alert]))
    promised["tests"] = kept + own["tests"]
    (directory / "promises.yml").write_text(yaml.safe_dump(promised, allow_unicode=True))


def test_prometheus_accepts_the_configuration(promtool: str, installed: Path) -> None:
    done = run(promtool, "check", "config", "prometheus.yml", directory=installed)
    assert done.returncode == 0, done.stderr


def test_prometheus_accepts_the_rules(promtool: str, installed: Path) -> None:
    done = run(promtool, "check", "rules", "twin.rules.yml", directory=installed)
    assert done.returncode == 0, done.stderr


def test_every_alert_keeps_to_its_threshold(promtool: str, installed: Path) -> None:
    done = run(promtool, "test", "rules", "twin.rules.test.yml", directory=installed)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_keeps_its_promises_in_every_situation(
    promtool: str, tmp_path: Path, alert: str
) -> None:
    alone(alert, tmp_path)
    done = run(promtool, "test", "rules", "promises.yml", directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_of_situations_is_that_of_this_code() -> None:
    """`python -m tests.deploy.situations > deploy/twin.situations.test.yml` renews it."""
    assert (DEPLOY / "twin.situations.test.yml").read_text() == situations.text()


HELD = "and on (job, instance) (up == 0 or twin_ready == 0)"


@pytest.mark.parametrize(
    ("alert", "rule", "broken"),
    [
        ("TwinCrackAtLimit", ">= twin_component_crack_limit", "> twin_component_crack_limit"),
        (
            "TwinCrackAtLimit",
            "and twin_component_fractured == 1",
            "and twin_component_fractured < 1",
        ),
        ("TwinCrackAtLimit", "and twin_component_at_limit == 1", "and twin_component_at_limit < 1"),
        (
            "TwinCrackAtLimit",
            "or (twin_component_crack_length_meters and",
            "or (twin_component_crack_limit_meters and",
        ),
        ("TwinCrackAtLimit", HELD, "and on (job, instance) up == 0"),
        ("TwinCrackAtLimit", HELD, "and on (job, instance) twin_ready == 0"),
        ("TwinCrackAtLimit", HELD, ""),
        ("TwinRemainingLifeLow", "< on (job", "<= on (job"),
        (
            "TwinRemainingLifeLow",
            "group_left twin_component_life_alert_cycles",
            "group_left () (50000 + 0 * twin_component_life_alert_cycles)",
        ),
        ("TwinRemainingLifeLow", HELD, "and on (job, instance) up == 0"),
        ("TwinRemainingLifeLow", HELD, ""),
        ("TwinRemainingLifeMissing", "cycles > 0", "cycles >= 0"),
        ("TwinSensorStale", "> twin_component_stale_after", ">= twin_component_stale_after"),
        ("TwinSensorStale", "< 120 and twin:restarted", "< 0 and twin:restarted"),
        ("TwinSensorStale", "< 120 and twin:restarted", "< 120"),
        ("TwinSensorNeverHeard", "> twin_component_stale_after", ">= twin_component_stale_after"),
        ("TwinSensorNeverHeard", "unless twin_component_last_observation", "unless nothing_of"),
        ("TwinSequenceGaps", "or 0 * increase(twin_sequence_gaps_total[10m])", ""),
        ("TwinSequenceGaps", "increase(twin_sequence_gaps_total[10m])", "nothing"),
        (
            "TwinSequenceGaps",
            "- last_over_time(twin:sequence_gaps:open",
            "- 1e9 * last_over_time(twin:sequence_gaps:open",
        ),
        (
            "TwinSequenceGaps",
            "unless twin_sequence_gaps_total >=",
            "unless twin_sequence_gaps_total >",
        ),
        ("TwinSequenceGaps", "and on (job, instance) twin:restarted", "and nothing"),
        ("TwinImplausible", "increase(twin_implausible_total[10m]) > 0 or", ""),
        ("TwinImplausible", "increase(twin_implausible_total[10m])", "twin_implausible_total"),
        ("TwinImplausible", "[1d] offset 10m", "[5m] offset 10m"),
        ("TwinImplausible", "unless twin_implausible_total ==", "unless 0 *"),
        ("TwinImplausible", "and on (job, instance) twin:restarted", "and nothing"),
        ("TwinBrokerAway", "or (twin_ready unless on (job, instance) twin_broker_connected)", ""),
        ("TwinBrokerUnsteady", ">= 4", ">= 3"),
        ("TwinQueueGrowing", "> 1000 ", ">= 1000 "),
        (
            "TwinJournalShorter",
            "max_over_time(twin_journal_end[1d])",
            "(twin_journal_end offset 10m)",
        ),
        ("TwinDamageFound", "> 0", "> 2"),
        ("TwinFleetFileApart", "> 0", "> 2"),
        ("TwinDiskLow", "< 0.1", "< 0.09"),
        ("TwinCheckpointMissing", "+ 300", "+ 305"),
        ("TwinCheckpointMissing", "> 3 *", ">= 3 *"),
        (
            "TwinCheckpointMissing",
            "< 3 * twin_checkpoint_interval",
            "< 0 * twin_checkpoint_interval",
        ),
        ("TwinHistoryNotWritten", '{queue="recording"} > 0', '{queue="recording"} >= 0'),
        ("TwinHistoryNotWritten", "< 3 * twin_flush_interval", "< 0 * twin_flush_interval"),
        ("TwinNotReady", "twin_ready == 0", "twin_ready == 1"),
        ("TwinDown", 'or absent(up{job="twin"})', ""),
        ("TwinTargetLost", "[1h]", "[2h]"),
    ],
)
def test_the_promises_notice_a_broken_rule(
    promtool: str, tmp_path: Path, alert: str, rule: str, broken: str
) -> None:
    alone(alert, tmp_path, rule=rule, broken=broken)
    assert run(promtool, "check", "rules", "twin.rules.yml", directory=tmp_path).returncode == 0
    done = run(promtool, "test", "rules", "promises.yml", directory=tmp_path)
    assert done.returncode != 0


def test_every_counter_alerts_by_one_pattern() -> None:
    """A comparison of `increase` alone is silent of what is above zero when it is first seen."""
    for alert, rule in rules().items():
        if alert != "TwinSequenceGaps" and "_total" in rule["expr"]:
            found = re.match(r"increase\((twin_\w+_total)(.*)\[10m\]\) > 0 ", rule["expr"])
            assert found is not None, alert
            counter = found[1] + found[2]
            assert rule["expr"] == (
                f"increase({counter}[10m]) > 0 or ({counter}"
                f" unless {found[1]} == last_over_time({found[1]}[1d] offset 10m)) > 0"
                f" or ({counter} and on (job, instance) twin:restarted) > 0"
            )


def test_every_alert_is_shown_at_its_threshold_or_in_a_situation_firing_and_not() -> None:
    shown: dict[str, set[bool]] = defaultdict(set)
    for name in ("twin.rules.test.yml", "twin.situations.test.yml"):
        for case in yaml.safe_load((DEPLOY / name).read_text())["tests"]:
            for moment in case["alert_rule_test"]:
                shown[moment["alertname"]].add(bool(moment["exp_alerts"]))
    assert shown == {alert: {True, False} for alert in rules()}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_shown_firing_and_silent_in_every_situation(alert: str) -> None:
    """See `tests/deploy/patterns.py`: a counter and a gauge take one line each."""
    shown: dict[str, set[bool]] = {situation: set() for situation in SITUATIONS}
    for case in situations.CASES:
        if case.alert == alert:
            everyone = {label for m in case.moments for label in map(str, m.alerts)}
            for moment in case.moments:
                fires = set(map(str, moment.alerts))
                shown[case.situation] |= {bool(fires), not fires or fires != everyone}
    assert shown == {situation: {True, False} for situation in SITUATIONS}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules().values():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "action"} <= set(rule["annotations"])


def test_every_alert_stands_in_the_readme() -> None:
    named = re.findall(r"^\| `(Twin\w+)`", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert named == list(rules())


def test_the_scraped_job_is_the_one_that_the_rules_look_for() -> None:
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    named = re.findall(r'job="(\w+)"', (DEPLOY / "twin.rules.yml").read_text())
    assert set(named) == jobs
