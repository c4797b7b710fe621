"""One message, image or line that cannot be judged, stepped or read costs itself and nothing else.

Each is refused at the door with what happened, or set aside by the fold; where a journal holds one
already, from a release whose door was wider, start and rebuild go past it.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from sensors.mqtt.packets import Message
from sensors.observation import (
    AnyObservation,
    Confirmation,
    ImageFinding,
    Inspection,
    Series,
    Spectrum,
)
from sensors.payload.sound import fault
from storage.journal.entry import Entry
from storage.store import Store
from tests.twin.belief.test_fold import assert_same, assert_same_rows
from tests.twin.fakes import PRESS, REGISTRATION, T0_NS, house, wanted
from tests.twin.fleets import CLOCK, SECOND, T0, component, fleet, series, spectrum
from twin.archive.rebuild import rebuild
from twin.archive.recovery import recovered
from twin.archive.release import RELEASE, latest
from twin.archive.verify import checked
from twin.belief.fleet import EMPTY
from twin.belief.fold import folded
from twin.belief.life import reason
from twin.belief.lines import COMPONENT, OBSERVATION, observed
from twin.belief.record import RecordRow
from twin.belief.segments import Line
from twin.errors import SettingsError, TwinError
from twin.kinds.crack import CrackKind
from twin.kinds.crack_settings import CrackSettings
from twin.serving import mqtt_settings

KEY: dict[str, Any] = {"component": PRESS, "source": "daq", "boot": 1}
ONE = np.ones(1).tobytes()
LOAD: dict[str, Any] = {"quantity": "stress", "rate_hz": 100.0, "tension": ONE}
LENGTH: dict[str, Any] = {"crack_length": 0.003, "crack_length_sd": 1e-4, "method": ""}
IMAGE: dict[str, Any] = {"image_source": "cam", "image_boot": 0, "image_seq": 1, "reader": "r"}


def rows(*cycles: list[float]) -> bytes:
    return np.array(cycles, float).tobytes()


CYCLES: dict[str, Any] = {"quantity": "stress", "cycles": rows([1e8, 5e7, 1.0])}


def odd() -> dict[str, AnyObservation]:
    """What no door of today lets in, and what just fits; each with a key of its own."""
    found: dict[str, AnyObservation] = {}

    def add(name: str, kind: type[Any], **fields: Any) -> None:
        found[name] = kind(**{**KEY, "seq": 100 + len(found), "t_ns": T0_NS} | fields)

    for rate in (1e-300, 2.3e-308, 1e-12, 0.0, -1.0, math.inf, math.nan, 1e308):
        add(f"rate {rate}", Series, **LOAD | {"rate_hz": rate})
    for t_ns in (-(2**63), -1, 0, 7_258_118_399_999_999_999, 2**63 - 1):
        add(f"series at {t_ns}", Series, **LOAD | {"t_ns": t_ns})
        add(
            f"spectrum at {t_ns}",
            Spectrum,
            quantity="stress",
            cycles=rows([1e8, 5e7, 1]),
            t_ns=t_ns,
        )
        add(f"inspection at {t_ns}", Inspection, **LENGTH | {"t_ns": t_ns})
    for value in (1.7e308, -1.7e308, math.inf, math.nan, 2.3e-308, 1e12):
        add(f"sample {value}", Series, **LOAD | {"tension": np.array([1.0, value, 2.0]).tobytes()})
        for column in range(3):
            cycle = [1e8, 5e7, 10.0]
            cycle[column] = value
            add(f"cycle {column} {value}", Spectrum, quantity="stress", cycles=rows(cycle))
        add(f"ratio {value}", Spectrum, quantity="stress", cycles=rows([1e8, 5e7, 1.0]),
            shear_ratio=value)  # fmt: skip
        add(f"length {value}", Inspection, **LENGTH | {"crack_length": value})
        add(f"sd {value}", Inspection, **LENGTH | {"crack_length_sd": value})
    add("no samples", Series, **LOAD | {"tension": b""})
    add("half a sample", Series, **LOAD | {"tension": ONE + b"abc"})
    add("other shear", Series, **LOAD | {"shear": ONE + ONE})
    add("no cycles", Spectrum, quantity="stress", cycles=b"")
    add("half a cycle", Spectrum, quantity="stress", cycles=ONE)
    add("strain without a modulus", Series, **LOAD | {"quantity": "strain"})
    add("largest boot", Series, **LOAD | {"boot": 2**63 - 1})
    add("largest seq", Series, **LOAD | {"boot": 2, "seq": 2**63 - 1})
    add("odd unit", Series, **LOAD | {"unit": "furlong", "tension": np.full(3, -9999.0).tobytes()})
    add("nothing confirmed", Confirmation, inspection_source="", inspection_boot=-1,
        inspection_seq=-1)  # fmt: skip
    add("half a path", ImageFinding, **IMAGE, outcome="measured", path=b"abc", length=math.nan)
    return found


ODD = odd()


@pytest.mark.parametrize("name", ODD)
def test_a_line_that_cannot_be_a_load_is_folded_past(name: str) -> None:
    """Whatever it is, what comes after it counts, in one fold as in many."""
    part, o = fleet(component(PRESS)), ODD[name]
    if o.t_ns == T0_NS:
        o = msgspec.structs.replace(o, t_ns=T0 + 15 * SECOND)
    around = [series(i, np.sin(np.arange(50.0)) * 1e8, 10.0 * i, PRESS) for i in range(3)]
    lines = [*around[:2], Line(PRESS, o), around[2]]
    result, value, rows = folded(part, lines, CLOCK), part, list[RecordRow]()
    for line in lines:
        step = folded(value, [line], CLOCK)
        value, rows = step.fleet, rows + step.rows
    assert result.fleet.offset == part.offset + 4
    assert_same(result.fleet, value)
    assert_same_rows(result.rows, rows)
    if fault(o):
        without = folded(part, around, CLOCK)
        one, other = (next(iter(v.cohorts.values())) for v in (result.fleet, without.fleet))
        assert torch.equal(one.state.length, other.state.length)
        assert result.fleet.watermark_ns == without.fleet.watermark_ns
        (note,) = (n for n in result.notes if n.kind == "implausible")
        assert (note.component, note.data["why"], note.data["seq"]) == (PRESS, fault(o), o.seq)


def journalled(directory: Path, *observations: AnyObservation) -> None:
    """Write lines as a release with a wider door would have."""
    with Store(directory) as store:
        for o in observations:  # each a commit, as some cannot be one
            store.journal.append([observed(o)], now_ns=T0_NS)


async def test_a_journal_that_holds_them_starts_and_is_rebuilt(tmp_path: Path) -> None:
    """`{"rate_hz": 1e-300, ...}` ended the service, and every start and rebuild after it."""
    data = tmp_path / "data"
    free = {"max_ahead_s": None, "read_images": False}
    async with house(data, ingest=free) as home:
        await home.register(PRESS)
        await home.load(minute=1.0)
        cycles = (await home.json(f"components/{PRESS}/state"))["cycles"]
        at = home.service.fleet.watermark_ns
    lines = [o for o in ODD.values() if fault(o)]
    journalled(data, *lines)
    for rebuilt in (False, True):
        if rebuilt:
            assert rebuild(wanted(data, ingest=free), data, None)["lines"] == 2 + len(lines)
        async with house(data, ingest=free) as home:
            assert home.service.fleet.offset == 2 + len(lines)
            state = await home.json(f"components/{PRESS}/state")
            assert state["cycles"] == cycles
            assert home.service.fleet.watermark_ns == at
            assert (await home.get(f"components/{PRESS}/forecast")).status_code == 200
    assert checked(data)["problems"] == []


def message(what: str = "load", **fields: Any) -> Message:
    body = {"source": "daq", "boot": 1, "seq": 1, "unit": "Pa", "time": "2026-01-01T00:00:00Z"}
    return Message(f"twin/v1/{PRESS}/{what}", json.dumps(body | fields).encode(), "")


@pytest.mark.parametrize("max_ahead_s", [None, 60.0])
@pytest.mark.parametrize("rate_hz", [1e-300, 1e-10, 2.3e-308])
async def test_a_rate_that_lasts_for_ever_is_refused_at_the_door(
    tmp_path: Path, rate_hz: float, max_ahead_s: float | None
) -> None:
    async with house(tmp_path / "data", ingest={"max_ahead_s": max_ahead_s}) as home:
        await home.register(PRESS)
        parcel = home.service.inbox.parcel(
            [message(rate_hz=rate_hz, tension=[1.0]), message(seq=2, rate_hz=1.0, tension=[1.0])],
            lambda: None,
        )
        assert [(d.reason, d.sentence) for d in parcel.dead] == [
            ("value", f"rate_hz {rate_hz} lets 1 samples last beyond 2200")
        ]
        assert len(parcel.entries) == 1


async def test_whatever_judging_raises_costs_that_message_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(o: AnyObservation) -> int:
        raise OverflowError("cannot convert float infinity to integer")

    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        monkeypatch.setattr("twin.ingest.inbox.t_end_ns", broken)
        load = message(rate_hz=1.0, tension=[1.0])
        (dead,) = home.service.inbox.parcel([load], lambda: None).dead
        assert (dead.reason, dead.payload) == ("failed", load.payload)
        assert dead.sentence == (
            "judging it raised OverflowError: cannot convert float infinity to integer; "
            "please report it"
        )


def png(size: int) -> bytes:
    """A file with the header of a PNG and as many bytes."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    return (head + struct.pack(">I", zlib.crc32(header))).ljust(size, b"\0")


