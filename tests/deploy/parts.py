"""The alerts on parts, in the five situations."""

from __future__ import annotations

from collections.abc import Mapping

from tests.deploy.patterns import APPEAR, FIRST, OUTAGE, RESTART, SECOND, START, VANISH, gauge
from tests.deploy.promises import GONE, INSTANCE, Case, Fires, Moment, Span, Spans, over, selector

PRESS = {"site": "plant-a", "component": "press-1"}
SHAFT = {"site": "plant-a", "component": "shaft-2"}
LIMIT, LONG, SHORT = 0.012, 0.013, 0.01  # [m]
UP, READY = "up", "twin_ready"


def of(name: str, part: Mapping[str, str] = PRESS, instance: str = INSTANCE, **labels: str) -> str:
    return selector(f"twin_component_{name}", instance, **part, **labels)


def long(part: Mapping[str, str] = PRESS, instance: str = INSTANCE) -> Fires:
    return Fires(part, "13m", instance)  # promtool's humanize writes 13 milli as 13m


def low(part: Mapping[str, str] = PRESS, instance: str = INSTANCE) -> Fires:
    return Fires({**part, "probability": "0.05"}, "900", instance)


def length(*spans: Span, part: Mapping[str, str] = PRESS) -> dict[str, str]:
    """The gauges of a crack; its limit is there while its length is."""
    limit = [(m, LIMIT if isinstance(what, int | float) else what) for m, what in spans]
    return {
        of("crack_length_meters", part): over(*spans),
        of("crack_limit_meters", part): over(*limit),
    }


def life(*spans: Span, part: Mapping[str, str] = PRESS) -> dict[str, str]:
    """The gauges of a remaining life; its threshold is there while it is."""
    threshold = [(m, 1000 if isinstance(what, int | float) else what) for m, what in spans]
    return {
        of("remaining_cycles", part, probability="0.05"): over(*spans),
        of("life_alert_cycles", part): over(*threshold),
    }


def target(*spans: Span, ready: Spans) -> dict[str, str]:
    """Whether the twin answers, and says that it can work."""
    return {selector(UP): over(*spans), selector(READY): over(*ready)}


AWAY = {  # up to 20 min, away for 3, up and not ready for 2, and again as before
    **target((20, 1), (3, 0), (20, 1), ready=((20, 1), (3, GONE), (2, 0), (18, 1))),
}
ELSEWHERE = {
    selector(UP, SECOND): over((12, 1), (8, 0), (10, GONE)),
    of("crack_length_meters", SHAFT, SECOND): over((12, LONG), (18, GONE)),
    of("crack_limit_meters", SHAFT, SECOND): over((12, LIMIT), (18, GONE)),
    of("remaining_cycles", SHAFT, SECOND, probability="0.05"): over((12, 900), (18, GONE)),
    of("life_alert_cycles", SHAFT, SECOND): over((12, 1000), (18, GONE)),
}
HERE = target((30, 1), ready=((30, 1),))

_LIMIT = "TwinCrackAtLimit"
AT_LIMIT = [
    Case(
        _LIMIT,
        FIRST,
        "a part that is at its limit already fires at once",
        length((10, LONG), (5, SHORT)) | length((15, SHORT), part=SHAFT),
        [Moment(0, [long()]), Moment(11, [])],
    ),
    Case(
        _LIMIT,
        FIRST,
        "what the status says fires, whatever the length is",
        length((10, SHORT))
        | {of("at_limit"): over((5, 0), (5, 1))}
        | length((10, SHORT), part=SHAFT)
        | {of("at_limit", SHAFT): over((10, 0))},
        [Moment(4, []), Moment(6, [Fires(PRESS, "10m")])],
    ),
    Case(
        _LIMIT,
        RESTART,
        "a part at its limit stays told while its twin is away, until it is repaired",
        length((20, LONG), (5, GONE), (8, LONG), (10, SHORT)) | AWAY,
        [*(Moment(m, [long()]) for m in (19, 20, 21.5, 23, 24, 26)), Moment(34, [])],
    ),
    Case(
        _LIMIT,
        OUTAGE,
        "a limit that was reached while nobody scraped fires at the first scrape",
        length((10, SHORT), (20, None), (5, LONG)),
        [Moment(9, []), Moment(30, [long()])],
    ),
    Case(
        _LIMIT,
        APPEAR,
        "a part that is registered beyond its limit fires",
        length((5, None), (5, LONG)) | length((10, SHORT), part=SHAFT),
        [Moment(4, []), Moment(5, [long()])],
    ),
    Case(
        _LIMIT,
        VANISH,
        "a retired part is silent, one whose twin is lost is not, one that nobody wants is",
        length((10, LONG), (20, GONE)) | HERE | ELSEWHERE,
        [
            Moment(9, [long(), long(SHAFT, SECOND)]),
            Moment(10.25, [long(SHAFT, SECOND)]),
            Moment(19, [long(SHAFT, SECOND)]),
            Moment(21, []),
        ],
    ),
]

