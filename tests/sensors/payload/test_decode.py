"""From payloads to observations."""

import json
import math
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from sensors.errors import MalformedError
from sensors.instant import nanoseconds
from sensors.limits import LATEST_NS, Limits
from sensors.observation import AnyObservation, Inspection, Series, Spectrum
from sensors.payload.decode import REASONS, decode
from sensors.payload.image import decode_image
from sensors.refusal import refusal as why_refused
from sensors.topics import Topics
from sensors.unreadable import Form

LOAD = "twin/v1/plant-a/press-1/load"
INSPECTION = "twin/v1/plant-a/press-1/inspection"
IMAGE = "twin/v1/plant-a/press-1/image"

# The three messages of the documented contract.
SERIES = {
    "source": "daq-3",
    "boot": 17,
    "seq": 812,
    "time": "2026-11-20T10:00:00.250Z",
    "unit": "MPa",
    "rate_hz": 100.0,
    "tension": [12.1, 13.0],
    "shear": [0.4, 0.6],
}
SPECTRUM = {
    "source": "daq-3",
    "boot": 17,
    "seq": 813,
    "time": "2026-11-20T10:01:00Z",
    "unit": "MPa",
    "cycles": [[180.0, 110.0, 250], [60.0, 95.0, 4000]],
    "shear_ratio": 0.5,
}
MEASURED = {
    "source": "ndt-1",
    "boot": 1,
    "seq": 4,
    "time": "2026-11-20T10:05:00Z",
    "crack_length": 0.0123,
    "crack_length_sd": 0.0001,
    "unit": "m",
    "method": "travelling-microscope",
}
FORM_NAMES: tuple[Form, ...] = ("json", "msgpack")
T_NS = 1_795_168_800_000_000_000  # 2026-11-20T10:00:00Z


def read(fields: dict[str, Any], form: Form = "json", **limits: Any) -> AnyObservation:
    """The observation of an object, sent as a load unless it holds a crack length."""
    topic = INSPECTION if "crack_length" in fields else LOAD
    if form == "json":
        return decode(topic, json.dumps(fields).encode(), None, {}, Limits(**limits))
    body = msgspec.msgpack.encode(fields)
    return decode(topic, body, "application/msgpack", {}, Limits(**limits))


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """The reason and the sentence with which a call is refused."""
    with pytest.raises(MalformedError) as caught:
        call()
    assert caught.value.reason in REASONS
    assert len(str(caught.value)) <= 200
    assert str(caught.value).isprintable()
    return caught.value.reason, str(caught.value)


# --- the contract -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_the_documented_series_is_read_in_si(form: Form) -> None:
    assert read(SERIES, form) == Series(
        component="plant-a/press-1",
        source="daq-3",
        boot=17,
        seq=812,
        t_ns=T_NS + 250_000_000,
        quantity="stress",
        rate_hz=100.0,
        tension=struct.pack("<2d", 12.1e6, 13e6),
        shear=struct.pack("<2d", 0.4e6, 0.6e6),
        unit="MPa",
    )


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_the_documented_spectrum_is_read_in_si(form: Form) -> None:
    assert read(SPECTRUM, form) == Spectrum(
        component="plant-a/press-1",
        source="daq-3",
        boot=17,
        seq=813,
        t_ns=T_NS + 60_000_000_000,
        quantity="stress",
        cycles=struct.pack("<6d", 180e6, 110e6, 250, 60e6, 95e6, 4000),
        shear_ratio=0.5,
        unit="MPa",
    )


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_the_documented_inspection_is_read_in_si(form: Form) -> None:
    assert read(MEASURED, form) == Inspection(
        component="plant-a/press-1",
        source="ndt-1",
        boot=1,
        seq=4,
        t_ns=T_NS + 300_000_000_000,
        crack_length=0.0123,
        crack_length_sd=0.0001,
        method="travelling-microscope",
    )


def test_what_is_optional_may_be_left_out() -> None:
    series = read({k: v for k, v in SERIES.items() if k != "shear"})
    spectrum = read({k: v for k, v in SPECTRUM.items() if k != "shear_ratio"})
    bare = read({k: v for k, v in MEASURED.items() if k not in ("crack_length_sd", "method")})
    assert isinstance(series, Series)
    assert series.shear == b""
    assert isinstance(spectrum, Spectrum)
    assert spectrum.shear_ratio == 0.0
    assert isinstance(bare, Inspection)
    assert (bare.crack_length_sd, bare.method) == (0.0, "")


