"""Prometheus accepts the configuration, and every alert fires when it should and only then."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


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
        [promtool, *arguments], cwd=directory, capture_output=True, text=True, timeout=60
    )


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "twin.rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_prometheus_accepts_the_configuration(promtool: str, installed: Path) -> None:
    done = run(promtool, "check", "config", "prometheus.yml", directory=installed)
    assert done.returncode == 0, done.stderr


def test_prometheus_accepts_the_rules(promtool: str, installed: Path) -> None:
    done = run(promtool, "check", "rules", "twin.rules.yml", directory=installed)
    assert done.returncode == 0, done.stderr


def test_every_alert_keeps_its_promises(promtool: str, installed: Path) -> None:
    done = run(promtool, "test", "rules", "twin.rules.test.yml", directory=installed)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        (">= twin_component_crack_limit_meters", "> twin_component_crack_limit_meters"),
        ("and twin_component_fractured == 1", "and twin_component_fractured == 0"),
        ("or (twin_component_crack_length_meters", "or (twin_component_crack_limit_meters"),
        ("< 50000", "<= 50000"),
        ("> twin_component_stale_after_seconds", ">= twin_component_stale_after_seconds"),
        ("or 0 * increase(twin_sequence_gaps_total[10m])", ""),
        ("or (twin_dead_letters_total unless twin_dead_letters_total offset 10m) > 0", ""),
        ("increase(twin_implausible_total[10m]) > 0", "twin_implausible_total > 0"),
        ("increase(twin_lives_unknown_total[10m]) > 0", "twin_lives_unknown_total > 0"),
        ("or (twin_quality_findings_total unless twin_quality_findings_total offset 10m) > 0", ""),
        ("twin_inspections_held > 0", "twin_inspections_held > 2"),
        ("seconds > 900", "seconds >= 900"),
        ("twin_ready == 0", "twin_ready == 1"),
        ('or absent(up{job="twin"})', ""),
    ],
)
def test_the_promises_notice_a_broken_rule(
    promtool: str, installed: Path, rule: str, broken: str
) -> None:
    file = installed / "twin.rules.yml"
    text = file.read_text()
    assert rule in text
    file.write_text(text.replace(rule, broken))
    done = run(promtool, "test", "rules", "twin.rules.test.yml", directory=installed)
    assert done.returncode != 0


def test_every_alert_is_shown_firing_and_not_firing() -> None:
    shown: dict[str, set[bool]] = defaultdict(set)
    for case in yaml.safe_load((DEPLOY / "twin.rules.test.yml").read_text())["tests"]:
        for moment in case["alert_rule_test"]:
            shown[moment["alertname"]].add(bool(moment["exp_alerts"]))
    assert shown == {alert: {True, False} for alert in rules()}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules().values():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "action"} <= set(rule["annotations"])


def test_every_alert_stands_in_the_readme() -> None:
    named = re.findall(r"^\| `(Twin\w+)`", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert named == list(rules())


def test_the_scraped_job_is_the_one_that_the_rules_look_for() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    named = re.findall(r'job="(\w+)"', (DEPLOY / "twin.rules.yml").read_text())
    assert set(named) == jobs
