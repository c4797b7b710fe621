"""Run the attacks, each on a service of its own, and print what they have shown."""

from __future__ import annotations

import argparse
import http.client
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.brokers import Broker
from tests.end_to_end.harness import Twin, subscribed
from tests.end_to_end.hostile.registry import ATTACKS, Attack
from tests.end_to_end.hostile.target import Seen, Target
from tests.end_to_end.traffic import fleet

START_S = 240.0  # on a machine that others use too


def run(attack: Attack, directory: Path) -> Seen:
    """What an attack shows on a fresh service; one that ends by itself is a fault."""
    (directory / "broker").mkdir(parents=True)
    with (
        Broker(directory / "broker") as broker,
        Twin(directory / "twin", broker.port, fleet(attack.parts), attack.arrangement) as twin,
    ):
        twin.start(START_S)
        twin.until(lambda: subscribed(broker), "subscribes")
        target = Target(twin, broker.port, directory)
        try:
            seen = attack.run(target)
        except (OSError, http.client.HTTPException, AssertionError) as exc:
            seen = Seen(faults=[f"{type(exc).__name__}: {str(exc)[:200]}"])
        seen.faults += _afterwards(target)
    return seen


def _afterwards(target: Target) -> list[str]:
    """Whether the service is there, answers, and stops as it should."""
    if not target.twin.is_alive:
        return ["the service has ended"]
    try:
        target.twin.until(lambda: target.twin.readiness() == 200, "is ready again")
        target.twin.stop()
    except (OSError, AssertionError, subprocess.TimeoutExpired) as exc:
        return [f"it did not stop in order: {str(exc)[-100:]}"]
    return []


def main() -> int:
    """Print a table; the exit code is 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), default=list(ATTACKS))
    held = True
    for name in parser.parse_args().only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="twin-hostile-") as directory:
            seen = run(ATTACKS[name], Path(directory) / "it")
        verdict = "holds" if not seen.faults else "DOES NOT HOLD: " + "; ".join(seen.faults)
        held &= not seen.faults
        sys.stdout.write(
            f"{name} ({time.monotonic() - began:.0f} s): {(ATTACKS[name].about or '').strip()}\n"
            f"    others:  {seen.others}\n    attack:  {seen.told}\n    verdict: {verdict}\n"
        )
        sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
