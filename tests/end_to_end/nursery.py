"""Processes of `twin` that begin with everything imported: forks of one that did it for all.

Imports are most of what a start costs. Whoever kills hundreds of times pays for them once.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
POLL_S = 0.01
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Child:
    """A process as `subprocess.Popen` has it, as far as it is needed here."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        if self._code is None:
            self._code = self._nursery.asked({"poll": self.pid})
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(POLL_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Where processes come from."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.nursery"],
            cwd=ROOT,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"} | dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def born(self, options: Sequence[str], log: Path) -> Child:
        """`twin` with these options, just begun; what it says goes to the end of a file."""
        return Child(self, self.asked({"options": list(options), "log": str(log)}))

    def asked(self, question: dict[str, Any]) -> Any:
        """The answer."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


def _answered(question: dict[str, Any]) -> int | None:
    if "poll" in question:
        pid, status = os.waitpid(question["poll"], os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None
    pid = os.fork()
    if pid == 0:
        _live(question["options"], question["log"])
    return pid


def _live(options: Sequence[str], log: str) -> None:
    """Become `twin`; never returns."""
    from twin.commands.cli import app

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever asked may be gone
    nothing, said = os.open(os.devnull, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_APPEND)
    for to, where in ((0, nothing), (1, nothing), (2, said)):
        os.dup2(where, to)
    sys.argv = ["twin", *options]
    code = 1
    try:
        app()
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Import everything, then answer until nobody asks any more."""
    import twin.archive.rebuild
    import twin.commands.cli
    import twin.serving

    twin.serving.prepare()
    assert threading.active_count() == 1, "threads do not survive a fork"
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answered(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