def test_a_strain_stays_a_strain() -> None:
    series = read(SERIES | {"unit": "um/m", "tension": [250, -100.0]})
    assert isinstance(series, Series)
    assert series.quantity == "strain"
    assert series.tension == struct.pack("<2d", 250e-6, -100e-6)


def test_an_interval_without_cycles_is_a_spectrum() -> None:
    spectrum = read(SPECTRUM | {"cycles": []})
    assert isinstance(spectrum, Spectrum)
    assert spectrum.cycles == b""


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "Application/JSON", "application/json; charset=utf-8"],
)
def test_json_is_what_is_said_or_not_said(content_type: str | None) -> None:
    assert decode(LOAD, json.dumps(SERIES).encode(), content_type) == read(SERIES)


@pytest.mark.parametrize(
    "content_type", ["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"]
)
def test_messagepack_is_known_by_its_three_names(content_type: str) -> None:
    assert decode(LOAD, msgspec.msgpack.encode(SERIES), content_type) == read(SERIES)


def test_another_content_type_is_refused() -> None:
    assert refusal(lambda: decode(LOAD, b"{}", "text/plain")) == (
        "content_type",
        "content type 'text/plain' is not application/json or application/msgpack",
    )


def test_a_topic_of_another_kind_or_root_is_refused() -> None:
    body = json.dumps(SERIES).encode()
    assert refusal(lambda: decode(IMAGE, body))[0] == "topic"
    assert refusal(lambda: decode("acme/plant-a/press-1/load", body))[0] == "topic"
    assert refusal(lambda: decode_image(LOAD, b""))[0] == "topic"
    topics = Topics("acme")
    assert decode("acme/plant-a/press-1/load", body, topics=topics) == read(SERIES)


# --- refusals: one field at a time ------------------------------------------------------------

BIG = 2**53

