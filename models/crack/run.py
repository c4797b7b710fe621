"""Runs of loads: states and loads as arrays for compiled code, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from models.compiled import stamp
from models.crack.load import CrackLoad, check
from models.crack.state import CrackState
from models.crack.walk import Counters, Cracks, Memories, Messages, walk
from models.fatigue import scalar_geometry, scalar_laws, scalar_retardation
from models.fatigue.exposure import Exposure
from models.fatigue.rainflow import Bools, Floats, Turning
from models.fatigue.retardation import Overload
from models.fatigue.scalar_laws import (
    GEOMETRY,
    LAW,
    LIMIT,
    RETARDATION,
    TABLES,
    TOUGHNESS,
    YIELD,
    Kinds,
)
from models.fatigue.tables import TableGeometry, TableLaw
from models.tree import leaves

COMPILED = (
    "compiled", "crack/cycle", "crack/walk", "fatigue/exposure_kernel", "fatigue/rainflow",
    "fatigue/scalar_geometry", "fatigue/scalar_laws", "fatigue/scalar_retardation",
)  # fmt: skip
CONSTANTS = (
    "fatigue/geometry", "fatigue/hole_factors", "fatigue/integration", "fatigue/laws",
    "fatigue/retardation", "fatigue/tables",
)  # fmt: skip


class Along(NamedTuple):
    """What each message of a run has left; rows as the messages."""

    length: Tensor  # (k, p) believed [m]
    fractured: Tensor  # (k,) bool


def _compiled(sources: int) -> Callable[..., None]:
    @njit(cache=True, nogil=True, error_model="numpy")
    def walked(
        kinds: Kinds,
        constants: Floats,
        cracks: Cracks,
        counter: Counters,
        memory: Memories,
        load: Messages,
        length: Floats,
        fractured: Bools,
    ) -> None:
        if sources >= 0:  # what a function closes over is part of its key in the cache
            walk(kinds, constants, cracks, counter, memory, load, length, fractured)

    return walked  # type: ignore[no-any-return]


_walked = _compiled(stamp(*COMPILED, *CONSTANTS))


def ran(state: CrackState, load: CrackLoad, row: Tensor) -> tuple[CrackState, Along]:
    """The cracks after the messages of `load` (k,), each on its `row` (k,), rising.

    Inspections are left out. Raises ValueError for what is no load, and for rows that are none.
    """
    check(load, len(row))
    _check_rows(row, len(state.a))
    _check_shapes(load, len(row))
    counter, memory = state.counter, state.exposure
    counts = bool(load.samples.numel()) or not bool(load.continues.all())
    if counts:
        counter = Turning(*map(_copy, counter))
    if counts or load.blocks.range.numel():
        memory = Exposure(*map(_copy, memory))
    cracks = tuple(map(_copy, _written(state)))
    length = state.a.new_empty(len(row), state.a.shape[1])
    along = Along(length, torch.empty(len(row), dtype=torch.bool))
    kinds, constants, messages = compiled_form(state, load, row)
    _walked(
        kinds,
        constants,
        Cracks(*map(_array, cracks)),
        Counters(*map(_array, counter)),
        Memories(*map(_array, memory)),
        messages,
        *map(_array, along),
    )
    return _with(state, cracks)._replace(counter=counter, exposure=memory), along


def compiled_form(
    state: CrackState, load: CrackLoad, row: Tensor
) -> tuple[Kinds, Floats, Messages]:
    """What the parts of the cracks are, their constants (n, q, c), and the loads on their rows."""
    return _kinds(state), _constants(state), _messages(load, row)


def _written(state: CrackState) -> tuple[Tensor, ...]:
    """The leaves of `Cracks`."""
    s = state
    return (
        *(s.a, s.length, s.open_growth, s.rate, *s.overload),
        *(s.cycles, s.fractured, s.t_broken_ns, s.t_ns),
    )


def _with(state: CrackState, cracks: tuple[Tensor, ...]) -> CrackState:
    """The state with the leaves of `Cracks`."""
    a, length, open_growth, rate, a_over, K_over, cycles, fractured, t_broken_ns, t_ns = cracks
    return state._replace(
        a=a,
        length=length,
        open_growth=open_growth,
        rate=rate,
        overload=Overload(a_over, K_over),
        cycles=cycles,
        fractured=fractured,
        t_broken_ns=t_broken_ns,
        t_ns=t_ns,
    )


def _check_shapes(load: CrackLoad, k: int) -> None:
    """The door: beyond it compiled code trusts every index."""
    many, ends = len(load.samples), load.sample_offset
    if load.companion.shape != (many,):
        raise ValueError(f"samples [{many}] and companion {[*load.companion.shape]} differ")
    if ends.shape != (k + 1,) or ends[0] != 0 or ends[-1] != many or (ends.diff() < 0).any():
        raise ValueError(f"sample offsets must rise from 0 to {many} in {k} steps: {ends}")
    if load.continues.shape != (k,) or load.continues.dtype != torch.bool:
        raise ValueError(f"continues is {load.continues.dtype} {[*load.continues.shape]}")
    sizes = {leaf.shape for leaf in load.blocks[:5]}
    if len(sizes) != 1:
        raise ValueError(f"the columns of the blocks differ: {[[*size] for size in sizes]}")


def _check_rows(row: Tensor, n: int) -> None:
    if row.dtype != torch.int64 or row.ndim != 1:
        raise ValueError(f"rows are {row.dtype} {[*row.shape]}, not int64 in one axis")
    if len(row) and (row[0] < 0 or row[-1] >= n or (row.diff() < 0).any()):
        raise ValueError(f"rows must rise within 0 … {n - 1}: {row.tolist()}")


def _copy(leaf: Tensor) -> Tensor:
    return leaf.clone(memory_format=torch.contiguous_format)


def _array(leaf: Tensor) -> NDArray[Any]:
    return leaf.contiguous().numpy()


def _kinds(state: CrackState) -> Kinds:
    """What the parts of the cracks are; TypeError for one that is not compiled."""
    law, geometry, retardation = (
        _code(part, codes)
        for part, codes in (
            (state.law, scalar_laws.CODES),
            (state.geometry, scalar_geometry.CODES),
            (state.retardation, scalar_retardation.CODES),
        )
    )
    ratios, growths = state.law.dK.shape[2:] if isinstance(state.law, TableLaw) else (0, 0)
    lengths = state.geometry.a.shape[2] if isinstance(state.geometry, TableGeometry) else 0
    return Kinds(law, geometry, retardation, ratios, growths, lengths)


def _code(part: object, codes: dict[Any, int]) -> int:
    if type(part) not in codes:
        raise TypeError(f"{type(part).__name__} is none of what is compiled for steps")
    return codes[type(part)]


def _constants(state: CrackState) -> Floats:
    """All constants of each particle (n, q, c); q is 1 where they are the same for all."""
    parts: list[tuple[int, Tensor]] = [
        (TOUGHNESS, state.strength.K_c),
        (YIELD, state.strength.yield_stress),
        (LIMIT, torch.as_tensor(state.geometry.limit)),
    ]
    for begin, part in (
        (LAW, state.law),
        (GEOMETRY, state.geometry),
        (RETARDATION, state.retardation),
    ):
        if not isinstance(part, TableLaw | TableGeometry):
            parts += [(begin + i, leaf) for i, (_, leaf) in enumerate(leaves(part))]
    end = TABLES
    for leaf in _tables(state):
        parts.append((end, leaf.flatten(2)))
        end += parts[-1][1].shape[2]
    q = max(leaf.shape[1] for _, leaf in parts)
    packed = torch.zeros(len(state.a), q, end, dtype=torch.float64)
    for i, leaf in parts:
        wide = leaf if leaf.ndim > 2 else leaf[..., None]
        packed[:, :, i : i + wide.shape[2]] = wide
    return packed.numpy()


def _tables(state: CrackState) -> list[Tensor]:
    """What is read from tables, in its order."""
    law, geometry = state.law, state.geometry
    tables = [law.R, law.growth, law.dK] if isinstance(law, TableLaw) else []
    return tables + ([geometry.a, geometry.beta] if isinstance(geometry, TableGeometry) else [])


def _messages(load: CrackLoad, row: Tensor) -> Messages:
    real, whole = torch.float64, torch.int64
    return Messages(
        _array(row),
        _array(load.t_ns.to(whole)),
        _array(load.samples.to(real)),
        _array(load.companion.to(real)),
        _array(load.sample_offset.to(whole)),
        _array(load.continues),
        torch.stack([leaf.to(real) for leaf in load.blocks[:5]], 1).numpy(),
        _array(load.blocks.offset.to(whole)),
    )
