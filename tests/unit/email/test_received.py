"""The trace field of a mail that is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.authentication.received import received_field
from adapters.email.dkim.fields import split_fields
from adapters.email.handler import Client, Role

NOW = 1_727_000_000_123


def client(role: Role = Role.MX, address: str = "192.0.2.1", **changes: object) -> Client:
    given = {"login": None, "smtp_utf8": False, "helo": "mail.example.org", "tls": False} | changes
    return Client(role=role, address=address, **given)  # type: ignore[arg-type]


def test_from_whom_by_whom_how_and_when() -> None:
    field = received_field(client(tls=True), "mx.gw.example", NOW)
    assert field.startswith(
        b"Received: from mail.example.org ([192.0.2.1])\r\n by mx.gw.example with ESMTPS;\r\n Sun, 22 Sep 2024"
    )
    assert parsedate_to_datetime(field.decode().rpartition(";")[2]) == datetime.fromtimestamp(NOW // 1000, UTC)


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (client(), "([192.0.2.1])\r\n by gw.example with ESMTP;"),
        (client(address="2001:db8::1"), "([IPv6:2001:db8::1])\r\n by"),
        (client(address=""), "([unknown])\r\n by"),
        (client(smtp_utf8=True, tls=True), "with UTF8SMTPS;"),
        (client(Role.LMTP), "with LMTP;"),
        (
            client(Role.SUBMISSION, tls=True, login="bob"),
            "from login.invalid (logged in)\r\n by gw.example with ESMTPSA;",
        ),
    ],
)
def test_ways(who: Client, words: str) -> None:
    assert words in received_field(who, "gw.example", NOW).decode()


def test_where_somebody_who_logged_in_is_stays_here() -> None:
    field = received_field(client(Role.SUBMISSION, login="bob"), "gw.example", NOW)
    assert b"192.0.2.1" not in field
    assert b"bob" not in field


@given(st.text(max_size=80), st.text(max_size=40))
def test_nothing_of_a_stranger_breaks_the_field(helo: str, address: str) -> None:
    field = received_field(client(address=address, helo=helo), "gw.example", NOW)
    assert field.isascii()
    assert len(split_fields(field.removesuffix(b"\r\n"))) == 1
    assert field.count(b"\r\n") == 3
