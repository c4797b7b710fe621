"""Registrations in the form of today, and in the flat form of the first release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from tests.twin.fakes import REGISTRATION, House, house
from tests.twin.fleets import T0, component
from twin.belief.fleet_file import fleet_file
from twin.belief.lines import line, registration
from twin.component import DEPRECATED, Component, Registration, parsed
from twin.errors import SettingsError
from twin.kinds.crack_settings import CrackSettings

HERE = "/api/v1/components/plant/new"
SHARED = {"calibration", "gauge", "stale_after_s", "unusual"}
CRACK = {name: value for name, value in REGISTRATION.items() if name not in SHARED}
NESTED = {name: value for name, value in REGISTRATION.items() if name in SHARED} | {"crack": CRACK}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as found:
        yield found


def test_both_forms_are_one_registration_and_it_is_kept_in_the_form_of_today() -> None:
    assert parsed(REGISTRATION) == parsed(NESTED)
    kept = parsed(REGISTRATION).model_dump()
    assert kept.keys() == SHARED | {"crack"}
    assert set(kept["crack"]) < set(CrackSettings.model_fields)
    assert Registration.model_validate(kept) == parsed(NESTED)


def test_a_line_of_an_old_journal_is_read() -> None:
    """As 0.1.0 wrote it: the fields of the crack beside the others."""
    now = component()
    page = now.model_dump(mode="json")
    crack = page["registration"].pop("crack")
    old = page | {"registration": page["registration"] | crack}
    assert Component.model_validate(old) == now
    entry = registration(now, T0)
    assert line(entry).what == now.model_copy(update={"registered_ns": T0})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "crack is missing"),
        ({"stale_after_s": 60.0}, "crack is missing"),
        ({"crack": 3}, "crack is 3: it must be a table of fields"),
        ({"crack": CRACK | {"crack_length": -1.0}}, "crack.crack_length is -1.0: it must be above"),
        (
            {"crack": CRACK | {"crack_lenght": 1.0}},
            "crack.crack_lenght is unknown: is crack.crack_",
        ),
        (
            {"crack": CRACK, "crack_limit": 0.1},
            "crack_limit must stand inside of crack, not beside",
        ),
        ({"crack": CRACK, "calibraton": {}}, "calibraton is unknown: is calibration meant?"),
        ({"crack": CRACK | {"calibration": {}}}, "calibration must stand beside crack, not inside"),
        ({"crack": CRACK | {"geometry": {"kind": "edge"}}}, "crack.geometry.kind is 'edge'"),
        (REGISTRATION | {"crack_length": -1.0}, "crack_length is -1.0: it must be above"),
        (REGISTRATION | {"geometry": {"kind": "edge"}}, "geometry.kind is 'edge'"),
    ],
)
async def test_what_is_wrong_is_named_in_the_form_that_was_sent(
    home: House, body: dict[str, Any], says: str
) -> None:
    answer = await home.http.put(HERE, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(says), answer.text


async def test_the_flat_form_is_accepted_and_told_to_be_deprecated(home: House) -> None:
    flat = await home.http.put(HERE, json=REGISTRATION)
    assert (flat.status_code, flat.json()["deprecated"]) == (201, DEPRECATED)
    again = await home.http.put(HERE, json=NESTED, headers={"If-Match": '"1"'})
    assert (again.status_code, again.json()["revision"]) == (200, 1)  # nothing has changed
    assert again.json()["deprecated"] is None
    answered = (await home.http.get(HERE)).json()
    assert answered["deprecated"] is None
    sent = await home.http.put(HERE, json=answered["registration"], headers={"If-Match": '"1"'})
    assert (sent.status_code, sent.json()["revision"]) == (200, 1)


FLAT = """
[[component]]
name = "plant/flat"
crack_length = 0.002
crack_limit = 0.03
material = "nickel"
geometry = { kind = "edge_crack", W = 0.1 }
"""
INSIDE = """
[[component]]
name = "plant/nested"
stale_after_s = 60.0
[component.crack]
crack_length = 0.002
crack_limit = 0.03
material = "nickel"
geometry = { kind = "edge_crack", W = 0.1 }
"""


def test_a_fleet_file_may_have_both_and_is_told_of_the_flat_ones(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(FLAT + INSIDE)
    with capture_logs() as logs:
        found = fleet_file(path)
    assert found["plant/flat"].crack == found["plant/nested"].crack
    assert found["plant/nested"].stale_after_s == 60.0
    told = {"event": "fleet_file_deprecated", "components": 1, "first": "plant/flat"}
    assert [told.items() <= log.items() for log in logs] == [True]
    path.write_text(INSIDE)
    with capture_logs() as logs:
        fleet_file(path)
    assert logs == []
    path.write_text(INSIDE.replace("crack_limit = 0.03", "crack_limit = 0.001"))
    with pytest.raises(SettingsError, match=r"plant/nested: crack_limit 0\.001 m is not"):
        fleet_file(path)


async def test_a_changed_form_in_the_fleet_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(FLAT)
    async with house(tmp_path / "data", fleet=path) as home:
        assert (await home.json("components/plant/flat"))["revision"] == 1
    path.write_text(INSIDE.replace("plant/nested", "plant/flat").replace("60.0", "600.0"))
    async with house(tmp_path / "data", fleet=path) as home:
        assert (await home.json("components/plant/flat"))["revision"] == 1


def test_no_form_takes_a_field_twice() -> None:
    with pytest.raises(ValidationError, match="must stand inside of crack"):
        parsed(REGISTRATION | {"crack": CRACK})
