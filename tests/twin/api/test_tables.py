"""Tabulated laws and geometries: registered over HTTP and in the fleet file, stepped, kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from models.fatigue.geometry import EdgeCrack
from models.fatigue.laws import TabulatedLaw
from tests.twin.fakes import PRESS, REGISTRATION, House, house
from twin.api.schema import Described
from twin.api.schema_service import Models
from twin.belief.fleet_file import fleet_file, tried
from twin.component import Component

HERE = f"/api/v1/components/{PRESS}"
EDGE = [0.001 * i for i in range(1, 96)]


def barter14(data: Path) -> dict[str, Any]:
    """A measured table of aluminium 7050, as anybody would send it."""
    lines = (data / "easigrow" / "barter14.dadn").read_text().splitlines()
    head, *rows = ([float(x) for x in line.split()] for line in lines if line[:1] != "#")
    return {
        "kind": "tabulated",
        "R": head,
        "growth": [row[0] for row in rows],
        "dK": [row[1:] for row in rows],
        "dK_unit": "MPa sqrt(m)",
        "growth_unit": "m/cycle",
    }


def edge_table() -> dict[str, Any]:
    a = torch.tensor(EDGE, dtype=torch.float64)
    return {"kind": "tabulated", "a": EDGE, "beta": EdgeCrack(0.1).F(a).tolist()}


async def put(home: House, name: str, **changes: Any) -> dict[str, Any]:
    answer = await home.http.put(f"/api/v1/components/{name}", json={**REGISTRATION, **changes})
    assert answer.status_code == 201, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_a_measured_table_steps_as_the_law_evaluated_by_itself(
    tmp_path: Path, data: Path
) -> None:
    table = barter14(data)
    async with house(tmp_path / "data") as home:
        page = await put(home, PRESS, law=table)
        Described.model_validate(page)
        assert page["registration"]["crack"]["law"]["dK"][0][0] == pytest.approx(0.45e6)
        await home.load(count=1.0, span=6e7)
        grown = (await home.http.get(f"{HERE}/state")).json()["crack_length"]
    law = TabulatedLaw(
        torch.tensor(table["R"]).double(),
        torch.tensor(table["growth"]).double(),
        1e6 * torch.tensor(table["dK"]).double(),
    )
    a = torch.tensor([0.002]).double()
    dK = 6e7 * EdgeCrack(0.1).F(a) * torch.sqrt(math.pi * a)
    assert 1e-9 < float(law(dK)) < 1e-7
    assert grown - 0.002 == pytest.approx(float(law(dK)), rel=1e-5)


async def test_tables_of_different_parts_share_a_cohort_and_outlive_a_restart(
    tmp_path: Path, data: Path
) -> None:
    names = ["a/one", "a/two", "a/three"]
    table = barter14(data)
    faster = table | {"growth": [3.0 * x for x in table["growth"]]}
    laws = dict(zip(names, (table, faster, table), strict=True))
    async with house(tmp_path / "data") as home:
        for name, law in laws.items():
            await put(home, name, law=law, geometry=edge_table())
            await home.load(name, count=10.0, span=1.2e8)
        assert len(home.service.fleet.cohorts) == 1
        before = [(await home.http.get(f"/api/v1/components/{n}/state")).json() for n in names]
    async with house(tmp_path / "data") as home:
        after = [(await home.http.get(f"/api/v1/components/{n}/state")).json() for n in names]
        forecast = await home.http.get("/api/v1/components/a/one/forecast")
        drawn = await home.http.get("/api/v1/components/a/one/crack")
    assert [s["crack_length"] for s in after] == [s["crack_length"] for s in before]
    grown = [s["crack_length"] - 0.002 for s in before]
    assert grown[0] == grown[2]
    assert grown[1] == pytest.approx(3.0 * grown[0], rel=0.05)
    assert (forecast.status_code, drawn.status_code) == (200, 200)


async def test_a_table_of_the_edge_cracks_factors_grows_as_the_edge_crack(tmp_path: Path) -> None:
    root = [EdgeCrack(0.1).F(torch.tensor([a]).double()) for a in EDGE]
    K = [float(F) * math.sqrt(math.pi * a) for F, a in zip(root, EDGE, strict=True)]
    kinds = {
        "a/formula": {"kind": "edge_crack", "W": 0.1},
        "a/beta": edge_table(),
        "a/k": {"kind": "tabulated", "a": EDGE, "K_over_stress": K},
    }
    grown = {}
    async with house(tmp_path / "data") as home:
        for name, geometry in kinds.items():
            await put(home, name, geometry=geometry)
            await home.load(name, count=20_000.0, span=1e8)
            state = (await home.http.get(f"/api/v1/components/{name}/state")).json()
            grown[name] = state["crack_length"] - 0.002
    assert grown["a/beta"] == pytest.approx(grown["a/formula"], rel=1e-3)
    assert grown["a/k"] == pytest.approx(grown["a/beta"], rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"law": {"kind": "tabulated", "R": [0.0], "growth": [1e-9], "dK": [[1e7]]}},
            "not 2 to 128",
        ),
        (
            {"law": {"kind": "tabulated", "R": [0.0], "growth": [1e-9, 1e-8], "dK": [[5], [9]]}},
            "m a cycle at ΔK 10 MPa √m",
        ),
        ({"geometry": {"kind": "tabulated", "a": [0.001, 0.04]}}, "either beta or K_over_stress"),
        (
            {"geometry": {"kind": "tabulated", "a": [0.001, 0.04], "beta": [1.1]}},
            "geometry.a of the table has 2 lengths",
        ),
        (
            {"geometry": {"kind": "tabulated", "a": [0.001, 0.02], "beta": [1.1, 2.0]}},
            "crack_limit is 0.03 m: a crack of geometry tabulated is at most 0.02 m long",
        ),
    ],
)
async def test_a_table_that_is_none_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    async with house(tmp_path / "data") as home:
        answer = await home.http.put(HERE, json={**REGISTRATION, **changes})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


def test_a_table_is_registered_by_the_fleet_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(
        """
        [[component]]
        name = "plant/spar"
        unit = "mm"
        crack_length = 1.5
        crack_limit = 12.0
        law = { kind = "tabulated", R = [0.0, 0.5], growth = [1e-7, 1e-5, 1e-4, 1e-2],
                growth_unit = "mm/cycle", dK_unit = "MPa m^0.5",
                dK = [[1.2, 1.1], [4.1, 3.6], [8.6, 6.3], [21.0, 11.5]] }
        geometry = { kind = "tabulated", a = [1.0, 4.0, 15.0], beta = [1.1, 1.3, 1.9] }
        """.replace("\n                ", " ")
    )
    found = fleet_file(path)["plant/spar"]
    law: Any = found.crack.law
    assert law.growth == pytest.approx((1e-10, 1e-8, 1e-7, 1e-5))
    assert found.crack.geometry.a == pytest.approx((0.001, 0.004, 0.015))
    one = Component(name="plant/spar", revision=1, registered_by="file", registration=found)
    assert tried([one], "fleet.toml") == [one]


async def test_models_say_for_what_they_hold(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        page = Models.model_validate((await home.http.get("/api/v1/models")).json())
    assert page.geometry_ranges["compact_tension"].valid == {"a/W": (0.2, 0.95)}
    assert page.geometry_ranges["surface_crack"].valid["aspect"] == (0.0, 2.0)
    assert "finite elements" in page.geometry_ranges["hole_crack"].accuracy
    assert page.material_load_ratios["2024-t3-paris"] == (-1.0, 0.3)
    assert {"tabulated"} <= set(page.laws) & set(page.geometries)
