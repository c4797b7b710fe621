"""People and programs that register parts, inspect them and have refused messages judged again.

Each remembers what it was promised: `twin` has to have exactly that afterwards.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from sensors.instant import rfc3339
from sensors.observation import Spectrum
from sensors.payload.encode import EncodedMessage, spectrum_message
from storage.journal.entry import Entry
from tests.end_to_end.clients import AwayError, Door, Sender
from tests.end_to_end.harness import Answer
from tests.end_to_end.traffic import Key, key
from twin.belief.lines import observed

INSPECTIONS = 3  # in a turn of a desk
LIMIT = 0.018  # alarm length of the first registration [m]
LETTERS = 3  # messages to a part that is not there

Post = tuple[str, int, float]  # component, event time [ns], crack length [m]


class Wanted(NamedTuple):
    """What tells a registration from the one before."""

    crack_limit: float
    retired: bool


class Registrar:
    """Changes the registration of one part, and makes sure of each change before the next."""

    def __init__(self, door: Door, table: Mapping[str, Any]) -> None:
        self.name: str = table["name"]
        self.revisions: list[Wanted] = []  # in their order
        self.path = f"/api/v1/components/{self.name}"
        self._door = door
        self._rest = {k: v for k, v in table.items() if k not in ("name", "crack_limit")}

    def put(self, crack_limit: float) -> None:
        """Register the part, change it, or bring it back."""
        body = {**self._rest, "crack_limit": crack_limit}
        self._settle(Wanted(crack_limit, retired=False), "PUT", body)

    def retire(self) -> None:
        """Retire the part."""
        self._settle(Wanted(self.revisions[-1].crack_limit, retired=True), "DELETE", None)

    def _settle(self, wanted: Wanted, method: str, body: object) -> None:
        """Ask for a change until it is seen; one that was promised may not be gone."""
        before = len(self.revisions)
        promised = False
        while True:
            revision, seen = self._seen()
            if (revision, seen) == (before + 1, wanted):
                self.revisions.append(wanted)
                return
            expected = self.revisions[-1] if before else None
            assert (revision, seen) == (before, expected), (
                f"{self.name} has revision {revision}, {seen}: {before}, {expected} was promised"
            )
            assert not promised, f"revision {before + 1} of {self.name} was promised and is gone"
            headers = {"If-Match": f'"{before}"'} if before else {}
            try:
                said = self._door.ask(method, self.path, body, headers)
            except AwayError:
                continue
            promised = said.status in (200, 201, 204)
            # else an earlier try came through after all
            assert promised or said.status in (409, 412, 428), f"{method} {self.name}: {said}"

    def _seen(self) -> tuple[int, Wanted | None]:
        said = self._door.insist("GET", self.path)
        if said.status == 404:
            return 0, None
        assert said.status == 200, f"GET {self.path}: {said}"
        page = said.json()
        limit = page["registration"]["crack"]["crack_limit"]
        return page["revision"], Wanted(limit, page["retired"])


class Desk:
    """Registers a part, inspects it under keys, changes it, retires it and brings it back."""

    def __init__(
        self, door: Door, table: Mapping[str, Any], now_ns: Callable[[], int], seed: int
    ) -> None:
        self.registrar = Registrar(door, table)
        self.posts: dict[Post, str] = {}  # what was promised to be kept, with its key
        self._door, self._now_ns = door, now_ns
        self._random = np.random.default_rng(seed)
        self._last_ns = 0

    def turn(self) -> None:
        """Some of everything."""
        self.registrar.put(LIMIT + 1e-6 * len(self.registrar.revisions))
        for _ in range(INSPECTIONS):
            self._inspect()
        if self._random.random() < 0.5:
            self.registrar.retire()
            said = self._posted(self._post(), "retired")
            assert said.status == 409, f"an inspection of a retired part: {said}"

    def _inspect(self) -> None:
        """An inspection, again under its key now and then, and another under the same."""
        post = self._post()
        idempotency_key = f"inspection {len(self.posts)}"
        said = self._posted(post, idempotency_key)
        assert said.status in (200, 201, 202), f"{post}: {said}"
        self.posts[post] = idempotency_key
        draw = self._random.random()
        if draw < 0.2:
            said = self._posted(post, idempotency_key)
            assert said.status == 200, f"{post} again: {said}"
            assert said.json()["outcome"] == "duplicate", said
        elif draw < 0.4:
            said = self._posted(self._post(), idempotency_key)
            assert said.status == 422, f"another inspection under the key of {post}: {said}"

    def _post(self) -> Post:
        """An inspection that is told from all others by its time."""
        self._last_ns = max(self._last_ns + 1000, self._now_ns())
        length = round(float(self._random.uniform(0.005, 0.012)), 6)
        return self.registrar.name, self._last_ns, length

    def _posted(self, post: Post, idempotency_key: str) -> Answer:
        _, t_ns, length = post
        body = {
            "crack_length": length,
            "crack_length_sd": 1e-4,
            "unit": "m",
            "time": rfc3339(t_ns),
            "method": "eddy-current",
        }
        path = f"{self.registrar.path}/inspections"
        return self._door.insist("POST", path, body, {"Idempotency-Key": idempotency_key})


class Lettered:
    """Sends messages for a part that is not there yet, or no longer, and has them judged again."""

    def __init__(
        self, door: Door, sender: Sender, table: Mapping[str, Any], now_ns: Callable[[], int]
    ) -> None:
        self.registrar = Registrar(door, table)
        self.sent: dict[Key, Entry] = {}  # to be kept: all are judged again
        self.garbage: list[bytes] = []  # payloads of letters that stay
        self.resubmitted = 0
        self._door, self._sender, self._now_ns = door, sender, now_ns
        self._path = f"/api/v1/dead-letters?component={self.registrar.name}&limit=1000"

    def turn(self) -> None:
        """From no part to all letters judged again."""
        if self.registrar.revisions:
            self.registrar.retire()
        messages = [self._load() for _ in range(LETTERS)]
        garbage = b"{" + str(len(self.garbage)).encode()
        self.garbage.append(garbage)
        self._sender.send([*messages, messages[0]._replace(payload=garbage)])
        wanted = {message.payload for message in messages} | {garbage}
        while not wanted <= {base64.b64decode(letter["payload"]) for letter in self._letters()}:
            pass
        self.registrar.put(LIMIT + 1e-6 * len(self.registrar.revisions))
        while waiting := [x["id"] for x in self._letters() if x["reason"] == "component"]:
            for number in waiting:
                said = self._door.insist("POST", f"/api/v1/dead-letters/{number}/resubmit", {})
                assert said.status in (200, 404), f"resubmitting letter {number}: {said}"
                self.resubmitted += said.status == 200

    def _letters(self) -> list[dict[str, Any]]:
        page = self._door.insist("GET", self._path).json()
        found: list[dict[str, Any]] = page["items"]
        return found

    def _load(self) -> EncodedMessage:
        cycles = np.array([(60e6, 50e6, 3.0)])
        load = Spectrum(
            component=self.registrar.name,
            source="daq-1",
            boot=1,
            seq=len(self.sent),
            t_ns=self._now_ns(),
            quantity="stress",
            unit="Pa",
            cycles=cycles.astype("<f8").tobytes(),
        )
        entry = observed(load)
        self.sent[key(entry)] = entry
        return spectrum_message(load)
