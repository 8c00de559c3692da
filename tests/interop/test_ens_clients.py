"""Published ENS clients resolve names on the local chain and through our gateway: viem, ethers 6, ethers 5, web3.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.dm3.eth import checksum
from gateway.ids import EnsName
from tests.interop.ens_world import (
    BASE,
    BASE_PERSON,
    BTC_SCRIPT,
    CONTENTHASH,
    OFF_CHAIN,
    ON_CHAIN,
    PARENT,
    PERSON,
    PROFILES,
    REFUSED,
    SECOND_URL,
    STOPPED,
    TEMPLATE_URL,
    TEXTS,
    World,
    ens_world,
)
from tests.support.node import JS_FOLDER, NodeError, NodeScript

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPTS = {
    "viem": ("viem.mjs", True),
    "ethers6": ("ethers6.mjs", False),
    "ethers6-universal": ("ethers6.mjs", True),
    "ethers5": ("ethers5.cjs", False),
}
"""Script of each client, and whether it is told of the universal resolver."""
NOBODY = EnsName("nobody.gw.eth")
ZERO = "0x" + "00" * 20
COINS = {0: BTC_SCRIPT.hex(), 60: PERSON[2:], BASE: BASE_PERSON[2:]}


class Client:
    """One published client; its process answers while this one's event loop serves chain and gateway."""

    def __init__(self, name: str, script: NodeScript) -> None:
        self.name = name
        self._script = script

    async def ask(self, op: str, **args: Any) -> Any:
        """What the client found; raises NodeError."""
        return await asyncio.to_thread(self._script.call, op, **args)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with ens_world() as found:
        yield found


@pytest.fixture(scope="module", params=SCRIPTS)
def script(request: pytest.FixtureRequest) -> Iterator[tuple[str, NodeScript]]:
    file, _ = SCRIPTS[request.param]
    running = NodeScript(JS_FOLDER / "ens" / file)
    yield request.param, running
    running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(world: World, script: tuple[str, NodeScript]) -> Client:
    name, running = script
    told = world.told()
    if not SCRIPTS[name][1]:
        told["universalResolver"] = None
    found = Client(name, running)
    await found.ask("open", **told)
    return found


@pytest.mark.parametrize("name", [*ON_CHAIN[1:], *OFF_CHAIN])
class TestRecords:
    @pytest.mark.parametrize("key", TEXTS)
    async def test_text(self, client: Client, name: EnsName, key: str) -> None:
        assert await client.ask("text", name=name, key=key) == TEXTS[key]

    async def test_absent_text(self, client: Client, name: EnsName) -> None:
        assert await client.ask("text", name=name, key="com.twitter") in ("", None)

    async def test_address(self, client: Client, name: EnsName) -> None:
        assert await client.ask("addr", name=name) == checksum(PERSON)

    @pytest.mark.parametrize("coin", COINS)
    async def test_coin(self, client: Client, name: EnsName, coin: int) -> None:
        assert (await client.ask("coin", name=name, coin=coin)).lower() == "0x" + COINS[coin]

    async def test_absent_coin(self, client: Client, name: EnsName) -> None:
        assert await client.ask("coin", name=name, coin=2) in ("0x", None)

    async def test_contenthash(self, client: Client, name: EnsName) -> None:
        assert await client.ask("contenthash", name=name) == "0x" + CONTENTHASH.hex()

    async def test_several_at_once(self, client: Client, world: World, name: EnsName) -> None:
        """ENSIP-22: one signature and one request for all of them."""
        world.gateways.requests.clear()
        assert await client.ask("multitext", name=name, keys=[*TEXTS, "none"]) == [*TEXTS.values(), ""]
        assert len(world.gateways.requests) == (1 if name.endswith(PARENT) else 0)


