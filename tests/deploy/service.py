"""The alerts on the service, in the five situations."""

from __future__ import annotations

from tests.deploy.patterns import (
    APPEAR,
    FIRST,
    OUTAGE,
    RESTART,
    SECOND,
    START,
    VANISH,
    counter,
    gauge,
)
from tests.deploy.promises import GONE, INSTANCE, Case, Fires, Moment, Span, Spans, over, selector
from twin.belief.fleet_file_drift import HOW

COUNTERS = [
    *counter("TwinSequenceGaps", "twin_sequence_gaps_total", wait=1, says="{}"),
    *counter("TwinDeadLetters", "twin_dead_letters_total", reason="unit"),
    *counter("TwinImplausible", "twin_implausible_total"),
    *counter("TwinKeyConflicts", "twin_key_conflicts_total"),
    *counter("TwinSequenceJump", "twin_sequence_jumps_total"),
    *counter("TwinSamplesSetAside", "twin_samples_set_aside_total", reason="null"),
    *counter("TwinGaugeDoubtful", "twin_quality_findings_total", reason="stuck"),
    *counter("TwinBackfillFailed", "twin_backfills_total", outcome="outrun"),
    *counter(
        "TwinBrokerTakenOver", "twin_broker_failures_total", connection="in", reason="taken_over"
    ),
    *counter("TwinSessionLost", "twin_broker_sessions_gone_total", why="lost"),
    *counter("TwinRemainingLifeUnknown", "twin_lives_unknown_total"),
    *counter("TwinLateData", "twin_late_total"),
    *counter("TwinImagesUnread", "twin_images_read_total", outcome="failed"),
    *counter("TwinMessagesDropped", "twin_messages_dropped_total"),
]

GAPS, FILLED = selector("twin_sequence_gaps_total"), selector("twin_sequence_gaps_filled_total")
OPEN_GAPS = [
    Case(
        "TwinSequenceGaps",
        OUTAGE,
        "gaps that were filled while nobody scraped are silent, those that stayed open are not",
        {
            GAPS: over((20, 5), (20, None), (20, 300)),
            FILLED: over((20, 2), (20, None), (20, 295)),
            selector("twin_sequence_gaps_total", SECOND): over((20, 5), (20, None), (20, 300)),
            selector("twin_sequence_gaps_filled_total", SECOND): over(
                (20, 5), (20, None), (20, 300)
            ),
            selector("twin_sequence_gaps_total", "twin:8082"): over((20, 5), (40, 5)),
            selector("twin_sequence_gaps_filled_total", "twin:8082"): over((30, 1), (30, 4)),
        },
        [Moment(19, []), Moment(41, [Fires(says="2")]), Moment(52, [])],
    ),
]

CONNECTED = "twin_broker_connected"
BROKER = [
    *gauge("TwinBrokerAway", {selector(CONNECTED): (1, 0)}, wait=2),
    Case(
        "TwinBrokerAway",
        VANISH,
        "a twin that does not say whether it has a broker fires",
        {
            selector(CONNECTED): over((5, 1), (10, GONE)),
            selector("twin_ready"): over((10, 1), (5, GONE)),
        },
        [Moment(6.75, []), Moment(7, [Fires()]), Moment(10.25, [])],
    ),
]

SHAKY = "1 0 1 0 1 0 1 0"  # two minutes
_UNSTEADY = "TwinBrokerUnsteady"
UNSTEADY = [
    Case(
        _UNSTEADY,
        FIRST,
        "a broker that was away once, and at the start, is silent, one that comes and goes is not",
        {selector(CONNECTED): f"0 1x9 0 1x8 {SHAKY} {over((15, 1))}"},
        [Moment(4, []), Moment(6.75, [Fires()]), Moment(20, [])],
    ),
    Case(
        _UNSTEADY,
        RESTART,
        "a restart, and a broker that was away once, are silent",
        {selector(CONNECTED): f"{over((5, 1), (1, GONE), (1, 0), (8, 1))} {SHAKY} {over((1, 1))}"},
        [Moment(5, []), Moment(8, []), Moment(17, [Fires()])],
    ),
    Case(
        _UNSTEADY,
        OUTAGE,
        "what shakes when it is scraped again fires",
        {selector(CONNECTED): f"{over((5, 1), (20, None))} {SHAKY} {over((15, 1))}"},
        [Moment(5, []), Moment(26.75, [Fires()]), Moment(41, [])],
    ),
    Case(
        _UNSTEADY,
        APPEAR,
        "a series that appears is no change",
        {selector(CONNECTED): f"{over((5, None), (5, 0))} {SHAKY} {over((1, 1))}"},
        [Moment(9, []), Moment(12, [Fires()])],
    ),
    Case(
        _UNSTEADY,
        VANISH,
        "it is silent of what is not there, once that is long ago",
        {selector(CONNECTED): f"{SHAKY} {over((15, GONE))}"},
        [Moment(1.75, [Fires()]), Moment(13, [])],
    ),
]

