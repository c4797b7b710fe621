"""What the service writes and what sensors write never share a key space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sensors.mqtt.packets import Message
from sensors.observation import Spectrum
from storage.store import Store
from tests.twin.fakes import PRESS, REGISTRATION, T0_NS, house
from tests.twin.test_one_bad_line import CYCLES, image
from twin.belief.lines import observed
from twin.reserved import RESERVED

PATH = f"/api/v1/components/{PRESS}"
FLEET = """[[component]]
name = "plant-a/press-1"
material = "nickel"
geometry = {{ kind = "edge_crack", W = 0.1 }}
crack_length = 0.002
crack_limit = {limit}
"""


def load(source: str, **fields: Any) -> Message:
    body = {"source": source, "boot": 0, "seq": 2, "unit": "Pa", "cycles": [[1e8, 5e7, 1]]}
    body |= {"time": "2026-01-01T00:00:00Z"} | fields
    return Message(f"twin/v1/{PRESS}/load", json.dumps(body).encode(), "")


@pytest.mark.parametrize("source", sorted(RESERVED - {"@twin"}))
async def test_a_sensor_with_a_name_of_the_service_is_refused_aloud(
    tmp_path: Path, source: str
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        length = {"source": source, "boot": 0, "seq": 1, "unit": "mm", "crack_length": 3.0}
        inspection = json.dumps(length | {"time": "2026-01-01T00:00:00Z"}).encode()
        topic = f"twin/v1/{PRESS}/inspection"
        told = [load(source), Message(topic, inspection, ""), image(100, source=source)]
        parcel = home.service.inbox.parcel(told, lambda: None)
        assert not parcel.entries
        assert {(dead.reason, dead.sentence) for dead in parcel.dead} == {
            ("value", f"source '{source}' is what the twin itself writes as: name it otherwise")
        }
        assert len(home.service.store.images) == 0
        near = home.service.inbox.parcel([load(f"{source}-1")], lambda: None)
        assert near.dead == []


async def test_the_name_of_registrations_cannot_be_written_by_any_sensor(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        (dead,) = home.service.inbox.parcel([load("@twin")], lambda: None).dead
        assert dead.reason == "value"


async def test_changes_are_taken_where_a_sensor_called_itself_twin(tmp_path: Path) -> None:
    """PUT and DELETE answered 409 for ever; with a changed fleet file the service did not start."""
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(FLEET.format(limit=0.03))
    async with house(tmp_path / "data", fleet=fleet):
        pass
    with Store(tmp_path / "data") as store:
        entries = [
            observed(
                Spectrum(component=PRESS, source="twin", boot=0, seq=seq, t_ns=T0_NS, **CYCLES)
            )
            for seq in range(2, 100)
        ]
        receipt = store.journal.append(entries, now_ns=T0_NS)
        assert len({*receipt.outcomes}) == 1
    fleet.write_text(FLEET.format(limit=0.02))
    async with house(tmp_path / "data", fleet=fleet) as home:
        found = await home.json(f"components/{PRESS}")
        assert (found["revision"], found["registration"]["crack"]["crack_limit"]) == (2, 0.02)
        changed = REGISTRATION | {"crack_limit": 0.025}
        answer = await home.http.put(PATH, json=changed, headers={"If-Match": '"2"'})
        assert answer.status_code == 200, answer.text
        stale = await home.http.put(PATH, json=REGISTRATION, headers={"If-Match": '"2"'})
        assert stale.status_code == 412
        answer = await home.http.delete(PATH, headers={"If-Match": '"3"'})
        assert answer.status_code == 204, answer.text
    async with house(tmp_path / "data") as home:
        assert home.service.fleet.components[PRESS].revision == 4
        sources = await home.json(f"components/{PRESS}/sources")
        assert sources["sources"] == []


async def test_revisions_of_an_earlier_release_go_on_from_where_they_were(tmp_path: Path) -> None:
    """They were written as `twin`: none of their numbers is given twice."""
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("twin.belief.lines.REGISTRATION", "twin")
            for limit, tag in ((0.02, 1), (0.03, 2)):
                body = REGISTRATION | {"crack_limit": limit}
                await home.http.put(PATH, json=body, headers={"If-Match": f'"{tag}"'})
        body = REGISTRATION | {"crack_limit": 0.01}
        answer = await home.http.put(PATH, json=body, headers={"If-Match": '"3"'})
        assert (answer.status_code, answer.json()["revision"]) == (200, 4)
