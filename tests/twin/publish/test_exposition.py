"""Status words, overviews and what Prometheus reads."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import twin
from sensors.payload.decode import REASONS
from storage.journal.sequences import Outcome
from tests.twin.fakes import PRESS, T0_NS, house
from twin.archive import checkpoint
from twin.belief.fleet import EMPTY
from twin.belief.overview import Views
from twin.belief.status import STATUSES, ManyStatusInputs, StatusInputs, status, statuses
from twin.publish.exposition import CONTENT_TYPE, _labels

SECOND_NS = 10**9
FINE = StatusInputs(
    retired=False, fractured=False, at_limit=False, t_ns=T0_NS, stale_after_ns=SECOND_NS
)

Samples = dict[tuple[str, str, str], float]


def samples(text: str) -> Samples:
    """The per-component samples by (name, component, probability)."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("twin_component_"):
                name = f"{sample.labels['site']}/{sample.labels['component']}"
                key = (sample.name, name, sample.labels.get("probability", ""))
                assert key not in found
                found[key] = sample.value
    return found


@pytest.mark.parametrize(
    ("age_ns", "word"), [(SECOND_NS - 1, "ok"), (SECOND_NS, "ok"), (SECOND_NS + 1, "stale")]
)
def test_silence_beyond_the_stated_one_is_stale(age_ns: int, word: str) -> None:
    assert status(FINE, T0_NS + age_ns) == word


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"retired": True, "fractured": True}, "retired"),
        ({"fractured": True, "at_limit": True}, "fractured"),
        ({"at_limit": True, "t_ns": 0}, "limit"),
        ({"t_ns": 0}, "new"),
        ({}, "stale"),
    ],
)
def test_what_is_worse_hides_what_is_better(changes: dict[str, Any], word: str) -> None:
    assert status(FINE._replace(**changes), T0_NS + 10 * SECOND_NS) == word


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.sampled_from([0, T0_NS, T0_NS + SECOND_NS]),
            st.sampled_from([1, SECOND_NS, 10**18]),
        )
    )
)
def test_many_at_once_are_as_each_alone(rows: list[tuple[bool, bool, bool, int, int]]) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * 5
    kinds = (np.bool_, np.bool_, np.bool_, np.int64, np.int64)
    arrays: list[Any] = [
        np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)
    ]
    now_ns = T0_NS + SECOND_NS + 1
    words = [STATUSES[i] for i in statuses(ManyStatusInputs(*arrays), now_ns).tolist()]
    assert words == [status(StatusInputs(*row), now_ns) for row in rows]


async def test_prometheus_reads_what_the_api_says(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, "plant-b/silent", "plant-b/still")
        await home.register("plant-b/gone", stale_after_s=60.0)
        for minute in range(3):
            await home.load(minute=minute)
            await home.load("plant-b/still", minute=minute, span=0.0)
        await home.http.delete("/api/v1/components/plant-b/gone", headers={"If-Match": "*"})
        answer = await home.http.get("/metrics")
        state = await home.json(f"components/{PRESS}/state")
        assert answer.headers["content-type"] == CONTENT_TYPE
        found = samples(answer.text)
        names = {key[1] for key in found}
    assert names == {PRESS, "plant-b/silent", "plant-b/still"}
    prefix = "twin_component"
    assert found[f"{prefix}_crack_length_meters", PRESS, ""] == state["crack_length"]
    assert found[f"{prefix}_crack_limit_meters", PRESS, ""] == 0.03
    assert found[f"{prefix}_stale_after_seconds", PRESS, ""] == 600.0
    last = f"{prefix}_last_observation_timestamp_seconds"
    assert found[last, PRESS, ""] == T0_NS / 1e9 + 120
    assert (last, "plant-b/silent", "") not in found
    remaining = f"{prefix}_remaining_cycles"
    for probability in ("0.05", "0.5", "0.95"):
        assert found[remaining, PRESS, probability] == state["remaining_cycles"]
        assert found[remaining, "plant-b/still", probability] == math.inf
        assert (remaining, "plant-b/silent", probability) not in found


async def test_prometheus_learns_of_a_part_that_is_broken_below_its_limit(tmp_path: Path) -> None:
    path = [[0.0, 0.0], [0.002, 0.0], [0.0022, 0.0006]]
    plate = {"kind": "plate", "W": 0.01, "H": 0.0082, "path": path}
    wanted = {"geometry": plate, "crack_length": 0.00263, "crack_limit": 0.0097}
    async with house(tmp_path / "data") as home:
        await home.register("plant-a/plate-1", "plant-a/plate-2", **wanted)
        await home.inspect("plant-a/plate-1", length=0.006)  # straight on, it leaves sideways
        found = samples((await home.http.get("/metrics")).text)
        state = await home.json("components/plant-a/plate-1/state")
        broken = await home.json("components?status=fractured")
    length = found["twin_component_crack_length_meters", "plant-a/plate-1", ""]
    assert length < found["twin_component_crack_limit_meters", "plant-a/plate-1", ""]
    assert found["twin_component_fractured", "plant-a/plate-1", ""] == 1.0
    assert found["twin_component_fractured", "plant-a/plate-2", ""] == 0.0
    assert state["fractured"] is True
    assert [item["component"] for item in broken["items"]] == ["plant-a/plate-1"]