_SHORTER, END = "TwinJournalShorter", selector("twin_journal_end")
SHORTER = [
    Case(
        _SHORTER,
        FIRST,
        "a journal that grows from nothing is silent, one that is new again is not",
        {END: over((10, "0+5"), (5, 3))},
        [Moment(9, []), Moment(10, [Fires(says="3")])],
    ),
    Case(
        _SHORTER,
        RESTART,
        "a journal that goes on is silent, another fires until the right one is back",
        {END: over((10, 900), (1, GONE), (5, 901), (1, GONE), (5, 3), (1, GONE), (5, 902))},
        [Moment(12, []), Moment(17, [Fires(says="3")]), Moment(24, [])],
    ),
    Case(
        _SHORTER,
        OUTAGE,
        "a journal that was exchanged while nobody scraped fires",
        {
            END: over((10, 900), (20, None), (5, 3)),
            selector("twin_journal_end", SECOND): over((10, 900), (20, None), (5, 1500)),
        },
        [Moment(9, []), Moment(30, [Fires(says="3")])],
    ),
    Case(
        _SHORTER,
        APPEAR,
        "a journal that is seen for the first time is what it is",
        {END: over((5, None), (5, 900), (5, 3))},
        [Moment(5, []), Moment(9, []), Moment(10, [Fires(says="3")])],
    ),
    Case(
        _SHORTER,
        VANISH,
        "it is silent of what is not there",
        {END: over((5, 900), (5, 3), (5, GONE))},
        [Moment(9, [Fires(says="3")]), Moment(10.25, [])],
    ),
]

EVERY, NEVER = 300, -2e9  # [s]; NEVER for 0 as it is seen from 2033
_CHECKPOINT = "TwinCheckpointMissing"
WRITTEN, INTERVAL = (
    "twin_checkpoint_last_success_timestamp_seconds",
    "twin_checkpoint_interval_seconds",
)


def writing(*written: Span, began: Spans, instance: str = INSTANCE) -> dict[str, str]:
    """What a service tells of its checkpoints; its interval is there while it runs."""
    every = [(m, EVERY if isinstance(what, int | float) else what) for m, what in began]
    return {
        selector(WRITTEN, instance): over(*written),
        selector(INTERVAL, instance): over(*every),
        selector(START, instance): over(*began),
    }


AGAIN: Spans = ((10, 0), (30, GONE), (22, 2400))
CHECKPOINT = [
    Case(
        _CHECKPOINT,
        FIRST,
        "the first checkpoint has its time, and is missed after that",
        writing((25, NEVER), (5, 1500), began=((30, 0),)),
        [
            Moment(6, []),
            Moment(19.75, []),
            Moment(20, [Fires(summary="twin:8080 has not written a checkpoint yet")]),
            Moment(26, []),
        ],
    ),
    Case(
        _CHECKPOINT,
        RESTART,
        "what was not written while the service was away is not missed",
        writing((10, "0+15"), (30, GONE), (6, 600), (16, 2760), began=AGAIN)
        | writing((10, "0+15"), (30, GONE), (22, 600), began=AGAIN, instance=SECOND),
        [
            Moment(41, []),
            Moment(59.75, []),
            Moment(60, [Fires(says="for 50m 0s", instance=SECOND)]),
        ],
    ),
    Case(
        _CHECKPOINT,
        OUTAGE,
        "what was not written while nobody scraped is missed five minutes after the first scrape",
        writing((10, "0+15"), (30, None), (10, 600), began=((10, 0), (30, None), (10, 0))),
        [Moment(9, []), Moment(44.75, []), Moment(45, [Fires(says="for 35m 0s")])],
    ),
    Case(
        _CHECKPOINT,
        APPEAR,
        "an older service that does not tell its interval is taken to write every five minutes",
        {selector(WRITTEN): over((20, None), (10, 0))},
        [Moment(20, []), Moment(24.75, []), Moment(25, [Fires(says="for 25m 0s")])],
    ),
    Case(
        _CHECKPOINT,
        VANISH,
        "it is silent of what is not there",
        writing((25, 0), (5, GONE), began=((25, 0), (5, GONE))),
        [Moment(21, [Fires(says="for 21m 0s")]), Moment(25.25, [])],
    ),
]

