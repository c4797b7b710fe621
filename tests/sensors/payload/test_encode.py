"""What a publisher encodes is what a twin decodes."""

import hashlib
import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sensors.limits import KEY_END, LATEST_NS
from sensors.observation import AnyObservation, Inspection, Series, Snapshot, Spectrum
from sensors.payload.decode import decode
from sensors.payload.encode import (
    EncodedMessage,
    image_message,
    inspection_message,
    load_message,
    spectrum_message,
)
from sensors.payload.image import decode_image
from sensors.topics import Topics
from sensors.units import STRAIN, STRESS
from sensors.unreadable import Form

NAME = st.from_regex(r"[a-z0-9][a-z0-9-]{0,9}", fullmatch=True)
KEY = st.fixed_dictionaries(
    {
        "component": st.tuples(NAME, NAME).map("/".join),
        "source": st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True),
        "boot": st.integers(0, KEY_END - 1),
        "seq": st.integers(0, KEY_END - 1),
        "t_ns": st.integers(0, LATEST_NS - 10**15),
    }
)


def normal(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats that survive a process in which torch flushes subnormals to zero."""
    return st.floats(low, high, allow_subnormal=False).map(lambda x: x * 1.0)


STRESSES = normal(-1e12, 1e12)
FORMS = st.sampled_from(["json", "msgpack"])


def png(size: tuple[int, int] = (11, 7)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, 90).save(file, "PNG")
    return file.getvalue()


def packed(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def arrived(message: EncodedMessage) -> AnyObservation:
    return decode(*message)


@settings(max_examples=60)
@given(key=KEY, form=FORMS, data=st.data(), quantity=st.sampled_from(["stress", "strain"]))
def test_a_series_survives_the_wire_exactly(
    key: dict[str, Any], form: Form, data: st.DataObject, quantity: Any
) -> None:
    scale = 1.0 if quantity == "stress" else 1e-11
    samples = data.draw(st.lists(STRESSES.map(lambda x: x * scale * 1.0), min_size=1, max_size=30))
    series = Series(
        **key,
        quantity=quantity,
        rate_hz=data.draw(st.floats(0.01, 1e6)),
        tension=packed(samples),
        shear=data.draw(st.sampled_from([b"", packed(samples[::-1])])),
        unit="Pa" if quantity == "stress" else "m/m",
    )
    assert arrived(load_message(series, form=form)) == series


@settings(max_examples=60)
@given(
    key=KEY,
    form=FORMS,
    rows=st.lists(
        st.tuples(
            normal(0, 1e12),
            STRESSES,
            normal(0, 1e15),
        )
    ),
    ratio=normal(-1e6, 1e6),
)
def test_a_spectrum_survives_the_wire_exactly(
    key: dict[str, Any], form: Form, rows: list[tuple[float, float, float]], ratio: float
) -> None:
    flat = packed([x for row in rows for x in row])
    spectrum = Spectrum(**key, quantity="stress", cycles=flat, shear_ratio=ratio, unit="Pa")
    assert arrived(spectrum_message(spectrum, form=form)) == spectrum


@settings(max_examples=60)
@given(
    key=KEY,
    form=FORMS,
    length=st.floats(1e-9, 1e3),
    sd=normal(0, 1),
    method=st.text(max_size=200).filter(str.isprintable),
)
def test_an_inspection_survives_the_wire_exactly(
    key: dict[str, Any], form: Form, length: float, sd: float, method: str
) -> None:
    inspection = Inspection(**key, crack_length=length, crack_length_sd=sd, method=method)
    assert arrived(inspection_message(inspection, form=form)) == inspection


@settings(max_examples=30)
@given(key=KEY, form=st.sampled_from(["file", "msgpack"]), size=st.floats(1e-12, 1.0))
def test_an_image_survives_the_wire_exactly(key: dict[str, Any], form: Any, size: float) -> None:
    data = png()
    snapshot = Snapshot(
        **key,
        sha256=hashlib.sha256(data).hexdigest(),
        kind="microstructure",
        media_type="image/png",
        width=11,
        height=7,
        pixel_size=size,
    )
    topic, payload, content_type, properties = image_message(snapshot, data, form=form)
    assert decode_image(topic, payload, properties, content_type) == (snapshot, data)


@pytest.mark.parametrize("unit", [*STRESS, *STRAIN])
def test_a_load_in_another_unit_is_the_same_load(unit: str) -> None:
    quantity: Any = "stress" if unit in STRESS else "strain"
    rows = np.array([[1.8e8, -1.1e8, 250.0], [6e7, 9.5e7, 4000.0]])
    rows[:, :2] *= 1.0 if unit in STRESS else 1e-12
    key: dict[str, Any] = {"component": "a/b", "source": "s", "boot": 0, "seq": 0, "t_ns": 0}
    series = Series(**key, quantity=quantity, rate_hz=1.0, tension=rows[:, 0].tobytes())
    spectrum = Spectrum(**key, quantity=quantity, cycles=rows.tobytes())
    got, counted = (
        arrived(load_message(series, unit=unit)),
        arrived(spectrum_message(spectrum, unit=unit)),
    )
    assert isinstance(got, Series)
    assert isinstance(counted, Spectrum)
    np.testing.assert_allclose(np.frombuffer(got.tension), rows[:, 0], rtol=4e-16)
    np.testing.assert_allclose(np.frombuffer(counted.cycles), rows.ravel(), rtol=4e-16)
    assert f'"unit":"{unit}"'.encode() in load_message(series, unit=unit).payload


def test_a_topic_root_is_the_publishers_choice() -> None:
    inspection = Inspection(
        component="plant-a/press-1",
        source="ndt-1",
        boot=1,
        seq=4,
        t_ns=0,
        crack_length=0.0123,
        crack_length_sd=0.0,
        method="",
    )
    message = inspection_message(inspection, unit="mm", topics=Topics("acme"))
    assert message.topic == "acme/plant-a/press-1/inspection"
    assert json.loads(message.payload)["crack_length"] == 12.3
    assert decode(*message, topics=Topics("acme")) == inspection
