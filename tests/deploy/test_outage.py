"""After an outage that fills it, the broker gives back what it holds, within the shipped limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensors.mqtt.broker import _MOSQUITTO
from tests.benchmarks.service.outage import BEYOND, PORTION, measured, smaller
from tests.deploy.test_broker import DEPLOY

# the limits are so many times smaller here; `python -m tests.benchmarks.service.outage` has them
PART = 8
BESIDE = 600  # bytes of a message beside two copies of its payload


def limits(text: str) -> dict[str, int]:
    return {key: int(value) for key, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("of", ["deployment", "demo"])
def test_a_full_queue_fits_into_the_memory_of_the_broker(of: str) -> None:
    text = (DEPLOY / "mosquitto.conf").read_text() if of == "deployment" else _MOSQUITTO
    stated = limits(text)
    queue = 2 * stated["max_queued_bytes"] + BESIDE * stated["max_queued_messages"]
    assert queue < 0.8 * stated["memory_limit"]


@pytest.mark.parametrize(("least", "most"), [(350, 720), (1500, 1500)])
async def test_a_broker_that_is_full_gives_back_all_that_it_holds(
    tmp_path: Path, mosquitto: str, least: int, most: int
) -> None:
    """It ended each connection of the twin with "out of memory" as it began to deliver."""
    found = await measured(tmp_path, least, most, smaller(PART))
    stated = {key: int(value) for key, value in smaller(PART).items()}
    mean = (least + most) / 2
    kept = min(stated["max_queued_messages"], stated["max_queued_bytes"] / mean)
    assert found.delivered == pytest.approx(kept, rel=0.01)
    assert found.sent >= found.delivered + 1  # beyond the limit, too
    assert found.sent <= found.delivered + BEYOND + PORTION
    assert (found.cuts, found.cuts_of_sensors) == (0, 0)
    assert found.each == pytest.approx(mean + 420, abs=50)
