"""Whether the broker kept our session, and if not, why: what it held for us is gone with it.

Beside the journal lies a mark: at which broker and under which name there was a session, until
when, and how long the broker had to keep it. A broker that has none although it should, or one
without our subscriptions, has lost what it acknowledged to sensors while we were away; the numbers
that sensors give their messages tell how much, but only once the next ones come.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from sensors.mqtt.settings import MqttSettings
from storage.durable import disk, write_whole
from storage.errors import UnavailableError

FILE = "session.json"  # beside the journal
MARKED_S = 30.0  # between two marks while a connection stands
VERDICT_S = 40.0  # mosquitto says how long it has been up every 10 s, with our configuration 30 s
ROUNDED_NS = 2 * 10**9  # the difference of two times that it counts in whole seconds
TOLD_S = 3600.0  # how long `trouble` tells

Why = Literal["lost", "fresh", "expired"]
WHYS: Final[tuple[Why, ...]] = get_args(Why)


class Mark(msgspec.Struct, frozen=True):
    """A session that a broker had for us."""

    address: str
    client_id: str
    username: str | None
    expiry_s: int  # how long the broker keeps it
    seen_ns: int  # when it was there last, by this host's clock
    is_signed: bool  # whether a subscription was in it that shows whether it is new


class Gone(NamedTuple):
    """That a session was not kept.

    `why` is `lost` where nothing says otherwise, `fresh` where the broker was started since,
    `expired` where we were away for longer than it had to keep it.
    """

    why: Why
    sentence: str
    away_s: float


class BrokerSession:
    """Holds what the broker says of our session against the mark of the last one."""

    def __init__(
        self,
        settings: MqttSettings,
        directory: Path,
        tell: Callable[[Gone], None],
        *,
        now_ns: Callable[[], int] = time.time_ns,
        verdict_s: float = VERDICT_S,
    ) -> None:
        self._settings, self._path, self._tell = settings, directory / FILE, tell
        self._now_ns, self._verdict_s = now_ns, verdict_s
        self._mark = self._known()
        self._expiry_s = settings.session_expiry_s
        self._is_connected = False
        self._is_ours = False  # whether our subscriptions should be in the session that is there
        self._missed: Mark | None = None  # a session that is missing, until we know why
        self._told: tuple[float, str] = (-math.inf, "")
        self._news = asyncio.Event()
        self._saving = threading.Lock()

    @property
    def trouble(self) -> str | None:
        """That a session was lost, for an hour."""
        since, sentence = self._told
        return sentence if time.monotonic() - since < TOLD_S else None

    def connected(self, *, is_kept: bool, expiry_s: int) -> None:
        """Look whether there is what should be there."""
        self._is_connected, self._expiry_s = True, expiry_s
        self._is_ours = is_kept and self._mark is not None and self._mark.is_signed
        if is_kept or self._mark is None or self._missed is not None:
            return
        away_s = self._away_s(self._mark)
        if away_s >= self._mark.expiry_s:
            self._gone(
                "expired",
                f"it was kept for {self._mark.expiry_s} s (mqtt.session_expiry_s), and this "
                f"service was away for {away_s:.0f} s",
                away_s,
            )
            self._mark = None
            return
        self._missed = self._mark
        self._news.set()

    def subscribed(self, *, is_signed: bool) -> None:
        """From now on there is a session to be kept."""
        s = self._settings
        mark = Mark(s.address, s.client_id, s.username, self._expiry_s, self._now_ns(), is_signed)
        self._mark = mark if self._expiry_s else None
        self._news.set()

    def signed(self, up_s: float, *, is_new: bool) -> None:
        """Judge by what the broker says of itself."""
        if is_new:
            if self._is_ours:
                self._is_ours = False  # told once
                self._gone("lost", f"it is there without our subscriptions: {_SOMEBODY}")
            return  # what is retained says how long it was up at some time before
        if self._missed is None:
            return
        missed, began_ns = self._missed, self._now_ns() - round(up_s * 1e9)
        if began_ns + ROUNDED_NS > missed.seen_ns:
            self._decided("fresh", f"the broker was started {up_s:.0f} s ago and has none: {_ANEW}")
        else:
            self._decided(
                "lost", f"it is not there, and the broker was up all the time: {_SOMEBODY}"
            )

    def ended(self) -> None:
        """Note until when the session was there."""
        self._is_connected = False
        self._seen()
        self._news.set()

    async def run(self) -> None:
        """Keep the mark, and wait no longer than so long for what the broker says of itself."""
        while True:
            wait_s = MARKED_S if self._missed is None else self._verdict_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                if self._missed is not None:
                    self._decided(
                        "lost",
                        "it is not there, and the broker does not say since when it runs: it was "
                        f"started anew, or {_SOMEBODY}",
                    )
                elif self._is_connected:
                    self._seen()
            self._news.clear()
            await asyncio.to_thread(self.save)

    def save(self) -> None:
        """Write the mark; a disk that does not obey is passed by: others say so."""
        if self._missed is not None:
            return  # should we end before it was told, the next start tells it
        with self._saving, suppress(UnavailableError, OSError), disk():
            if (mark := self._mark) is not None:
                write_whole(self._path, msgspec.json.encode(mark))
            else:
                self._path.unlink(missing_ok=True)

    def _known(self) -> Mark | None:
        """The session that should be there: that of the last time, if it is the same."""
        try:
            mark = msgspec.json.decode(self._path.read_bytes(), type=Mark)
        except (OSError, msgspec.DecodeError):
            return None
        s = self._settings
        is_same = (mark.address, mark.client_id, mark.username) == (
            s.address,
            s.client_id,
            s.username,
        )
        return mark if is_same else None

    def _seen(self) -> None:
        if self._mark is not None:
            self._mark = msgspec.structs.replace(self._mark, seen_ns=self._now_ns())

    def _away_s(self, mark: Mark) -> float:
        return max(0.0, (self._now_ns() - mark.seen_ns) / 1e9)

    def _decided(self, why: Why, what: str) -> None:
        missed, self._missed = self._missed, None
        self._gone(why, what, self._away_s(missed) if missed else 0.0)
        self._news.set()

    def _gone(self, why: Why, what: str, away_s: float = 0.0) -> None:
        s = self._settings
        sentence = (
            f"{s.address}: the session {s.client_id!r} was not kept: {what}. What the broker held "
            "for us is gone; gaps in the sensors' numbers will tell how much"
        )
        if why != "expired":
            self._told = time.monotonic(), sentence
        self._tell(Gone(why, sentence, away_s))


_SOMEBODY = (
    "another client has connected under our client id and begun it anew (bind client ids to users: "
    "use_username_as_clientid in deploy/mosquitto.conf)"
)
_ANEW = "it is another one, or does not write its state to disk (persistence_location)"
