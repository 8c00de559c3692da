"""Whatever strangers' records say, nothing of this machine or its site is connected to.

Sockets are led: an address of the public Internet to a server of the test, every other to a canary that counts. So a
connection that should not be made would be made, and seen.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpcore2
import pytest
import trustme

from gateway.dm3.dm3_hash import dm3_hash
from gateway.ens.ccip import CcipReader, OffchainLookup
from gateway.ens.chain import Chain
from gateway.ens.documents import Documents
from gateway.ens.egress import MAX_REDIRECTS, GuardedClient
from gateway.ens.hosts import is_public
from gateway.errors import FetchFailed, FetchRefused, GatewayError
from gateway.ids import EthAddress
from gateway.settings import ChainSettings
from tests.integration.ens.servers import Asked, Server, answering, response, scripted

FORMS = [
    "https://127.0.0.1/",
    "http://127.0.0.1/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[fe80::1%25lo]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://100.64.0.1/",
    "https://192.168.1.1/",
    "https://224.0.0.1/",
    "https://127.0.0.1.:443/",
    "https://public.example@127.0.0.1/",
    "https://127.0.0.1\\@public.example/",
    "https://127.0.0.1:80#@public.example/",
    "https://①②⑦.0.0.1/",
    "https://inside.example/",
    "https://half.example/",
]
"""Ways to write this machine, its neighbours, and names that lead there."""
PUBLIC = "1.1.1.1"
ADDRESSES = {
    "public.example": [PUBLIC],
    "inside.example": ["127.0.0.1"],
    "half.example": [PUBLIC, "::1"],
    "localhost": ["127.0.0.1"],
}


@dataclass
class Wire(httpcore2.AsyncNetworkBackend):
    """Stands where sockets are opened."""

    server: Server
    canary: Server
    opened: list[str] = field(default_factory=list)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To the server for public addresses, to the canary for all else."""
        self.opened.append(host)
        to = self.server if is_public(ip_address(host)) else self.canary
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", to.port, timeout)


@dataclass
class World:
    """A guarded client as the gateway has it, the public server, and the canary."""

    client: GuardedClient
    wire: Wire
    resolved: list[str]
    redirects: dict[str, str] = field(default_factory=dict)
    """Path on the public server to the URL that it redirects to."""

    @property
    def canary(self) -> Server:
        return self.wire.canary


async def resolve(host: str, port: int) -> Sequence[str]:
    if host not in ADDRESSES:
        raise OSError("no such host")
    return ADDRESSES[host]


