"""The images of a component: what is known of them, and their bytes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query, Response

from sensors.instant import rfc3339
from sensors.observation import ImageFinding
from twin.api.context import PATH, Context, Name, Site
from twin.api.image_index import KEPT, ImageIndex, Picture
from twin.api.problems import ProblemError, documented
from twin.api.responses import json_answer
from twin.api.schema import Images
from twin.ingest.image_findings import path_of

SLICES = 20  # of the journal that are looked through in one request
_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_SHA = "[0-9a-f]{64}"
_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def add_images(app: FastAPI, context: Context) -> None:
    """The routes for images."""
    album, looking = ImageIndex(context.journal), asyncio.Lock()

    async def look() -> bool:
        """Look through what is new in the journal; whether that was all."""
        for _ in range(SLICES):
            async with looking:
                if await context.reads.ask(album.look):
                    return True
        return False

    @app.get(
        f"{PATH}/images",
        tags=["images"],
        responses={
            200: {"model": Images},
            **documented("unknown-component", "invalid", "damaged", "overloaded"),
        },
    )
    async def list_images(
        site: Site, component: Name, limit: Annotated[int, Query(ge=1, le=KEPT)] = 100
    ) -> Response:
        """The newest images of a component; ask again while `complete` is false."""
        found = context.component(site, component)
        complete = await look()
        known = album.of(found.name)
        items = [_image(picture) for picture in known[:limit]]
        return json_answer({"items": items, "total": len(known), "complete": complete})

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
        """The original file of an image of this component."""
        name = context.component(site, component).name
        if not album.has(name, sha256):
            complete = await look()
            if not album.has(name, sha256):
                raise _absent(name, sha256, complete=complete)
        headers = {**_HEADERS, "ETag": f'"{sha256}"'}
        data = await context.reads.ask(context.images.get, sha256)
        if if_none_match is not None and f'"{sha256}"' in if_none_match:
            return Response(None, 304, headers)
        return Response(data, 200, headers, media_type=_media_type(data))


def _absent(name: str, sha256: str, *, complete: bool) -> ProblemError:
    if complete:
        return ProblemError("missing", f"{name} has no image {sha256}")
    return ProblemError(
        "overloaded", f"the images of {name} are still being looked for in the journal: ask again"
    )


def _media_type(data: bytes) -> str:
    kinds = (kind for magic, kind in _MAGIC.items() if data.startswith(magic))
    return next(kinds, "image/tiff")


def _image(picture: Picture) -> dict[str, Any]:
    s = picture.snapshot
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
        "read": None if picture.readout is None else _read(picture.readout, s.pixel_size),
    }


def _read(r: ImageFinding, pixel_size: float) -> dict[str, Any]:
    """What was read from an image; lengths only where they are to be trusted."""
    trusted = r.outcome in ("measured", "unused")
    return {
        "outcome": r.outcome,
        "trusted": trusted,
        "why": r.why or None,
        "length": r.length * pixel_size if trusted else None,
        "length_sd": r.length_sd * pixel_size if trusted else None,
        "tips": _tips(r) if trusted else [],
        "path": path_of(r).tolist(),
        "reader": r.reader,
    }


def _tips(r: ImageFinding) -> list[dict[str, float]]:
    """The ends of the crack that the picture shows, the tip before the mouth."""
    path = path_of(r).tolist()
    ends = [] if not path else [(path[-1], r.tip_cut), (path[0], r.mouth_cut)]
    return [{"x": x, "y": y, "sd": r.tip_sd} for (x, y), is_cut in ends if not is_cut]
