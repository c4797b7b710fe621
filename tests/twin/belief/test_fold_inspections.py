"""Inspections in the fold: which are believed, and what is told of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensors.instant import rfc3339
from tests.twin.belief.test_fold import state
from tests.twin.belief.test_plates import NAME, plate
from tests.twin.fakes import PRESS, T0_NS, house
from tests.twin.fleets import CLOCK, component, fleet, inspection, spectrum
from twin.belief.events import Value
from twin.belief.fold import folded
from twin.belief.segments import Line

DAY_S = 86400.0


def kinds(*lines: Line) -> list[tuple[str, Value]]:
    """What is told, and the length that it says was measured [m]."""
    notes = folded(fleet(component(), plate()), list(lines), CLOCK).notes
    return [(note.kind, note.data.get("measured")) for note in notes]


@pytest.mark.parametrize("name", ["plant/press-1", NAME])
def test_a_late_report_of_an_old_inspection_is_told_and_not_believed(name: str) -> None:
    lines = [
        inspection(0, 0.003, 10 * DAY_S, name),
        inspection(1, 0.0011, 2 * DAY_S, name),
        inspection(2, 0.0032, 11 * DAY_S, name),
    ]
    told = [("inspection", 0.003), ("late", 0.0011), ("inspection", 0.0032)]
    assert kinds(*lines) == told
    one, two = (folded(fleet(component(), plate()), lines[:k], CLOCK).fleet for k in (1, 2))
    assert float(state(two, name).a) == 0.003
    assert float(state(two, name).measured) == 0.003
    assert int(state(two, name).t_inspected_ns) == int(state(one, name).t_inspected_ns)


def test_an_inspection_behind_newer_load_is_believed_as_it_arrives() -> None:
    lines = [spectrum(0, 10 * DAY_S), inspection(0, 0.0011, 2 * DAY_S)]
    assert kinds(*lines) == [("inspection", 0.0011)]
    assert float(state(folded(fleet(component()), lines, CLOCK).fleet).a) == 0.0011


@pytest.mark.parametrize("name", ["plant/press-1", NAME])
def test_an_inspection_from_before_a_break_does_not_mend_it(name: str) -> None:
    broken = spectrum(0, 10 * DAY_S, name, [[4e8, 2.4e8, 1e7]])
    before, after = (inspection(k, 0.0011, day * DAY_S, name) for k, day in enumerate((2, 11)))
    assert [kind for kind, _ in kinds(broken, before)][-1] == "late"
    values = [folded(fleet(component(), plate()), lines, CLOCK).fleet
              for lines in ([broken, before], [broken, before, after])]  # fmt: skip  # two lines
    assert [bool(state(value, name).fractured) for value in values] == [True, False]


def test_an_inspection_that_no_crack_can_have_is_told_as_clipped() -> None:
    assert kinds(inspection(0, 1e-9, name=NAME))[1] == ("clipped", 1e-9)
    assert kinds(inspection(0, 0.00018, name=NAME)) == [("inspection", 0.00018)]
    assert [kind for kind, _ in kinds(inspection(0, 0.02, name=NAME))] == [
        *("inspection", "clipped", "limit", "fractured"),
    ]
    assert [kind for kind, _ in kinds(inspection(0, 1.0))] == [
        *("inspection", "clipped", "limit", "fractured"),
    ]
    recorded = fleet(plate(inspection="record"))
    assert [n.kind for n in folded(recorded, [inspection(0, 1e-9, name=NAME)], CLOCK).notes] == [
        "inspection"
    ]


async def test_who_reports_an_old_inspection_is_told_no_innovation(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        answers = []
        for day, length in ((10, 3.0), (2, 1.1)):
            time = rfc3339(T0_NS + day * 86400 * 10**9)
            body = {"crack_length": length, "unit": "mm", "time": time}
            path = f"/api/v1/components/{PRESS}/inspections"
            answers.append((await home.http.post(path, json=body)).json())
        believed = await home.json(f"components/{PRESS}/state")
    assert [page["outcome"] for page in answers] == ["accepted", "accepted"]
    assert answers[0]["innovation"] is not None
    assert answers[1]["innovation"] is None
    assert [page["believed"] for page in answers] == [True, False]
    assert believed["inspection"]["crack_length"] == pytest.approx(0.003)
    assert believed["crack_length"] == pytest.approx(0.003)
