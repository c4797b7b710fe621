"""A camera that sends pictures of cracks and of metal, some of them twice."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from sensors.observation import Snapshot
from sensors.payload.encode import image_message
from storage.journal.entry import Entry
from tests.end_to_end.clients import Sender
from tests.end_to_end.traffic import Key, key
from twin.belief.lines import observed

WIDTH, HEIGHT = 96, 64  # [pixel]


class Camera:
    """Each picture is of its own, but every fourth, which is the one before under another key."""

    def __init__(
        self, sender: Sender, component: str, now_ns: Callable[[], int], seed: int
    ) -> None:
        self.component = component
        self.sent: dict[Key, Entry] = {}
        self.cracks: set[Key] = set()  # that are to be read
        self.pictures: dict[str, bytes] = {}  # by their SHA-256
        self._sender, self._now_ns = sender, now_ns
        self._random = np.random.default_rng(seed)
        self._last = b""

    def turn(self) -> None:
        """Send a picture, sometimes twice."""
        seq = len(self.sent)
        if seq % 4 != 3:
            self._last = self._picture()
        sha256 = hashlib.sha256(self._last).hexdigest()
        snapshot = Snapshot(
            component=self.component,
            source="camera-1",
            boot=1,
            seq=seq,
            t_ns=self._now_ns(),
            sha256=sha256,
            kind="microstructure" if seq % 3 == 2 else "crack",
            media_type="image/png",
            width=WIDTH,
            height=HEIGHT,
            pixel_size=1e-4,
        )
        self.pictures[sha256] = self._last
        entry = observed(snapshot)
        self.sent[key(entry)] = entry
        if snapshot.kind == "crack":
            self.cracks.add(key(entry))
        message = image_message(snapshot, self._last)
        self._sender.send([message] * (1 + (self._random.random() < 0.3)))

    def _picture(self) -> bytes:
        """A grey surface with a dark line from the left."""
        grey = self._random.normal(190.0, 6.0, (HEIGHT, WIDTH)).clip(0, 255)
        row, length = (
            int(self._random.integers(10, HEIGHT - 10)),
            int(self._random.integers(20, 80)),
        )
        grey[row : row + 2, :length] = 30.0
        out = io.BytesIO()
        Image.fromarray(grey.astype(np.uint8)).save(out, "PNG")
        return out.getvalue()
