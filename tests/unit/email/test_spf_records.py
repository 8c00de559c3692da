"""SPF records and macros: the standard's examples, the grammar, hostile text."""

from __future__ import annotations

import contextlib
import time
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.authentication.results import Spf
from adapters.email.authentication.spf_macros import Facts, MalformedMacro, expand, wants_host
from adapters.email.authentication.spf_record import (
    MAX_RECORD,
    MalformedRecord,
    Mechanism,
    SpfRecord,
    choose_record,
    parse_record,
)

FACTS = Facts(
    ip=IPv4Address("192.0.2.3"),
    local="strong-bad",
    sender_domain="email.example.com",
    domain="email.example.com",
    helo="mail.example.net",
)
"""Of RFC 7208, section 7.4."""


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        # RFC 7208, section 7.4.
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{h}", "mail.example.net"),
        ("%{p}", "unknown"),
        ("a%%b%_c%-d", "a%b c%20d"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{d100}", "email.example.com"),
        ("x.example.", "x.example"),
    ],
)
def test_macros(text: str, expanded: str) -> None:
    assert expand(text, FACTS) == expanded


def test_macros_of_an_ipv6_client() -> None:
    facts = Facts(IPv6Address("2001:db8::cb01"), "strong-bad", "email.example.com", "email.example.com", "x")
    assert expand("%{ir}.%{v}._spf.%{d2}", facts) == (
        "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
    )


def test_a_long_name_loses_labels_on_its_left() -> None:
    expanded = expand("%{l}.%{d}", Facts(FACTS.ip, "a." * 120 + "z", "x", "d.example", "h"))
    assert len(expanded) <= 253
    assert expanded.endswith(".a.z.d.example")


@pytest.mark.parametrize(
    "text", ["%", "%x", "%{", "%{d", "%{d0}", "%{z}", "%{d2x}", "%{c}", "%{}", "a b", "%{d 2}", "é"]
)
def test_no_macros(text: str) -> None:
    with pytest.raises(MalformedMacro):
        expand(text, FACTS)


def test_who_wants_the_host() -> None:
    assert wants_host("%{P2}.x")
    assert not wants_host("%{d}.p")


def term(outcome: Spf, name: str, domain: str = "", network: str = "", four: int = 32, six: int = 128) -> Mechanism:
    return Mechanism(outcome, name, domain, ip_network(network) if network else None, four, six)


@pytest.mark.parametrize(
    ("text", "mechanisms"),
    [
        ("v=spf1", []),
        ("V=SPF1 ", []),
        ("v=spf1 -all", [term(Spf.FAIL, "all")]),
        ("v=spf1  ~ALL  ", [term(Spf.SOFTFAIL, "all")]),
        (
            "v=spf1 a mx:x.example ?ptr",
            [term(Spf.PASS, "a"), term(Spf.PASS, "mx", "x.example"), term(Spf.NEUTRAL, "ptr")],
        ),
        ("v=spf1 a/24//64", [term(Spf.PASS, "a", four=24, six=64)]),
        ("v=spf1 a//0", [term(Spf.PASS, "a", six=0)]),
        ("v=spf1 mx:a/b.example/8", [term(Spf.PASS, "mx", "a/b.example", four=8)]),
        ("v=spf1 a:1.2.3.example.", [term(Spf.PASS, "a", "1.2.3.example.")]),
        (
            "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24",
            [term(Spf.PASS, "ip4", network="192.0.2.1/32"), term(Spf.PASS, "ip4", network="192.0.2.0/24")],
        ),
        ("v=spf1 -ip6:2001:db8::/32", [term(Spf.FAIL, "ip6", network="2001:db8::/32")]),
        ("v=spf1 ip4:192.0.2.77/24", [term(Spf.PASS, "ip4", network="192.0.2.0/24")]),
        (
            "v=spf1 include:%{d2} exists:%{i}.x.example",
            [term(Spf.PASS, "include", "%{d2}"), term(Spf.PASS, "exists", "%{i}.x.example")],
        ),
    ],
)
def test_records(text: str, mechanisms: list[Mechanism]) -> None:
    assert parse_record(text) == SpfRecord(tuple(mechanisms))


def test_modifiers() -> None:
    record = parse_record("v=spf1 exp=why.example.org REDIRECT=_spf.example.org x-new=%{d}")
    assert record == SpfRecord((), "_spf.example.org")


@pytest.mark.parametrize(
    "term",
    [
        "all:x.example",
        "all/8",
        "include",
        "include:",
        "include:example",
        "include:x.1",
        "include:x.-a",
        "exists",
        "a:",
        "a:/8",
        "a/33",
        "a/08",
        "a/",
        "a//129",
        "a/8/8",
        "a:example",
        "a:x.example%",
        "mx:x..",
        "ptr:",
        "ptr/8",
        "ip4",
        "ip4:",
        "ip4:1.2.3",
        "ip4:1.2.3.4/33",
        "ip4:1.2.3.4/",
        "ip4:1.2.3.4/01",
        "ip4:1.2.3.4/255.0.0.0",
        "ip4:::1",
        "ip6:1.2.3.4",
        "ip6:fe80::1%eth0",
        "unknown",
        "unknown:x.example",
        "-",
        "+-all",
        "-all.",
        "redirect=",
        "redirect=x",
        "redirect=a.example redirect=b.example",
        "exp=a.example exp=b.example",
        "x=%",
        "1x=y",
        "\ta",
        "a\u00e4",
    ],
)
def test_records_that_are_errors(term: str) -> None:
    with pytest.raises(MalformedRecord):
        parse_record(f"v=spf1 {term}")


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        ([], None),
        (["v=spf2.0 -all", "v=spf10", "spf1", "x"], None),
        (["other", "v=spf1"], "v=spf1"),
        (["v=spf1 a", "v=DKIM1"], "v=spf1 a"),
    ],
)
def test_the_record_among_others(texts: list[str], chosen: str | None) -> None:
    assert choose_record(texts) == chosen


def test_two_records_are_an_error() -> None:
    with pytest.raises(MalformedRecord):
        choose_record(["v=spf1 -all", "v=spf1"])


PIECES = st.sampled_from(
    [*"%{}dlsiopvh0129rR./-+~?:=a ", "all", "include:", "ip4:", "ip6:", "mx", "redirect=", "%{d}", "é"]
)


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
def test_no_record_is_trouble(text: str) -> None:
    try:
        record = parse_record("v=spf1 " + text)
    except MalformedRecord:
        return
    for each in record.mechanisms:
        expand(each.domain, FACTS)
    expand(record.redirect or "", FACTS)


def test_long_records_take_no_more_than_their_size() -> None:
    for filling in ("a ", "%{d}", "/1", "x=y ", "a:" + "b." * 10 + " ", "-", "%{l--------}"):
        begin = time.process_time()
        with contextlib.suppress(MalformedRecord):
            parse_record("v=spf1 " + filling * (MAX_RECORD // len(filling) - 10))
        assert time.process_time() - begin < 1
    with pytest.raises(MalformedRecord):
        parse_record("v=spf1 " + "a" * MAX_RECORD)
