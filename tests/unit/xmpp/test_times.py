"""Dates as stanzas have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.xmpp.times import read_stamp, stamp

AT = 1_795_874_700_000


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-28T14:05:00Z", AT),
        ("2026-11-28T15:05:00+01:00", AT),
        ("2026-11-28T14:05:00.123456789Z", AT + 123),
        ("2026-11-28T14:05:00.5Z", AT + 500),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-11-28T14:05:00", None),
        ("2026-11-28 14:05:00Z", None),
        ("20261128T14:05:00", None),
        ("٢026-11-28T14:05:00Z", None),
        ("", None),
    ],
)
def test_a_stamp_is_read(text: str, at: int | None) -> None:
    assert read_stamp(text) == at


@given(st.integers(0, 253_402_300_799_999))
def test_what_is_written_is_read(at: int) -> None:
    assert read_stamp(stamp(at)) == at


@given(
    st.text(max_size=40)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})", fullmatch=True)
)
def test_reading_never_fails(text: str) -> None:
    read = read_stamp(text)
    assert read is None or 0 <= read < 2**53
