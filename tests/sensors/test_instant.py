"""RFC 3339 to nanoseconds."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.errors import MalformedError
from sensors.instant import checked, nanoseconds, rfc3339
from sensors.limits import LATEST_NS

T_NS = 1_795_168_800_000_000_000  # 2026-11-20T10:00:00Z


@pytest.mark.parametrize(
    ("text", "t_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-11-20T10:00:00Z", T_NS),
        ("2026-11-20t10:00:00z", T_NS),
        ("2026-11-20T11:30:00+01:30", T_NS),
        ("2026-11-20T00:00:00-10:00", T_NS),
        ("2026-11-20T10:00:00-00:00", T_NS),
        ("2026-11-20T10:00:00.123456789Z", T_NS + 123_456_789),
        ("2026-11-20T10:00:00.1Z", T_NS + 100_000_000),
        ("2199-12-31T23:59:59.999999999Z", LATEST_NS - 1),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, t_ns: int) -> None:
    assert nanoseconds(text) == t_ns
    assert nanoseconds(rfc3339(t_ns)) == t_ns


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2026-11-20T10:00:00", "has no zone"),
        ("2026-11-20T10:00:00.250", "has no zone"),
        ("2026-11-20 10:00:00Z", "is not an RFC 3339 time"),
        ("2026-11-20", "is not an RFC 3339 time"),
        ("20261120T100000Z", "is not an RFC 3339 time"),
        ("2026-11-20T10:00Z", "is not an RFC 3339 time"),
        ("2026-11-20T10:00:00,5Z", "is not an RFC 3339 time"),
        ("2026-11-20T10:00:00.Z", "is not an RFC 3339 time"),
        ("2026-11-20T10:00:00.1234567891Z", "up to nine decimals"),
        ("2026-11-20T10:00:00Z\n", "is not an RFC 3339 time"),
        ("２０２６-11-20T10:00:00Z", "is not an RFC 3339 time"),
        ("", "is not an RFC 3339 time"),
        ("x" * 10_000, "is not an RFC 3339 time"),
        ("2026-02-29T10:00:00Z", "day is out of range"),
        ("2026-13-01T10:00:00Z", "month must be in 1..12"),
        ("2026-11-20T24:00:00Z", "hour must be in 0..23"),
        ("2016-12-31T23:59:60Z", "second must be in 0..59"),
        ("2026-11-20T10:00:00+24:00", "is not a time"),
        ("0000-01-01T00:00:00Z", "is not a time"),
        ("0001-01-01T00:00:00+23:59", "is not between 1970 and 2200"),
        ("9999-12-31T23:59:59-23:59", "is not between 1970 and 2200"),
        ("1969-12-31T23:59:59.999999999Z", "is not between 1970 and 2200"),
        ("1970-01-01T00:00:00+00:01", "is not between 1970 and 2200"),
        ("2200-01-01T00:00:00Z", "is not between 1970 and 2200"),
    ],
)
def test_another_time_is_refused_with_its_text(text: str, says: str) -> None:
    with pytest.raises(MalformedError) as caught:
        nanoseconds(text)
    sentence = str(caught.value)
    assert caught.value.reason == "time"
    assert sentence.startswith(("time '", 'time "'))
    assert says in sentence


@given(st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)))  # noqa: DTZ001  zone put below
def test_an_instant_is_what_the_standard_library_says(when: datetime) -> None:
    aware = when.replace(tzinfo=UTC)
    exact = int(aware.replace(microsecond=0).timestamp()) * 10**9 + aware.microsecond * 1000
    assert nanoseconds(aware.isoformat()) == exact


def test_a_written_time_is_not_said_to_be_a_count_of_seconds() -> None:
    early = nanoseconds("1970-01-01T00:00:01Z")
    with pytest.raises(MalformedError, match="is 1970-01-01, before 2000"):
        checked(
            early, "1970-01-01T00:00:01Z", "time", earliest_ns=nanoseconds("2000-01-01T00:00:00Z")
        )
    with pytest.raises(MalformedError, match="looks like s"):
        checked(1_700_000_000, 1_700_000_000, earliest_ns=nanoseconds("2000-01-01T00:00:00Z"))