async def test_the_service_tells_how_it_is_at_the_scrape(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        text = (await home.http.get("/metrics")).text
        assert "twin_ready 1.0" in text
        assert "twin_components 1.0" in text
        assert 'twin_model_info{stepper="paris-edge_crack-none"} 1.0' in text
        home.service.committer.is_available = False
        assert "twin_ready 0.0" in (await home.http.get("/metrics")).text
        home.service.committer.is_available = True


async def test_observations_that_no_crack_can_be_stepped_by_are_counted(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, calibration={"gain": 1e15})
        for values, count in (((0.0, 1e300, 0.0), 1.0), ((0.0, 1e-7, 0.0), 1.0), ((1e300,), 2.0)):
            assert await home.samples(PRESS, *values) is Outcome.ACCEPTED
            assert f"twin_implausible_total {count}" in (await home.http.get("/metrics")).text


async def test_the_thresholds_of_alerts_are_each_parts_own(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register("a/default")
        await home.register("a/own", life_alert_cycles=1234.5)
        await home.register("a/none", life_alert_cycles=None)
        await home.register("a/zero", life_alert_cycles=0)  # TOML has no null
        found = samples((await home.http.get("/metrics")).text)
    name = "twin_component_life_alert_cycles"
    told = {key[1]: value for key, value in found.items() if key[0] == name}
    assert told == {"a/default": 50_000.0, "a/own": 1234.5}


async def test_what_alerts_as_at_its_limit_is_what_the_status_says(tmp_path: Path) -> None:
    path = [[0.0, 0.0], [0.002, 0.0], [0.0022, 0.0006]]
    plate = {"kind": "plate", "W": 0.01, "H": 0.0082, "path": path}
    wanted = {"geometry": plate, "crack_length": 0.00263, "crack_limit": 0.0097}
    async with house(tmp_path / "data") as home:
        await home.register("a/broken", "a/whole", **wanted)
        await home.register("a/limit", "a/below", "a/new", "a/gone", "a/mended")
        await home.inspect("a/broken", length=0.006)  # straight on, it leaves sideways
        await home.load("a/limit")
        for name in ("a/limit", "a/gone", "a/mended"):
            await home.inspect(name, minute=1, length=0.03)
        await home.inspect("a/below", length=0.0299)
        await home.inspect("a/mended", minute=2, length=0.002)
        await home.http.delete("/api/v1/components/a/gone", headers={"If-Match": "*"})
        found = samples((await home.http.get("/metrics")).text)
        words = {i["component"]: i["status"] for i in (await home.json("components"))["items"]}
    at_limit = {key[1] for key, value in found.items() if key[0][15:] == "at_limit" and value}
    assert at_limit == {name for name, word in words.items() if word in ("limit", "fractured")}
    assert at_limit == {"a/broken", "a/limit"}
    for name in ("a/broken", "a/limit"):  # whatever is known of the load
        assert found["twin_component_remaining_cycles", name, "0.05"] == 0.0
    assert ("twin_component_remaining_cycles", "a/new", "0.05") not in found


def accepted(promtool: str, page: str) -> str:
    """What promtool has to say against a page of metrics."""
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True
    )
    return done.stdout + done.stderr


async def test_promtool_has_nothing_against_the_page(promtool: str, tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        assert accepted(promtool, (await home.http.get("/metrics")).text) == ""
        await home.register(PRESS, "plant-b/silent")
        await home.register("plant-b/odd", life_alert_cycles=None)
        for minute in range(3):
            await home.load(minute=minute)
        await home.inspect("plant-b/odd", length=0.03)
        page = (await home.http.get("/metrics")).text
        assert 'twin_component_remaining_cycles{site="plant-a"' in page
        assert accepted(promtool, page) == ""
        assert "quantile" in accepted(promtool, page.replace("probability=", "quantile="))


async def test_every_series_that_is_known_is_there_before_anything_happens(tmp_path: Path) -> None:
    """One that is born at 1 has not risen."""
    async with house(tmp_path / "data") as home:
        page = (await home.http.get("/metrics")).text
    families = {f.name: f for f in text_string_to_metric_families(page)}
    empty = {name for name, family in families.items() if not family.samples}
    assert {name for name in empty if not name.startswith("twin_component_")} == {
        "twin_model_info"  # there is no component
    }
    reasons = {s.labels["reason"] for s in families["twin_dead_letters"].samples}
    own = {"component", "ahead", "calibration", "room", "failed", "behind", "conflict"}
    assert reasons == {*REASONS, *own}
    source = "".join(path.read_text() for path in Path(twin.__file__).parent.rglob("*.py"))
    raised = re.findall(r'(?:MalformedError|super\(\).__init__)\(\s*"(\w+)"', source)
    assert {"component", "ahead", "calibration", "room"} <= set(raised) <= reasons
    assert {o.value for o in (Outcome.BEHIND, Outcome.CONFLICT)} <= reasons
    kinds = {s.labels["kind"] for s in families["twin_observations"].samples}
    assert kinds >= {"load", "inspection", "image", "readout", "registration"}
    outcomes = {s.labels["outcome"] for s in families["twin_observations"].samples}
    assert outcomes == {outcome.name.lower() for outcome in Outcome}
    outcomes = {s.labels["outcome"] for s in families["twin_images_read"].samples}
    assert outcomes == {"measured", "unused", "untrusted", "nothing", "failed"}


def value(page: str, series: str) -> float:
    (line,) = [line for line in page.splitlines() if line.startswith(f"{series} ")]
    return float(line.split()[1])


async def test_the_service_tells_what_its_alerts_compare(tmp_path: Path) -> None:
    before = time.time()
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await home.load()
        page = (await home.http.get("/metrics")).text
        assert before <= value(page, "twin_start_timestamp_seconds") <= time.time()
        assert value(page, "twin_journal_end") == 2
        assert value(page, "twin_damage_found") == 0
        assert value(page, "twin_checkpoint_interval_seconds") == 3600
        assert value(page, "twin_flush_interval_seconds") == 600
        usage = shutil.disk_usage(tmp_path)
        assert value(page, "twin_disk_size_bytes") == usage.total
        assert 0 < value(page, "twin_disk_free_bytes") <= usage.total
        assert math.isnan(value(page, "twin_broker_connected"))  # it wants none: no alert
        assert value(page, 'twin_queue_depth{queue="recording"}') == 0
        await home.load(minute=3)  # a record tick
        page = (await home.http.get("/metrics")).text
        assert value(page, 'twin_queue_depth{queue="recording"}') == 1
        assert value(page, "twin_checkpoint_last_success_timestamp_seconds") == 0
    stopped = time.time()
    async with house(tmp_path / "data") as home:  # the last checkpoint is older than this service
        page = (await home.http.get("/metrics")).text
        last = value(page, "twin_checkpoint_last_success_timestamp_seconds")
        assert before <= last <= stopped <= value(page, "twin_start_timestamp_seconds")
        assert value(page, "twin_journal_end") == 3


async def test_a_queue_that_was_emptied_is_told_as_empty(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        home.service.metrics.queue_depth.labels("stepping").set(30_000.0)  # before it was emptied
        page = (await home.http.get("/metrics")).text
        assert value(page, 'twin_queue_depth{queue="stepping"}') == 0


async def test_damage_is_counted_and_another_releases_checkpoint_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 4)  # of an earlier release
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await home.load()
    monkeypatch.undo()
    async with house(tmp_path / "data") as home:  # folds the journal
        assert value((await home.http.get("/metrics")).text, "twin_damage_found") == 0
        assert home.service.fleet.offset == 2
        await home.load(minute=1)
    (newest,) = sorted((tmp_path / "data" / "checkpoints").iterdir())[-1:]
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    async with house(tmp_path / "data") as home:
        assert value((await home.http.get("/metrics")).text, "twin_damage_found") == 1


async def test_metrics_are_told_before_anything_is_recovered(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        home.service.ready.clear()
        answer = await home.http.get("/metrics")
        assert (answer.status_code, "twin_ready 0.0" in answer.text) == (200, True)
        home.service.ready.set()


def test_an_empty_fleet_has_an_overview() -> None:
    overview = Views().overview(EMPTY)
    assert overview.roll.names == ()
    assert overview.statuses(T0_NS).tolist() == []


def test_a_label_cannot_break_the_page() -> None:
    text = "x{" + _labels('a"b/c\\d\ne') + "} 1\n"
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"site": 'a"b', "component": "c\\d\ne"}


async def test_a_component_that_changes_cohort_stays_in_its_place(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register("a/1", "a/2", "a/3")
        await home.load("a/2", count=2000.0)
        before = await home.json("components")
        registration = (await home.json("components/a/2"))["registration"]
        geometry = {"kind": "centre_crack", "W": 0.1}
        answer = await home.http.put(
            "/api/v1/components/a/2",
            json={**registration, "crack": {**registration["crack"], "geometry": geometry}},
            headers={"If-Match": '"1"'},
        )
        assert answer.status_code == 200
        after = await home.json("components")
    lengths = [[item["crack_length"] for item in page["items"]] for page in (before, after)]
    assert lengths[0] == lengths[1]
    assert lengths[0][1] > lengths[0][0] == lengths[0][2]
