"""Recorded and simulated messages, published at their pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, cast, get_args

from rich.console import Console

from sensors.errors import MalformedError
from sensors.replay.reader import Kind, Replay, ReplayOptions, opened
from sensors.simulation.plant import Plant, PlantSettings, fleet
from sensors.timed import Renewal, Timed
from twin.commands.playing import Destination, played
from twin.commands.received import (
    PATIENCE_S,
    Look,
    TwinClient,
    arrived,
    astray,
    look,
    notes,
    verdict,
)
from twin.commands.shipment import Shipment
from twin.errors import SettingsError, TwinError

RENEW_AFTER_S = 60.0  # of watching a worn-out part, until a fresh one takes its place
LAST_WORDS_S = 2.0  # until a worn-out part is retired: what is late of it may arrive


async def replayed(
    stage: Destination,
    file: Path,
    options: ReplayOptions,
    *,
    kind: str | None = None,
    speed: float = 0.0,
    limit_s: float | None = None,
) -> dict[str, Any]:
    """Publish a recorded file; a report of what was sent, and of what the twin made of it.

    The file is read whole before anything is sent, so that a fault in it is told before.
    Raises MalformedError (reason `file`), BrokerError, ConnectionError.
    """
    if kind is not None and kind not in get_args(Kind):
        raise SettingsError(f"kind {kind!r} is not one of {', '.join(get_args(Kind))}")
    reopened = partial(opened, file, replace(options, topics=stage.topics), cast(Kind, kind))
    shipment, begun = Shipment(stage.topics), _version(file)
    recording = await asyncio.to_thread(_surveyed, reopened, shipment, limit_s)
    if _version(file) != begun:
        raise SettingsError(f"{file}: {_CHANGED}")
    registered = await asyncio.to_thread(stage.register, recording.fleet)
    before = None if stage.window is None else await _asked(stage.window, shipment, stage)
    sent = await played(stage, _limited(reopened().messages, limit_s), speed=speed)
    told = [f"{file}: {_CHANGED}: not all that was sent may be as it was counted"]
    told = told if _version(file) != begun else []
    if options.gauge is None and len(recording.gauges) > 1:
        first, *others = recording.gauges
        told.append(f"{first} was sent; --gauge sends another one: {', '.join(others)}")
    report = {
        "file": str(file),
        "kind": recording.kind,
        "rate_hz": recording.rate_hz,
        "registered": registered,
        **sent,
    }
    if stage.window is None:
        return report | ({"notes": told} if told else {})
    if before is None:
        return report | {"accepted": None, "notes": [*told, _unknown(stage.window)]}
    found = await asyncio.to_thread(verdict, stage.window, shipment, before)
    said = notes(shipment, found, stage.window, stage.mqtt.address)
    return report | found.report() | {"notes": told + said}


_CHANGED = "it changed while it was read; wait until nobody writes it, or take a copy"


def _version(file: Path) -> tuple[int, ...]:
    """What tells that a file has changed."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _surveyed(reopened: Callable[[], Replay], shipment: Shipment, limit_s: float | None) -> Replay:
    """The recording, with all of it counted; raises MalformedError where it cannot be read."""
    recording = reopened()
    try:
        for _ in shipment.counted(_limited(recording.messages, limit_s)):
            pass
    except MalformedError as exc:
        if exc.reason == "file":
            raise
        where = f"message {shipment.messages}, with {shipment.loads} loads before it"
        raise MalformedError(exc.reason, f"{where}, would be refused: {exc}") from exc
    if not shipment.messages:
        raise SettingsError("the file holds nothing that could be sent: no row under its head")
    return recording


async def _asked(window: TwinClient, shipment: Shipment, stage: Destination) -> Look | None:
    """How things stand before; None if no twin answers, and none had to."""
    try:
        return await asyncio.to_thread(look, window, shipment)
    except (ConnectionError, TwinError):
        if stage.registers:
            raise
        return None


def _unknown(window: TwinClient) -> str:
    return (
        f"{window.url} does not answer: what a twin made of it is not known (--url says where one "
        "answers, --no-ask that none is to be asked)"
    )