_LOW = "TwinRemainingLifeLow"
LIFE_LOW = [
    Case(
        _LOW,
        FIRST,
        "a life that is low already fires after a minute, one at its part's threshold does not",
        life((10, 900), (5, 5000)) | life((15, 1000), part=SHAFT),
        [Moment(0.75, []), Moment(1, [low()]), Moment(11, [])],
    ),
    Case(
        _LOW,
        RESTART,
        "a low life stays told while its twin is away, until its threshold is changed",
        life((20, 900), (5, GONE), (18, 900))
        | {of("life_alert_cycles"): over((20, 1000), (5, GONE), (8, 1000), (10, 800))}
        | AWAY,
        [*(Moment(m, [low()]) for m in (19, 20, 21.5, 23, 24, 26)), Moment(34, [])],
    ),
    Case(
        _LOW,
        OUTAGE,
        "a life that became low while nobody scraped fires a minute after the first scrape",
        life((10, 5000), (20, None), (5, 900)),
        [Moment(9, []), Moment(31, [low()])],
    ),
    Case(
        _LOW,
        APPEAR,
        "a life that becomes known and is low fires",
        life((5, None), (5, 900)) | {of("life_alert_cycles"): over((10, 1000))},
        [Moment(4, []), Moment(6, [low()])],
    ),
    Case(
        _LOW,
        VANISH,
        "a retired part is silent, one whose twin is lost is not, one that nobody wants is",
        life((10, 900), (20, GONE)) | HERE | ELSEWHERE,
        [
            Moment(9, [low(), low(SHAFT, SECOND)]),
            Moment(10.25, [low(SHAFT, SECOND)]),
            Moment(19, [low(SHAFT, SECOND)]),
            Moment(21, []),
        ],
    ),
]

_MISSING = "TwinRemainingLifeMissing"
LIFE_MISSING = [
    Case(
        _MISSING,
        FIRST,
        "a part under load whose life is not known fires after a quarter of an hour",
        {
            of("cycles"): over((5, 0), (35, 100)),
            of("remaining_cycles", probability="0.05"): over((30, None), (10, 5000)),
            of("cycles", SHAFT): over((40, 100)),
            of("remaining_cycles", SHAFT, probability="0.05"): over((40, 0)),
        },
        [Moment(19.75, []), Moment(20, [Fires(PRESS, "100")]), Moment(31, [])],
    ),
    Case(
        _MISSING,
        RESTART,
        "a life that is not known any more after a restart fires",
        {
            of("cycles"): over((20, 100), (2, GONE), (20, 100)),
            of("remaining_cycles", probability="0.05"): over((20, 5000), (22, GONE)),
        },
        [Moment(19, []), Moment(36, []), Moment(37, [Fires(PRESS, "100")])],
    ),
    Case(
        _MISSING,
        OUTAGE,
        "a life that is not known any more after an outage fires",
        {
            of("cycles"): over((20, 100), (20, None), (20, 100)),
            of("remaining_cycles", probability="0.05"): over((20, 5000), (40, None)),
        },
        [Moment(19, []), Moment(54, []), Moment(55, [Fires(PRESS, "100")])],
    ),
    Case(
        _MISSING,
        APPEAR,
        "a part that brings its load with it fires",
        {of("cycles"): over((5, None), (20, 100))},
        [Moment(19, []), Moment(20, [Fires(PRESS, "100")])],
    ),
    Case(
        _MISSING,
        VANISH,
        "a retired part is silent",
        {of("cycles"): over((20, 100), (5, GONE))},
        [Moment(16, [Fires(PRESS, "100")]), Moment(20.25, [])],
    ),
]

