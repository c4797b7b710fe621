"""A real Prometheus scrapes the running service, and its alerts fire."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sensors.observation import Inspection
from tests.brokers import free_port
from tests.end_to_end.conftest import Live, Running
from tests.twin.fleets import component
from twin.component import Component

RULES = Path(__file__).parents[2] / "deploy" / "twin.rules.yml"


def configured(directory: Path, target: str, rules: str) -> Path:
    """A Prometheus that scrapes and judges twice a second."""
    (directory / "rules.yml").write_text(rules)
    path = directory / "prometheus.yml"
    path.write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
        "rule_files: [rules.yml]\n"
        f"scrape_configs: [{{job_name: twin, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    return path


def hurried(rules: str) -> str:
    """The shipped rules without the waiting: what is true now is told now."""
    lines = rules.splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("for:"))


def firing(port: int) -> dict[str, list[dict[str, str]]]:
    """The labels of what fires, by alert."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=5) as answer:
        alerts: list[dict[str, Any]] = json.load(answer)["data"]["alerts"]
    found: dict[str, list[dict[str, str]]] = {}
    for alert in alerts:
        if alert["state"] == "firing":
            found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
    return found


async def fires(port: int, alert: str, within_s: float = 30.0) -> list[dict[str, str]]:
    """The labels of an alert, as soon as it fires."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            found = await asyncio.to_thread(firing, port)
        except OSError:  # it is still starting
            found = {}
        if alert in found:
            return found[alert]
        await asyncio.sleep(0.25)
    pytest.fail(f"{alert} does not fire within {within_s} s; these do: {sorted(found)}")


async def see(it: Live, name: str, length: float, seq: int, t_ns: int) -> None:
    await it.service.observe(
        Inspection(
            component=name,
            source="ndt",
            boot=1,
            seq=seq,
            t_ns=t_ns,
            crack_length=length,
            crack_length_sd=1e-5,
            method="simulated",
        )
    )


async def test_a_crack_at_its_limit_and_a_silent_sensor_alert(
    live: Running, prometheus: str, tmp_path: Path
) -> None:
    async with live() as it:
        target = it.url.removeprefix("http://")
        port = free_port()
        config = configured(tmp_path, target, hurried(RULES.read_text()))
        arguments = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
        arguments += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        names = ["plant/press-1", "plant/press-2", "plant/press-3"]
        await it.service.register([Component(**{**dict(component()), "name": n}) for n in names])
        now_ns = time.time_ns()
        await see(it, names[0], 0.002, 0, now_ns)
        await see(it, names[1], 0.002, 0, now_ns)
        await see(it, names[2], 0.002, 0, now_ns - 3600 * 10**9)  # silent for an hour
        process = subprocess.Popen([prometheus, *arguments])  # noqa: ASYNC220  starts at once
        try:
            stale = await fires(port, "TwinSensorStale")
            assert [labels["component"] for labels in stale] == ["press-3"]
            assert "TwinCrackAtLimit" not in await asyncio.to_thread(firing, port)
            await see(it, names[1], 0.0105, 1, time.time_ns())
            limit = await fires(port, "TwinCrackAtLimit")
            assert [labels["component"] for labels in limit] == ["press-2"]
        finally:
            process.terminate()
            process.wait(10)
