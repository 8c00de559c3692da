"""The mailbox of a From header: one reading or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.mailbox import MAX_COMMENT_DEPTH, NamedMailbox, parse_mailbox
from gateway.sdk import InvalidInput


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        ("bob@example.net", "", "bob@example.net"),
        ("<bob@example.net>", "", "bob@example.net"),
        ("Bob <bob@example.net>", "Bob", "bob@example.net"),
        ("Bob Smith<bob@example.net>", "Bob Smith", "bob@example.net"),
        ('"Smith, Bob" <bob@example.net>', "Smith, Bob", "bob@example.net"),
        (r'"Bob \"B\" \\ Smith" <bob@example.net>', r'Bob "B" \ Smith', "bob@example.net"),
        ('"<eve@example.org>" <bob@example.net>', "<eve@example.org>", "bob@example.net"),
        ("bob@example.net (Bob)", "Bob", "bob@example.net"),
        ("(x) bob@example.net (Bob)", "x Bob", "bob@example.net"),
        ("Bob (a (nested) comment) <bob@example.net>", "Bob", "bob@example.net"),
        (r"bob@example.net (a \) b)", r"a \) b", "bob@example.net"),
        ('"b o b"@example.net', "", '"b o b"@example.net'),
        ('"b@b"@example.net', "", '"b@b"@example.net'),
        ("\tBob\r\n <bob@example.net> ", "Bob", "bob@example.net"),
        ("=?utf-8?q?J=C3=B6rg?= <bob@example.net>", "=?utf-8?q?J=C3=B6rg?=", "bob@example.net"),
        ("O'Neil & Sons! <bob@example.net>", "O'Neil & Sons!", "bob@example.net"),
    ],
)
def test_mailboxes(header: str, name: str, address: str) -> None:
    assert parse_mailbox(header) == NamedMailbox(name, address)


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bob",
        "<>",
        "Bob <>",
        "Bob <bob>",
        "bob@example.net, eve@example.net",
        "bob@example.net; eve@example.net",
        "bob@example.net eve@example.net",
        "<bob@example.net> <eve@example.net>",
        "<bob@example.net>, Eve <eve@example.net>",
        "Bob <bob@example.net> x",
        "bob@example.net <eve@example.net>",
        "friends: bob@example.net;",
        "<@relay:bob@example.net>",
        "<<bob@example.net>>",
        "<bob@example.net",
        "bob@example.net>",
        "bob@exa mple.net",
        "b ob@example.net",
        "bob(comment)@example.net",
        "bob@exa(comment)mple.net",
        "bob@example.net (",
        "bob@example.net )",
        '"bob@example.net',
        '"Bob <bob@example.net>',
        "bob@@example.net",
        "bob@[192.0.2.1]",
        "bob\0@example.net",
        "(" * (MAX_COMMENT_DEPTH + 1) + ")" * (MAX_COMMENT_DEPTH + 1) + "bob@example.net",
    ],
)
def test_no_mailbox(header: str) -> None:
    with pytest.raises(InvalidInput):
        parse_mailbox(header)


@given(st.text(alphabet='ab@<>()",;: \\.\t\r\n', max_size=60))
def test_an_address_has_one_at_and_no_blank_outside_quotes(header: str) -> None:
    try:
        mailbox = parse_mailbox(header)
    except InvalidInput:
        return
    assert "@" in mailbox.address
    if '"' not in mailbox.address:
        assert mailbox.address.count("@") == 1
        assert not set(mailbox.address) & set(" ,;:<>()\t\r\n")
        assert mailbox.address in header