@asynccontextmanager
async def world(*, rebinding: Iterable[str] = (), allow_private: bool = False) -> AsyncIterator[World]:
    """With `rebinding`, every host has one of these addresses after the other."""
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("public.example", "rebind.example").configure_cert(theirs)
    redirects: dict[str, str] = {}
    resolved: list[str] = []
    answers = iter(rebinding)

    async def looked_up(host: str, port: int) -> Sequence[str]:
        resolved.append(host)
        return [next(answers)] if rebinding else await resolve(host, port)

    async def redirecting(asked: Asked, writer: asyncio.StreamWriter) -> None:
        to = redirects.get(asked.path)
        found = response(200, b"{}") if to is None else response(302, b"", "text/plain", ("Location", to))
        # One connection for each request, so that each is looked up.
        writer.write(found.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        await writer.drain()
        writer.close()

    async with (
        scripted(redirecting, theirs) as server,
        scripted(answering(response(200, b'{"secret":1}'))) as canary,
    ):
        wire = Wire(server, canary)
        client = GuardedClient(resolve=looked_up, tls=ours, connect=wire, allow_private=allow_private, timeout=20)
        async with client:
            yield World(client, wire, resolved, redirects)


@pytest.mark.attack(13)
async def test_the_canary_sees_what_is_let_through() -> None:
    """Or the other tests here would prove nothing."""
    async with world(allow_private=True) as here:
        assert (await here.client.get("http://127.0.0.1/")).body == b'{"secret":1}'
        assert here.canary.connections == 1
        assert (await here.client.get("https://public.example/")).body == b"{}"
        assert here.wire.opened == ["127.0.0.1", PUBLIC]


@pytest.mark.weakness(12)
@pytest.mark.attack(13)
async def test_no_form_of_this_machine_is_connected_to(subtests: pytest.Subtests) -> None:
    """Asked for directly, posted to, and as document of a profile with the right hash."""
    digest = dm3_hash({"secret": 1})
    async with world() as here:
        for form in FORMS:
            with subtests.test(form):
                with pytest.raises(FetchRefused):
                    await here.client.get(form)
                with pytest.raises(FetchRefused):
                    await here.client.post_json(form, {})
                with pytest.raises(FetchRefused):
                    await Documents(here.client).read(f"{form.partition('#')[0]}?dm3Hash={digest}")
        assert here.wire.opened == []
        assert here.canary.connections == 0


@pytest.mark.weakness(12)
@pytest.mark.attack(13)
async def test_no_redirect_leads_to_this_machine(subtests: pytest.Subtests) -> None:
    """At the first step, and at the end of as many as are followed."""
    async with world() as here:
        for steps in (1, MAX_REDIRECTS):
            for form in FORMS:
                here.redirects.clear()
                chain = [f"/{number}" for number in range(steps)]
                here.redirects |= dict(zip(chain, [*chain[1:], form], strict=True))
                with subtests.test(form, steps=steps), pytest.raises(FetchRefused):
                    await here.client.get("https://public.example/0")
        assert set(here.wire.opened) == {PUBLIC}
        assert len(here.wire.opened) == len(FORMS) * (1 + MAX_REDIRECTS)
        assert here.canary.connections == 0


@pytest.mark.weakness(12)
@pytest.mark.attack(13)
async def test_a_chain_of_redirects_ends() -> None:
    async with world() as here:
        here.redirects |= {f"/{number}": f"/{number + 1}" for number in range(50)}
        with pytest.raises(FetchRefused, match="redirects"):
            await here.client.get("https://public.example/0")
        assert len(here.wire.opened) == MAX_REDIRECTS + 1


@pytest.mark.weakness(12)
@pytest.mark.attack(18)
async def test_no_gateway_of_a_contract_is_on_this_machine(subtests: pytest.Subtests) -> None:
    """A contract may name any URL, with the data in it or to be posted to."""
    contract = EthAddress("0x" + "ab" * 20)
    chain = Chain(["http://127.0.0.1:9"], 31337)
    async with world() as here:
        for form in FORMS:
            for url in (form, form + "{data}"):
                lookup = OffchainLookup(contract, (url,), b"\x01", b"\x02\x03\x04\x05", b"")
                with subtests.test(url), pytest.raises(FetchRefused):
                    await CcipReader(chain, here.client).fetch(lookup)
        here.redirects["/there"] = "https://127.0.0.1/"
        redirected = OffchainLookup(contract, ("https://public.example/there?{data}",), b"\x01", b"\x02" * 4, b"")
        with pytest.raises((FetchRefused, FetchFailed)):
            await CcipReader(chain, here.client).fetch(redirected)
        assert set(here.wire.opened) <= {PUBLIC}
        assert here.canary.connections == 0
    await chain.close()


@pytest.mark.weakness(12)
@pytest.mark.attack(14)
@pytest.mark.parametrize("first", [PUBLIC, "127.0.0.1"])
async def test_a_name_that_leads_to_a_public_address_and_to_this_machine_in_turn(first: str) -> None:
    """DNS rebinding: what was checked is what is connected to, so each look-up is judged and used once."""
    second = "127.0.0.1" if first == PUBLIC else PUBLIC
    outcomes = []
    async with world(rebinding=[first, second] * 20) as here:
        for _ in range(40):
            try:
                outcomes.append((await here.client.get("https://rebind.example/")).body)
            except GatewayError as error:
                outcomes.append(type(error).__name__.encode())
        assert here.canary.connections == 0
        assert here.wire.opened == [PUBLIC] * 20
        assert len(here.resolved) == 40, "no second look-up between the check and the connection"
    assert outcomes.count(b"{}") == 20
    assert outcomes.count(b"FetchRefused") == 20


@pytest.mark.weakness(12)
def test_private_addresses_and_plain_http_are_for_trials_only() -> None:
    assert ChainSettings(rpc_urls=("https://eth.example",)).allow_private_gateways is False
