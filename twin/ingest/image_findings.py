"""From what a picture shows to what is known of the component: the seam to `crack_image.reader`.

A crack that was read with trust becomes an inspection of the component, with the image's time.
Where the picture cannot tell the length that the component is described by, or where what it tells
cannot be, the inspection says why, and is not believed for itself: a picture is easily taken of a
part of a crack only. The fold lets it wait where it contradicts what is believed.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.crack_image.reader import Measurement
from sensors.limits import KEY_END
from sensors.observation import ImageFinding, Inspection, Snapshot
from twin.component import Component
from twin.reserved import IMAGE

SOURCE = IMAGE  # of what is derived from images
METHOD = "image"
POINTS = 256  # of a path that is kept
APART = 3.0  # standard deviations that a crack may seem to have shrunk by

_BY_BOTH_TIPS = {"centre_crack": 0.5, "surface_crack": 0.5}
_BY_ONE_TIP = ("edge_crack", "plate")
_AT_LEAST = {"tabulated": 0.5}  # of what is seen, wherever its lengths are measured from
_NOT_SEEN = {
    "compact_tension": "a compact specimen's crack is measured from the load line",
    "tabulated": "a table of factors does not say from where its lengths are measured",
}


class Measured(NamedTuple):
    """What was measured of a component last."""

    crack_length: float  # [m]; zero if nothing was
    crack_length_sd: float  # [m]
    t_ns: int


NEVER_MEASURED = Measured(0.0, 0.0, 0)


def boot_of(snapshot: Snapshot) -> int:
    """A number that stands for the image: what is derived from it is a stream of its own.

    So the journal refuses it a second time, and no sequence numbers are missing between images.
    """
    key = f"{snapshot.source}\0{snapshot.boot}\0{snapshot.seq}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % KEY_END


def derived(
    snapshot: Snapshot, reading: Measurement, reader: str, component: Component, last: Measured
) -> tuple[ImageFinding, Inspection | None]:
    """What is kept of a reading, and the inspection that it makes, if any."""
    inspection, why, is_unused = None, reading.why, False
    if reading.outcome == "measured" and component.retired:
        why, is_unused = "the component is retired", True
    elif reading.outcome == "measured":
        partial = _partial(snapshot, reading, component)
        why = partial or _impossible(snapshot, reading, component, last)
        inspection, is_unused = _inspection(snapshot, reading, component), bool(why)
        inspection = msgspec.structs.replace(inspection, at_least=bool(partial), why=why)
    readout = ImageFinding(
        **_key(snapshot, 0),
        **_image(snapshot),
        reader=reader,
        outcome="unused" if is_unused else reading.outcome,
        why=why,
        length=reading.length,
        length_sd=reading.length_sd,
        tip_sd=reading.tip_sd,
        path=_thinned(reading.path).astype("<f4").tobytes(),
        mouth_cut=reading.at_border[0],
        tip_cut=reading.at_border[1],
    )
    return readout, inspection


def failed(snapshot: Snapshot, reader: str, why: str) -> ImageFinding:
    """What is kept of an image that could not be read."""
    return ImageFinding(
        **_key(snapshot, 0), **_image(snapshot), reader=reader, outcome="failed", why=why
    )


def path_of(readout: ImageFinding) -> NDArray[np.float32]:
    """The path (n, 2) x, y [pixel] from mouth to tip."""
    return np.frombuffer(readout.path, "<f4").reshape(-1, 2)


def _key(snapshot: Snapshot, seq: int) -> dict[str, Any]:
    return {
        "component": snapshot.component,
        "source": SOURCE,
        "boot": boot_of(snapshot),
        "seq": seq,
        "t_ns": snapshot.t_ns,
    }


def _image(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "image_source": snapshot.source,
        "image_boot": snapshot.boot,
        "image_seq": snapshot.seq,
    }


def _inspection(snapshot: Snapshot, reading: Measurement, component: Component) -> Inspection:
    scale = _scale(component) * snapshot.pixel_size
    return Inspection(
        **_key(snapshot, 1),
        crack_length=reading.length * scale,
        crack_length_sd=reading.length_sd * scale,
        method=METHOD,
        origin=snapshot.source,
        sha256=snapshot.sha256,
    )


def _scale(component: Component) -> float:
    """The length that describes the component, over the length that is seen."""
    geometry = component.registration.crack.geometry
    scale = (_BY_BOTH_TIPS | _AT_LEAST).get(geometry.kind, 1.0)
    return scale * geometry.aspect if geometry.kind == "surface_crack" else scale


def _partial(snapshot: Snapshot, reading: Measurement, component: Component) -> str:
    """Why what is seen plainly is a part at most of what the component is described by, if so."""
    kind = component.registration.crack.geometry.kind
    if reading.tips == 0:
        seen = reading.length * snapshot.pixel_size
        return f"it leaves the picture on both sides: it is longer than the {seen:.4g} m seen"
    if kind in _BY_BOTH_TIPS and reading.tips == 1:
        return f"it leaves the picture on one side: a {kind} is measured between both tips"
    if kind in _BY_ONE_TIP and reading.tips == 2:
        return (
            f"both of its ends lie inside the picture: a crack of the geometry {kind} comes in at"
            " the border that is its mouth, and this may be another one"
        )
    return _NOT_SEEN.get(kind, "")


def _impossible(
    snapshot: Snapshot, reading: Measurement, component: Component, last: Measured
) -> str:
    """Why the length that is seen cannot be the component's; empty if it can."""
    scale, limit = _scale(component) * snapshot.pixel_size, component.registration.crack.longest
    a, sd = reading.length * scale, reading.length_sd * scale
    if a > limit:
        return f"a crack of {a:.4g} m is longer than the part, whose limit is {limit:.4g} m"
    if snapshot.t_ns < last.t_ns:
        return "a later measurement is known already"
    if last.crack_length - a > APART * math.hypot(sd, last.crack_length_sd):
        return (
            f"a crack of {a:.4g} m is shorter than the {last.crack_length:.4g} m measured before:"
            " the picture shows a part of it, or another one"
        )
    return ""


def _thinned(path: NDArray[np.floating]) -> NDArray[np.floating]:
    if len(path) <= POINTS:
        return path
    return np.asarray(path[np.rint(np.linspace(0, len(path) - 1, POINTS)).astype(int)])