_HISTORY, FLUSHED = "TwinHistoryNotWritten", selector("twin_flush_last_success_timestamp_seconds")
ROWS, FLUSH_EVERY = (
    selector("twin_queue_depth", queue="recording"),
    selector("twin_flush_interval_seconds"),
)
BEGAN = selector(START)
HISTORY = [
    Case(
        _HISTORY,
        FIRST,
        "rows that wait are missed half an hour after the start, and none where none wait",
        {
            FLUSHED: over((40, NEVER), (5, 2400)),
            ROWS: over((45, 7)),
            FLUSH_EVERY: over((45, 600)),
            BEGAN: over((45, 0)),
            selector("twin_flush_last_success_timestamp_seconds", SECOND): over((45, NEVER)),
            selector("twin_queue_depth", SECOND, queue="recording"): over((45, 0)),
            selector("twin_flush_interval_seconds", SECOND): over((45, 600)),
            selector(START, SECOND): over((45, 0)),
        },
        [
            Moment(34.75, []),
            Moment(35, [Fires(summary="twin:8080 has not written its history yet, and rows wait")]),
            Moment(41, []),
        ],
    ),
    Case(
        _HISTORY,
        RESTART,
        "a service that has just started has its time",
        {
            FLUSHED: over((40, 0), (1, GONE), (40, 0)),
            ROWS: over((40, 0), (1, GONE), (40, 7)),
            FLUSH_EVERY: over((40, 600), (1, GONE), (40, 600)),
            BEGAN: over((40, 0), (1, GONE), (40, 2460)),
        },
        [Moment(75.75, []), Moment(76, [Fires(says="for 1h 16m 0s")])],
    ),
    Case(
        _HISTORY,
        OUTAGE,
        "rows that wait since before the first scrape are missed five minutes after it",
        {
            FLUSHED: over((10, 0), (30, None), (10, 0)),
            ROWS: over((10, 7), (30, None), (10, 7)),
            FLUSH_EVERY: over((10, 600), (30, None), (10, 600)),
            BEGAN: over((10, 0), (30, None), (10, 0)),
        },
        [Moment(9, []), Moment(44.75, []), Moment(45, [Fires(says="for 45m 0s")])],
    ),
    Case(
        _HISTORY,
        APPEAR,
        "rows that wait as soon as they are seen are missed five minutes after",
        {
            FLUSHED: over((40, None), (10, 0)),
            ROWS: over((40, None), (10, 7)),
            FLUSH_EVERY: over((40, None), (10, 600)),
            BEGAN: over((40, None), (10, 0)),
        },
        [Moment(44.75, []), Moment(45, [Fires(says="for 45m 0s")])],
    ),
    Case(
        _HISTORY,
        VANISH,
        "it is silent of what is not there",
        {
            FLUSHED: over((40, 0), (5, GONE)),
            ROWS: over((40, 7), (5, GONE)),
            FLUSH_EVERY: over((40, 600), (5, GONE)),
            BEGAN: over((40, 0), (5, GONE)),
        },
        [Moment(36, [Fires(says="for 36m 0s")]), Moment(40.25, [])],
    ),
]

GAUGES = [
    *gauge("TwinBrokerCutsOff", {selector("twin_broker_steady"): (1, 0)}, wait=1),
    *gauge("TwinNotReady", {selector("twin_ready"): (1, 0)}, wait=1),
    *gauge(
        "TwinInspectionHeld", {selector("twin_inspections_held"): (0, 1)}, fires=Fires(says="1")
    ),
    *gauge("TwinClockAhead", {selector("twin_clocks_ahead"): (0, 2)}, fires=Fires(says="2")),
    *gauge(
        "TwinBackfillPending",
        {selector("twin_backfill_pending"): (0, 1200)},
        wait=60,
        fires=Fires(says="1.2k"),
    ),
    *gauge("TwinDamageFound", {selector("twin_damage_found"): (0, 2)}, fires=Fires(says="2")),
    *(
        case
        for how in HOW
        for case in gauge(
            "TwinFleetFileApart",
            {selector("twin_fleet_file_apart", how=how): (0, 2)},
            fires=Fires({"how": how}, "2"),
        )
    ),
    *gauge(
        "TwinDiskLow",
        {
            selector("twin_disk_free_bytes"): (1e9, 9e8),
            selector("twin_disk_size_bytes"): (1e10, 1e10),
        },
        wait=5,
        fires=Fires(says="9%"),
    ),
    *(
        case
        for queue, most, told in (
            ("stepping", 10_000, "10k"),
            ("outbox", 1000, "1.001k"),
            ("reading", 100, "101"),
        )
        for case in gauge(
            "TwinQueueGrowing",
            {selector("twin_queue_depth", queue=queue): (most, most + 1)},
            wait=10,
            fires=Fires({"queue": queue}, told),
        )
    ),
    *gauge(
        "TwinSteppingSlow",
        {selector("twin_unstepped_age_seconds"): (60, 90)},
        wait=1,
        fires=Fires(says="1m 30s"),
    ),
    *gauge(
        "TwinJournalSlow",
        {
            selector("twin_journal_commit_seconds_sum"): ("0+1", "0+30"),
            selector("twin_journal_commit_seconds_count"): ("0+15", "0+15"),
        },
        wait=5,
        settle=5,
        fires=Fires(says="2s"),
    ),
]

