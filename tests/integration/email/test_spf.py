"""SPF over real DNS packets: what each mechanism means, its limits, and what failures of the DNS mean (RFC 7208)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from adapters.email.authentication import dns as lookup
from adapters.email.authentication.dns import Answer, Dns, DnsTrouble, Lookups
from adapters.email.authentication.results import Spf, SpfResult
from adapters.email.authentication.spf import check_spf
from tests.integration.email.peers import Zone, dns_server

Rows = Mapping[str, Sequence[str]]


def txt(text: str) -> list[str]:
    return [" ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))]


async def check(
    rows: Rows,
    client: str = "192.0.2.1",
    sender: str = "bob@example.org",
    helo: str = "mail.example.org",
    failing: frozenset[str] = frozenset(),
) -> Spf:
    async with dns_server(Zone(rows, failing)) as server:
        return (await check_spf(client, sender, helo, Lookups(Dns((server,))))).outcome


BASE: Rows = {
    "mail.example.org A": ["192.0.2.1", "192.0.2.129"],
    "mail.example.org AAAA": ["2001:db8::1"],
    "example.org A": ["192.0.2.10"],
    "example.org MX": ["10 mail.example.org.", "20 mx2.example.org."],
    "mx2.example.org A": ["192.0.2.140"],
    "1.2.0.192.in-addr.arpa PTR": ["mail.example.org."],
    "66.2.0.192.in-addr.arpa PTR": ["mail.example.org."],
    "good.example TXT": txt("v=spf1 ip4:192.0.2.1 -all"),
    "soft.example TXT": txt("v=spf1 ~all"),
    "empty.example TXT": txt("v=spf1"),
    "bad.example TXT": txt("v=spf1 nonsense"),
    "none.example TXT": txt("no record"),
    "bob.users.example.org A": ["127.0.0.2"],
    "1.2.0.192.in-addr.listed.example A": ["127.0.0.2"],
}


@pytest.mark.parametrize(
    ("record", "client", "outcome"),
    [
        ("v=spf1 +all", "192.0.2.1", Spf.PASS),
        ("v=spf1 -all", "192.0.2.1", Spf.FAIL),
        ("v=spf1 ~all", "192.0.2.1", Spf.SOFTFAIL),
        ("v=spf1 ?all", "192.0.2.1", Spf.NEUTRAL),
        ("v=spf1", "192.0.2.1", Spf.NEUTRAL),
        ("v=spf1 a -all", "192.0.2.10", Spf.PASS),
        ("v=spf1 a -all", "192.0.2.11", Spf.FAIL),
        ("v=spf1 a/24 -all", "192.0.2.11", Spf.PASS),
        ("v=spf1 a:mail.example.org -all", "192.0.2.129", Spf.PASS),
        ("v=spf1 a:mail.example.org -all", "2001:db8::1", Spf.PASS),
        ("v=spf1 a:mail.example.org//32 -all", "2001:db8:ffff::1", Spf.PASS),
        ("v=spf1 a:mail.example.org/0 -all", "2001:db8:ffff::1", Spf.FAIL),
        ("v=spf1 a:mail.example.org -all", "::ffff:192.0.2.1", Spf.PASS),
        ("v=spf1 mx -all", "192.0.2.140", Spf.PASS),
        ("v=spf1 mx/25 -all", "192.0.2.200", Spf.PASS),
        ("v=spf1 mx -all", "192.0.2.200", Spf.FAIL),
        ("v=spf1 ip4:192.0.2.0/25 -all", "192.0.2.127", Spf.PASS),
        ("v=spf1 ip4:192.0.2.0/25 -all", "192.0.2.128", Spf.FAIL),
        ("v=spf1 ip4:0.0.0.0/0 -all", "2001:db8::1", Spf.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::99", Spf.PASS),
        ("v=spf1 ptr -all", "192.0.2.1", Spf.PASS),
        ("v=spf1 ptr:other.example -all", "192.0.2.1", Spf.FAIL),
        ("v=spf1 ptr -all", "192.0.2.66", Spf.FAIL),  # the name does not lead back
        ("v=spf1 exists:%{l}.users.%{d} -all", "192.0.2.1", Spf.PASS),
        ("v=spf1 exists:%{ir}.%{v}.listed.example -all", "192.0.2.1", Spf.PASS),
        ("v=spf1 exists:%{ir}.%{v}.listed.example -all", "192.0.2.2", Spf.FAIL),
        ("v=spf1 a:%{p} -all", "192.0.2.1", Spf.PASS),
        ("v=spf1 include:good.example -all", "192.0.2.1", Spf.PASS),
        ("v=spf1 include:good.example ~all", "192.0.2.2", Spf.SOFTFAIL),
        ("v=spf1 include:soft.example -all", "192.0.2.1", Spf.FAIL),
        ("v=spf1 include:empty.example -all", "192.0.2.1", Spf.FAIL),
        ("v=spf1 include:none.example", "192.0.2.1", Spf.PERMERROR),
        ("v=spf1 include:bad.example", "192.0.2.1", Spf.PERMERROR),
        ("v=spf1 include:missing.example", "192.0.2.1", Spf.PERMERROR),
        ("v=spf1 redirect=good.example", "192.0.2.2", Spf.FAIL),
        ("v=spf1 redirect=good.example ?all", "192.0.2.2", Spf.NEUTRAL),
        ("v=spf1 redirect=missing.example", "192.0.2.1", Spf.PERMERROR),
        ("v=spf1 +all nonsense", "192.0.2.1", Spf.PERMERROR),
        ("v=spf1 a:%{l}..example.org -all", "192.0.2.1", Spf.FAIL),
    ],
)
async def test_mechanisms(record: str, client: str, outcome: Spf) -> None:
    assert await check({**BASE, "example.org TXT": txt(record)}, client) is outcome


@pytest.mark.parametrize("sender", ["bob@missing.example", "bob@localhost", "bob@a..b", f"bob@{'a' * 64}.example"])
async def test_domains_without_a_record(sender: str) -> None:
    assert await check(BASE, sender=sender) is Spf.NONE


async def test_two_records_are_an_error() -> None:
    assert await check({"example.org TXT": ['"v=spf1 +all"', '"v=spf1 -all"']}) is Spf.PERMERROR


async def test_what_no_address_is() -> None:
    assert await check({"example.org TXT": txt("v=spf1 +all")}, client="") is Spf.NONE


async def test_the_null_sender_is_the_postmaster_of_the_greeting() -> None:
    rows = {
        "mail.example.org TXT": txt("v=spf1 exists:%{l}.%{o}.x.example -all"),
        "postmaster.mail.example.org.x.example A": ["127.0.0.1"],
    }
    async with dns_server(Zone(rows)) as server:
        result = await check_spf("192.0.2.1", "", "mail.example.org", Lookups(Dns((server,))))
        assert result == SpfResult(Spf.PASS, "mail.example.org", helo=True)
        for helo in ("", "[192.0.2.1]", "localhost", "x y", "é.example", "a" * 300):
            assert (await check_spf("192.0.2.1", "", helo, Lookups(Dns((server,))))).outcome is Spf.NONE


# --- limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "outcome"), [(9, Spf.PASS), (10, Spf.PERMERROR)])
async def test_ten_terms_that_cause_look_ups(number: int, outcome: Spf) -> None:
    others = " ".join(f"a:h{each}.example.org" for each in range(number))
    rows = {f"h{each}.example.org A": ["192.0.2.99"] for each in range(number)}
    record = f"v=spf1 {others} a:mail.example.org -all"
    assert await check({**BASE, **rows, "example.org TXT": txt(record)}) is outcome


async def test_includes_count_with_what_they_hold() -> None:
    rows = {f"i{each}.example TXT": txt(f"v=spf1 include:i{each + 1}.example") for each in range(12)}
    rows["example.org TXT"] = txt("v=spf1 include:i0.example")
    assert await check(rows) is Spf.PERMERROR


@pytest.mark.parametrize("record", ["v=spf1 include:example.org", "v=spf1 redirect=example.org"])
async def test_circles_end(record: str) -> None:
    assert await check({"example.org TXT": txt(record)}) is Spf.PERMERROR


@pytest.mark.parametrize(("number", "outcome"), [(2, Spf.PASS), (3, Spf.PERMERROR)])
async def test_two_look_ups_that_find_nothing(number: int, outcome: Spf) -> None:
    record = "v=spf1 " + " ".join(f"a:missing{each}.example" for each in range(number)) + " +all"
    assert await check({"example.org TXT": txt(record)}) is outcome


async def test_too_many_mail_servers() -> None:
    rows = {"example.org MX": [f"10 h{each}.example.org." for each in range(11)]}
    assert await check({**rows, "example.org TXT": txt("v=spf1 mx -all")}) is Spf.PERMERROR


async def test_only_ten_names_of_a_client_are_looked_at() -> None:
    rows: dict[str, Sequence[str]] = {f"h{each}.example.net A": ["192.0.2.1"] for each in range(40)}
    rows["1.2.0.192.in-addr.arpa PTR"] = [f"h{each}.example.net." for each in range(40)]
    rows["example.org TXT"] = txt("v=spf1 ptr -all")
    zone = Zone(rows)
    async with dns_server(zone) as server:
        result = await check_spf("192.0.2.1", "bob@example.org", "h", Lookups(Dns((server,))))
    assert result.outcome is Spf.FAIL
    assert len(zone.asked) == 12


# --- trouble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "failing", "outcome"),
    [
        ("v=spf1 +all", "example.org", Spf.TEMPERROR),
        ("v=spf1 a:mail.example.org -all", "mail.example.org", Spf.TEMPERROR),
        ("v=spf1 include:good.example -all", "good.example", Spf.TEMPERROR),
        ("v=spf1 redirect=good.example", "good.example", Spf.TEMPERROR),
        ("v=spf1 ip4:192.0.2.1 a:mail.example.org -all", "mail.example.org", Spf.PASS),
        ("v=spf1 ptr -all", "1.2.0.192.in-addr.arpa", Spf.FAIL),
        ("v=spf1 ptr -all", "mail.example.org", Spf.FAIL),
    ],
)
async def test_servers_that_fail(record: str, failing: str, outcome: Spf) -> None:
    assert await check({**BASE, "example.org TXT": txt(record)}, failing=frozenset({failing})) is outcome


async def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "LOOKUP_TIME", 0.2)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        result = await check_spf("192.0.2.1", "bob@example.org", "h", Lookups(Dns((f"127.0.0.1:{port}",))))
        assert result.outcome is Spf.TEMPERROR
    finally:
        transport.close()


async def test_answers_are_kept() -> None:
    zone = Zone({"example.org TXT": txt("v=spf1 +all")}, frozenset({"broken.example"}))
    async with dns_server(zone) as server:
        dns = Dns((server,))
        for _ in range(3):
            assert (await dns.ask("example.org", "TXT")).records == ("v=spf1 +all",)
            assert await dns.ask("example.org", "A") == Answer()
            assert await dns.ask("missing.example", "TXT") == Answer(exists=False)
            with pytest.raises(DnsTrouble):
                await dns.ask("broken.example", "TXT")
        assert [zone.asked.count(each) for each in ("example.org TXT", "example.org A", "missing.example TXT")] == [
            1
        ] * 3
        assert zone.asked.count("broken.example TXT") >= 3


async def test_a_mail_has_an_end_to_its_look_ups() -> None:
    async with dns_server(Zone({"example.org TXT": txt("x")})) as server:
        lookups = Lookups(Dns((server,)), left=2)
        for _ in range(5):
            await lookups.ask("example.org", "TXT")
            await lookups.ask("EXAMPLE.org.", "TXT")
        await lookups.ask("other.example", "TXT")
        with pytest.raises(DnsTrouble):
            await lookups.ask("third.example", "TXT")


@pytest.mark.parametrize("name", ["", "a..b", ".", "a" * 64, "a." * 130 + "b", "é.example"])
async def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    zone = Zone()
    async with dns_server(zone) as server:
        assert not (await Dns((server,)).ask(name, "TXT")).exists
    assert zone.asked == []


async def test_a_backslash_is_no_escape() -> None:
    zone = Zone()
    async with dns_server(zone) as server:
        await Dns((server,)).ask("a\\046b.example", "A")
    assert zone.asked == ["a\\\\046b.example A"]
