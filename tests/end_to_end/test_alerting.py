"""A real Prometheus scrapes the running service, and its alerts fire."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensors.observation import Inspection, Spectrum
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


@asynccontextmanager
async def watching(program: str, directory: Path, url: str) -> AsyncIterator[int]:
    """A Prometheus that judges a service by the shipped rules; its port."""
    port = free_port()
    config = configured(directory, url.removeprefix("http://"), hurried(RULES.read_text()))
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}"]
    arguments += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    process = subprocess.Popen([program, *arguments])  # noqa: ASYNC220  starts at once
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def by_status(url: str, *words: str) -> set[str]:
    """The components with these words for a status."""
    found: set[str] = set()
    for word in words:
        with urllib.request.urlopen(f"{url}/api/v1/components?status={word}", timeout=5) as answer:
            found |= {item["component"] for item in json.load(answer)["items"]}
    return found


async def test_a_crack_at_its_limit_and_a_silent_sensor_alert(
    live: Running, prometheus: str, tmp_path: Path
) -> None:
    async with live() as it:
        names = ["plant/press-1", "plant/press-2", "plant/press-3"]
        await it.service.register([Component(**{**dict(component()), "name": n}) for n in names])
        now_ns = time.time_ns()
        await see(it, names[0], 0.002, 0, now_ns)
        await see(it, names[1], 0.002, 0, now_ns)
        await see(it, names[2], 0.002, 0, now_ns - 3600 * 10**9)  # silent for an hour
        async with watching(prometheus, tmp_path, it.url) as port:
            stale = await fires(port, "TwinSensorStale")
            assert [labels["component"] for labels in stale] == ["press-3"]
            assert "TwinCrackAtLimit" not in await asyncio.to_thread(firing, port)
            await see(it, names[1], 0.0105, 1, time.time_ns())
            limit = await fires(port, "TwinCrackAtLimit")
            assert [labels["component"] for labels in limit] == ["press-2"]
            assert await asyncio.to_thread(by_status, it.url, "limit", "fractured") == {names[1]}


async def bear(it: Live, name: str, seq: int, t_ns: int) -> None:
    cycles = np.array([[1e8, 6e7, 100.0]]).tobytes()
    key: dict[str, Any] = {"component": name, "source": "daq", "boot": 1, "seq": seq, "t_ns": t_ns}
    await it.service.observe(Spectrum(**key, quantity="stress", cycles=cycles))


async def test_what_happened_before_anybody_scraped_alerts_and_what_is_well_does_not(
    live: Running, prometheus: str, tmp_path: Path
) -> None:
    parts = {
        "plant/well": component(stale_after_s=1e9, life_alert_cycles=1),
        "plant/short": component(stale_after_s=1e9, life_alert_cycles=1e15),
        "plant/silent": component(stale_after_s=0.1),
    }
    async with live() as it:
        await it.service.register([Component(**{**dict(c), "name": n}) for n, c in parts.items()])
        now_ns = time.time_ns() - 600 * 10**9
        for i, seq in enumerate((0, 1, 297)):  # 295 are lost
            await bear(it, "plant/well", seq, now_ns + i * 60 * 10**9)
            await bear(it, "plant/short", i, now_ns + i * 60 * 10**9)
        async with watching(prometheus, tmp_path, it.url) as port:
            await fires(port, "TwinSequenceGaps")
            never = await fires(port, "TwinSensorNeverHeard")
            assert [labels["component"] for labels in never] == ["silent"]
            low = await fires(port, "TwinRemainingLifeLow")
            assert [labels["component"] for labels in low] == ["short"]
            assert low[0]["probability"] == "0.05"
            found = await asyncio.to_thread(firing, port)
            expected = {"TwinSequenceGaps", "TwinSensorNeverHeard", "TwinRemainingLifeLow"}
            assert set(found) - {"TwinDiskLow"} == expected  # the disk is not ours
            await bear(it, "plant/silent", 0, time.time_ns())
            await it.service.register([again(it, "plant/silent", stale_after_s=1e9)])
            await ends(port, "TwinSensorNeverHeard")


def again(it: Live, name: str, **changes: Any) -> Component:
    """A component, registered with changes."""
    now = it.service.fleet.components[name]
    registration = now.registration.model_copy(update=changes)
    return now.model_copy(update={"revision": now.revision + 1, "registration": registration})


async def ends(port: int, alert: str, within_s: float = 30.0) -> None:
    """Wait until an alert does not fire any more."""
    deadline = time.monotonic() + within_s
    while alert in await asyncio.to_thread(firing, port):
        assert time.monotonic() < deadline, f"{alert} still fires after {within_s} s"
        await asyncio.sleep(0.25)
