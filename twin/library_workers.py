"""The processes that compute the samples of a digital library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context

from models.crack_library import CrackLibrary, Sample, sample

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

_config: CrackLibrary | None = None


@contextmanager
def pool_of(config: CrackLibrary, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each: that many more would only spin."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when a worker imports numpy
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (config,))
    try:
        yield pool
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


def _prepare(config: CrackLibrary) -> None:
    global _config
    import torch

    torch.set_num_threads(1)
    _config = config


def _work(seed: int, index: int) -> Sample:
    if _config is None:
        raise RuntimeError("a worker was not prepared")
    return sample(_config, seed, index)