# (fields, change, reason, what the sentence says)
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (SERIES, {"source": ""}, "value", 'source is ""'),
    (SERIES, {"source": "x" * 65}, "value", 'source is "xxx'),
    (SERIES, {"source": "daq 3"}, "value", 'source is "daq 3"'),
    (SERIES, {"source": "daq\n"}, "value", 'source is "daq\\n"'),
    (SERIES, {"source": 3}, "type", "source is 3: must be a text, not a whole number"),
    (SERIES, {"seq": -1}, "value", "seq is -1: must not be negative"),
    (SERIES, {"seq": BIG}, "value", f"seq is {BIG}: must be at most {BIG - 1}"),
    (SERIES, {"seq": 1.5}, "type", "seq is 1.5: must be a whole number, without a point"),
    (SERIES, {"seq": True}, "type", "seq is true: must be a whole number, not t"),
    (SERIES, {"boot": -1}, "value", "boot is -1"),
    (SERIES, {"boot": None}, "type", "boot is null"),
    (SERIES, {"unit": "bar"}, "unit", "unit 'bar' is not a unit of stress or strain"),
    (SERIES, {"unit": "mm"}, "unit", "unit 'mm' is not a unit of stress or strain"),
    (SERIES, {"rate_hz": 0}, "value", "rate_hz is 0: must be above zero"),
    (SERIES, {"rate_hz": -1}, "value", "rate_hz is -1"),
    (SERIES, {"rate_hz": 1e6 + 1}, "value", "rate_hz 1000001.0 is over 1e+06"),
    (SERIES, {"rate_hz": 1e-300}, "value", "rate_hz 1e-300 lets 2 samples last beyond 2200"),
    (SERIES, {"tension": []}, "value", "tension is []"),
    (SERIES, {"tension": 1.0}, "type", "tension is 1.0: must be a list, not a number"),
    (SERIES, {"tension": [1, "2"]}, "type", 'tension[1] is "2": must be a number, not a text'),
    (SERIES, {"tension": [1, None]}, "type", "tension[1] is null"),
    (SERIES, {"tension": [1, 1e7]}, "value", "tension[1] is 10000000.0: beyond ±1e+12 Pa, is the"),
    (SERIES, {"tension": [1, -1e308]}, "value", "tension[1] is -1e+308"),
    (SERIES, {"shear": [0.4]}, "value", "shear has 1 samples, tension 2"),
    (SERIES, {"shear": []}, "value", "shear has 0 samples, tension 2"),
    (SERIES, {"shear": [0.4, 1e9]}, "value", "shear[1] is 1000000000.0"),
    (SERIES, {"shear_ratio": 0.5}, "field", "field shear_ratio 0.5 stands without cycles"),
    (SERIES, {"load": 1}, "field", "field 'load' is unknown"),
    (
        SPECTRUM,
        {"cycles": [[-1.0, 0, 1]]},
        "value",
        "cycles[0][0] is -1.0: a range must not",
    ),
    (SPECTRUM, {"cycles": [[1, 0, -1]]}, "value", "cycles[0][2] is -1"),
    (SPECTRUM, {"cycles": [[1, 0]]}, "value", "cycles[0] is [1, 0]: must be a list of three num"),
    (SPECTRUM, {"cycles": [[1, 0, "x"]]}, "type", 'cycles[0][2] is "x"'),
    (SPECTRUM, {"cycles": [[1e7, 0, 1]]}, "value", "cycles[0][0] is 10000000.0: beyond ±1e+12 Pa"),
    (SPECTRUM, {"cycles": [[1, -1e7, 1]]}, "value", "cycles[0][1] is -10000000.0"),
    (SPECTRUM, {"cycles": [[1, 1e7, 1]]}, "value", "cycles[0][1] is 10000000.0"),
    (SPECTRUM, {"cycles": [[1, 1, 2e15]]}, "value", "cycles[0][2] is 2000000000000000.0: a count"),
    (SPECTRUM, {"shear_ratio": 1e7}, "value", "shear_ratio is 10000000.0"),
    (SPECTRUM, {"rate_hz": 1.0}, "field", "field rate_hz 1.0 stands beside cycles"),
    (SPECTRUM, {"tension": [1.0]}, "field", "tension or shear stands beside cycles"),
    (SPECTRUM, {"shear": [1.0]}, "field", "tension or shear stands beside cycles"),
    (MEASURED, {"crack_length": 0.0}, "value", "crack_length is 0.0: must be above zero"),
    (MEASURED, {"crack_length": 3e-308, "unit": "um"}, "value", "is 3e-308 um, below 1e-09 m"),
    (MEASURED, {"crack_length": -1e-3}, "value", "crack_length is -0.001"),
    (MEASURED, {"crack_length": 1001}, "value", "crack_length is 1001.0: beyond ±1000 m, is the"),
    (MEASURED, {"crack_length_sd": -1e-9}, "value", "crack_length_sd is -1e-09"),
    (MEASURED, {"crack_length_sd": 1e9}, "value", "crack_length_sd is 1000000000.0"),
    (MEASURED, {"unit": "MPa"}, "unit", "unit 'MPa' is not a unit of length (m, mm, cm, um, in)"),
    (MEASURED, {"method": "x" * 201}, "value", 'method is "xxx'),
    (MEASURED, {"method": "eddy\x00"}, "value", "method 'eddy\\x00' holds control characters"),
    (MEASURED, {"tension": [1.0]}, "field", "field 'tension' is unknown"),
]


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize(("fields", "change", "reason", "says"), REFUSED)
def test_a_wrong_field_is_refused_with_its_name_and_value(
    fields: dict[str, Any], change: dict[str, Any], reason: str, says: str, form: Form
) -> None:
    if form == "msgpack":
        # in Python's notation rather than JSON's
        says = says
        says = says.replace('"', "'") if "xxx" not in says else says.split(" is ")[0]
    assert refusal(lambda: read(fields | change, form))[0] == reason
    assert says in refusal(lambda: read(fields | change, form))[1]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        *((SERIES, name) for name in ("source", "boot", "seq", "unit", "rate_hz", "tension")),
        *((SPECTRUM, name) for name in ("source", "boot", "seq", "unit")),
        *((MEASURED, name) for name in ("source", "boot", "seq", "unit")),
    ],
)
def test_a_missing_field_is_named(fields: dict[str, Any], name: str) -> None:
    reason, sentence = refusal(lambda: read({k: v for k, v in fields.items() if k != name}))
    assert reason == "field"
    assert sentence.startswith(f"field {name} is missing")


