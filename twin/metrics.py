"""What Prometheus sees of the service itself."""

from __future__ import annotations

from collections import Counter as counted  # noqa: N813  the name Counter is Prometheus's
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily

from sensors.observation import Inspection, Readout, Series, Snapshot, Spectrum
from storage.entry import DeadLetter
from storage.journal import Appended
from storage.marks import Outcome
from twin.cohort import KIND
from twin.component import Component
from twin.fold import Line

_KINDS = {
    Series: "load",
    Spectrum: "load",
    Inspection: "inspection",
    Snapshot: "image",
    Readout: "readout",
    Component: "registration",
}

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Intensities:
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


class Metrics:
    """Counters, gauges and histograms on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.duplicates = self._counter("twin_duplicates", "Observations refused as duplicates.")
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
        self.implausible = self._counter(
            "twin_implausible", "Observations accepted that no crack could be stepped by: left out."
        )
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
        self.intensities = Intensities()
        self.registry.register(self.intensities)
        self.components = self._gauge("twin_components", "Registered components.")
        self.model_info = self._gauge(
            "twin_model_info", "Steppers in use and how many components each has.", "stepper"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def committed(
        self, seconds: float, receipt: Appended, lines: Sequence[Line], dead: Sequence[DeadLetter]
    ) -> None:
        """Count what one group commit did."""
        self.commit_seconds.observe(seconds)
        self.gaps.inc(receipt.missing)
        self.filled.inc(receipt.filled)
        pairs = zip((type(line.what) for line in lines), receipt.outcomes, strict=True)
        for (kind, outcome), count in counted(pairs).items():
            self.observations.labels(_KINDS[kind], outcome.name.lower()).inc(count)
            if outcome is Outcome.DUPLICATE:
                self.duplicates.inc(count)
        for reason, count in counted(letter.reason for letter in dead).items():
            self.dead_letters.labels(reason).inc(count)

    def folded(self, seconds: float, now_ns: int, latest_ns: int) -> None:
        """Note what one fold took, and how far behind the wall clock its last evidence is."""
        self.step_seconds.labels(KIND).observe(seconds)
        self.ingest_lag.set((now_ns - latest_ns) / 1e9)
