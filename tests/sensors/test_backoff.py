from itertools import islice

from sensors.backoff import pauses


def test_pauses_double_up_to_the_cap() -> None:
    assert list(islice(pauses(1.0, 5.0, lambda: 0.0), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_chance_shortens_a_pause_by_at_most_a_half() -> None:
    assert list(islice(pauses(1.0, 5.0, lambda: 1.0), 4)) == [0.5, 1.0, 2.0, 2.5]