UP = selector("up")
SILENT = Fires(summary="The twin at twin:8080 does not answer")
SECOND_SILENT = Fires(instance=SECOND, summary="The twin at twin:8081 does not answer")
NONE = Fires(instance="", summary="No twin is scraped")
DOWN = [
    Case(
        "TwinDown",
        FIRST,
        "a twin that nobody scrapes, or that does not answer, fires until it does",
        {UP: over((5, None), (5, 0), (5, 1))},
        [Moment(0.75, []), Moment(1, [NONE]), Moment(6, [SILENT]), Moment(11, [])],
    ),
    Case(
        "TwinDown",
        RESTART,
        "a quick restart is silent, one that takes its time is not",
        {UP: over((10, 1), (0.75, 0), (10, 1), (3, 0), (5, 1))},
        [Moment(10.5, []), Moment(11, []), Moment(22, [SILENT]), Moment(24, [])],
    ),
    Case(
        "TwinDown",
        OUTAGE,
        "a twin that went down while nobody scraped fires a minute after the first scrape",
        {
            UP: over((10, 1), (20, None), (5, 0)),
            selector("up", SECOND): over((10, 1), (20, None), (5, 1)),
        },
        [Moment(9, []), Moment(30.75, []), Moment(31, [SILENT])],
    ),
    Case(
        "TwinDown",
        APPEAR,
        "a second twin that never answers fires",
        {UP: over((15, 1)), selector("up", SECOND): over((5, None), (10, 0))},
        [Moment(4, []), Moment(6, [SECOND_SILENT])],
    ),
    Case(
        "TwinDown",
        VANISH,
        "the last twin that is not scraped any more fires, until one is",
        {UP: over((5, 1), (5, GONE), (5, 1))},
        [Moment(5.75, []), Moment(6, [NONE]), Moment(10, [])],
    ),
]

OTHER = selector("up", SECOND)
LOST = [
    Case(
        "TwinTargetLost",
        FIRST,
        "a twin that is scraped is silent, one that is not any more fires",
        {UP: over((15, 1)), OTHER: over((5, 0), (10, GONE))},
        [Moment(0, []), Moment(4, []), Moment(6, [Fires(instance=SECOND)])],
    ),
    Case(
        "TwinTargetLost",
        RESTART,
        "a restart is silent, as its target is still scraped",
        {UP: over((20, 1)), OTHER: over((5, 1), (5, 0), (5, 1), (5, GONE))},
        [Moment(7, []), Moment(12, []), Moment(16, [Fires(instance=SECOND)])],
    ),
    Case(
        "TwinTargetLost",
        OUTAGE,
        "who is not scraped any more after an outage fires",
        {UP: over((10, 1), (20, None), (10, 1)), OTHER: over((10, 1), (30, None))},
        [Moment(9, []), Moment(31, [Fires(instance=SECOND)])],
    ),
    Case(
        "TwinTargetLost",
        APPEAR,
        "a twin that comes is silent, until it goes",
        {UP: over((15, 1)), OTHER: over((5, None), (5, 1), (5, GONE))},
        [Moment(4, []), Moment(7, []), Moment(11, [Fires(instance=SECOND)])],
    ),
    Case(
        "TwinTargetLost",
        VANISH,
        "a twin that goes fires for an hour, until it comes again",
        {
            UP: over((5, 1), (75, GONE)),
            OTHER: over((5, 1), (5, GONE), (70, 1)),
        },
        [
            Moment(5.75, []),
            Moment(6, [Fires(), Fires(instance=SECOND)]),
            Moment(11, [Fires()]),
            Moment(64, [Fires()]),
            Moment(66, []),
        ],
    ),
]

SERVICE = [
    *COUNTERS,
    *OPEN_GAPS,
    *BROKER,
    *UNSTEADY,
    *SHORTER,
    *CHECKPOINT,
    *HISTORY,
    *GAUGES,
    *DOWN,
    *LOST,
]