@pytest.mark.parametrize("name", [*OFF_CHAIN, NOBODY])
class TestOtherKinds:
    """Records that the clients have no method for, asked through their generic calls that follow CCIP-read."""

    @pytest.mark.parametrize("kind", PROFILES)
    async def test_alone(self, client: Client, name: EnsName, kind: str) -> None:
        signature, args, found, empty = PROFILES[kind]
        answer = await client.ask("profiles", name=name, calls=[{"signature": signature, "args": args}])
        assert answer == [empty if name == NOBODY else found]

    async def test_all_at_once(self, client: Client, world: World, name: EnsName) -> None:
        """ENSIP-22: under one signature, by one request."""
        world.gateways.requests.clear()
        asked = [{"signature": signature, "args": args} for signature, args, _, _ in PROFILES.values()]
        answer = await client.ask("profiles", name=name, calls=asked)
        assert answer == [empty if name == NOBODY else found for _, _, found, empty in PROFILES.values()]
        assert len(world.gateways.requests) == 1


class TestNames:
    async def test_resolver_is_found(self, client: Client, world: World) -> None:
        assert await client.ask("resolver", name=OFF_CHAIN[0]) == checksum(world.resolver)
        assert await client.ask("resolver", name=ON_CHAIN[0]) == checksum(world.chain.ens.public_resolver)

    async def test_unknown_name_under_our_parent_has_empty_records(self, client: Client) -> None:
        """Signed emptiness and not an error, which would read as an outage."""
        assert await client.ask("addr", name=NOBODY) in (None, ZERO)
        assert await client.ask("text", name=NOBODY, key="url") in ("", None)
        assert await client.ask("contenthash", name=NOBODY) in ("0x", None)

    @pytest.mark.parametrize("name", ["nobody.eth", "a.native.eth", "nobody.org"])
    async def test_unknown_name_elsewhere(self, client: Client, name: str) -> None:
        with pytest.raises(NodeError, match=r"no resolver|ResolverNotFound|0x77209fe8"):
            await client.ask("text", name=name, key="url")

    async def test_primary_name(self, client: Client, world: World) -> None:
        native = checksum(world.chain.accounts["native"].address)
        assert await client.ask("reverse", address=native) == "native.eth"

    async def test_without_primary_name(self, client: Client, world: World) -> None:
        carol = checksum(world.chain.accounts["carol"].address)
        if client.name == "viem":
            with pytest.raises(NodeError, match="ResolverNotFound"):
                await client.ask("reverse", address=carol)
        else:
            assert await client.ask("reverse", address=carol) is None


class TestGateways:
    @pytest.mark.parametrize("label", REFUSED)
    async def test_answers_that_must_not_count(self, client: Client, label: str) -> None:
        """Expired, by another key, by a removed key."""
        assert await _text(client, EnsName(f"bob.{label}.eth")) is None

    async def test_expiry_is_noticed_on_an_idle_chain(self, client: Client, world: World) -> None:
        """No block was mined since the world was made, and the signature is refused all the same."""
        before = world.chain.core.head.number
        assert await _text(client, EnsName("bob.expired.eth")) is None
        assert world.chain.core.head.number == before

    async def test_second_url_is_asked_when_the_first_has_no_answer(self, client: Client, world: World) -> None:
        world.gateways.requests.clear()
        assert await client.ask("text", name=SECOND_URL, key="url") == TEXTS["url"]
        assert [path.split("/")[1] for path in world.gateways.requests] == ["broken", "second"]

    async def test_refusal_of_the_first_url_is_final(self, client: Client) -> None:
        """ERC-3668: no other URL is asked after 4xx; viem asks all the same."""
        assert await _text(client, STOPPED) == (TEXTS["url"] if client.name == "viem" else None)

    async def test_gateway_sees_the_resolver_whoever_asks(self, client: Client, world: World) -> None:
        """Clients of the universal resolver send its address as {sender}; ours stands in the path."""
        world.gateways.requests.clear()
        await client.ask("text", name=OFF_CHAIN[0], key="url")
        assert {path.split("/")[3] for path in world.gateways.requests} == {world.resolver}

    async def test_plain_template_serves_those_who_call_the_resolver_themselves(self, client: Client) -> None:
        """Why ccip_url names the resolver: through a universal resolver {sender} is somebody else (ENSIP-22)."""
        found = await _text(client, TEMPLATE_URL)
        assert found == (None if client.name == "viem" else TEXTS["url"])


async def _text(client: Client, name: EnsName) -> str | None:
    """The text ``url``, or None when the client found none for whatever reason."""
    try:
        found: str | None = await client.ask("text", name=name, key="url")
    except NodeError:
        return None
    return found or None