def test_a_rate_that_torch_would_flush_to_zero_is_refused() -> None:
    """msgspec's own `gt=0.0` admits it, and even zero, once subnormals are flushed."""
    for text in ("5e-324", "2e-308", "0.0", "0"):
        body = json.dumps(SERIES | {"rate_hz": "HERE"}).replace('"HERE"', text).encode()
        reason, sentence = refusal(partial(decode, LOAD, body))
        assert (reason, sentence.split(":")[0]) == ("value", f"rate_hz is {text}")


def test_a_missing_crack_length_is_named() -> None:
    body = json.dumps({k: v for k, v in MEASURED.items() if k != "crack_length"}).encode()
    assert refusal(lambda: decode(INSPECTION, body)) == ("field", "field crack_length is missing")


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (SERIES, {"source": "x" * 64, "boot": 0, "seq": BIG - 1}),
        (SERIES, {"source": "A.b_c:d-9", "boot": BIG - 1, "seq": 0}),
        (SERIES, {"rate_hz": 1e6}),
        (SERIES, {"tension": [1e6, -1e6], "shear": [0.0, 1e6]}),
        (SERIES, {"unit": "m/m", "tension": [10.0, -10.0]}),
        (SPECTRUM, {"cycles": [[1e6, -1e6, 1e15], [0.0, 1e6, 0.0]], "shear_ratio": -1e6}),
        (MEASURED, {"crack_length": 1000.0, "crack_length_sd": 0.0, "method": "é" * 200}),
    ],
)
def test_values_at_their_limits_are_read(fields: dict[str, Any], change: dict[str, Any]) -> None:
    assert read(fields | change) == read(fields | change, "msgpack")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        (SERIES, "rate_hz", lambda x: x),
        (SERIES, "tension", lambda x: [1.0, x]),
        (SERIES, "shear", lambda x: [x, 1.0]),
        (SPECTRUM, "cycles", lambda x: [[x, 1.0, 1.0]]),
        (SPECTRUM, "cycles", lambda x: [[1.0, x, 1.0]]),
        (SPECTRUM, "cycles", lambda x: [[1.0, 1.0, x]]),
        (SPECTRUM, "shear_ratio", lambda x: x),
        (MEASURED, "crack_length", lambda x: x),
        (MEASURED, "crack_length_sd", lambda x: x),
    ],
)
def test_a_number_that_is_not_finite_is_refused_by_field(
    fields: dict[str, Any], name: str, value: Callable[[Any], Any], number: float
) -> None:
    reason, sentence = refusal(lambda: read(fields | {name: value(number)}, "msgpack"))
    assert reason == "value"
    assert sentence.startswith(name)
    assert f" is {number}: " in sentence
    # JSON has no such number: Python writes NaN, which is no JSON, and 1e999 is out of range
    assert refusal(lambda: read(fields | {name: value(number)}))[0] == "json"
    text = json.dumps(fields | {name: value("HERE")}).replace('"HERE"', "1e999").encode()
    topic = INSPECTION if fields is MEASURED else LOAD
    assert refusal(lambda: decode(topic, text))[0] == "value"
    assert "is 1e999: " in refusal(lambda: decode(topic, text))[1]


# --- sizes --------------------------------------------------------------------------------------


def test_a_message_is_measured_before_it_is_read() -> None:
    body = json.dumps(SERIES).encode()
    for spare in (1, 0):
        assert decode(LOAD, body, limits=Limits(message=len(body) + spare)) == read(SERIES)
    assert refusal(lambda: decode(LOAD, body, limits=Limits(message=len(body) - 1))) == (
        "size",
        f"payload of {len(body)} bytes is over {len(body) - 1}",
    )


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_samples_and_rows_are_counted(form: Form) -> None:
    assert read(SERIES, form, samples=2) == read(SERIES)
    assert refusal(lambda: read(SERIES, form, samples=1))[1] == "tension has 2 samples, more than 1"
    assert read(SPECTRUM, form, cycles=2) == read(SPECTRUM)
    assert refusal(lambda: read(SPECTRUM, form, cycles=1)) == (
        "size",
        "cycles has 2 rows, more than 1",
    )


