"""Runs of loads: states and loads as arrays for compiled code, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models import scalar_geometry, scalar_laws, scalar_retardation
from models.crack_cycle import CONSTANTS, LIMIT, TOUGHNESS, YIELD, Kinds
from models.crack_load import CrackLoad, check
from models.crack_state import CrackState, limit_of
from models.crack_walk import Cracks, Messages, walk
from models.exposure import Exposure
from models.rainflow import Bools, Floats, Turning
from models.retardation import Overload
from models.scalar_geometry import GEOMETRY
from models.scalar_laws import LAW, Tables
from models.scalar_retardation import RETARDATION
from models.tables import TableGeometry, TableLaw
from models.tree import leaves

SOURCES = (
    "crack_cycle",
    "crack_walk",
    "exposure",
    "integration",
    "rainflow",
    "retardation",
    "scalar_geometry",
    "scalar_laws",
    "scalar_retardation",
)


class Along(NamedTuple):
    """What each message of a run has left; rows as the messages."""

    length: Tensor  # (k, p) believed [m]
    fractured: Tensor  # (k,) bool


def _stamp() -> int:
    """A number of the sources: numba's cache looks at the file of the function alone."""
    texts = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in SOURCES)
    return int.from_bytes(hashlib.sha256(b"".join(texts)).digest()[:7], "big")


def _compiled(stamp: int) -> Callable[..., None]:
    @njit(cache=True, nogil=True, error_model="numpy")
    def walked(
        kinds: Kinds,
        constants: Floats,
        tables: Tables,
        cracks: Cracks,
        counter: Turning,
        memory: Exposure,
        load: Messages,
        length: Floats,
        fractured: Bools,
    ) -> None:
        if stamp >= 0:  # what a function closes over is part of its key in the cache
            walk(
                kinds, constants, tables, cracks, counter, memory, load, length, fractured
            )

    return walked  # type: ignore[no-any-return]


_walked = _compiled(_stamp())


def ran(state: CrackState, load: CrackLoad, row: Tensor) -> tuple[CrackState, Along]:
    """The cracks after the messages of `load` (k,), each on its `row` (k,), rising.

    Inspections are left out. Raises ValueError for what is no load, and for rows that are none.
    """
    check(load, len(row))
    _check_rows(row, len(state.a))
    counter, memory = state.counter, state.exposure
    if load.samples.numel() or not bool(load.continues.all()):
        counter = Turning(*map(_copy, counter))
        memory = Exposure(*map(_copy, memory))
    elif load.blocks.range.numel():
        memory = Exposure(*map(_copy, memory))
    written = Cracks(
        *map(
            _copy,
            (
                state.a,
                state.length,
                state.open_growth,
                state.rate,
                *state.overload,
                state.cycles,
                state.fractured,
                state.t_broken_ns,
                state.t_ns,
            ),
        )
    )
    along = Along(state.a.new_empty(len(row), state.a.shape[1]), torch.empty(len(row), dtype=torch.bool))
    _walked(
        _kinds(state),
        _constants(state),
        _tables(state),
        Cracks(*map(_array, written)),
        Turning(*map(_array, counter)),
        Exposure(*map(_array, memory)),
        _messages(load, row),
        *map(_array, along),
    )
    a, length, open_growth, rate, a_over, K_over, cycles, fractured, t_broken, t_ns = written
    after = state._replace(
        a=a,
        length=length,
        open_growth=open_growth,
        rate=rate,
        overload=Overload(a_over, K_over),
        cycles=cycles,
        fractured=fractured,
        t_broken_ns=t_broken,
        t_ns=t_ns,
        counter=counter,
        exposure=memory,
    )
    return after, along


def _check_rows(row: Tensor, n: int) -> None:
    if row.dtype != torch.int64 or row.ndim != 1:
        raise ValueError(f"rows are {row.dtype} {[*row.shape]}, not int64 in one axis")
    if len(row) and not (0 <= int(row.min()) and int(row.max()) < n and (row.diff() >= 0).all()):
        raise ValueError(f"rows must rise within 0 … {n - 1}: {row.tolist()}")


def _copy(leaf: Tensor) -> Tensor:
    return leaf.clone(memory_format=torch.contiguous_format)


def _array(leaf: Tensor) -> Any:
    return leaf.contiguous().numpy()


def _kinds(state: CrackState) -> Kinds:
    """The codes of law, geometry and retardation; TypeError for one that is not compiled."""
    kinds = (
        scalar_laws.CODES.get(type(state.law)),
        scalar_geometry.CODES.get(type(state.geometry)),
        scalar_retardation.CODES.get(type(state.retardation)),
    )
    for part, kind in zip((state.law, state.geometry, state.retardation), kinds, strict=True):
        if kind is None:
            raise TypeError(f"{type(part).__name__} is none of what is compiled for stepping")
    return kinds  # type: ignore[return-value]


def _constants(state: CrackState) -> Floats:
    """All constants of each particle (n, q, CONSTANTS); q is 1 where they are the same for all."""
    parts: list[tuple[int, Tensor]] = []
    for begin, part in (
        (LAW, state.law),
        (GEOMETRY, state.geometry),
        (RETARDATION, state.retardation),
    ):
        named = [] if isinstance(part, TableLaw | TableGeometry) else [*leaves(part)]
        parts += [(begin + i, leaf) for i, (_, leaf) in enumerate(named)]
    parts += [(TOUGHNESS, state.strength.K_c), (YIELD, state.strength.yield_stress)]
    parts += [(LIMIT, torch.as_tensor(state.geometry.limit))]
    q = max(leaf.shape[1] for _, leaf in parts)
    packed = torch.zeros(len(state.a), q, CONSTANTS, dtype=torch.float64)
    for i, leaf in parts:
        packed[:, :, i] = leaf
    return packed.numpy()  # type: ignore[no-any-return]


def _tables(state: CrackState) -> Tables:
    """What is read from tables, (n, q, …); nothing where there are none."""
    n, law, geometry = len(state.a), state.law, state.geometry
    curve, surface = np.zeros((n, 1, 0)), np.zeros((n, 1, 0, 0))
    R, growth, dK, a, beta = curve, curve, surface, curve, curve
    if isinstance(law, TableLaw):
        R, growth, dK = (_array(leaf) for leaf in (law.R, law.growth, law.dK))
    if isinstance(geometry, TableGeometry):
        a, beta = _array(geometry.a), _array(geometry.beta)
    return Tables(R, growth, dK, a, beta)


def _messages(load: CrackLoad, row: Tensor) -> Messages:
    series = (load.samples, load.companion)
    return Messages(
        _array(row),
        _array(load.t_ns),
        *(_array(leaf.to(torch.float64)) for leaf in series),
        _array(load.sample_offset),
        _array(load.continues),
        *(_array(leaf.to(torch.float64)) for leaf in load.blocks[:5]),
        _array(load.blocks.offset),
    )
