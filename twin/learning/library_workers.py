"""The processes that compute the samples of a digital library."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import active_children, get_context, parent_process

from models.crack_frames.config import CrackLibrary
from models.crack_frames.library import Sample, sample

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

_config: CrackLibrary | None = None


@contextmanager
def pool_of(config: CrackLibrary, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each: that many more would only spin.

    They end at once where this is left by an exception, and where the process that made them ends,
    however it does.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when a worker imports numpy
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (config,))
    others = active_children()
    try:
        with _deaf_to_interrupts():
            pool.submit(os.getpid)  # the first one begins all processes
        yield pool
    except BaseException:
        for worker in active_children():
            if worker not in others:
                worker.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def samples_of(
    pool: ProcessPoolExecutor, seed: int, indices: range, ahead: int
) -> Iterator[Sample]:
    """Samples in order, never more than `ahead` of them under way."""
    waiting: list[Future[Sample]] = []
    rest = iter(indices)
    while True:
        waiting += [pool.submit(_work, seed, k) for k in islice(rest, ahead - len(waiting))]
        if not waiting:
            return
        yield waiting.pop(0).result()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes begun in here ignore SIGINT, which a terminal sends to all: their maker decides."""
    if threading.current_thread() is not threading.main_thread():  # which alone may set signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _prepare(config: CrackLibrary) -> None:
    global _config
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    import torch

    torch.set_num_threads(1)
    _config = config


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()  # returns when it is gone, killed or not
        os._exit(1)


def _work(seed: int, index: int) -> Sample:
    if _config is None:
        raise RuntimeError("a worker was not prepared")
    return sample(_config, seed, index)