def test_a_hundred_thousand_samples_fit_into_a_megabyte() -> None:
    series = read(SERIES | {"tension": [1.5] * 100_000, "shear": [0] * 100_000}, "msgpack")
    assert isinstance(series, Series)
    assert len(series.tension) == 800_000


# --- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_whole_nanoseconds_are_a_time_too(form: Form) -> None:
    fields = {k: v for k, v in MEASURED.items() if k != "time"}
    for t_ns in (0, T_NS + 1, LATEST_NS - 1):
        assert read(fields | {"t_ns": t_ns}, form).t_ns == t_ns
    for t_ns in (-1, LATEST_NS, 2**63, 2**64 - 1):
        assert refusal(partial(read, fields | {"t_ns": t_ns}, form)) == (
            "time",
            f"t_ns {t_ns} is not between 1970 and 2200",
        )
    assert refusal(lambda: read(fields | {"t_ns": 1.0}, form))[0] == "type"


def test_exactly_one_time_is_needed() -> None:
    neither = {k: v for k, v in SERIES.items() if k != "time"}
    assert refusal(lambda: read(neither)) == (
        "time",
        "time is missing, and t_ns too: a message carries one of them",
    )
    assert refusal(lambda: read(SERIES | {"t_ns": 5})) == (
        "time",
        "time '2026-11-20T10:00:00.250Z' and t_ns 5 are both given: a message carries one of them",
    )


# --- payloads that are no object ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"", "json", "payload is empty: a message is one JSON object"),
        (b"{", "json", "payload of 1 bytes is not JSON: it ends before the object does"),
        (b"{} {}", "field", "field source is missing"),
        (b"[]", "type", "payload must be an object with named fields, not a list"),
        (b"null", "type", "payload must be an object with named fields, not null"),
        (b"\xef\xbb\xbf{}", "json", "begins with a byte order mark"),
        (b'{"source":"\xff"}', "json", "holds text that is not UTF-8: invalid start byte"),
        (b'{"source":"\\ud800"}', "json", "is not JSON"),
        (b'{"\xff":1}', "json", "not UTF-8"),
        (b"[" * 100_000, "type", "not a list"),
        (b'{"a":' * 100_000, "field", "field 'a' is unknown"),
        (b'{"tension":' + b"[" * 100_000, "type", "tension[0] is not readable"),
        (
            b'{"source":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
            "type",
            "source is not readable",
        ),
        (b'{"a` - at `$.b":1}', "field", "field 'a` - at `$.b' is unknown"),
        (b'{"' + b"x" * 9999 + b'":1}', "field", "field 'xxx"),
        (b'{"\\u0007":1}', "field", "field '\\x07' is unknown"),
        (b'{"seq":' + b"9" * 5000 + b"}", "value", "seq is 99999"),
        (b'{"unit":"' + b"\xf0\x9f\x8c\x8d" * 3000 + b'","seq":[]}', "type", "seq is []"),
    ],
)
def test_what_is_no_object_of_ours_is_refused(body: bytes, reason: str, says: str) -> None:
    got = refusal(lambda: decode(LOAD, body))
    assert (got[0], says in got[1]) == (reason, True), got


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"", "msgpack", "payload is empty: a message is one MessagePack object"),
        (b"\xc1", "msgpack", "is not MessagePack"),
        (b"\x91" * 100_000, "type", "not a list"),
        (b"\x81\xa7tension" + b"\x91" * 100_000, "type", "tension[0] is not readable"),
        (b"\x81\xa7tension\xdd\xff\xff\xff\xff", "msgpack", "ends before the object does"),
        (b"\x81\xa6source\xdb\xff\xff\xff\xffa", "msgpack", "ends before the object does"),
        (b"\x81\x05\x06", "type", "a key must be a text, not a whole number"),
        (b"\x81\xa6source\xc4\x02ab", "type", "source is 2 bytes: must be a text, not bytes"),
        (b"\x81\xa6source\xc5\x01\x00" + b"a" * 256, "type", "source is 259 bytes"),
        (b"\x81\xa6source\xa1\xff", "msgpack", "not UTF-8"),
        (b"\x81\xa3seq\xd6\xff\x00\x00\x00\x00", "type", "not an extension type"),
        (
            b"\x81\xa7tension\xc4\x08" + b"\0" * 8,
            "type",
            "tension is 8 bytes: must be a list",
        ),
        (b"\x80\x00", "field", "field source is missing"),
    ],
)
def test_what_is_no_messagepack_object_of_ours_is_refused(
    body: bytes, reason: str, says: str
) -> None:
    got = refusal(lambda: decode(LOAD, body, "application/msgpack"))
    assert (got[0], says in got[1]) == (reason, True), got


