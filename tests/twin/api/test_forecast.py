"""Forecasts and inspections over HTTP."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensors.units import STRAIN, STRESS
from storage.errors import UnavailableError
from tests.twin.fakes import PRESS, REGISTRATION, House, house
from twin.api.schema import Forecast, Inspected
from twin.forecast.forecast import Answer

HERE = f"components/{PRESS}"
THERE = f"/api/v1/{HERE}"
BODY = {"crack_length": 4.0, "crack_length_sd": 0.1, "unit": "mm", "time": "2026-01-01T00:00:30Z"}
MIX = [[1e8, 5e7, 1000.0]]
WHAT_IF = {"unit": "Pa", "cycles": MIX}
FORMAN = {"kind": "forman", "C": 1e-16, "m": 2.0, "K_c": 1e8}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        await opened.register(PRESS)
        yield opened


async def test_a_forecast_reaches_the_limit_when_the_life_is_over(home: House) -> None:
    await home.load()
    page = Forecast.model_validate(await home.json(f"{HERE}/forecast"))
    life = page.remaining_cycles["0.5"]
    assert life is not None
    exact = Forecast.model_validate(await home.json(f"{HERE}/forecast?cycles={life}&points=2"))
    assert exact.cycles == [0.0, life]
    assert exact.crack_length["0.5"][1] == pytest.approx(0.03, rel=1e-3)
    assert page.crack_length["0.5"][0] < page.crack_limit < page.crack_length["0.5"][-1]
    assert (page.load, page.deterministic, len(page.cycles)) == ("seen", True, 50)


async def test_a_paris_life_is_that_of_the_closed_form(home: House) -> None:
    """For a centre crack in a wide plate F = 1: a^(1−m/2) falls linearly with the cycles."""
    c, m, span, a0, a1 = 1e-11 / 1e6**3, 3.0, 1e8, 0.002, 0.02
    await home.register(
        "lab/wide",
        material=None,
        law={"kind": "paris", "C": c, "m": m},
        geometry={"kind": "centre_crack", "W": 100.0},
        crack_length=a0,
        crack_limit=a1,
    )
    answer = await home.http.post(
        "/api/v1/components/lab/wide/forecast", json={"unit": "Pa", "cycles": [[span, span / 2, 1]]}
    )
    exponent = 1 - m / 2
    speed = c * (span * math.sqrt(math.pi)) ** m
    exact = (a1**exponent - a0**exponent) / (speed * exponent)
    assert answer.json()["remaining_cycles"]["0.5"] == pytest.approx(exact, rel=1e-4)


async def test_quantiles_are_equal_as_long_as_nothing_is_uncertain(home: House) -> None:
    await home.load()
    page = await home.json(f"{HERE}/forecast?points=5")
    assert page["crack_length"]["0.05"] == page["crack_length"]["0.95"]
    assert len(set(page["remaining_cycles"].values())) == 1


async def test_without_a_load_there_is_nothing_to_go_on_with(home: House) -> None:
    answer = await home.get(f"{HERE}/forecast")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-load")


async def test_a_what_if_needs_no_load_and_changes_nothing(home: House) -> None:
    before = await home.json(f"{HERE}/state")
    answer = await home.http.post(f"{THERE}/forecast", json=WHAT_IF)
    page = Forecast.model_validate(answer.json())
    assert (answer.status_code, page.load) == (200, "what-if")
    assert await home.json(f"{HERE}/state") == before


async def test_a_harder_load_shortens_life(home: House) -> None:
    lives = []
    for factor in (1.0, 1.5):
        body = {"unit": "Pa", "cycles": [[1e8 * factor, 5e7 * factor, 1000.0]]}
        page = (await home.http.post(f"{THERE}/forecast", json=body)).json()
        lives.append(page["remaining_cycles"]["0.5"])
    assert lives[1] == pytest.approx(lives[0] / 1.5**3, rel=0.01)  # nickel: m = 3


async def test_a_load_without_a_range_never_ends_a_life(home: House) -> None:
    body = {"unit": "Pa", "cycles": [[0.0, 1e8, 1.0]], "horizon_cycles": 1e15, "points": 3}
    page = (await home.http.post(f"{THERE}/forecast", json=body)).json()
    assert page["remaining_cycles"] == {"0.05": None, "0.5": None, "0.95": None}
    assert page["remaining_cycles_is"] == "unbounded"
    assert page["crack_length"]["0.95"] == [0.002] * 3


@pytest.mark.parametrize(
    "body",
    [
        {"unit": "Pa", "cycles": []},
        {"unit": "Pa", "cycles": [[-1.0, 0.0, 1.0]]},
        {"unit": "Pa", "cycles": [[1.0, 0.0, 0.0]]},
        {"unit": "Pa", "cycles": [[1e13, 0.0, 1.0]]},
        {"unit": "Pa", "cycles": [[1.0, 0.0]]},
        {"unit": "Pa", "cycles": MIX, "horizon_cycles": 0},
        {"unit": "Pa", "cycles": MIX, "points": 1},
        {"unit": "Pa", "cycles": MIX, "points": 501},
        {"unit": "Pa", "cycles": MIX * 1001},
        {},
    ],
)
async def test_a_spectrum_that_is_none_is_refused(home: House, body: dict[str, Any]) -> None:
    answer = await home.http.post(f"{THERE}/forecast", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")


async def test_the_largest_spectrum_is_answered(home: House) -> None:
    body = {"unit": "Pa", "cycles": MIX * 1000, "points": 500, "horizon_cycles": 1e5}
    assert (await home.http.post(f"{THERE}/forecast", json=body)).status_code == 200


async def test_too_many_forecasts_at_once_are_told_to_come_again(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(*_: object) -> Answer:
        gate.wait(10)
        return Answer({}, {})

    monkeypatch.setattr("twin.api.forecast.forecast", slow)
    tasks = [
        asyncio.ensure_future(home.http.post(f"{THERE}/forecast", json=WHAT_IF)) for _ in range(12)
    ]
    refused, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    gate.set()
    answers = await asyncio.gather(*tasks)
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [429] * 4
    first = refused.pop().result()
    assert (first.json()["type"], first.headers["retry-after"]) == ("/problems/overloaded", "1")


async def test_nothing_else_waits_for_forecasts_and_trials(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Event()

    def slow(*_: object) -> Answer:
        begun.set()
        gate.wait(10)
        return Answer({}, {})

    monkeypatch.setattr("twin.api.forecast.forecast", slow)
    monkeypatch.setattr("twin.api.components.trial", slow)
    ask = [home.http.post(f"{THERE}/forecast", json=WHAT_IF) for _ in range(2)]
    put = [home.http.put(f"/api/v1/components/a/{i}", json=REGISTRATION) for i in range(2)]
    tasks = [asyncio.ensure_future(request) for request in (*ask, *put)]
    try:
        assert await asyncio.to_thread(begun.wait, 10)
        async with asyncio.timeout(5):
            assert (await home.http.get("/metrics")).status_code == 200
            assert (await home.get(f"{HERE}/crack", accept="image/png")).status_code == 200
            parcel = await home.service.threads.query(home.service.inbox.parcel, [], lambda: None)
            assert parcel.lines == []
        assert not any(task.done() for task in tasks)
    finally:
        gate.set()
    assert [(await task).status_code for task in tasks] == [200, 200, 201, 201]


async def test_forecasts_use_up_no_places_of_registrations(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr("twin.api.forecast.forecast", lambda *_: gate.wait(10) and Answer({}, {}))
    tasks = [
        asyncio.ensure_future(home.http.post(f"{THERE}/forecast", json=WHAT_IF)) for _ in range(9)
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # there are no places left
    putting = asyncio.ensure_future(home.http.put("/api/v1/components/a/1", json=REGISTRATION))
    gate.set()
    assert (await putting).status_code == 201
    assert sorted([(await task).status_code for task in tasks]) == [200] * 8 + [429]


async def test_a_service_that_stops_ends_the_forecast_it_has_begun_and_no_other(
    tmp_path: Path,
) -> None:
    gate, begun = threading.Event(), threading.Event()
    async with house(tmp_path / "data") as home:

        def slow() -> bool:
            begun.set()
            return gate.wait(10)

        first = asyncio.ensure_future(home.service.threads.foresee(slow))
        second = asyncio.ensure_future(home.service.threads.foresee(int))
        second.add_done_callback(lambda _: gate.set())
        await asyncio.to_thread(begun.wait, 10)
    assert await first
    with pytest.raises(UnavailableError, match="is stopping"):
        await second


async def test_an_inspection_by_http_is_believed_when_it_is_answered(home: House) -> None:
    answer = await home.http.post(f"{THERE}/inspections", json=BODY)
    page = Inspected.model_validate(answer.json())
    assert (answer.status_code, page.outcome, page.crack_length) == (201, "accepted", 0.004)
    assert page.innovation == pytest.approx(0.002)
    assert (await home.json(f"{HERE}/state"))["crack_length"] == 0.004


async def test_a_key_makes_a_repetition_harmless(home: House) -> None:
    headers = {"Idempotency-Key": "round 7, press 1"}
    first = await home.http.post(f"{THERE}/inspections", json=BODY, headers=headers)
    offset = home.service.fleet.offset
    again = await home.http.post(f"{THERE}/inspections", json=BODY, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["outcome"] == "duplicate"
    assert home.service.fleet.offset == offset


async def test_a_key_holds_over_a_restart(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "k"}
    statuses: list[int] = []
    for _ in range(2):
        async with house(tmp_path / "data") as home:
            if not statuses:
                await home.register(PRESS)
            answer = await home.http.post(f"{THERE}/inspections", json=BODY, headers=headers)
            statuses.append(answer.status_code)
    assert statuses == [201, 200]


async def test_without_a_key_or_on_another_part_everything_counts(home: House) -> None:
    await home.register("plant-a/press-2")
    for path in (THERE, THERE):
        answer = await home.http.post(f"{path}/inspections", json=BODY)
        assert answer.status_code == 201
    for name in (PRESS, "plant-a/press-2"):
        answer = await home.http.post(
            f"/api/v1/components/{name}/inspections", json=BODY, headers={"Idempotency-Key": "k"}
        )
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"unit": "parsec"}, "unit"),
        ({"crack_length": 0.0}, "crack_length"),
        ({"crack_length": 1e9}, "crack_length"),
        ({"time": "9999-12-31T23:59:59Z"}, "time"),
        ({"time": "0001-01-01T00:00:00Z"}, "time"),
        ({"time": "2026-01-01T00:00:00"}, "time"),
        ({"time": "2199-01-01T00:00:00Z"}, "ahead"),
        ({"method": "a\nb"}, "method"),
        ({"source": "me"}, "source"),
    ],
)
async def test_an_inspection_that_cannot_be_is_refused_by_name(
    home: House, changes: dict[str, Any], named: str
) -> None:
    answer = await home.http.post(f"{THERE}/inspections", json={**BODY, **changes})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert named in answer.json()["detail"]


async def test_an_inspection_of_nobody_is_a_404(home: House) -> None:
    answer = await home.http.post("/api/v1/components/a/b/inspections", json=BODY)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-component")


async def test_samples_count_for_forecasts_as_spectra_do(home: House) -> None:
    await home.samples(PRESS, *np.tile([0.0, 1e8], 20).tolist())
    page = await home.json(f"{HERE}/forecast?points=2")
    assert page["remaining_cycles"]["0.5"] > 0


async def lives(home: House, body: dict[str, Any], name: str = PRESS) -> float:
    answer = await home.http.post(f"/api/v1/components/{name}/forecast", json=body)
    assert answer.status_code == 200, answer.text
    life = answer.json()["remaining_cycles"]["0.5"]
    assert isinstance(life, float)
    return life


async def test_a_spectrum_without_a_unit_is_refused_with_the_units_it_may_be_in(
    home: House,
) -> None:
    answer = await home.http.post(f"{THERE}/forecast", json={"cycles": [[180.0, 110.0, 250]]})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert "unit is missing" in answer.json()["detail"]
    assert all(unit in answer.json()["detail"] for unit in (*STRESS, *STRAIN))


@pytest.mark.parametrize("unit", ["", "mpa", "parsec", "mm", None, 7, ["MPa"]])
async def test_a_spectrum_in_a_unit_that_is_none_is_refused(home: House, unit: object) -> None:
    body = {"cycles": [[180.0, 110.0, 250]], "unit": unit}
    answer = await home.http.post(f"{THERE}/forecast", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert "unit" in answer.json()["detail"]


async def test_the_spectrum_of_the_readme_gives_the_life_that_pascals_give(home: House) -> None:
    """180 MPa on nickel at a 2 mm edge crack: K is 16 MPa√m, and a few 10,000 cycles are left."""
    body = {"unit": "MPa", "cycles": [[180.0, 110.0, 250], [60.0, 95.0, 4000]]}
    pascals = {"unit": "Pa", "cycles": [[1.8e8, 1.1e8, 250], [6e7, 9.5e7, 4000]]}
    life = await lives(home, body)
    assert life == await lives(home, pascals)
    assert 1e4 < life < 1e7
    answer = await home.http.post(f"{THERE}/forecast", json=body)
    assert answer.json()["largest_range"] == 1.8e8


async def test_a_spectrum_means_what_it_means_over_mqtt(home: House) -> None:
    """The gauge is turned round, off by 10 µm/m, and feels half of what the crack feels."""
    calibration = {"gain": -2.0, "offset": 1e-5, "youngs_modulus": 2e11}
    await home.register("lab/strain", calibration=calibration, law=FORMAN, material=None)
    await home.register("lab/stress", law=FORMAN, material=None)
    strain = {"unit": "um/m", "cycles": [[250.0, -100.0, 10]]}
    stress = {"unit": "MPa", "cycles": [[100.0, 42.0, 10]]}  # 250 · 2 E, (100 · 2 + 10) E
    life = await lives(home, strain, "lab/strain")
    assert life == pytest.approx(await lives(home, stress, "lab/stress"), rel=1e-12)
    plain = {"unit": "MPa", "cycles": [[100.0, 40.0, 10]]}
    assert life < 0.99 * await lives(home, plain, "lab/stress")  # the offset counts


async def test_a_strain_needs_a_modulus_and_a_stress_that_no_part_survives_is_refused(
    home: House,
) -> None:
    body = {"unit": "um/m", "cycles": [[250.0, 100.0, 10]]}
    answer = await home.http.post(f"{THERE}/forecast", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert "youngs_modulus" in answer.json()["detail"]
    await home.register("lab/strain", calibration={"youngs_modulus": 2e12})
    path = "/api/v1/components/lab/strain/forecast"
    answer = await home.http.post(path, json={"unit": "m/m", "cycles": [[9.0, 0.0, 10]]})
    assert answer.status_code == 422
    assert "1.8e+13 Pa after lab/strain's calibration" in answer.json()["detail"]
