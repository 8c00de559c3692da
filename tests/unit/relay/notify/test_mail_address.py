"""Mail addresses for notifications: what is taken, what is not, and that no text takes long."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidInput
from gateway.relay.notify.mail_address import MAX_ADDRESS, parse_mail_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("bob@example.org", "bob@example.org"),
        ("Bob.Smith+dm3@Example.ORG", "bob.smith+dm3@example.org"),
        ("bob@a.b.c.example", "bob@a.b.c.example"),
        ("bob@münchen.de", "bob@xn--mnchen-3ya.de"),
        ("bob@example.xn--p1ai", "bob@example.xn--p1ai"),
        ("bøb@example.org", "bøb@example.org"),
        ('"bob smith"@example.org', '"bob smith"@example.org'),
        ('"bob"@example.org', "bob@example.org"),
        ("!#$%&'*+/?=^_`{|}~-@example.org", "!#$%&'*+/?=^_`{|}~-@example.org"),
        ("b" * 64 + "@example.org", "b" * 64 + "@example.org"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert parse_mail_address(text) == address
    assert parse_mail_address(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "@example.org",
        "bob@",
        "bob@@example.org",
        "bob@localhost",
        "bob@mx",
        "bob@127.0.0.1",
        "bob@[127.0.0.1]",
        "bob@[IPv6:::1]",
        "bob@10.0.0.1.",
        "bob@example.org.",
        "bob@example..org",
        "bob@.example.org",
        "bob@-example.org",
        "bob@exam_ple.org",
        "bob@example.o",
        "bob@example.123",
        "bob@example.0x7f",
        "bob smith@example.org",
        "<bob@example.org>",
        "Bob <bob@example.org>",
        "bob@example.org,eve@example.org",
        "bob@example.org eve@example.org",
        "bob@example.org?cc=eve@example.org",
        '"bob@example.org',
        "bob(comment)@example.org",
        "bob;eve@example.org",
        "bob@example.org\r\nBcc: eve@example.org",
        "bob\r\n@example.org",
        '"bob\r\nBcc: eve"@example.org',
        "bob@example.org\n",
        "bob@example.org\0",
        "bob\0@example.org",
        "bob\x7f@example.org",
        "bob\u2028@example.org",
        "bob\u202e@example.org",
        "bob\ud800@example.org",
        "bob@exam\tple.org",
        "=?utf-8?q?=0D=0AX=3A_y?=@example.org",
        '"=?utf-8?q?=0D=0AX:_y?="@example.org',
        "bob=?utf-8?q?=0D=0A?=@example.org",
        "b" * 65 + "@example.org",
        "bob@" + "a" * 64 + ".org",
        "bob@" + "a." * 125 + "org",
    ],
)
def test_what_is_no_address_of_public_mail(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_mail_address(text)


@given(st.text(max_size=300))
def test_whatever_is_taken_is_one_line_and_stays_as_it_is(text: str) -> None:
    try:
        address = parse_mail_address(text)
    except InvalidInput:
        return
    assert not set("\r\n\0") & set(address)
    assert len(address.encode()) <= MAX_ADDRESS
    assert parse_mail_address(address) == address


@pytest.mark.attack(30)
@pytest.mark.parametrize("size", [250, 100_000])
@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        "a.",
        "a@",
        ".",
        "@",
        "-",
        '"',
        '"\\',
        '\\"',
        "a-",
        "a.a@",
        "ä",
        "ä.",
        "\u0300",
        "\u200d",
        "xn--a.",
        '"a"."',
        "٠",
    ],
    ids=repr,
)
def test_the_worst_texts_are_read_at_once(pattern: str, size: int) -> None:
    """The reference's pattern backtracks; here nothing longer than an address is looked at."""
    repeated = (pattern * size)[:size]
    for text in (repeated, f"{repeated}@{repeated}", f"bob@{repeated}"[:size], f'"{repeated}'[:size], f"{repeated}!"):
        start = time.thread_time()
        with contextlib.suppress(InvalidInput):
            parse_mail_address(text)
        assert time.thread_time() - start < 0.05