def image(size: int, **fields: str) -> Message:
    known = {"source": "cam", "boot": "1", "seq": "1", "kind": "microstructure"}
    properties = known | {"pixel_size": "1e-6", "time": "2026-01-01T00:00:00Z"} | fields
    return Message(f"twin/v1/{PRESS}/image", png(size), "", properties)


async def test_one_number_says_how_large_an_image_may_be(tmp_path: Path) -> None:
    """An image of 17 MiB ended a service whose `max_image_bytes` allowed it."""
    limit = 17 << 20
    async with house(tmp_path / "data", ingest={"max_image_bytes": limit}) as home:
        await home.register(PRESS)
        assert mqtt_settings(home.service.settings).max_packet > limit
        for size, reasons in ((limit - 1, []), (limit, []), (limit + 1, ["size"])):
            parcel = home.service.inbox.parcel([image(size)], lambda: None)
            assert [dead.reason for dead in parcel.dead] == reasons
    with pytest.raises(SettingsError, match="max_image_bytes"):
        wanted(tmp_path, ingest={"max_image_bytes": 256 << 20})


async def test_an_image_of_which_nothing_can_be_made_is_kept_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr("twin.ingest.image_worker.derived", broken)
    monkeypatch.setattr("twin.ingest.image_worker.ImageWorker._read", lambda *_: None)
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        parcel = home.service.inbox.parcel([image(100, kind="crack")], lambda: None)
        await home.service.committer.outcomes(parcel.entries, parcel.lines)
        async with asyncio.timeout(60):
            await home.service.until(3)  # registration, image, and what was read of it
        page = await home.json(f"components/{PRESS}/images")
        assert page["items"][0]["read"]["outcome"] == "failed"
        assert "ZeroDivisionError" in page["items"][0]["read"]["why"]


