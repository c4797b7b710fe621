"""`twin rebuild` in place, ended in its middle."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from storage.store import Store
from storage.swapping import MARK, beside
from tests.end_to_end.harness import Twin
from tests.end_to_end.witness import Witness

PATIENCE_S = 240.0  # for a process to begin, or to end, on a machine that others use too
SWAP_S = 0.03  # the longest between the mark of a finished store and the kill
TOOK_S = 0.5  # a rebuild, from the first sign to the end, until one has come so far


class Rebuilds:
    """Rebuilds the store of a service that does not run; most of them never come to their end."""

    def __init__(self, twin: Twin, witness: Witness) -> None:
        self.killed = 0
        self.finished = 0
        self.swapped = 0  # a store has taken the place of another, at last at the next start
        self._twin, self._witness = twin, witness
        self._took_s = TOOK_S
        self._new = beside(twin.data.absolute())

    def run(self, chance: float) -> None:
        """Start one and kill it: at any moment, or while the stores change places."""
        self._witness.hold()
        if self._new.exists() and self._twin.data.exists():
            shutil.rmtree(self._new)  # of one that was cut off, as the command asks
        process = self._twin.program("rebuild")
        try:
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None and not self._new.exists():
                assert time.monotonic() < deadline, "no rebuild begins"
                time.sleep(0.005)
            began = time.monotonic()
            if chance < 0.4:
                while process.poll() is None and not (self._new / MARK).exists():
                    pass
                time.sleep(chance / 0.4 * SWAP_S)
            else:
                time.sleep((chance - 0.4) / 0.6 * 1.2 * self._took_s)
            was_alive = process.poll() is None
        finally:
            process.kill()
            code = process.wait(PATIENCE_S)
        self.killed += was_alive
        if not was_alive:
            assert code == 0, f"a rebuild ended with {code}:\n{self._twin.log[-4000:]}"
            self.finished += 1
            self._took_s = time.monotonic() - began

    def seen(self) -> None:
        """Once a service is back: where another store has the place, an era has ended."""
        for before in sorted(self._twin.data.parent.glob(f"{self._twin.data.name}.before-*")):
            self.swapped += 1
            with Store(before) as store:
                entries = [entry for _, batch in store.journal.read(0) for entry in batch]
            self._witness.turned(entries, self._twin.clock)
            shutil.rmtree(before)
        self._witness.release()


def rebuilt_elsewhere(twin: Twin, to: Path) -> None:
    """Let the command fold the journal of a service that does not run into another place."""
    process = twin.program("rebuild", "--out", str(to))
    assert process.wait(PATIENCE_S) == 0, twin.log[-4000:]
