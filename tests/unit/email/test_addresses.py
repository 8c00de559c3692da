"""SMTP address grammar and what local parts under our domain stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.addresses import (
    NULL_PATH,
    Mailbox,
    Special,
    local_target,
    parse_path,
    resolve_alias,
    split_address,
)
from gateway.sdk import EnsName, Network, UnknownName
from gateway.sdk.addresses import Alias, normalise, punycode_localpart
from gateway.sdk.testing import MemoryContext

LONG_NAME = EnsName(".".join(["a" * 20] * 4) + ".eth")


@pytest.mark.parametrize(
    ("argument", "parsed"),
    [
        ("<bob@example.net>", ("bob@example.net", "")),
        (" <bob@example.net> ", ("bob@example.net", "")),
        ("<bob@example.net> SIZE=1 BODY=8BITMIME", ("bob@example.net", " SIZE=1 BODY=8BITMIME")),
        ("<Bob.Smith+tag=x@Example.NET>", ("Bob.Smith+tag=x@Example.NET", "")),
        ('<"b o b"@example.net>', ('"b o b"@example.net', "")),
        (r'<"b\"o\\b"@example.net>', (r'"b\"o\\b"@example.net', "")),
        ("<bob@[192.0.2.1]>", ("bob@[192.0.2.1]", "")),
        ("<bob@[IPv6:2001:db8::1]>", ("bob@[IPv6:2001:db8::1]", "")),
        ("<jörg@bücher.example>", ("jörg@bücher.example", "")),
        ("<💩.eth@gw.example> SMTPUTF8", ("💩.eth@gw.example", " SMTPUTF8")),
        ("<>", (NULL_PATH, "")),
        ("<> SIZE=10", (NULL_PATH, " SIZE=10")),
        ("<postmaster>", ("postmaster@gw.example", "")),
        ("<Postmaster> X=1", ("postmaster@gw.example", " X=1")),
    ],
)
def test_paths_that_are_read(argument: str, parsed: tuple[str, str]) -> None:
    assert parse_path(argument, own_domain="gw.example") == parsed


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "bob@example.net",
        "<bob@example.net",
        "bob@example.net>",
        "<bob>",
        "<@example.net>",
        "<bob@>",
        "<bob@example.net>SIZE=1",
        "<@relay.example:bob@example.net>",
        "<bob@exam ple.net>",
        "<b ob@example.net>",
        "<bob..smith@example.net>",
        "<.bob@example.net>",
        "<bob.@example.net>",
        "<bob@example.net\x00>",
        "<b\x00ob@example.net>",
        '<"a\rRCPT TO:<x@y>"@example.net>',
        '<"a\nb"@example.net>',
        '<"a\x1bb"@example.net>',
        '<"a\x7fb"@example.net>',
        '<"a"b"@example.net>',
        '<""@example.net>',
        "<bob@example.net> SIZE=1\rX",
        "<b\u0085ob@example.net>",
        "<b\u00a0ob@example.net>",
        "<b\udc80ob@example.net>",
        f"<{'a' * 65}@example.net>",
        f"<{'ä' * 33}@example.net>",
        f"<a@{'b' * 253}.net>",
        "<((((@example.net>",
        "<bob@example.net>,<eve@example.net>",
    ],
)
def test_paths_that_are_refused(argument: str) -> None:
    assert parse_path(argument, own_domain="gw.example") is None


@given(st.text(max_size=300))
def test_nothing_read_holds_controls(text: str) -> None:
    for argument in (text, f"<{text}>", f"<{text}@example.net>", f'<"{text}"@example.net>', f"<bob@{text}>"):
        parsed = parse_path(argument, own_domain="gw.example")
        if parsed is not None and parsed[0] != NULL_PATH:
            address, rest = parsed
            assert not any(ord(char) < 0x20 or ord(char) == 0x7F for char in address + rest)
            assert len(address.encode()) <= 254
            mailbox = split_address(address)
            assert mailbox.local
            assert mailbox.domain


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("bob@Example.NET", "example.net"),
        ("bob@bücher.example", "xn--bcher-kva.example"),
        ("bob@[192.0.2.1]", None),
        ("bob@-example-", None),
        ("bob@exa..mple", None),
    ],
)
def test_domains_are_compared_in_one_spelling(address: str, domain: str | None) -> None:
    assert split_address(address).canonical_domain() == domain


def test_what_needs_smtputf8() -> None:
    assert Mailbox("bob", "example.net").ascii
    assert not Mailbox("jörg", "example.net").ascii
    assert not Mailbox("bob", "bücher.example").ascii


@pytest.mark.parametrize(
    ("local", "target"),
    [
        ("alice.eth", EnsName("alice.eth")),
        ("Alice.ETH", EnsName("alice.eth")),
        ('"alice.eth"', EnsName("alice.eth")),
        (punycode_localpart(normalise("💩.eth")).text, normalise("💩.eth")),
        ("💩.eth", normalise("💩.eth")),
        ("ξένος.eth", normalise("ξένος.eth")),
        ("postmaster", Special.OPERATOR),
        ("PostMaster", Special.OPERATOR),
        ("abuse", Special.OPERATOR),
        ("alice.eth+tag", EnsName("alice.eth")),
        ("Alice.eth+Tag+more", EnsName("alice.eth")),
        ("alice.eth+", EnsName("alice.eth")),
        ("ξένος.eth+νέα", normalise("ξένος.eth")),
        ('"alice.eth+a b"', EnsName("alice.eth")),
        ("postmaster+tag", Special.OPERATOR),
        ("control", Special.CONTROL),
        ("Control+tag", Special.CONTROL),
        ("b+anything", Special.RETURN_PATH),
        ("B+ANYTHING", Special.RETURN_PATH),
        (punycode_localpart(LONG_NAME).text, Alias(punycode_localpart(LONG_NAME).text)),
    ],
)
def test_local_parts(local: str, target: object) -> None:
    assert local_target(local) == target


@pytest.mark.parametrize(
    "local", ["+tag", "+", "alice.eth -tag", "a b.eth", "xn--a.eth", "Ξένος.eth", "alice..eth", "ab--c.eth"]
)
def test_local_parts_of_nobody(local: str) -> None:
    with pytest.raises(UnknownName):
        local_target(local)


@given(st.text(min_size=1, max_size=40))
def test_any_local_part_has_a_target_or_is_unknown(local: str) -> None:
    try:
        target = local_target(local)
    except UnknownName:
        return
    assert isinstance(target, str | Alias | Special)


async def test_an_alias_is_what_was_stored() -> None:
    ctx = MemoryContext(network=Network("email"))
    alias = Alias(punycode_localpart(LONG_NAME).text)
    with pytest.raises(UnknownName):
        await resolve_alias(alias, ctx)
    await ctx.put_alias(alias.text, LONG_NAME)
    assert await resolve_alias(alias, ctx) == LONG_NAME
    assert await resolve_alias(EnsName("alice.eth"), ctx) == "alice.eth"
