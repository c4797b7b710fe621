"""Crack images become inspections: each once, in the journal, and never by a doubtful reading."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.crack_image.reader import CrackReader
from sensors.observation import ImageFinding, Inspection, Snapshot
from storage.artifacts import weights
from storage.errors import UnavailableError
from storage.journal.sequences import Outcome
from tests.twin.fakes import PRESS, T0_NS, House, house
from twin import networks
from twin.api.schema import Images
from twin.belief.fleet import EMPTY, clock_of
from twin.belief.fold import folded
from twin.belief.lines import lines
from twin.ingest.image_worker import NamedReader
from twin.ingest.image_worker import default_reader as committed_reader

HERE = f"components/{PRESS}"
PIXEL = 1e-4  # [m]


def seen(picture: NDArray[Any]) -> NDArray[np.float64]:
    """Chances of one where it is black, of a quarter less where it is nearly so."""
    return np.where(picture < 20, 1.0, np.where(picture < 60, 0.55, 0.0))


@pytest.fixture(autouse=True)
def plain_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = NamedReader("plain", CrackReader(seen))
    monkeypatch.setattr("twin.ingest.image_worker.default_reader", lambda: reader)


def picture(length: int, shade: int = 0, left: int = 0) -> bytes:
    """A grey square with a dark level line of a length [pixel], by default from the left border."""
    grey = np.random.default_rng(0).integers(190, 210, (64, 96), np.uint8)
    grey[30:33, left : left + length] = shade
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


async def send(
    home: House, data: bytes, seq: int = 0, minute: float = 0.0, kind: str = "crack"
) -> Outcome:
    digest = await home.service.threads.query(home.service.store.images.put, data)
    return await home.service.observe(
        Snapshot(
            component=PRESS,
            source="camera",
            boot=1,
            seq=seq,
            t_ns=T0_NS + round(minute * 60e9),
            sha256=digest,
            kind=kind,  # type: ignore[arg-type]  # one of two words
            media_type="image/png",
            width=96,
            height=64,
            pixel_size=PIXEL,
        )
    )


async def read(home: House, count: int) -> list[Any]:
    """What the API says of the images, the oldest first, once `count` are read and folded."""
    while True:
        page = Images.model_validate(await home.json(f"{HERE}/images"))
        found = [image.read for image in page.items if image.read is not None]
        is_folded = home.service.fleet.offset >= home.service.store.journal.end
        if len(found) >= count and is_folded:
            return found[::-1]
        await asyncio.sleep(0.01)


def observed(home: House, kind: type) -> list[Any]:
    journal = home.service.store.journal
    found = [line.what for _, batch in journal.read(0) for line in lines(batch)]
    return [what for what in found if isinstance(what, kind)]


async def test_a_crack_that_is_seen_becomes_an_inspection(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS)
        await send(home, picture(50))
        (found,) = await read(home, 1)
        assert (found.outcome, found.trusted, found.why) == ("measured", True, None)
        assert found.length == pytest.approx(50 * PIXEL, abs=2 * PIXEL)
        (tip,) = found.tips
        assert (tip.x, tip.y) == pytest.approx((49.5, 31.5), abs=1.5)
        (inspection,) = observed(home, Inspection)
        assert inspection.crack_length == pytest.approx(found.length)
        assert inspection.crack_length_sd == pytest.approx(found.length_sd)
        assert (inspection.method, inspection.t_ns) == ("image", T0_NS)
        await home.service.until(home.service.committer.end)
        state = await home.json(f"{HERE}/state")
        assert state["crack_length"] == pytest.approx(found.length)
        counted = home.service.metrics.registry.get_sample_value
        while counted("twin_images_read_total", {"outcome": "measured"}) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert counted("twin_images_read_total", {"outcome": "measured"}) == 1
        assert counted("twin_sequence_gaps_total") == 0


async def test_a_component_that_only_records_inspections_records_those_of_images(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS, inspection="record")
        await send(home, picture(50))
        (found,) = await read(home, 1)
        await home.service.until(home.service.committer.end)
        state = await home.json(f"{HERE}/state")
        assert state["crack_length"] == pytest.approx(0.002)
        assert state["inspection"]["crack_length"] == pytest.approx(found.length)


@pytest.mark.parametrize(
    ("data", "outcome", "word"),
    [
        (picture(0), "nothing", "no crack"),
        (picture(10), "untrusted", "9 pixels long"),
        (picture(60, shade=50), "untrusted", "chance"),
    ],
    ids=["none", "short", "faint"],
)
async def test_what_is_no_sure_measurement_moves_nothing_and_says_why(
    tmp_path: Path, data: bytes, outcome: str, word: str
) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS)
        await send(home, data)
        (found,) = await read(home, 1)
        assert found.outcome == outcome
        assert word in found.why
        assert found.length is None
        assert observed(home, Inspection) == []
        assert (await home.json(f"{HERE}/state"))["crack_length"] == pytest.approx(0.002)


async def test_a_damaged_image_is_told_and_later_ones_are_read(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS)
        await send(home, picture(50)[:80], 0)
        await send(home, picture(50), 1)
        first, second = await read(home, 2)
        assert (first.outcome, second.outcome) == ("failed", "measured")
        assert "png" in first.why


async def test_a_disk_that_does_not_obey_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.ingest.image_worker.RETRY_S", 0.01)
    async with house(tmp_path) as home:
        await home.register(PRESS)
        images, tries = home.service.store.images, []
        whole = images.get

        def get(sha256: str) -> bytes:
            tries.append(sha256)
            if len(tries) < 3:
                raise UnavailableError("the disk is away")
            return whole(sha256)

        monkeypatch.setattr(images, "get", get)
        await send(home, picture(50))
        assert (await read(home, 1))[0].outcome == "measured"
        assert len(tries) == 3


async def test_a_picture_of_a_part_of_the_crack_does_not_shrink_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS)
        await send(home, picture(70), 0, minute=0)
        await send(home, picture(30), 1, minute=1)
        await send(home, picture(74), 2, minute=2)
        await send(home, picture(84), 3, minute=1)
        found = await read(home, 4)
        assert [r.outcome for r in found] == ["measured", "unused", "measured", "unused"]
        assert "shorter" in found[1].why
        assert "later measurement" in found[3].why


async def test_lengths_are_those_that_the_geometry_counts(tmp_path: Path) -> None:
    centre = {"kind": "centre_crack", "W": 0.1}
    async with house(tmp_path) as home:
        await home.register(PRESS, geometry=centre)
        await send(home, picture(50, left=20), 0)
        await send(home, picture(60), 1)
        both, one = await read(home, 2)
        assert (both.outcome, one.outcome) == ("measured", "unused")
        assert "between both tips" in one.why
        assert observed(home, Inspection)[0].crack_length == pytest.approx(0.5 * both.length)


async def test_a_crack_longer_than_the_part_is_not_believed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS, geometry={"kind": "edge_crack", "W": 0.006}, crack_limit=0.003)
        await send(home, picture(80))
        (found,) = await read(home, 1)
        assert found.outcome == "unused"
        assert "longer than the part" in found.why


async def told(home: House) -> tuple[Any, list[Any], str]:
    """The state, the events `surprise`, and the metrics."""
    events = [e for e in home.service.news.events.since(0)[0] if e.kind == "surprise"]
    return await home.json(f"{HERE}/state"), events, (await home.http.get("/metrics")).text


@pytest.mark.parametrize(
    ("geometry", "data", "length", "word"),
    [
        ({"kind": "edge_crack", "W": 0.1}, picture(96), 96 * PIXEL, "on both sides"),
        ({"kind": "edge_crack", "W": 0.006}, picture(80), 80 * PIXEL, "longer than the part"),
        ({"kind": "edge_crack", "W": 0.1}, picture(60, left=20), 60 * PIXEL, "both of its ends"),
        ({"kind": "centre_crack", "W": 0.1}, picture(80), 40 * PIXEL, "between both tips"),
        ({"kind": "compact_tension", "W": 0.1}, picture(80), 80 * PIXEL, "load line"),
        ({"kind": "plate", "W": 0.1}, picture(60, left=20), 60 * PIXEL, "both of its ends"),
    ],
)
@pytest.mark.parametrize("factor", [None, 5.0])
async def test_an_image_that_contradicts_the_belief_waits_and_is_told(
    tmp_path: Path, geometry: Any, data: bytes, length: float, word: str, factor: float | None
) -> None:
    async with house(tmp_path) as home:
        how = {"geometry": geometry, "crack_length": 0.0015, "crack_limit": 0.003}
        if geometry["kind"] != "edge_crack":
            how |= {"crack_length": 0.002, "crack_limit": 0.04}
        await home.register(PRESS, **how, surprise_factor=factor)
        await send(home, data)
        (found,) = await read(home, 1)
        state, events, metrics = await told(home)
    assert found.outcome == "unused"
    assert word in found.why
    assert state["crack_length"] == pytest.approx(how["crack_length"])
    assert state["held"]["crack_length"] == pytest.approx(length, abs=3 * PIXEL)
    assert (state["held"]["why"], state["held"]["source"]) == (found.why, "camera")
    (event,) = events
    assert (event.data["outcome"], event.data["why"]) == ("held", found.why)
    assert event.data["id"] == state["held"]["id"]
    assert "twin_inspections_held 1.0" in metrics  # the alert TwinInspectionHeld watches it


async def test_an_image_that_shows_a_part_of_the_crack_that_is_believed_tells_nothing(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS, crack_length=0.02)
        await send(home, picture(96))
        (found,) = await read(home, 1)
        state, events, _ = await told(home)
    assert (found.outcome, state["held"], events) == ("unused", None, [])


async def test_one_image_twice_does_not_confirm_itself(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS, crack_length=0.0005, surprise_factor=5.0)
        for seq, minute in enumerate((0.0, 1.0, 3000.0)):
            await send(home, picture(60), seq, minute)
        await read(home, 3)
        state, events, _ = await told(home)
    assert state["crack_length"] == 0.0005
    assert [e.data["outcome"] for e in events] == ["held", *["superseded", "held"] * 2]


async def test_what_a_picture_shows_of_a_crack_can_be_confirmed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.register(PRESS)
        await send(home, picture(96))
        await read(home, 1)
        state, _, _ = await told(home)
        held = state["held"]
        answer = await home.http.post(f"/api/v1/{HERE}/inspections/{held['id']}/confirm")
        after = await home.json(f"{HERE}/state")
    assert answer.status_code == 201
    assert (after["held"], after["crack_length"]) == (None, held["crack_length"])


async def test_micrographs_and_switched_off_readings_are_left_alone(tmp_path: Path) -> None:
    async with house(tmp_path, ingest={"read_images": False}) as home:
        await home.register(PRESS)
        await send(home, picture(50), 0)
        await asyncio.sleep(0.1)
        assert observed(home, ImageFinding) == []
    async with house(tmp_path) as home:
        await send(home, picture(50), 1, kind="microstructure")
        await read(home, 1)  # the first, sent while reading was off
        await asyncio.sleep(0.1)
        assert len(observed(home, ImageFinding)) == 1


async def test_an_image_that_was_not_read_before_the_end_is_read_once_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.ingest.image_worker.SLICE", 2)
    async with house(tmp_path, ingest={"read_images": False}) as home:
        await home.register(PRESS)
        for seq in range(3):
            await send(home, picture(40 + seq), seq, minute=seq)
            await home.load(minute=seq)
    for _ in range(3):
        async with house(tmp_path) as home:
            assert len(await read(home, 3)) == 3
            assert await send(home, picture(40), 0) is Outcome.DUPLICATE
            await asyncio.sleep(0.1)
            assert len(observed(home, ImageFinding)) == len(observed(home, Inspection)) == 3
            live = await home.json(f"{HERE}/state")
            journal, clock = home.service.store.journal, clock_of(home.service.settings)
            entries = [entry for _, batch in journal.read(0) for entry in batch]
            again = folded(EMPTY, lines(entries), clock).fleet
            (cohort,) = again.cohorts.values()
            assert float(cohort.view().crack_length[0]) == live["crack_length"]


async def test_more_images_than_are_remembered_are_found_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.ingest.image_worker.WAITING", 1)
    async with house(tmp_path) as home:
        await home.register(PRESS)
        await asyncio.gather(*(send(home, picture(40 + seq), seq, seq) for seq in range(6)))
        assert len(await read(home, 6)) == 6


async def test_the_crack_of_a_plate_is_moved_along_its_path(tmp_path: Path) -> None:
    plate = {"geometry": {"kind": "plate", "W": 0.05}, "crack_length": 0.004, "crack_limit": 0.04}
    async with house(tmp_path) as home:
        await home.register(PRESS, **plate)
        await send(home, picture(60))
        (found,) = await read(home, 1)
        assert (found.outcome, found.why) == ("measured", None)
        await home.service.until(home.service.committer.end)
        state = await home.json(f"{HERE}/state")
        assert state["crack_length"] == pytest.approx(found.length)


def test_weights_of_another_network_are_named_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = {"data": "none", "seed": 0, "command": "pytest", "figures": {}}
    weights.save(tmp_path / "crack-image.safetensors", {"other": np.zeros(1)}, card)
    monkeypatch.setattr(networks, "DEFAULTS", tmp_path)
    with pytest.raises(ValueError, match="are not of this network"):
        committed_reader()
