"""Measurements that nobody here made, from the file to the answer."""

from __future__ import annotations

import asyncio
import csv
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from numpy.typing import NDArray

from models.fatigue.rainflow import counted, turning
from sensors.replay.reader import ReplayOptions
from sensors.replay.series import strain_fleet
from tests.end_to_end.conftest import Live, Running
from tests.models.crack.test_stepper import closed_cycles
from twin.commands.client import ask
from twin.commands.playback import replayed

END = 49.8e-3  # [m], the last measured half length of every specimen


async def play(live: Live, path: Path, **options: Any) -> dict[str, Any]:
    """Publish a file, and wait until the service has folded all of it."""
    limit_s = options.pop("limit_s", None)
    before = live.service.fleet.offset
    sent = await replayed(live.stage, path, ReplayOptions(**options), limit_s=limit_s)
    await asyncio.wait_for(
        live.service.until(before + sent["registered"] + sent["published"]), timeout=120
    )
    return sent


def measured_lives(path: Path) -> dict[str, float]:
    with path.open() as file:
        header, *rows = list(csv.reader(file))
    return {
        name.removeprefix("N_"): float(n) for name, n in zip(header[1:], rows[-1][1:], strict=True)
    }


def predicted_life(cycles: NDArray[np.float64], lengths: NDArray[np.float64], rest: float) -> float:
    """Cycles until the belief reaches the end, on the way or with what remains then."""
    if lengths[-1] >= END:
        return float(np.interp(END, lengths, cycles))
    return float(cycles[-1] + rest)


async def test_specimens_are_followed_from_file_to_answer(live: Running, data: Path) -> None:
    path = data / "virkler" / "virkler_shared_odd34.csv"
    async with live() as it:
        sent = await play(it, path)
        assert (sent["registered"], sent["refused"]) == (34, 0)
        listed = await asyncio.to_thread(ask, it.url, "/api/v1/components?limit=100")
        assert len(listed["items"]) == 34
        name = "/api/v1/components/virkler/n-01/state"
        state = await asyncio.to_thread(ask, it.url, name)
        assert state["inspection"]["crack_length"] == pytest.approx(END)
        assert state["inspection"]["innovation"] != 0.0
        cohort = next(iter(it.service.fleet.cohorts.values()))
        view = cohort.view()
        end = {n: (float(view.cycles[i]), i) for i, n in enumerate(cohort.members)}
    trajectory = xr.open_zarr(it.directory / "trajectories.zarr" / "crack")
    assert trajectory.crack_length.attrs["units"] == "m"
    ratios = {}
    for specimen, life in measured_lives(path).items():
        column = trajectory.sel(component=f"virkler/n-{specimen}")
        known = column.last_evidence.to_numpy().astype(np.int64) > 0
        lengths = column.crack_length.to_numpy()[known]
        rest = column.remaining_cycles.to_numpy()[known][-1]
        ratios[specimen] = predicted_life(column.cycles.to_numpy()[known], lengths, rest) / life
        assert end[f"virkler/n-{specimen}"][0] == pytest.approx(life)  # every cycle was counted
    within = sum(abs(ratio - 1.0) <= 0.25 for ratio in ratios.values())
    assert within >= 31, ratios


def strain(path: Path, seconds: float) -> NDArray[np.float64]:
    """The samples [µm/m] of the first `seconds` at 100 Hz, read without our readers."""
    values = [float(line.rsplit(",", 1)[1]) for line in path.read_text().splitlines()[1:]]
    return np.array(values[: round(seconds * 100)])


async def test_ten_minutes_of_a_bridge_arrive_to_the_last_sample(live: Running, data: Path) -> None:
    path = data / "munich_bridge" / "reference_strain_100hz.csv"
    async with live(storage={"record_every_s": 10.0}) as it:
        sent = await play(it, path, component="munich/midspan", limit_s=600.0)
        state = await asyncio.to_thread(ask, it.url, "/api/v1/components/munich/midspan/state")
        journal = [e for _, batch in it.service.store.journal.read(0) for e in batch]
    samples = strain(path, 600.0)
    whole = cycles_of_a_single_message(samples)
    assert sent["refused"] == 0
    assert len(journal) == 1 + sent["published"]
    assert state["cycles"] == pytest.approx(whole)
    trajectory = xr.open_zarr(it.directory / "trajectories.zarr" / "crack")
    assert re.match("2022-03-07T16:4", str(trajectory.time.to_numpy()[-1]))
    assert len(trajectory.time) >= 58


def cycles_of_a_single_message(samples: NDArray[np.float64]) -> float:
    """Closed cycles above the gate of the registered fleet (1e5 Pa at E = 2.1e11 Pa)."""
    (part,) = strain_fleet("munich/midspan")
    modulus = part["calibration"]["youngs_modulus"]
    stress = torch.from_numpy(samples * 1e-6 * modulus)
    _, cycles = counted(
        turning(1, part.get("gate", 1e5)),
        stress,
        torch.zeros_like(stress),
        torch.tensor([0, len(stress)]),
        torch.tensor([True]),
    )
    return float(cycles.count.sum())


async def test_an_easigrow_sequence_in_blocks_grows_as_cycle_by_cycle(
    live: Running, data: Path
) -> None:
    path = data / "easigrow" / "rainflow-seq4.txt"
    peak, repeats = 100e6, 20
    async with live() as it:
        await play(it, path, component="coupon/a", peak_stress=peak, repeats=repeats)
        name = "/api/v1/components/coupon/a"
        state = await asyncio.to_thread(ask, it.url, f"{name}/state")
        registration = (await asyncio.to_thread(ask, it.url, name))["registration"]["crack"]
    reference = cycle_by_cycle(np.loadtxt(path) * peak, repeats, registration)
    start = registration["crack_length"]
    assert reference - start > 1e-3  # several millimetres, not a rounding error
    assert state["crack_length"] - start == pytest.approx(reference - start, rel=1e-3)


def cycle_by_cycle(
    turning_points: NDArray[np.float64], repeats: int, registration: dict[str, Any]
) -> float:
    """The crack after every closed cycle of the repeated sequence, in plain Python."""
    law, width = registration["law"], registration["geometry"]["W"]
    a = float(registration["crack_length"])
    for span, mean in closed_cycles(list(turning_points) * repeats):
        x = 0.5 * math.pi * a / width
        shape = 0.752 + 2.02 * a / width + 0.37 * (1.0 - math.sin(x)) ** 3
        F = math.sqrt(math.tan(x) / x) * shape / math.cos(x)
        tensile = min(span, mean + 0.5 * span)
        a += law["C"] * (F * tensile * math.sqrt(math.pi * a)) ** law["m"]
    return a
