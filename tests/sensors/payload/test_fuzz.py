"""Whatever arrives becomes an observation or a refusal with a sentence."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import tests.sensors.payload.fuzz
from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.payload.decode import REASONS
from sensors.payload.encode import EncodedMessage
from sensors.payload.image_file import pixels, probe
from sensors.refusal import malformed, shown
from tests.sensors.payload.fuzz import FIELDS, BrokenLawError, case, corpus, main, outcome, outcomes

OBSERVED = {"Series", "Spectrum", "Inspection", "Snapshot"}
TOPICS = st.sampled_from([f"twin/v1/a/b/{kind}" for kind in ("load", "inspection", "image")])
TYPES = st.sampled_from([None, "application/json", "application/msgpack"])


def test_every_message_of_the_corpus_is_read_before_it_is_broken() -> None:
    assert {outcome(message) for message in corpus()} - OBSERVED == {"image"}
    refused = [message for message in corpus() if outcome(message) == "image"]
    assert len(refused) == 2, "only the TIFF of floats, as a file and as an object"


def test_five_thousand_broken_messages_crash_nothing() -> None:
    counts = outcomes(5_000, seed=1)
    assert counts.total() == 5_000
    assert set(counts) <= OBSERVED | set(REASONS)
    assert set(counts) >= OBSERVED, "some survive their mutation"
    assert set(counts) >= set(REASONS) - {"size"}, "every check is reached"


def test_a_case_is_the_same_every_time() -> None:
    assert case(3, 17) == case(3, 17)
    assert case(3, 17) != case(4, 17)


@settings(max_examples=300)
@given(TOPICS, st.binary(max_size=200), TYPES)
def test_any_bytes_are_answered(topic: str, payload: bytes, content_type: str | None) -> None:
    assert outcome(EncodedMessage(topic, payload, content_type, {})) in OBSERVED | set(REASONS)


def refused(call: Callable[[], object]) -> str:
    """The reason for which a call is refused, or nothing."""
    try:
        call()
    except MalformedError as refusal:
        return refusal.reason
    return ""


@settings(max_examples=300)
@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II\x2a\0", b"MM\0\x2a"]), st.data()
)
def test_any_image_header_is_answered(signature: bytes, data: st.DataObject) -> None:
    content = signature + data.draw(st.binary(max_size=100))
    for read in (probe, pixels):
        assert refused(partial(read, content, Limits(pixels=10_000))) in {"", "image", "size"}


OBJECTS = [m for m in corpus() if m.content_type == "application/msgpack"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.sampled_from(OBJECTS), st.sampled_from(FIELDS), JSON)
def test_any_value_in_any_field_is_answered(
    message: EncodedMessage, name: str, value: object
) -> None:
    fields = msgspec.msgpack.decode(message.payload) | {name: value}
    try:
        payload = msgspec.msgpack.encode(fields)
    except (OverflowError, UnicodeEncodeError):
        reject()  # MessagePack has no such number or text
    got = outcome(message._replace(payload=payload))
    assert got in OBSERVED | set(REASONS)


# --- the law can fail -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("novel", "unit 'x' is not one"),
        ("unit", "something is wrong"),
        ("unit", "unit\n"),
        ("unit", "unit " + "x" * 200),
    ],
)
def test_a_refusal_without_a_proper_sentence_breaks_the_law(
    monkeypatch: pytest.MonkeyPatch, reason: str, sentence: str
) -> None:
    def refuses(*_: object) -> None:
        raise MalformedError(reason, sentence)

    monkeypatch.setattr(tests.sensors.payload.fuzz, "decode", refuses)
    with pytest.raises(BrokenLawError):
        outcome(EncodedMessage("twin/v1/a/b/load", b"", None, {}))


def test_a_crash_ends_the_run_and_names_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def crashes(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tests.sensors.payload.fuzz, "decode", crashes)
    with pytest.raises(ZeroDivisionError) as caught:
        main(["--cases", "50", "--seed", "5"])
    assert "of seed 5: EncodedMessage(topic=" in caught.value.__notes__[0]


def test_the_command_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--cases", "300", "--seed", "2"])
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith("300 cases of seed 2 in ")
    assert sum(int(part.split()[-1]) for part in line.split(": ")[1].split(", ")) == 300


def test_a_value_is_shown_short_printable_and_never_as_bytes() -> None:
    assert shown("MPa") == "'MPa'"
    assert shown("a\nb") == r"'a\nb'"
    assert shown(b"\x89PNG") == "4 bytes"
    assert shown([1.0] * 9) == "a list of 9 entries"
    values: list[object] = [[], [[]], [1, None, True], {}, {"a": 1}, None, b"a"]
    assert [shown(value) for value in values] == [
        "[]",
        "a list of 1 entry",
        "[1, null, true]",
        "{}",
        "a table of 1 field",
        "null",
        "1 byte",
    ]
    assert len(shown("x" * 10_000)) == 49
    assert len(shown(10**100)) == 49


def test_a_sentence_is_cut_and_made_printable() -> None:
    assert str(malformed("unit", "x" * 200)) == "x" * 200
    assert str(malformed("unit", "x" * 201)) == "x" * 199 + "…"
    assert str(malformed("unit", "a\nb")) == r"a\nb"
