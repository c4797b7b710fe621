from itertools import islice

import pytest

from sensors.mqtt.backoff import Patience, pauses


def test_pauses_double_up_to_the_cap() -> None:
    assert list(islice(pauses(1.0, 5.0, lambda: 0.0), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_chance_shortens_a_pause_by_at_most_a_half() -> None:
    assert list(islice(pauses(1.0, 5.0, lambda: 1.0), 4)) == [0.5, 1.0, 2.0, 2.5]


@pytest.mark.parametrize(
    ("lasted_s", "pause_s"), [(0.0, 6.4), (59.9, 6.4), (60.0, 0.2), (1e6, 0.2)]
)
def test_only_a_connection_that_lasts_shortens_the_pauses_again(
    lasted_s: float, pause_s: float
) -> None:
    patience = Patience(0.2, 30.0, chance=lambda: 0.0)  # steady after 60 s
    assert [patience.after(0.1) for _ in range(5)] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2])
    assert patience.after(lasted_s) == pytest.approx(pause_s)


def test_two_clients_of_one_name_meet_ever_more_seldom() -> None:
    """Each throws the other out as it comes: 2.6 times a second before, now every half minute."""
    one, other = (Patience(0.2, 30.0, chance=lambda: 0.5) for _ in range(2))
    at = fights = 0.0
    pause = 0.0
    while at < 600.0:
        one, other = other, one
        pause = one.after(pause)  # the other's connection lasts as long as this one pauses
        at, fights = at + pause, fights + 1
    assert fights <= 40
    assert pause == 22.5