async def test_a_state_that_cannot_be_told_silences_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def broken(cohort: Any, row: int, *, at_limit: bool) -> Any:
        if cohort.members[row] == PRESS:
            raise ZeroDivisionError
        return reason(cohort, row, at_limit=at_limit)

    monkeypatch.setattr("twin.publish.changes.reason", broken)
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, "plant-a/press-2")
        await home.load()
        await home.load("plant-a/press-2")
        told, _ = home.service.news.events.since(0)
        assert {e.component for e in told if e.kind == "state"} == {"plant-a/press-2"}


def test_a_registration_that_no_stepper_can_be_made_of_costs_itself_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = component("plant/bad"), component("plant/good")
    stepper = CrackKind.stepper

    def broken(self: CrackKind, settings: CrackSettings) -> Any:
        if settings is bad.registration.crack:
            raise ValueError("no such law")
        return stepper(self, settings)

    monkeypatch.setattr(CrackKind, "stepper", broken)
    result = folded(EMPTY, [Line(c.name, c) for c in (bad, good)], CLOCK)
    assert set(result.fleet.places) == {"plant/good"}
    assert [(n.kind, n.component) for n in result.notes] == [
        ("implausible", "plant/bad"),
        ("registered", "plant/good"),
    ]
    after = folded(result.fleet, [spectrum(1, name="plant/bad")], CLOCK)
    assert after.fleet.offset == 3


# --- lines of later releases ------------------------------------------------------------------


def _started(data: Path) -> None:
    with Store(data) as store:
        recovered(store, CLOCK)


def _rebuilt(data: Path, out: Path) -> None:
    rebuild(wanted(data), data, out)


@pytest.mark.parametrize("last", ["", "999.1.0"])
@pytest.mark.parametrize("kind", [OBSERVATION, COMPONENT])
async def test_a_line_of_a_later_release_is_one_sentence_that_names_it(
    tmp_path: Path, kind: str, last: str
) -> None:
    data = tmp_path / "data"
    async with house(data) as home:
        await home.register(PRESS)
    assert latest(data) == RELEASE
    if last:
        (data / "release").write_text(f"{last}\n")
    body = msgspec.msgpack.encode(["acoustic", PRESS, "ae", 1, 1, T0_NS])
    if kind == COMPONENT:
        body = json.dumps({"name": PRESS, "revision": 2, "registered_by": "api",
                           "registration": REGISTRATION | {"colour": "red"}}).encode()  # fmt: skip
    with Store(data) as store:
        store.journal.append([Entry(kind, PRESS, "ae", 1, 1, T0_NS, body)], now_ns=T0_NS)
    for is_rebuild in (False, True):
        with pytest.raises(TwinError) as caught:
            _rebuilt(data, tmp_path / "other") if is_rebuild else _started(data)
        said = str(caught.value)
        assert "\n" not in said
        assert PRESS in said
        assert RELEASE in said
        assert last in said
    assert latest(data) == (last or RELEASE)