@pytest.mark.parametrize(
    ("form", "body"), [("json", b'{"a":"\xff"}'), ("msgpack", b"\x81\xa1a\xa1\xff")]
)
def test_whichever_msgspec_reads_it_one_sentence_says_that_text_is_not_utf8(
    form: Form, body: bytes
) -> None:
    """Until 0.22 it raises what Python raises, from 0.23 an error of its own."""
    of_python = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    of_its_own = msgspec.DecodeError("Invalid UTF-8 encoded string")
    old, new = (why_refused(error, body, form) for error in (of_python, of_its_own))
    assert str(old) == str(new)
    assert old.reason == new.reason == form
    assert "holds text that is not UTF-8" in str(old)


def test_a_refusal_repeats_no_secrets_at_length() -> None:
    token = "t0ps3cret" * 100
    for change in ({"unit": token}, {"source": token}, {"time": token}, {token: 1}):
        for form in FORM_NAMES:
            assert refusal(partial(read, SERIES | change, form))[1].count("t0ps3cret") <= 6


# --- sentences for people -------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORM_NAMES)
@pytest.mark.parametrize("fields", [SERIES, SPECTRUM, MEASURED])
def test_no_sentence_speaks_in_the_words_of_a_machine(fields: dict[str, Any], form: Form) -> None:
    """Whatever stands in whichever field, the sentence names both and says what to do."""
    strange: list[Any] = [
        None,
        True,
        -1,
        -1.5,
        1e400,
        math.nan,
        10**400,
        "",
        "x" * 300,
        "1,5",
        [],
        [[]],
        {},
    ]
    strange += [[None], [[1, 2]], [["1", 2, 3]], [{"range": 1}], {"a": 1}, 2**60, 1764000000.5]
    seen = 0
    for name in (*fields, "t_ns", "method", "shear_ratio"):
        for value in strange:
            changed = {**fields, name: value}
            if form == "msgpack" and value == 10**400:
                continue
            try:
                read(changed, form)
            except MalformedError as exc:
                sentence = str(exc)
            else:
                continue
            seen += 1
            assert name in sentence, (name, value, sentence)
            machine = ("Expected", "`", "float", "regex", "got ", "e-308", "(byte", "invalid ch")
            assert not any(word in sentence for word in machine), sentence
    assert seen > 100


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"tension": [1, NaN, 2]}', "NaN in tension is no value that JSON knows: send a series"),
        (b'{"tension": [1, -Infinity]}', "-Infinity in tension is no value that JSON knows"),
        (
            b'{"rate_hz": nan}',
            "nan in rate_hz is no value that JSON knows: send a number, or leave",
        ),
        (b'{"rate_hz": None}', "None in rate_hz is no value that JSON knows"),
        (b'{"rate_hz": True}', "True in rate_hz is no value that JSON knows: write true"),
        (b"{'source': 'a'}", "byte 1 is ': texts and names stand in double quotes"),
        (b'{"rate_hz": 1,5}', "is that a decimal comma? write a point"),
        (b'{"rate_hz": .5}', "'.5}' at byte 12 is no number of JSON"),
        (b'{"rate_hz": +5}', "'+5}' at byte 12 is no number of JSON"),
        (b'{"rate_hz": 05}', "is no number of JSON: no +, no leading zero"),
        (b'{"tension": [1,]}', "a comma at byte 15 has nothing behind it"),
        (b'{"source" "a"}', "':' is missing before '\"a\"}' at byte 10"),
        (b'{"source":"a\nb"}', "byte 12 is a control character within a text"),
        (b"hello", "it begins with 'hello', and a message is one object in braces"),
        (b"\x81\xa1a\x01", "it looks like MessagePack, which is content type application/msgpack"),
        (b"\x89PNG\r\n", "it is an image, and those go to …/image"),
    ],
)
def test_what_people_take_for_json_is_named(body: bytes, says: str) -> None:
    reason, sentence = refusal(lambda: decode(LOAD, body))
    assert (reason, says in sentence) == ("json", True), sentence


