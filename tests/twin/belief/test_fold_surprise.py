"""An inspection that jumps is held until another agrees or somebody confirms it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sensors.observation import Inspection
from storage.store import Store
from tests.twin.belief.test_fold import assert_same, state
from tests.twin.belief.test_plates import NAME as PLATE
from tests.twin.belief.test_plates import plate
from tests.twin.fakes import PRESS, House, house
from tests.twin.fleets import CLOCK, component, fleet, inspection, registration, spectrum
from twin.archive import checkpoint
from twin.belief.fleet import Fleet
from twin.belief.fold import Folded, folded
from twin.belief.inspection_gate import confirmation, identity
from twin.belief.segments import Line, Note
from twin.kinds.crack_settings import CrackSettings

CRACK = "plant/press-1"
DAY_S = 86400.0
BOTH = pytest.mark.parametrize("name", [CRACK, PLATE])


def some(**changes: Any) -> Fleet:
    """A straight crack of 1 mm in a part of 20 mm, and one in a plate."""
    how = {"surprise_factor": 5.0, **changes}
    return fleet(component(**how), plate(**how))


def after(*lines: Line, **changes: Any) -> Folded:
    return folded(some(**changes), list(lines), CLOCK)


def confirmed(line: Line) -> Line:
    assert isinstance(line.what, Inspection)
    return Line(line.component, confirmation(line.what))


def believed(result: Folded, name: str) -> float:
    return float(state(result.fleet, name).a)


def fates(result: Folded) -> list[tuple[str, float]]:
    """What is told of inspections, and of what length [m]."""
    return [
        (str(note.data.get("outcome", note.kind)), float(str(note.data["measured"])))
        for note in result.notes
        if note.kind in ("surprise", "inspection", "late", "clipped")
    ]


def test_it_is_five_times_unless_told() -> None:
    assert CrackSettings.model_fields["surprise_factor"].default == 5.0
    with pytest.raises(ValueError, match="surprise_factor"):
        component(surprise_factor=1.0)


@BOTH
@pytest.mark.parametrize("length", [0.006, 0.00019, 12.5])
def test_a_jump_moves_nothing_and_is_told(name: str, length: float) -> None:
    result, before = after(inspection(0, length, 5.0, name)), some()
    assert fates(result) == [("held", length)]
    a, b = state(result.fleet, name), state(before, name)
    for leaf in ("a", "fractured", "measured", "innovation", "t_inspected_ns", "t_ns"):
        assert getattr(a, leaf).equal(getattr(b, leaf)), leaf
    (held,) = result.fleet.held.values()
    assert (held.component, held.crack_length, held.method) == (name, length, "ultrasonic")
    (note,) = result.notes
    assert (note.data["id"], note.data["crack_length"]) == ("ndt~1~0", 0.001)


@BOTH
@pytest.mark.parametrize("factor", [2.0, 5.0])
def test_the_factor_itself_is_still_believed(name: str, factor: float) -> None:
    for length, jumps in (
        (0.001 * factor * 0.999, False),
        (0.001 * factor, False),
        (0.001 * factor * 1.001, True),
        (0.001 / factor * 1.001, False),
        (0.001 / factor, False),
        (0.001 / factor * 0.999, True),
    ):
        result = after(inspection(0, length, 5.0, name), surprise_factor=factor)
        assert bool(result.fleet.held) is jumps, length
        assert believed(result, name) == pytest.approx(0.001 if jumps else length)


@BOTH
def test_a_length_that_no_crack_there_can_have_is_held_however_near(name: str) -> None:
    near = inspection(0, 0.006, 1.0, name)
    impossible = inspection(1, 0.03, 2.0, name)
    result = after(near, impossible, surprise_factor=10.0)
    assert [fate for fate, _ in fates(result)] == ["inspection", "held"]
    assert not bool(state(result.fleet, name).fractured)
    assert believed(result, name) == near.what.crack_length  # type: ignore[union-attr]
    taken = after(near, impossible, confirmed(impossible), surprise_factor=10.0)
    told = [fate for fate, _ in fates(taken)]
    assert told == ["inspection", "held", "inspection", "clipped", "confirmed"]
    assert bool(state(taken.fleet, name).fractured)


@BOTH
@pytest.mark.parametrize(("second", "agrees"), [(0.00599, True), (0.006, True), (0.00601, False)])
def test_a_second_inspection_within_a_factor_of_two_confirms_it(
    name: str, second: float, agrees: bool
) -> None:
    first = inspection(0, 0.003, 5.0, name)
    other = inspection(0, second, 2 * DAY_S, name, "other")
    result = after(first, other, surprise_factor=2.0)
    told = [fate for fate, _ in fates(result)]
    if agrees:
        assert told == ["held", "inspection", "confirmed"]
        assert believed(result, name) == pytest.approx(other.what.crack_length)  # type: ignore[union-attr]
        assert result.fleet.held == {}
    else:
        assert told == ["held", "superseded", "held"]
        assert believed(result, name) == 0.001
        assert result.fleet.held[name] == other.what


@BOTH
def test_the_same_measurement_sent_again_confirms_nothing(name: str) -> None:
    first, again = inspection(0, 0.0125, DAY_S, name), inspection(1, 0.0125, DAY_S, name)
    result = after(first, again)
    assert believed(result, name) == pytest.approx(1e-3)
    assert result.fleet.held[name] == again.what
    assert not bool(state(result.fleet, name).fractured)


@BOTH
@pytest.mark.parametrize(
    ("source", "second", "later_s", "agrees"),
    [
        ("ndt", 0.0061, 1.0, False),  # who uses a wrong unit does so again
        ("ndt", 0.0061, DAY_S - 1e-9, False),
        ("ndt", 0.0061, DAY_S, True),
        ("ndt", 0.006, 3 * DAY_S, False),  # a value that is stuck
        ("other", 0.006, 1.0, True),
        ("other", 0.006, 0.0, True),
    ],
)
def test_an_instrument_confirms_itself_a_day_later_at_the_earliest(
    name: str, source: str, second: float, later_s: float, agrees: bool
) -> None:
    result = after(
        inspection(0, 0.006, 5.0, name), inspection(1, second, 5.0 + later_s, name, source)
    )
    assert believed(result, name) == pytest.approx(second if agrees else 0.001)
    assert bool(result.fleet.held) is not agrees


@BOTH
def test_an_instrument_that_repeats_itself_within_a_day_never_confirms_itself(name: str) -> None:
    lines = [inspection(k, 0.006 + 1e-5 * k, 5.0 + 0.4 * DAY_S * k, name) for k in range(8)]
    result = after(*lines)
    assert believed(result, name) == 0.001
    assert result.fleet.held[name] == lines[-1].what


@BOTH
@pytest.mark.parametrize("source", ["ndt", "other"])
def test_a_length_that_no_crack_can_have_is_believed_by_a_person_alone(
    name: str, source: str
) -> None:
    first, second = inspection(0, 12.5, 5.0, name), inspection(1, 12.6, 2 * DAY_S, name, source)
    result = after(first, second)
    assert fates(result) == [("held", 12.5), ("superseded", 12.5), ("held", 12.6)]
    assert believed(result, name) == 0.001
    assert not bool(state(result.fleet, name).fractured)
    assert bool(state(after(first, second, confirmed(second)).fleet, name).fractured)


def test_a_length_just_possible_is_confirmed_and_one_beyond_confirms_nothing() -> None:
    longest = registration().crack.longest
    for second, agrees in ((longest, True), (longest * 1.001, False)):
        result = after(
            inspection(0, 0.9 * longest, 5.0), inspection(0, second, 6.0, CRACK, "other")
        )
        assert ("confirmed" in [fate for fate, _ in fates(result)]) is agrees
        swapped = after(
            inspection(0, second, 5.0), inspection(0, 0.9 * longest, 6.0, CRACK, "other")
        )
        assert ("confirmed" in [fate for fate, _ in fates(swapped)]) is agrees


def picture(
    seq: int, length: float, at_s: float, name: str = CRACK, camera: str = "camera", **fields: Any
) -> Line:
    """What an image shows; of its own unless `sha256` says which."""
    line = inspection(seq, length, at_s, name, "image")
    known = {"origin": camera, "sha256": f"{seq:064}", "method": "image", **fields}
    return Line(name, msgspec.structs.replace(line.what, **known))  # type: ignore[type-var]


CUT: Any = {"at_least": True, "why": "it leaves the picture on both sides"}


@pytest.mark.parametrize(
    ("fields", "agrees"),
    [
        ({"camera": "camera"}, False),
        ({"camera": "other"}, True),
        ({"camera": "other", "sha256": f"{0:064}"}, False),
        ({"camera": "camera", "at_s": 2 * DAY_S}, True),
        ({"camera": "camera", "at_s": 2 * DAY_S, "sha256": f"{0:064}"}, False),
    ],
)
def test_a_camera_with_a_wrong_scale_does_not_confirm_itself(fields: Any, agrees: bool) -> None:
    second = picture(1, **{"length": 0.0061, "at_s": 6.0, **fields})
    result = after(picture(0, 0.006, 5.0), second)
    assert believed(result, CRACK) == (0.0061 if agrees else 0.001)
    assert fates(result)[0] == ("held", 0.006)


@BOTH
@pytest.mark.parametrize("how", [{}, {"surprise_factor": None}, {"inspection": "record"}])
def test_a_part_of_a_crack_waits_where_it_is_longer_than_the_belief(name: str, how: Any) -> None:
    sd = 1e-5
    for length, waits in ((0.001 + 3 * sd, False), (0.001 + 3.1 * sd, True), (0.009, True)):
        result = after(picture(0, length, 5.0, name, **CUT), **how)
        assert fates(result) == ([("held", length)] if waits else [])
        assert believed(result, name) == 0.001
        assert (name in result.fleet.held) is waits
    (note,) = result.notes
    assert note.data["why"] == CUT["why"]


def test_a_part_of_a_crack_that_is_at_the_limit_waits_however_uncertain_it_is() -> None:
    known = inspection(0, 0.0099, 1.0)
    for length, waits in ((0.00999, False), (0.01, True)):
        unsure = picture(0, length, 5.0, crack_length_sd=0.002, **CUT)
        assert bool(after(known, unsure, surprise_factor=None).fleet.held) is waits


def test_a_picture_that_shows_less_of_a_crack_tells_nothing_and_a_shorter_crack_waits() -> None:
    known, why = inspection(0, 0.004, 1.0), "a crack is shorter than measured before"
    assert fates(after(known, picture(0, 0.003, 5.0, **CUT))) == [("inspection", 0.004)]
    shorter = after(known, picture(0, 0.003, 5.0, why=why))
    assert fates(shorter) == [("inspection", 0.004), ("held", 0.003)]
    assert believed(shorter, CRACK) == 0.004
    late = after(inspection(0, 0.004, 9.0), picture(0, 0.003, 5.0, why="a later one is known"))
    assert fates(late) == [("inspection", 0.004)]  # it was shorter then


def test_an_older_picture_of_a_longer_crack_waits_and_can_be_confirmed() -> None:
    known, older = inspection(0, 0.004, 9.0), picture(0, 0.006, 5.0, why="a later one is known")
    result = after(known, older)
    assert fates(result) == [("inspection", 0.004), ("held", 0.006)]
    held = result.fleet.held[CRACK]
    assert held.t_ns == known.what.t_ns  # type: ignore[union-attr]
    assert believed(after(known, older, Line(CRACK, confirmation(held))), CRACK) == 0.006


def test_two_parts_of_a_crack_do_not_say_how_long_it_is_and_a_measurement_does() -> None:
    one, two = (picture(k, 0.006, 5.0 + k, CRACK, f"camera-{k}", **CUT) for k in range(2))
    result = after(one, two)
    assert [fate for fate, _ in fates(result)] == ["held", "superseded"]
    assert believed(result, CRACK) == 0.001
    for length, agrees in ((0.0059, False), (0.00598, True), (0.0119, True), (0.0121, False)):
        for lines in ([one, inspection(9, length, 7.0)], [inspection(9, length, 1.0), one]):
            result = after(*lines)
            assert believed(result, CRACK) == pytest.approx(length if agrees else 0.001), length


def test_the_worst_that_waits_is_not_put_aside_by_a_picture() -> None:
    worst = [inspection(0, 0.018, 1.0), picture(0, 0.0189, 1.0, **CUT)]
    for first in worst:
        for later in (
            picture(1, 0.006, 5.0, **CUT),
            picture(1, 0.0005, 5.0, why="it is shorter"),
        ):
            result = after(first, later)
            assert result.fleet.held[CRACK] == first.what
            assert [fate for fate, _ in fates(result)] == ["held", "superseded"]
    longer = after(inspection(0, 0.0001, 1.0), picture(1, 0.006, 5.0, **CUT))
    assert longer.fleet.held[CRACK].crack_length == 0.006


def test_a_part_that_is_broken_waits_for_no_picture() -> None:
    broken = spectrum(0, 0.0, cycles=[[4e8, 2.4e8, 1e7]])
    assert after(broken, picture(0, 0.5, 5.0, why="longer than the part")).fleet.held == {}


def test_a_part_of_a_crack_that_is_confirmed_shortens_nothing() -> None:
    seen = picture(0, 0.002, 5.0, **CUT)
    grown = inspection(0, 0.003, 4.0, source="other")
    result = after(seen, grown, confirmed(seen))
    assert believed(after(seen, confirmed(seen)), CRACK) == 0.002
    assert believed(result, CRACK) == 0.003
    assert result.fleet.held == {}


def test_a_measurement_puts_a_part_of_a_crack_aside_where_nothing_is_ever_held() -> None:
    seen, known = picture(0, 0.002, 5.0, **CUT), inspection(0, 0.9, 9.0)
    result = after(seen, known, surprise_factor=None)
    assert [fate for fate, _ in fates(result)] == ["held", "inspection", "clipped", "dropped"]
    assert bool(state(result.fleet).fractured)


def test_of_two_that_agree_the_newer_is_believed_though_it_came_first() -> None:
    newer, older = inspection(0, 0.0062, 10.0), inspection(1, 0.006, 5.0, CRACK, "other")
    result = after(newer, older)
    assert believed(result, CRACK) == 0.0062
    assert int(state(result.fleet).t_inspected_ns) == newer.what.t_ns  # type: ignore[union-attr]
    assert fates(result) == [("held", 0.0062), ("inspection", 0.0062), ("confirmed", 0.0062)]


@BOTH
def test_a_later_inspection_that_agrees_with_the_belief_drops_it(name: str) -> None:
    jump = inspection(0, 0.0065, 5.0, name)
    result = after(jump, inspection(1, 0.0012, 2 * DAY_S, name))
    assert fates(result) == [("held", 0.0065), ("inspection", 0.0012), ("dropped", 0.0065)]
    assert believed(result, name) == 0.0012
    assert result.fleet.held == {}
    assert fates(after(jump, inspection(1, 0.0012, 1.0, name))) == [
        ("held", 0.0065),
        ("inspection", 0.0012),
    ]


@BOTH
def test_a_confirmation_lets_it_be_believed(name: str) -> None:
    jump = inspection(0, 0.006, 5.0, name)
    load = spectrum(3, 20.0, name, [[1e7, 1e7, 1.0]])
    result = after(jump, load, confirmed(jump))
    assert fates(result) == [("held", 0.006), ("inspection", 0.006), ("confirmed", 0.006)]
    assert believed(result, name) == pytest.approx(0.006)
    assert int(state(result.fleet, name).t_inspected_ns) == jump.what.t_ns  # type: ignore[union-attr]
    again = folded(result.fleet, [confirmed(jump)], CLOCK)
    assert fates(again) == []
    assert believed(again, name) == believed(result, name)


def test_a_confirmation_of_what_does_not_wait_does_nothing() -> None:
    jump, other = inspection(0, 0.006, 5.0), inspection(1, 0.0001, 6.0)
    result = after(jump, other, confirmed(jump))
    assert result.fleet.held[CRACK] == other.what
    assert believed(result, CRACK) == 0.001
    assert fates(after(confirmed(jump))) == []


def test_an_inspection_that_is_only_recorded_never_waits() -> None:
    result = after(inspection(0, 0.9, 5.0), inspection="record")
    assert fates(result) == [("inspection", 0.9)]
    assert result.fleet.held == {}


def test_a_part_without_a_factor_believes_everything() -> None:
    result = after(inspection(0, 0.006, 5.0), surprise_factor=None)
    assert fates(result) == [("inspection", 0.006)]
    assert believed(result, CRACK) == 0.006


def test_an_old_inspection_is_late_and_confirms_nothing() -> None:
    lines = [inspection(0, 0.0011, 9.0), inspection(1, 0.0065, 10.0), inspection(2, 0.0065, 1.0)]
    result = after(*lines)
    assert [fate for fate, _ in fates(result)] == ["inspection", "held", "late"]
    assert believed(result, CRACK) == 0.0011


def test_a_broken_part_is_not_mended_by_a_jump() -> None:
    broken, whole = spectrum(0, 0.0, cycles=[[4e8, 2.4e8, 1e7]]), inspection(0, 0.0011, 5.0)
    held = after(broken, whole)
    assert bool(state(held.fleet).fractured)
    assert [fate for fate, _ in fates(held)] == ["held"]
    assert not bool(state(after(broken, whole, confirmed(whole)).fleet).fractured)


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({"crack_limit": 0.009}, True),
        ({"crack_length": 0.005}, False),
        ({"surprise_factor": None}, False),
        ({"inspection": "record"}, False),
    ],
)
def test_a_change_that_would_judge_anew_lets_nothing_wait(changes: Any, waits: bool) -> None:
    how = {"surprise_factor": 5.0, **changes}
    change = Line(CRACK, component(revision=2, **how))
    assert (CRACK in after(inspection(0, 0.006, 5.0), change).fleet.held) is waits


LINES = [
    inspection(0, 0.006, 1.0),
    spectrum(0, 2.0),
    inspection(0, 12.5, 3.0, PLATE),
    inspection(1, 0.00015, 70.0),
    spectrum(0, 80.0, PLATE),
    inspection(1, 0.0061, 90.0, PLATE, "other"),
    inspection(2, 0.007, 140.0),
    confirmed(inspection(1, 0.00015, 70.0)),
    inspection(3, 0.0075, 150.0),
    inspection(4, 0.0062, 160.0, PLATE),
    inspection(5, 0.5, 190.0),
    spectrum(1, 260.0),
    inspection(6, 0.0074, 300.0),
    picture(0, 0.008, 310.0, **CUT),
    picture(0, 0.3, 311.0, PLATE, why="longer than the part"),
    picture(1, 0.0061, 320.0, why="shorter than measured before"),
    inspection(7, 0.5, 330.0, PLATE, "other"),
    inspection(8, 0.0063, 340.0, PLATE),
    confirmed(picture(0, 0.008, 310.0)),
    picture(2, 0.0079, 300.0, CRACK, "other", why="a later measurement is known"),
]


@given(cuts=st.lists(st.integers(0, len(LINES)), max_size=6))
@hypothesis_settings(max_examples=8, deadline=None)
def test_how_the_journal_is_cut_into_batches_changes_nothing(cuts: list[int]) -> None:
    whole, value = after(*LINES), some()
    told: list[Note] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(LINES)], strict=True):
        part = folded(value, LINES[start:end], CLOCK)
        value, told = part.fleet, told + part.notes
    assert_same(value, whole.fleet)
    assert value.held == whole.fleet.held
    assert sorted(map(str, told)) == sorted(map(str, whole.notes))
    assert {"held", "confirmed", "dropped", "superseded"} <= {fate for fate, _ in fates(whole)}


def test_a_checkpoint_keeps_what_waits() -> None:
    value = after(LINES[0], LINES[2]).fleet
    back = checkpoint.restored(checkpoint.tensors(value), checkpoint.metadata(value, CLOCK))
    assert back.held == value.held
    assert len(back.held) == 2


async def jumped(home: House, length: float = 12.5, unit: str = "m", second: int = 5) -> Any:
    body = {
        "crack_length": length,
        "unit": unit,
        "time": f"2026-01-01T00:00:{second:02}Z",
        "method": "ruler",
    }
    answer = await home.http.post(f"/api/v1/components/{PRESS}/inspections", json=body)
    assert answer.status_code == 201
    return answer.json()


async def confirm(home: House, number: str, name: str = PRESS) -> Any:
    return await home.http.post(f"/api/v1/components/{name}/inspections/{number}/confirm")


async def test_a_wrong_unit_is_held_and_shown_and_confirmed_over_http(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, surprise_factor=5.0)
        page = await jumped(home)
        believed = await home.json(f"components/{PRESS}/state")
        metrics = (await home.http.get("/metrics")).text
        codes = [(await confirm(home, number)).status_code for number in (page["id"], page["id"])]
        after = await home.json(f"components/{PRESS}")
        kinds = [e.kind for e in home.service.news.events.since(0)[0] if e.component == PRESS]
    assert (page["outcome"], page["held"], page["innovation"]) == ("accepted", True, None)
    assert not page["believed"]
    assert (believed["status"], believed["crack_length"], believed["inspection"]) == (
        "new",
        0.002,
        None,
    )
    assert believed["held"] == {
        "id": page["id"],
        "time": "2026-01-01T00:00:05Z",
        "crack_length": 12.5,
        "crack_length_sd": 0.0,
        "method": "ruler",
        "source": "http",
        "why": None,
    }
    assert "twin_inspections_held 1.0" in metrics
    assert 'twin_surprises_total{outcome="held"} 1.0' in metrics
    assert codes == [201, 200]
    assert (after["state"]["status"], after["state"]["held"]) == ("fractured", None)
    assert kinds.count("surprise") == 2


async def test_what_does_not_wait_cannot_be_confirmed(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, surprise_factor=5.0)
        first = await jumped(home)
        second = await jumped(home, 20.0, "um", 6)
        taken = await jumped(home, 2.1, "mm", 7)
        numbers = (first["id"], second["id"], taken["id"], "http~1~2", "ndt~0~0")
        codes = [(await confirm(home, number)).status_code for number in numbers]
        strange = [
            (await confirm(home, "http~1~2", "plant-a/nobody")).status_code,
            (await confirm(home, "what")).status_code,
        ]
        state = await home.json(f"components/{PRESS}/state")
    assert [first["held"], second["held"], taken["held"]] == [True, True, False]
    assert codes == [409, 409, 409, 404, 404]
    assert strange == [404, 422]
    assert (state["crack_length"], state["held"]) == (pytest.approx(0.0021), None)


async def test_what_was_measured_before_the_part_broke_is_not_confirmed(tmp_path: Path) -> None:
    """A part that broke since has another crack than the one that was measured."""
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, surprise_factor=5.0)
        page = await jumped(home, 12.5, "mm")
        await home.load(minute=1.0, count=1.0, span=1.6e9)
        broken = await home.json(f"components/{PRESS}/state")
        answer = await confirm(home, page["id"])
        after = await home.json(f"components/{PRESS}/state")
    assert (broken["status"], broken["held"]["id"]) == ("fractured", page["id"])
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    assert answer.json()["detail"] == (
        f"{PRESS} has broken since inspection {page['id']}: inspect it again"
    )
    assert after == broken


async def test_what_waits_and_what_was_confirmed_outlive_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, surprise_factor=5.0)
        page = await jumped(home, 12.5, "mm")
    async with house(tmp_path / "data") as home:
        held = (await home.json(f"components/{PRESS}/state"))["held"]
        answers = await asyncio.gather(*(confirm(home, page["id"]) for _ in range(3)))
    async with house(tmp_path / "data") as home:
        state = await home.json(f"components/{PRESS}/state")
        again = await confirm(home, page["id"])
    with Store(tmp_path / "data") as store:
        assert store.verify() == []
    assert held["id"] == page["id"]
    assert sorted(answer.status_code for answer in answers) in ([200, 200, 201], [201, 201, 201])
    assert (state["crack_length"], state["held"]) == (0.0125, None)
    assert again.json()["outcome"] == "duplicate"


def test_an_inspection_is_called_by_its_key() -> None:
    line = inspection(4, 0.006)
    assert isinstance(line.what, Inspection)
    assert identity(line.what) == identity(confirmation(line.what)) == "ndt~1~4"
    assert confirmation(line.what).t_ns == line.what.t_ns
