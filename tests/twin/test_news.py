"""Which states are told: those that moved, by whatever moved them."""

from __future__ import annotations

from tests.twin.fleets import CLOCK, component, fleet, spectrum
from twin.fold import Line, folded
from twin.news import Told


def test_a_change_of_the_registration_that_moves_the_crack_is_told() -> None:
    news, first = Told(), [spectrum(1)]
    value = folded(fleet(component()), first, CLOCK).fleet
    assert [note.kind for note in news.states(value, first)] == ["state"]
    change = [Line("plant/press-1", component(revision=2, crack_length=0.004))]
    value = folded(value, change, CLOCK).fleet
    (note,) = news.states(value, change)
    assert (note.kind, note.data["crack_length"]) == ("state", 0.004)


def test_a_change_that_moves_nothing_is_not_told() -> None:
    news, first = Told(), [spectrum(1)]
    value = folded(fleet(component()), first, CLOCK).fleet
    list(news.states(value, first))
    change = [Line("plant/press-1", component(revision=2, stale_after_s=99.0))]
    assert list(news.states(folded(value, change, CLOCK).fleet, change)) == []
