"""What Prometheus sees of the service itself."""

# Over 300 lines: one list of all metrics, so that names, labels and help can be compared.

from __future__ import annotations

import shutil
import time
from collections import Counter as counted  # noqa: N813  the name Counter is Prometheus's
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import get_args, get_type_hints

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily

from sensors.errors import FAILURES
from sensors.observation import Confirmation, ImageFinding, Inspection, Series, Snapshot, Spectrum
from sensors.payload.decode import REASONS
from sensors.quality import ASIDE
from sensors.quality import REASONS as FINDINGS
from storage.journal.entry import DeadLetter
from storage.journal.journal import Appended
from storage.journal.sequences import Outcome
from twin.belief.fleet_file_drift import HOW
from twin.belief.inspection_gate import Fate
from twin.belief.segments import Line
from twin.broker_session import WHYS
from twin.component import Component
from twin.kinds.crack_fields import GROUP

_KINDS = {
    Series: "load",
    Spectrum: "load",
    Inspection: "inspection",
    Confirmation: "confirmation",
    Snapshot: "image",
    ImageFinding: "readout",
    Component: "registration",
}

BY_JOURNAL = (Outcome.BEHIND.value, Outcome.CONFLICT.value)  # what it does not take
# Every reason of a dead letter.
DEAD = (*REASONS, "component", "ahead", "calibration", "room", "failed", *BY_JOURNAL)

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class IntensityCounter:
    """How many stress intensities cracks along paths have asked for.

    Those of steps, remaining lives included, are kept in the state, so that they survive restarts,
    and are set at each scrape; those of forecasts are counted from the start of the service.
    """

    def __init__(self) -> None:
        self.step = {"operator": 0, "xfem": 0}
        self.forecast = {"operator": 0, "xfem": 0}

    def foreseen(self, found: Mapping[str, int]) -> None:
        """Count what one forecast has asked for."""
        for by, count in found.items():
            self.forecast[by] += count

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counter, for prometheus_client."""
        family = CounterMetricFamily(
            "twin_intensities",
            "Stress intensities found for cracks along paths, by what for and by what found them.",
            labels=["where", "by"],
        )
        for where, found in (("step", self.step), ("forecast", self.forecast)):
            for by, count in found.items():
                family.add_metric([where, by], count)
        yield family


TURNED_AWAY = (
    *("bad-request", "headers-too-large", "target-too-long", "too-slow"),
    *("overloaded", "unavailable", "dropped"),
)  # by the protocol, see `twin.api.http_protocol`
BACKFILLS = ("done", "outrun", "failed", "impossible")  # what becomes of one


class Metrics:
    """Counters, gauges and histograms on a registry of their own.

    A counter is there at 0 for every label that is known: one that is born at 1 has not risen.
    """

    def __init__(self) -> None:
        # Over 60 lines: one list of all metrics.
        self.registry = CollectorRegistry()
        self._gauge("twin_start_timestamp_seconds", "When the service started.").set(time.time())
        self.observations = self._counter(
            "twin_observations", "Observations by kind and what became of them.", "kind", "outcome"
        )
        self.dead_letters = self._counter(
            "twin_dead_letters", "Messages refused, by reason.", "reason"
        )
        self.gaps = self._counter(
            "twin_sequence_gaps", "Sequence numbers noticed as missing; late ones may fill them."
        )
        self.filled = self._counter(
            "twin_sequence_gaps_filled", "Missing sequence numbers that arrived late."
        )
        self.forgotten = self._counter(
            "twin_streams_forgotten",
            "Streams (part, source, boot) that gave way to newer ones of their part.",
        )
        self.jumps = self._counter(
            "twin_sequence_jumps",
            "Sequence numbers too far above the last to count what lies between as missing.",
        )
        self.duplicates = self._counter("twin_duplicates", "Observations refused as duplicates.")
        self.conflicts = self._counter(
            "twin_key_conflicts", "Observations whose key is here already, with other content."
        )
        self.late = self._counter("twin_late", "Observations behind the watermark.")
        self.ahead = self._gauge(
            "twin_clocks_ahead", "Sources whose clocks are far ahead of the others', not believed."
        )
        self.backfill_pending = self._gauge(
            "twin_backfill_pending",
            "Observations far behind: their components are to be caught up.",
        )
        self.backfills = self._counter(
            "twin_backfills", "Times that late components were caught up, by outcome.", "outcome"
        )
        for outcome in BACKFILLS:
            self.backfills.labels(outcome)
        self.implausible = self._counter(
            "twin_implausible", "Observations accepted that no crack could be stepped by: left out."
        )
        self.set_aside = self._counter(
            "twin_samples_set_aside",
            "Samples, or rows of a spectrum, that no gauge can mean: left out, by reason.",
            "reason",
        )
        self.doubts = self._counter(
            "twin_quality_findings",
            "Loads with doubtful samples, by reason; `clipping` and `stuck` count all the same.",
            "reason",
        )
        for reason in FINDINGS:
            self.doubts.labels(reason)
            if reason in ASIDE:
                self.set_aside.labels(reason)
        self.surprises = self._counter(
            "twin_surprises",
            "Inspections that jump from the belief, by what became of them.",
            "outcome",
        )
        for outcome in get_args(Fate):
            self.surprises.labels(outcome)
        self.held = self._gauge("twin_inspections_held", "Inspections that wait for confirmation.")
        self.lives_unknown = self._counter(
            "twin_lives_unknown", "Remaining lives that could not be computed: unknown since."
        )
        self.images_read = self._counter(
            "twin_images_read", "Crack images by what was read from them.", "outcome"
        )
        self.events_dropped = self._counter(
            "twin_messages_dropped", "Outgoing messages dropped because the broker is slow or away."
        )
        self.commit_seconds = Histogram(
            "twin_journal_commit_seconds",
            "Time of one group commit, fsync included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "twin_step_seconds",
            "Time of one fold over what became durable since the last.",
            ("cohort",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.ingest_lag = self._gauge(
            "twin_ingest_lag_seconds", "Wall clock less the event time of the latest observation."
        )
        self.queue_depth = self._gauge("twin_queue_depth", "What waits in a queue.", "queue")
        self.unstepped = self._gauge(
            "twin_unstepped_age_seconds",
            "How long the oldest observation that is kept and not yet believed has waited.",
        )
        self.overtaken = self._gauge(
            "twin_components_overtaken",
            "Components whose loads take long to step: those of others do not wait for them.",
        )
        self.checkpoint_time = self._gauge(
            "twin_checkpoint_last_success_timestamp_seconds",
            "When the last checkpoint was durable.",
        )
        self.flush_time = self._gauge(
            "twin_flush_last_success_timestamp_seconds",
            "When the trajectory last reached the disk.",
        )
        self.ready = self._gauge("twin_ready", "1 if the service can do its work.")
        self.broker = self._gauge("twin_broker_connected", "1 if the broker is connected.")
        self.broker_failures = self._counter(
            "twin_broker_failures",
            "Connections to the broker lost, refused or not made, by which way and why.",
            *("connection", "reason"),
        )
        for connection in ("in", "out"):  # from the start, so that the first one is an increase
            for reason in FAILURES:
                self.broker_failures.labels(connection, reason)
        self.sessions_gone = self._counter(
            "twin_broker_sessions_gone",
            "Times that the broker had not kept our session, with what waited in it, by why.",
            "why",
        )
        for why in WHYS:
            self.sessions_gone.labels(why)
        self.broker_steady = self._gauge(
            "twin_broker_steady",
            "0 while the broker ends connection after connection, soon after they were made.",
        )
        self.intensities = IntensityCounter()
        self.registry.register(self.intensities)
        self.components = self._gauge("twin_components", "Registered components.")
        self.model_info = self._gauge(
            "twin_model_info", "Steppers in use and how many components each has.", "stepper"
        )
        self.checkpoint_every = self._gauge(
            "twin_checkpoint_interval_seconds", "The setting `storage.checkpoint_every_s`."
        )
        self.flush_every = self._gauge(
            "twin_flush_interval_seconds", "The setting `storage.flush_every_s`."
        )
        self.damage = self._gauge(
            "twin_damage_found", "What the last start found damaged on disk; `/readyz` names it."
        )
        self.apart = self._gauge(
            "twin_fleet_file_apart",
            "Parts that the fleet file, as it was read at the start, lacks or says otherwise.",
            "how",
        )
        for how in HOW:
            self.apart.labels(how)
        self.journal_end = self._gauge(
            "twin_journal_end", "Lines that the journal has ever held; never fewer than before."
        )
        self.disk_free = self._gauge("twin_disk_free_bytes", "Free space where the data are.")
        self.disk_size = self._gauge("twin_disk_size_bytes", "All space where the data are.")
        self.http_connections = self._gauge("twin_http_connections", "Open HTTP connections.")
        self.http_refused = self._counter(
            "twin_http_refused",
            "HTTP connections and requests that were refused or ended, by reason; `overloaded`: a "
            "client had its share.",
            "reason",
        )
        self._begin()

    def _begin(self) -> None:
        """Let every series that is known be there at 0."""
        for kind, outcome in product(sorted({*_KINDS.values()}), Outcome):
            self.observations.labels(kind, outcome.name.lower())
        for reason in DEAD:
            self.dead_letters.labels(reason)
        for outcome in get_args(get_type_hints(ImageFinding)["outcome"]):
            self.images_read.labels(outcome)
        self.step_seconds.labels(GROUP)
        for reason in TURNED_AWAY:
            self.http_refused.labels(reason)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def measured_disk(self, directory: Path) -> None:
        """Note how much space there is; it may take as long as the disk does."""
        with suppress(OSError):  # what was measured last stands
            usage = shutil.disk_usage(directory)
            self.disk_free.set(usage.free)
            self.disk_size.set(usage.total)

    def committed(
        self, seconds: float, receipt: Appended, lines: Sequence[Line], dead: Sequence[DeadLetter]
    ) -> None:
        """Count what one group commit did."""
        self.commit_seconds.observe(seconds)
        self.gaps.inc(receipt.missing)
        self.filled.inc(receipt.filled)
        self.jumps.inc(len(receipt.jumps))
        self.forgotten.inc(receipt.forgotten)
        pairs = zip((type(line.what) for line in lines), receipt.outcomes, strict=True)
        for (kind, outcome), count in counted(pairs).items():
            self.observations.labels(_KINDS[kind], outcome.name.lower()).inc(count)
            if outcome is Outcome.DUPLICATE:
                self.duplicates.inc(count)
        for reason, count in counted(letter.reason for letter in dead).items():
            self.dead_letters.labels(reason).inc(count)

    def folded(self, seconds: float, now_ns: int, latest_ns: int) -> None:
        """Note what one fold took, and how far behind the wall clock its last evidence is."""
        self.step_seconds.labels(GROUP).observe(seconds)
        self.ingest_lag.set((now_ns - latest_ns) / 1e9)

    def doubted(self, reason: str, set_aside: int) -> None:
        """Count a doubtful load, and what was left out of it."""
        self.doubts.labels(reason).inc()
        if set_aside:
            self.set_aside.labels(reason).inc(set_aside)
