"""The five situations of an alert on a counter, and of one on a gauge."""

from __future__ import annotations

from collections.abc import Mapping

from tests.deploy.promises import GONE, Case, Fires, Moment, Value, over, selector

FIRST, RESTART, OUTAGE, APPEAR, VANISH = SITUATIONS = (
    "first start",
    "restart of the service",
    "outage of the scraper",
    "series appear",
    "series vanish",
)
SECOND, THIRD = "twin:8081", "twin:8082"
START = "twin_start_timestamp_seconds"


def counter(
    alert: str, name: str, *, wait: float = 0.0, says: str = "", **labels: str
) -> list[Case]:
    """An alert, after `wait` minutes, on each rise of a counter, for ten minutes.

    `labels` are those of the counter. `says` may have a {} for how far it rose.
    """

    def x(instance: str = "twin:8080") -> str:
        return selector(name, instance, **labels)

    def fires(rise: int, instance: str = "twin:8080") -> Fires:
        return Fires(labels, says.format(rise), instance)

    one, two, three = (selector(START, i) for i in ("twin:8080", SECOND, THIRD))
    return [
        Case(
            alert,
            FIRST,
            "a count that is above zero when it is first seen fires like one that rises",
            {
                x(): over((5, 0), (20, 1)),
                x(SECOND): over((25, 295)),
                one: over((25, 0)),
                two: over((25, 0)),
            },
            [
                Moment(wait, [fires(295, SECOND)]),
                Moment(4, [fires(295, SECOND)]),
                Moment(6 + wait, [fires(1), fires(295, SECOND)]),
                Moment(16, []),
            ],
        ),
        Case(
            alert,
            RESTART,
            "a count that begins anew is silent, one that has risen since fires, to any number",
            {
                x(): over((20, 7), (1, GONE), (9, 0), (20, 2)),
                one: over((20, 100), (1, GONE), (29, 1260)),
                x(SECOND): over((20, 7), (15, GONE), (20, 7)),
                two: over((20, 100), (15, GONE), (20, 1800)),
            },
            [
                Moment(19, []),
                Moment(25, []),
                Moment(31 + wait, [fires(2)]),
                Moment(36 + wait, [fires(2), fires(7, SECOND)]),
                Moment(46, []),
            ],
        ),
        Case(
            alert,
            OUTAGE,
            "what was counted while nobody scraped fires, a count that stood still does not",
            {
                x(): over((20, 5), (20, None), (20, 300)),
                x(SECOND): over((20, 5), (20, None), (20, 5)),
                x(THIRD): over((20, 5), (12, None), (28, 300)),
                one: over((20, 1), (20, None), (20, 1)),
                two: over((20, 1), (20, None), (20, 1)),
                three: over((20, 1), (12, None), (28, 1)),
            },
            [
                Moment(19, []),
                Moment(32 + wait, [fires(295, THIRD)]),
                Moment(40 + wait, [fires(295), fires(295, THIRD)]),
                Moment(45, [fires(295)]),
                Moment(51, []),
            ],
        ),
        Case(
            alert,
            APPEAR,
            "a series that is born above zero fires, one that is born at zero does not",
            {
                x(): over((5, None), (20, 1)),
                x(SECOND): over((5, None), (20, 0)),
                one: over((25, 1)),
                two: over((25, 1)),
            },
            [Moment(4, []), Moment(5 + wait, [fires(1)]), Moment(16, [])],
        ),
        Case(
            alert,
            VANISH,
            "it is told for its ten minutes, and what comes back as it was is no news",
            {
                x(): over((15, 0), (2, 3), (10, GONE), (15, 3)),
                one: over((17, 1), (10, GONE), (15, 1)),
            },
            [*(Moment(m, [fires(3)]) for m in (15.5 + wait, 18)), Moment(26, []), Moment(28, [])],
        ),
    ]


def gauge(
    alert: str,
    series: Mapping[str, tuple[Value, Value]],
    *,
    wait: float = 0.0,
    settle: float = 0.0,
    fires: Fires = Fires(),  # noqa: B008  it is immutable
) -> list[Case]:
    """An alert on series that are good or bad, by selector.

    It fires after `wait` minutes, and `settle` more where the rule looks back; so long too until it
    is silent again.
    """
    bad_for, look = wait + 2 * settle + 5, wait + settle

    def told(*spans: tuple[float, str]) -> dict[str, str]:
        return {
            s: over(
                *((m, {"good": good, "bad": bad}.get(what, _ABSENT.get(what))) for m, what in spans)
            )
            for s, (good, bad) in series.items()
        }

    def case(situation: str, claim: str, spans: list[tuple[float, str]], begins: float) -> Case:
        before = [Moment(begins - 1, [])] if begins >= 1 else []
        soon = [Moment(begins + wait - 0.25, [])] if wait else []
        during = [Moment(begins + look, [fires]), Moment(begins + bad_for - 0.25, [fires])]
        after = [Moment(begins + bad_for + settle + 1, [])]
        return Case(alert, situation, claim, told(*spans), [*before, *soon, *during, *after])

    good = settle + 2
    return [
        case(
            FIRST,
            "bad from the start it fires, until all is well",
            [(bad_for, "bad"), (good, "good")],
            0,
        ),
        case(
            RESTART,
            "bad after a restart it fires, until all is well after another",
            [(10, "good"), (1, "gone"), (bad_for, "bad"), (good, "good")],
            11,
        ),
        case(
            OUTAGE,
            "bad when it is scraped again it fires, until all is well",
            [(10, "good"), (20, "nobody"), (bad_for, "bad"), (good, "good")],
            30,
        ),
        case(
            APPEAR,
            "bad as soon as it is there it fires, until all is well",
            [(5, "nobody"), (bad_for, "bad"), (good, "good")],
            5,
        ),
        case(
            VANISH, "it is silent of what is not there", [(bad_for, "bad"), (settle + 2, "gone")], 0
        ),
    ]


_ABSENT: Mapping[str, Value] = {"gone": GONE, "nobody": None}
