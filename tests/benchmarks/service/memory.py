"""(f), (h): memory of a component, and how long a flush keeps the loop."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.report import Figure, at_most, middle
from tests.benchmarks.service.ingest import Bench, Size
from tests.benchmarks.service.publishing import Publication

BLOCK = 64  # rows of a flush, the default setting


def memory(bench: Bench, _: Size) -> Iterator[Figure]:
    """(f): what the process grew by, and the tensors of it, a message for each included."""
    bench.stepped(bench.parts)
    held = bench.hall.memory()
    fresh = bench.parts - bench.parts // 20  # the first ones are registered before the count
    each = (held.after - held.before) / fresh
    yield Figure(
        "f",
        f"resident memory of a component, of {bench.parts:,}",
        each,
        "B",
        f"its tensors: {held.tensors / bench.parts:,.0f} B",
        each * bench.parts / held.tensors,
    )


def flush(bench: Bench, size: Size) -> Iterator[Figure]:
    """(h): the longest wait while rows go to disk, and when nothing does.

    The rows are later than all that was observed, so nothing can be observed afterwards.
    """
    count = 6 * size.messages
    offset = bench.hall.end() + count
    with Publication(bench.port, bench.plan(count, bench.root)) as publication:
        publication.start()
        yield Figure("h", "longest wait of the loop, full ingest", bench.hall.gap(2.0) * 1e3, "ms")
        publication.published()
        bench.hall.stepped(offset)
    still, busy, took = [], [], []
    for _ in range(size.repeats):
        still.append(bench.hall.gap(1.0))
        for _ in range(4):  # the fourth rewrites a whole shard
            gap, seconds = bench.hall.flushed(BLOCK)
            busy.append(gap)
            took.append(seconds)
    worst = max(busy) * 1e3
    yield Figure(
        "h",
        f"longest wait of the loop in {len(busy)} flushes of {BLOCK} rows, "
        f"{bench.parts:,} components",
        worst,
        "ms",
        f"without a flush: {middle(still) * 1e3:.1f} ms",
        None,
        *at_most(100.0, worst),
    )
    yield Figure("h", "such a flush", middle(took) * 1e3, "ms")
