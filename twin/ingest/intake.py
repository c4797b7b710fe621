"""From the broker to the committer: judged batch by batch, held while our own clock is in doubt."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

import structlog

from sensors.mqtt.packets import Message
from sensors.mqtt.source import MqttSource
from twin.disk_writing import DiskWriter
from twin.ingest.committer import Batch, Committer
from twin.ingest.inbox import Inbox
from twin.ingest.own_clock import HeldError
from twin.threads import Threads

HOLD_S = 1.0  # how often this host's clock is looked at again while it is in doubt

log = structlog.get_logger()


class Intake:
    """Owns what was read and is not given to the committer yet."""

    def __init__(
        self, inbox: Inbox, committer: Committer, storing: DiskWriter, threads: Threads
    ) -> None:
        self.clock_trouble: str | None = None  # why this host's clock is not believed
        self._inbox, self._committer = inbox, committer
        self._storing, self._threads = storing, threads

    async def run(self, source: MqttSource) -> None:
        """Judge what comes, batch by batch; all of it waits while our own clock is in doubt."""
        held: deque[tuple[list[Message], Batch | None]] = deque()
        batches = aiter(source.batches())
        coming = asyncio.ensure_future(anext(batches, None))
        try:
            while True:
                await asyncio.wait({coming}, timeout=HOLD_S if held else None)
                if coming.done():
                    messages = coming.result()
                    if messages is None:
                        return
                    coming = asyncio.ensure_future(anext(batches, None))
                    # behind others it may say that our clock is right; it is judged once for all
                    judged = await self._judged(source, messages) if held else None
                    held.append((messages, judged))
                await self._given(source, held)
        finally:
            coming.cancel()

    async def _given(
        self, source: MqttSource, held: deque[tuple[list[Message], Batch | None]]
    ) -> None:
        """Give to the committer what is held, as far as our own clock is believed."""
        while held:
            messages, batch = held[0]
            batch = batch or await self._judged(source, messages)
            if batch is None:
                return
            held.popleft()
            if batch.images:
                store = partial(self._threads.judge, self._inbox.stored, batch)
                batch = await self._storing.insist(store, len(batch.images))
            await self._committer.send(batch)

    async def _judged(self, source: MqttSource, messages: list[Message]) -> Batch | None:
        """The batch of some messages, or None while our own clock is in doubt."""
        judge = partial(
            self._inbox.parcel, messages, lambda: source.acknowledge(messages), may_hold=True
        )
        try:
            is_heavy = self._inbox.is_heavy(messages)
            batch = await self._threads.judge(judge) if is_heavy else judge()
        except HeldError as exc:
            if self.clock_trouble is None:
                log.error("own_clock_behind", reason=str(exc))
            self.clock_trouble = str(exc)
            return None
        if self.clock_trouble is not None:
            log.info("own_clock_believed")
        self.clock_trouble = None
        return batch