async def simulated(
    stage: Destination, *, parts: int, seed: int, speed: float, duration_s: float | None
) -> dict[str, Any]:
    """Publish a simulated plant from now on; a report of what was sent.

    Worn-out parts are replaced by fresh ones, unless none may be registered.
    """
    boot, registers = int(time.time()), stage.url is not None and stage.registers
    past = await asyncio.to_thread(stage.past) if registers else 0
    chosen = PlantSettings(
        parts=parts,
        seed=seed,
        speed=speed,
        boot=boot,
        root=stage.topics.root,
        renew_after_s=RENEW_AFTER_S if registers else None,
        generation=past,
    )
    registered = await asyncio.to_thread(stage.register, fleet(chosen))
    plant, renewals = Plant(chosen), asyncio.Queue[Renewal]()
    beside = [
        asyncio.create_task(_watched(stage, plant.names, boot)),
        asyncio.create_task(_renewing(stage, renewals)),
    ]
    messages = plant.messages(time.time_ns(), renewals.put_nowait)
    try:
        sent = await played(stage, messages, speed=speed, duration_s=duration_s)
    finally:
        for task in beside:
            task.cancel()
    report = {"parts": parts, "registered": registered, **sent}
    if stage.window is None:
        return report
    try:
        accepted = await asyncio.to_thread(arrived, stage.window, plant.names, boot)
    except (ConnectionError, TwinError):
        return report | {"accepted": None, "notes": [_unknown(stage.window)]}
    said = [] if accepted else [astray(stage.window, stage.mqtt.address)]
    return report | {"accepted": accepted, "notes": said}


async def _renewing(stage: Destination, renewals: asyncio.Queue[Renewal]) -> None:
    """Register what takes the place of what is worn out, and retire that a little later."""
    async with asyncio.TaskGroup() as tasks:
        async for batch in batches(renewals):
            fresh = [renewal.fresh for renewal in batch]
            await _tried(batch, stage.register, fresh)
            tasks.create_task(_retiring(stage, batch), name="retire")


async def _retiring(stage: Destination, batch: Sequence[Renewal]) -> None:
    await asyncio.sleep(LAST_WORDS_S)
    await _tried(batch, stage.retire, [renewal.old for renewal in batch])


async def _tried(batch: Sequence[Renewal], do: Callable[..., object], what: object) -> None:
    try:
        await asyncio.to_thread(do, what)
    except (ConnectionError, TwinError) as exc:
        _warn(f"{batch[0].fresh['name']} could not take the place of {batch[0].old}: {exc}")


async def batches(renewals: asyncio.Queue[Renewal]) -> AsyncIterator[list[Renewal]]:
    """What waits in the queue, together, for ever."""
    while True:
        batch = [await renewals.get()]
        while not renewals.empty():
            batch.append(renewals.get_nowait())
        yield batch


async def _watched(stage: Destination, names: Sequence[str], boot: int) -> None:
    """Say so on standard error if nothing of what is published reaches the twin."""
    await asyncio.sleep(PATIENCE_S)
    if stage.window is None:
        return
    try:
        count = await asyncio.to_thread(arrived, stage.window, names, boot)
    except (ConnectionError, TwinError) as exc:
        said = str(exc)
    else:
        said = "" if count else astray(stage.window, stage.mqtt.address)
    if said:
        _warn(said)


def _warn(sentence: str) -> None:
    Console(stderr=True).print(f"twin: {sentence}", style="yellow", markup=False, soft_wrap=True)


def _limited(messages: Iterable[Timed], limit_s: float | None) -> Iterator[Timed]:
    iterator = iter(messages)
    if limit_s is None:
        yield from iterator
        return
    for first in islice(iterator, 1):
        yield first
        end_ns = first.t_ns + limit_s * 1e9
        yield from takewhile(partial(_is_before, end_ns), iterator)


def _is_before(end_ns: float, timed: Timed) -> bool:
    return timed.t_ns <= end_ns
