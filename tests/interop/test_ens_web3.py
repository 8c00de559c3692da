"""web3.py 8 resolves names on the local chain and through our gateway; it knows the universal resolver only.

It refuses gateways on loopback whatever its settings, so the tests lift that one check; all else is as published.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from ens import AsyncENS  # type: ignore[import-untyped]
from ens.exceptions import ResolverNotFound  # type: ignore[import-untyped]
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import ContractLogicError, MultipleFailedRequests

from gateway.dm3.eth import checksum
from gateway.ens.names import dns_encode, namehash
from gateway.ids import EnsName
from gateway.resolver import calls
from tests.interop.ens_world import (
    BASE,
    BASE_PERSON,
    OFF_CHAIN,
    ON_CHAIN,
    PERSON,
    PROFILES,
    REFUSED,
    SECOND_URL,
    STOPPED,
    TEXTS,
    World,
    ens_world,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = EnsName("nobody.gw.eth")
RESOLVE = {
    "type": "function",
    "name": "resolve",
    "stateMutability": "view",
    "inputs": [{"name": "name", "type": "bytes"}, {"name": "data", "type": "bytes"}],
    "outputs": [{"name": "", "type": "bytes"}],
}
HOST_CHECK = "web3.utils.async_exception_handling.async_validate_ccip_url_host"


async def _any_host(url: str) -> None:
    """In place of web3.py's refusal of private addresses."""


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HOST_CHECK, _any_host)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with ens_world() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ens(world: World) -> AsyncIterator[AsyncENS]:
    web3 = AsyncWeb3(AsyncHTTPProvider(world.chain.url))
    web3.provider.ccip_read_allow_http = True
    yield AsyncENS.from_web3(web3)
    await web3.provider.disconnect()


@pytest.mark.parametrize("name", [*ON_CHAIN[1:], *OFF_CHAIN])
class TestRecords:
    @pytest.mark.parametrize("key", TEXTS)
    async def test_text(self, ens: AsyncENS, loopback: None, name: EnsName, key: str) -> None:
        assert await ens.get_text(name, key) == TEXTS[key]

    async def test_absent_text(self, ens: AsyncENS, loopback: None, name: EnsName) -> None:
        assert await ens.get_text(name, "com.twitter") == ""

    async def test_address(self, ens: AsyncENS, loopback: None, name: EnsName) -> None:
        assert await ens.address(name) == checksum(PERSON)

    async def test_address_on_another_chain(self, ens: AsyncENS, loopback: None, name: EnsName) -> None:
        assert await ens.address(name, coin_type=BASE) == checksum(BASE_PERSON)


class TestOtherKinds:
    """Records that it has no method for, asked through its contract call."""

    @pytest.mark.parametrize("name", [OFF_CHAIN[0], OFF_CHAIN[3], NOBODY])
    async def test_all(self, ens: AsyncENS, loopback: None, world: World, name: EnsName) -> None:
        contract = ens.w3.eth.contract(address=checksum(world.resolver), abi=[RESOLVE, *map(_fragment, PROFILES)])
        node = namehash(name)
        asked = [contract.encode_abi(kind, [node, *_typed(kind)]) for kind in PROFILES]
        for kind, data in zip(PROFILES, asked, strict=True):
            result = await contract.functions.resolve(dns_encode(name), data).call()
            assert _read(ens, kind, result) == _expected(kind, name)
        multicall = calls.MULTICALL + ens.w3.codec.encode(["bytes[]"], [[bytes.fromhex(each[2:]) for each in asked]])
        world.gateways.requests.clear()
        result = await contract.functions.resolve(dns_encode(name), multicall).call()
        assert len(world.gateways.requests) == 1
        (results,) = ens.w3.codec.decode(["bytes[]"], result)
        found = [_read(ens, kind, each) for kind, each in zip(PROFILES, results, strict=True)]
        assert found == [_expected(kind, name) for kind in PROFILES]


class TestNames:
    async def test_resolver(self, ens: AsyncENS, world: World) -> None:
        found = await ens.resolver(OFF_CHAIN[0])
        assert found is not None
        assert found.address == checksum(world.resolver)

    async def test_owner(self, ens: AsyncENS, world: World) -> None:
        assert await ens.owner("native.eth") == checksum(world.chain.accounts["root"].address)

    async def test_primary_name(self, ens: AsyncENS, world: World) -> None:
        assert await ens.name(checksum(world.chain.accounts["native"].address)) == "native.eth"
        assert await ens.name(checksum(world.chain.accounts["carol"].address)) is None

    async def test_unknown_names(self, ens: AsyncENS, loopback: None) -> None:
        assert await ens.address("nobody.gw.eth") is None
        assert await ens.get_text("nobody.gw.eth", "url") == ""
        assert await ens.address("nobody.eth") is None
        with pytest.raises(ResolverNotFound):
            await ens.get_text("nobody.eth", "url")


class TestGateways:
    @pytest.mark.parametrize("label", REFUSED)
    async def test_answers_that_must_not_count(self, ens: AsyncENS, loopback: None, label: str) -> None:
        with pytest.raises(ResolverNotFound) as caught:
            await ens.get_text(f"bob.{label}.eth", "url")
        assert isinstance(caught.value.__context__, ContractLogicError)

    async def test_second_url_is_asked_when_the_first_has_no_answer(
        self, ens: AsyncENS, loopback: None, world: World
    ) -> None:
        world.gateways.requests.clear()
        assert await ens.get_text(SECOND_URL, "url") == TEXTS["url"]
        assert [path.split("/")[1] for path in world.gateways.requests] == ["broken", "second"]

    async def test_refusal_of_the_first_url_is_final(self, ens: AsyncENS, loopback: None, world: World) -> None:
        world.gateways.requests.clear()
        with pytest.raises(Exception, match="404"):
            await ens.get_text(STOPPED, "url")
        assert [path.split("/")[1] for path in world.gateways.requests] == ["stopping"]

    async def test_asks_by_get_with_our_contract_in_the_path(self, ens: AsyncENS, loopback: None, world: World) -> None:
        """It posts to templates that lack a placeholder, and the gateway has no route for that."""
        world.gateways.requests.clear()
        await ens.get_text(OFF_CHAIN[0], "url")
        (path,) = world.gateways.requests
        assert path.split("/")[3] == world.resolver

    async def test_as_published_it_refuses_loopback(self, ens: AsyncENS) -> None:
        with pytest.raises(MultipleFailedRequests):
            await ens.get_text(OFF_CHAIN[0], "url")


def _types(kind: str) -> tuple[list[str], list[str]]:
    """Types of arguments and results."""
    given, returned = re.findall(r"\(([^)]*)\)", PROFILES[kind][0])
    return given.split(", "), returned.split(", ")


def _fragment(kind: str) -> dict[str, Any]:
    given, returned = _types(kind)
    return {
        "type": "function",
        "name": kind,
        "stateMutability": "view",
        "inputs": [{"name": f"a{index}", "type": each} for index, each in enumerate(given)],
        "outputs": [{"name": "", "type": each} for each in returned],
    }


def _typed(kind: str) -> list[Any]:
    """Arguments after the node as web3.py wants them."""
    return [int(each) if each.isdigit() else each for each in PROFILES[kind][1]]


def _read(ens: AsyncENS, kind: str, result: bytes) -> list[str]:
    found = ens.w3.codec.decode(_types(kind)[1], result)
    return ["0x" + each.hex() if isinstance(each, bytes) else str(each).lower() for each in found]


def _expected(kind: str, name: EnsName) -> list[str]:
    _, _, found, empty = PROFILES[kind]
    return empty if name == NOBODY else found
