"""The images of a component: what is known of them, and their bytes."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query, Response

from sensors.instant import rfc3339
from sensors.observation import Snapshot, observation
from storage.entry import Entry
from storage.journal import Journal
from twin.api.answers import json_answer
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import documented
from twin.api.schema import Images
from twin.lines import OBSERVATION

KEPT = 1000  # images of a component that are listed, the newest
SLICE = 5000  # lines of the journal that are looked through in one go: it has one thread
SLICES = 20  # in one request
_TAG = b"snapshot"
_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_SHA = "[0-9a-f]{64}"
_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class Album:
    """The snapshots in the journal, found by looking through it once, a slice at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._offset = 0
        self._found: dict[str, deque[Snapshot]] = {}

    def look(self) -> bool:
        """Look through the next slice, in the journal's thread; whether that was all."""
        self._offset = max(self._offset, self._journal.start)
        stop = self._offset + SLICE
        for first, entries in self._journal.read(self._offset, stop):
            for entry in entries:
                if entry.kind == OBSERVATION and _TAG in entry.body[:16]:
                    self._add(entry)
            self._offset = first + len(entries)
        return self._offset >= self._journal.end

    def _add(self, entry: Entry) -> None:
        what = observation(entry.body)
        if isinstance(what, Snapshot):
            self._found.setdefault(what.component, deque(maxlen=KEPT)).append(what)

    def of(self, component: str) -> list[Snapshot]:
        """The newest snapshots of a component, newest first."""
        return list(reversed(self._found.get(component, ())))


def add_images(app: FastAPI, context: Context) -> None:
    """The routes for images."""
    service = context.service
    album = Album(service.store.journal)

    @app.get(
        f"{PATH}/images",
        tags=["images"],
        responses={
            200: {"model": Images},
            **documented("unknown-component", "invalid", "damaged"),
        },
    )
    async def list_images(
        site: Site, component: Name, limit: Annotated[int, Query(ge=1, le=KEPT)] = 100
    ) -> Response:
        """The newest images of a component; ask again while `complete` is false."""
        found, complete = context.component(site, component), False
        for _ in range(SLICES):
            complete = await service.journal(album.look)
            if complete:
                break
        items = [_image(snapshot) for snapshot in album.of(found.name)[:limit]]
        return json_answer({"items": items, "complete": complete})

    @app.get(
        f"{PATH}/images/{{sha256}}",
        tags=["images"],
        responses={
            200: {"content": {"image/*": {"schema": {"type": "string"}}}},
            304: {"description": "It is what it was."},
            **documented("unknown-component", "missing", "invalid", "overloaded", "damaged"),
        },
    )
    async def get_image(
        site: Site,
        component: Name,
        sha256: Annotated[str, Path(pattern=f"^{_SHA}$")],
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The original file."""
        context.component(site, component)
        headers = {**_HEADERS, "ETag": f'"{sha256}"'}
        data = await context.reads.ask(service.store.images.get, sha256)
        if if_none_match is not None and f'"{sha256}"' in if_none_match:
            return Response(None, 304, headers)
        return Response(data, 200, headers, media_type=_media_type(data))


def _media_type(data: bytes) -> str:
    kinds = (kind for magic, kind in _MAGIC.items() if data.startswith(magic))
    return next(kinds, "image/tiff")


def _image(s: Snapshot) -> dict[str, Any]:
    return {
        "sha256": s.sha256,
        "kind": s.kind,
        "media_type": s.media_type,
        "width": s.width,
        "height": s.height,
        "pixel_size": s.pixel_size,
        "time": rfc3339(s.t_ns),
        "source": s.source,
        "boot": s.boot,
        "seq": s.seq,
        "read": None,
    }
