"""DNS answers that do not fit into a datagram come over TCP (RFC 7766): keys of 4096 bits, long SPF records."""

from __future__ import annotations

import pytest

from adapters.email.authentication.dns import Dns, DnsTrouble
from adapters.email.routes import MxRoutes
from tests.integration.email.peers import Zone, dns_server

STRINGS = [f'"{number:04d}{"x" * 200}"' for number in range(10)]
LARGE = {"large.example TXT": [" ".join(STRINGS)], "small.example TXT": ['"hello"']}
SERVERS = [f"{number:02d}.{'mx' * 20}.example." for number in range(30)]


async def test_a_large_answer_is_asked_for_again_over_tcp() -> None:
    zone = Zone(LARGE)
    async with dns_server(zone) as server:
        dns = Dns((server,))
        (text,) = (await dns.ask("large.example", "TXT")).records
        assert text == "".join(each.strip('"') for each in STRINGS)
        assert (await dns.ask("small.example", "TXT")).records == ("hello",)
        assert zone.asked == ["large.example TXT", "small.example TXT"]
        assert zone.asked_again == ["large.example TXT"]


async def test_a_truncated_answer_is_none_where_tcp_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of an SPF record, or of a key, would be believed as another one."""
    monkeypatch.setattr("adapters.email.authentication.dns.LOOKUP_TIME", 1.0)
    async with dns_server(Zone(LARGE, serves_tcp=False)) as server:
        with pytest.raises(DnsTrouble):
            await Dns((server,)).ask("large.example", "TXT")


async def test_many_mail_servers_of_one_domain() -> None:
    zone = Zone(
        {"example.net MX": [f"10 {each}" for each in SERVERS]} | {f"{each[:-1]} A": ["127.0.0.1"] for each in SERVERS}
    )
    async with dns_server(zone) as server:
        route = await MxRoutes((server,), allow_private=True).find("example.net")
    assert "example.net MX" in zone.asked_again
    assert route