def test_json_that_is_said_to_be_messagepack_is_told() -> None:
    body = json.dumps(SERIES).encode()
    reason, sentence = refusal(lambda: decode(LOAD, body, "application/msgpack"))
    assert (reason, "it looks like JSON" in sentence) == ("msgpack", True)


@pytest.mark.parametrize("form", FORM_NAMES)
@pytest.mark.parametrize("time", [1_764_000_000, 1_764_000_000.5, "1764000000", "1764000000.5"])
def test_an_epoch_in_time_is_told_of_t_ns(time: object, form: Form) -> None:
    _, sentence = refusal(lambda: read(SERIES | {"time": time}, form))
    assert "nanoseconds since 1970 go into t_ns" in sentence


@pytest.mark.parametrize("form", FORM_NAMES)
@pytest.mark.parametrize(
    ("t_ns", "unit"),
    [
        (1_764_000_000, "seconds"),
        (1_764_000_000_000, "milliseconds"),
        (1_764_000_000_000_000, "microseconds"),
    ],
)
def test_a_clock_in_another_unit_is_named(t_ns: int, unit: str, form: Form) -> None:
    fields = {k: v for k, v in SERIES.items() if k != "time"} | {"t_ns": t_ns}
    earliest = nanoseconds("1971-01-01T00:00:00Z")
    assert refusal(lambda: read(fields, form, earliest_ns=earliest)) == (
        "time",
        f"t_ns {t_ns} looks like {unit}: t_ns counts nanoseconds, 1764000000000000000 for "
        "2025-11-24T16:00:00Z",
    )


def test_the_earliest_time_is_the_first_that_is_read() -> None:
    earliest = nanoseconds("1971-01-01T00:00:00Z")
    fields = {k: v for k, v in SERIES.items() if k != "time"}
    assert read(fields | {"t_ns": earliest}, earliest_ns=earliest).t_ns == earliest
    assert refusal(lambda: read(fields | {"t_ns": earliest - 1}, earliest_ns=earliest)) == (
        "time",
        f"t_ns {earliest - 1} is 1970-12-31, before 1971-01-01: is the clock set? "
        "(ingest.earliest admits old recordings)",
    )
    old = {"time": "1970-01-01T00:10:00Z"}
    assert "is the clock set?" in refusal(lambda: read(SERIES | old, earliest_ns=earliest))[1]


def test_a_field_that_is_nearly_right_is_named() -> None:
    for wrong, right in (
        ("Tension", "tension"),
        ("sampling_rate_hz", None),
        ("rate_Hz", "rate_hz"),
    ):
        sentence = refusal(partial(read, SERIES | {wrong: 1}))[1]
        assert sentence == f"field '{wrong}' is unknown" + (f": is {right} meant?" if right else "")


@pytest.mark.parametrize(
    ("unit", "code"), [("MPa", 9999999.0), ("m/m", 999999.0), ("um/m", 3.4e38)]
)
def test_a_code_in_a_large_unit_does_not_cost_the_message(unit: str, code: float) -> None:
    """It stands for "missing" in whatever unit, and is set aside where samples are judged."""
    body = {"source": "daq", "boot": 1, "seq": 0, "time": "2026-01-01T00:00:00Z", "rate_hz": 10.0}
    samples = [1e-4, 2e-4, code, 1e-4, 2e-4]
    found = decode(
        "twin/v1/site/part/load", msgspec.json.encode(body | {"unit": unit, "tension": samples})
    )
    assert isinstance(found, Series)
    assert len(found.tension) == 8 * len(samples)


def test_a_field_of_another_kind_of_message_is_told_so() -> None:
    body = {"source": "ndt", "boot": 1, "seq": 0, "time": "2026-01-01T00:00:00Z", "unit": "mm"}
    with pytest.raises(MalformedError, match="one of another kind of message"):
        decode("twin/v1/site/part/load", msgspec.json.encode(body | {"crack_length": 12.0}))
