"""The command `twin`, whose process counts its Python objects when it is asked to.

It is asked by a file, and answers in another: see `Census`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import torch

ASK, ANSWER = "COUNTED_ASK", "COUNTED_ANSWER"  # environment variables: the files
POLL_S = 0.2
FOR_EVER_S, SETTLE_S = 1000.0, 0.05  # a thread's turn while objects are counted, and before
MOST = 12  # kinds that an answer names


def census() -> dict[str, object]:
    """Memory blocks of the interpreter, objects that its collector knows, and a few kinds.

    No other thread may run while the objects are held: one that builds a tuple meets a second
    reference to it, and ends with a SystemError.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(FOR_EVER_S)
    time.sleep(SETTLE_S)  # whoever waits for his turn waits by the new interval then
    try:
        return _counted()
    finally:
        sys.setswitchinterval(usual)


def _counted() -> dict[str, object]:
    blocks, found = sys.getallocatedblocks(), gc.get_objects()
    kinds = Counter(map(type, found))
    count = len(found)
    del found
    return {
        "blocks": blocks,
        "objects": count,
        "tensors": sum(n for kind, n in kinds.items() if issubclass(kind, torch.Tensor)),
        "tasks": sum(n for kind, n in kinds.items() if issubclass(kind, asyncio.Task)),
        "kinds": {kind.__name__: n for kind, n in kinds.most_common(MOST)},
    }


def _answer(ask: Path, answer: Path) -> None:
    while True:
        time.sleep(POLL_S)
        if ask.exists():
            ask.unlink()
            aside = answer.with_suffix(".aside")
            aside.write_text(json.dumps(census()))
            aside.rename(answer)


def main() -> None:
    """Start the thread that answers, then be `twin`."""
    from twin.commands.cli import app

    files = Path(os.environ[ASK]), Path(os.environ[ANSWER])
    threading.Thread(target=_answer, args=files, name="census", daemon=True).start()
    app()


if __name__ == "__main__":
    main()