LAST, SINCE = "last_observation_timestamp_seconds", "registered_timestamp_seconds"
SILENCE = "stale_after_seconds"
_STALE = "TwinSensorStale"
STALE = [
    Case(
        _STALE,
        FIRST,
        "a gauge that was silent before the twin started fires at once, until it speaks",
        {
            of(LAST): over((10, -3600), (5, "600+15")),
            of(SILENCE): over((15, 600)),
            of(LAST, SHAFT): over((15, "0+15")),
            of(SILENCE, SHAFT): over((15, 600)),
            selector(START): over((15, 0)),
        },
        [Moment(0, [Fires(PRESS, "1h 0m 0s")]), Moment(11, [])],
    ),
    Case(
        _STALE,
        RESTART,
        "what waited at the broker is heard before anybody is told of silence",
        {
            of(LAST): over((20, "0+15"), (20, GONE), (1, 1185), (10, "2460+15")),
            of(SILENCE): over((20, 600), (20, GONE), (11, 600)),
            of(LAST, SHAFT): over((20, "0+15"), (20, GONE), (11, 1185)),
            of(SILENCE, SHAFT): over((20, 600), (20, GONE), (11, 600)),
            selector(START): over((20, -5000), (20, GONE), (11, 2400)),
        },
        [
            Moment(19, []),
            Moment(40.25, []),
            Moment(41.75, []),
            Moment(42, [Fires(SHAFT, "22m 15s")]),
        ],
    ),
    Case(
        _STALE,
        OUTAGE,
        "a gauge that fell silent while nobody scraped fires at the first scrape",
        {
            of(LAST): over((10, "0+15"), (20, None), (5, 600)),
            of(SILENCE): over((10, 600), (20, None), (5, 600)),
            of(LAST, SHAFT): over((10, "0+15"), (20, None), (5, "1800+15")),
            of(SILENCE, SHAFT): over((10, 600), (20, None), (5, 600)),
            selector(START): over((10, -5000), (20, None), (5, -5000)),
        },
        [Moment(9, []), Moment(30, [Fires(PRESS, "20m 0s")])],
    ),
    Case(
        _STALE,
        APPEAR,
        "what is heard late, and a part that is brought back, are as old as their evidence",
        {
            of(LAST): over((5, None), (20, 0)),
            of(SILENCE): over((5, None), (20, 600)),
            of(LAST, SHAFT): over((5, None), (20, -3600)),
            of(SILENCE, SHAFT): over((5, None), (3, 7200), (17, 600)),
        },
        [
            Moment(7, []),
            Moment(8, [Fires(SHAFT, "1h 8m 0s")]),
            Moment(10.25, [Fires(PRESS, "10m 15s"), Fires(SHAFT, "1h 10m 15s")]),
        ],
    ),
    Case(
        _STALE,
        VANISH,
        "a retired part is silent",
        {
            of(LAST): over((20, 0), (5, GONE)),
            of(SILENCE): over((20, 600), (5, GONE)),
        },
        [Moment(19, [Fires(PRESS, "19m 0s")]), Moment(20.25, [])],
    ),
]

_NEVER = "TwinSensorNeverHeard"
NEVER = [
    Case(
        _NEVER,
        FIRST,
        "a gauge that never spoke fires once its time is over, until it speaks",
        {
            of(SINCE): over((20, 0)),
            of(SILENCE): over((20, 600)),
            of(LAST): over((15, None), (5, "900+15")),
            of(SINCE, SHAFT): over((20, 0)),
            of(SILENCE, SHAFT): over((20, 600)),
            of(LAST, SHAFT): over((20, 0)),
        },
        [Moment(10, []), Moment(10.25, [Fires(PRESS, "10m 15s")]), Moment(15, [])],
    ),
    Case(
        _NEVER,
        RESTART,
        "a restart, and a change of the registration, do not begin its time anew",
        {
            of(SINCE): over((20, 0), (2, GONE), (8, 0)),
            of(SILENCE): over((20, 600), (2, GONE), (4, 600), (4, 6000)),
        },
        [
            Moment(19, [Fires(PRESS, "19m 0s")]),
            Moment(21, []),
            Moment(22, [Fires(PRESS, "22m 0s")]),
            Moment(26, []),  # somebody has said that it speaks rarely
        ],
    ),
    Case(
        _NEVER,
        OUTAGE,
        "a gauge that never spoke while nobody scraped fires at the first scrape",
        {
            of(SINCE): over((5, 0), (20, None), (5, 0)),
            of(SILENCE): over((5, 600), (20, None), (5, 600)),
        },
        [Moment(4, []), Moment(25, [Fires(PRESS, "25m 0s")])],
    ),
    Case(
        _NEVER,
        APPEAR,
        "a part has its time from its registration on",
        {
            of(SINCE): over((5, None), (20, 300)),
            of(SILENCE): over((5, None), (20, 600)),
        },
        [Moment(5, []), Moment(15, []), Moment(15.25, [Fires(PRESS, "10m 15s")])],
    ),
    Case(
        _NEVER,
        VANISH,
        "a retired part is silent",
        {
            of(SINCE): over((20, 0), (5, GONE)),
            of(SILENCE): over((20, 600), (5, GONE)),
        },
        [Moment(19, [Fires(PRESS, "19m 0s")]), Moment(20.25, [])],
    ),
]

CHANNEL = [
    case
    for alert, name in (
        ("TwinChannelStuck", "channel_stuck"),
        ("TwinChannelClipped", "channel_clipped"),
    )
    for case in gauge(alert, {of(name): (0, 1)}, fires=Fires(PRESS))
]
PARTS = [*AT_LIMIT, *LIFE_LOW, *LIFE_MISSING, *STALE, *NEVER, *CHANNEL]
