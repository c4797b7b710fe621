"""How long a start takes that registers very many parts.

    python -m tests.benchmarks.service.registering

A fresh store and a file of `--parts`; the same file again; a file in which every part has another
limit; one in which every part has another law. Each is a start of the service, without a broker.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from storage.store import Store
from twin.service import Service
from twin.serving import prepare
from twin.settings import settings

PART = """[[component]]
name = "site-{site}/part-{i}"
material = "{material}"
crack_length = {length:.6f}
crack_limit = {limit}
geometry = {{kind = "edge_crack", W = 0.1}}
"""
FILES = {
    "fresh": ("2024-t3-paris", 0.05),
    "again": ("2024-t3-paris", 0.05),
    "other limits": ("2024-t3-paris", 0.04),
    "other laws": ("2024-t3-walker", 0.04),
}


def written(path: Path, parts: int, material: str, limit: float) -> None:
    """Write a fleet file."""
    path.write_text(
        "\n".join(
            PART.format(
                site=i % 10, i=i, material=material, length=0.002 + i % 1000 * 1e-6, limit=limit
            )
            for i in range(parts)
        ),
        encoding="utf-8",
    )


async def started(directory: Path, fleet: Path) -> tuple[float, float, int]:
    """Seconds, and seconds of the processor, until a service is ready; and its rows."""
    with Store(directory) as store:
        service = Service(settings(storage={"directory": directory}, fleet=fleet), store)
        began, busy = time.perf_counter(), time.process_time()
        running = asyncio.create_task(service.run(None))
        ready = asyncio.create_task(service.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        took = time.perf_counter() - began, time.process_time() - busy
        rows = sum(len(cohort.members) for cohort in service.fleet.cohorts.values())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return *took, rows


def main() -> None:
    """Print a line for each start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=100_000)
    parts = parser.parse_args().parts
    prepare()
    with tempfile.TemporaryDirectory() as place:
        for name, (material, limit) in FILES.items():
            fleet = Path(place) / "fleet.toml"
            written(fleet, parts, material, limit)
            took, busy, rows = asyncio.run(started(Path(place) / "data", fleet))
            load = os.getloadavg()[0]
            print(
                f"{name:14}{took:8.1f} s  {busy:8.1f} s of the processor  {rows:8,} rows  "
                f"load {load:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
