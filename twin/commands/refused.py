"""Which refused messages are of a shipment: told by component, source, boot and number.

The counters of a twin count what everybody sends; its dead letters hold what was sent.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sensors.errors import MalformedError
from twin.commands.client import ask
from twin.commands.shipment import MessageStream, Shipment
from twin.errors import TwinError

PAGE = 100  # letters that are asked for at a time
MOST = 20_000  # that are looked through: what others send may be more than anybody can read

_key = re.compile(rb'\{"source":"([^"]+)","boot":(\d+),"seq":(\d+),').match


@dataclass
class Refused:
    """The dead letters of a shipment, read on as more come."""

    url: str
    token: str | None
    after: int = 0  # the newest letter that was looked at
    looked: int = 0
    reasons: dict[tuple[MessageStream, int], str] = field(default_factory=dict)  # of each message
    is_whole: bool = True  # False: there are more than can be looked through, or none may be read

    @classmethod
    def from_now(cls, url: str, token: str | None) -> Refused:
        """Those that are refused from now on."""
        found = cls(url, token)
        try:
            newest = found._page("limit=1")["items"]
        except (KeyError, TwinError):
            found.is_whole = False
            return found
        found.after = newest[0]["id"] if newest else 0
        return found

    def read(self, shipment: Shipment) -> Counter[str]:
        """The messages of a shipment that were refused so far, by reason."""
        while self.is_whole:
            page = self._page(f"order=asc&limit={PAGE}&after={self.after}")
            for letter in page["items"]:
                self._judge(letter, shipment)
            self.looked += len(page["items"])
            self.is_whole = self.looked <= MOST
            if page["next"] is None:
                break
            self.after = max(self.after, page["next"])
        return Counter(self.reasons.values())

    def _page(self, query: str) -> dict[str, Any]:
        page: dict[str, Any] = ask(self.url, f"/api/v1/dead-letters?{query}", self.token)
        return page

    def _judge(self, letter: dict[str, Any], shipment: Shipment) -> None:
        self.after = max(self.after, letter["id"])
        try:
            component = shipment.topics.parsed(letter["topic"])[0]
        except MalformedError:
            return
        match = _key(base64.b64decode(letter["payload"]))
        if match is None:
            return
        stream = MessageStream(component, match[1].decode("utf-8", "replace"), int(match[2]))
        if int(match[3]) in shipment.numbers(stream):
            self.reasons[stream, int(match[3])] = letter["reason"]
