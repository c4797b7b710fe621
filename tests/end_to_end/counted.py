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
MOST = 12  # kinds that an answer names


def census() -> dict[str, object]:
    """Memory blocks of the interpreter, objects that its collector knows, and a few kinds."""
    found = gc.get_objects()
    kinds = Counter(type(it).__name__ for it in found)
    return {
        "blocks": sys.getallocatedblocks(),
        "objects": len(found),
        "tensors": sum(isinstance(it, torch.Tensor) for it in found),
        "tasks": sum(isinstance(it, asyncio.Task) for it in found),
        "kinds": dict(kinds.most_common(MOST)),
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
    from twin.cli import app

    files = Path(os.environ[ASK]), Path(os.environ[ANSWER])
    threading.Thread(target=_answer, args=files, name="census", daemon=True).start()
    app()


if __name__ == "__main__":
    main()
