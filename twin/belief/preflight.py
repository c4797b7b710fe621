"""Whether a component can be stepped at all, asked before the journal holds its registration."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence

import torch
from pydantic import BaseModel
from torch import Tensor

from models.crack.load import blocks, spectrum_load
from models.crack.state import belief
from models.fatigue.effort import EffortError
from sensors.observation import Spectrum
from twin.belief.cohort import TROUBLE, out_of_memory
from twin.belief.credible import credible
from twin.component import Registration
from twin.kinds.catalogue import KINDS, AnyKind, AnyStepper, groups, kind_of
from twin.kinds.crack import MOST_STRIDES
from twin.kinds.crack_fields import GROUP

STRESSES = (1e6, 1e8, 5e8)  # [Pa] ranges that are tried
TOGETHER = 1024  # registrations that are tried at a time
TRIED = ((1e8, 6e7, 1.0),)  # range, mean [Pa] and count, by which other beliefs are tried
_SPECTRUM = Spectrum(
    component="trial/trial",
    source="trial",
    boot=0,
    seq=0,
    t_ns=1,
    quantity="stress",
    cycles=array("d", TRIED[0]).tobytes(),
)


def trial(registration: Registration) -> None:
    """Raises ValueError for constants that no crack can grow by, or that cannot be meant.

    What is in the journal is folded again at every start, so that a registration that breaks the
    fold would break it for ever.
    """
    for settings in _beside(registration):
        _try(settings)
    own = registration.crack
    kind = kind_of(own)
    kind.check(own)
    steppers = [kind.stepper(own)]
    try:
        grown = float(_grown(kind, steppers)[0])
        if registration.unusual:
            kind.live(steppers)
    except EffortError as exc:
        raise ValueError(
            f"its crack cannot be followed in {MOST_STRIDES} strides, which suffice for every "
            "metal: growth changes too steeply with crack length. Check C, the exponent and "
            "crack_limit"
        ) from exc
    except ArithmeticError as exc:
        raise ValueError(str(exc)) from exc
    if not math.isfinite(grown) or grown < own.crack_length:
        raise ValueError(f"a cycle takes its crack length to {grown:.6g} m")
    credible(registration)


def _beside(registration: Registration) -> Iterator[BaseModel]:
    """What is registered of others than the crack."""
    for group in groups():
        settings = registration.part(group)
        if settings is not None and group != GROUP:
            yield settings


def _try(settings: BaseModel) -> None:
    """Raises ValueError for what is believed beside a crack, and cannot be stepped or recorded."""
    kind = kind_of(settings)
    kind.check(settings)
    try:
        stepper = kind.stepper(settings)
        kind.key(stepper)
        state = kind.beginnings([stepper])
        if Spectrum in kind.takes:
            load = spectrum_load(torch.ones(1, dtype=torch.int64), blocks([[*TRIED]]))
            state = stepper.step(state, kind.load(load, [_SPECTRUM]))
        state, left = kind.lives(stepper, state)
        columns, flags = kind.columns(state, left.numpy()), kind.flags(state)
        lacking = {field.name for field in kind.fields} ^ columns.keys()
        if lacking or {len(column) for column in columns.values()} != {1}:
            raise ValueError(f"its columns are not its fields: {', '.join(sorted(lacking))}")
        if any(flag.shape != (1,) or flag.dtype != torch.bool for flag in flags):
            raise ValueError("its flags are not one bool for each row")
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        raise ValueError(f"{kind.group}: {type(exc).__name__}: {exc}") from exc


def doubtful(registrations: Sequence[Registration]) -> set[int]:
    """The places of those whose `trial` may fail, but for what cannot be meant.

    Those of a layout are tried together, so that many take little longer than one; no sentence is
    made here.
    """
    found = set[int]()
    groups: dict[tuple[str, str, bool], list[tuple[int, AnyStepper]]] = {}
    for i, registration in enumerate(registrations):
        own = registration.crack
        kind = kind_of(own)
        try:
            for settings in _beside(registration):
                _try(settings)
            kind.check_sizes(own)
            stepper = kind.stepper(own)
            key = kind.name, kind.key(stepper), registration.unusual
            groups.setdefault(key, []).append((i, stepper))
        except TROUBLE:
            found.add(i)
    for (name, _, is_unusual), group in groups.items():
        for first in range(0, len(group), TOGETHER):
            some = group[first : first + TOGETHER]
            known = [registrations[i].crack for i, _ in some]
            pairs = [[r.crack_length, r.crack_limit] for r in known]
            ends = torch.tensor(pairs, dtype=torch.float64)
            steppers = [stepper for _, stepper in some]
            bad = _failing(KINDS[name], steppers, ends, is_unusual=is_unusual)
            found |= {some[place][0] for place in bad}
    return found


def _failing(
    kind: AnyKind, steppers: Sequence[AnyStepper], ends: Tensor, *, is_unusual: bool
) -> Iterator[int]:
    """The places of those that fail, or that the trial of all of them was broken by.

    `ends` (n, 2) are their `crack_length` and `crack_limit` [m].
    """
    try:
        grown = _grown(kind, steppers)
        good = kind.sound(steppers, ends) & torch.isfinite(grown) & (grown >= ends[:, 0])
        if is_unusual:
            kind.live(steppers)
        yield from torch.nonzero(~good).flatten().tolist()
    except TROUBLE as exc:
        if out_of_memory(exc):
            raise
        if len(steppers) == 1:
            yield 0
            return
        half = len(steppers) // 2
        yield from _failing(kind, steppers[:half], ends[:half], is_unusual=is_unusual)
        rest = _failing(kind, steppers[half:], ends[half:], is_unusual=is_unusual)
        yield from (half + place for place in rest)


def _grown(kind: AnyKind, steppers: Sequence[AnyStepper]) -> Tensor:
    """The lengths (n,) [m] after one cycle of each of `STRESSES`."""
    rows = [[[stress, 0.6 * stress, 1.0] for stress in STRESSES]] * len(steppers)
    load = spectrum_load(torch.ones(len(rows), dtype=torch.int64), blocks(rows))
    return belief(steppers[0].step(kind.beginnings(steppers), load)).crack_length
