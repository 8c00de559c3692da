"""Too many questions of one network address: 429 in the shape of the door, and nobody else notices."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.operations.dm3_client import Dm3Client
from gateway.web.server import HttpServer, listen
from tests.integration.relay.clients import submit_text, token_of
from tests.support.house import House, running_house

FEW = {"DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "4", "DM3_GATEWAY__RELAY__CALLS_PER_MINUTE": "4"}
PROXY = {"DM3_GATEWAY__SERVER__TRUSTED_PROXIES": '["127.0.0.1", "127.9.0.0/16"]'}
PROPERTIES = {"jsonrpc": "2.0", "id": "seven", "method": "dm3_getDeliveryServiceProperties", "params": []}


@asynccontextmanager
async def limited(folder: Path, overrides: Mapping[str, str]) -> AsyncIterator[House]:
    """A house with a listener that is made as `serve` makes it, from the settings."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(running_house(folder, working=False, overrides=overrides))
        server = HttpServer(
            house.gateway.app, listen("127.0.0.1", 0), trusted_proxies=house.settings.server.trusted_proxies
        )
        await server.start()
        stack.push_async_callback(server.stop)
        own = house.settings.server.model_copy(update={"public_url": f"http://127.0.0.1:{server.port}"})
        yield replace(house, settings=house.settings.model_copy(update={"server": own}))


@pytest.fixture
async def behind_proxy(tmp_path: Path) -> AsyncIterator[House]:
    async with limited(tmp_path / "house", FEW | PROXY) as house:
        yield house


@pytest.fixture
async def without_proxy(tmp_path: Path) -> AsyncIterator[House]:
    async with limited(tmp_path / "house", FEW) as house:
        yield house


async def call(house: House, *forwarded: str, path: str = "/ds/rpc", http: httpx2.AsyncClient | None = None) -> Any:
    headers = [("x-forwarded-for", each) for each in forwarded]
    return await (http or house.http).post(house.url + path, json=PROPERTIES, headers=headers)


def from_address(address: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(local_address=address), trust_env=False, timeout=60)


# --- the shape of the refusal ---------------------------------------------------------------------------------------


@pytest.mark.weakness(15)
@pytest.mark.attack(32)
@pytest.mark.parametrize("path", ["/ds/rpc", "/rpc", "/"])
async def test_too_many_calls_are_refused_as_json_rpc(behind_proxy: House, path: str) -> None:
    house = behind_proxy
    answers = [await call(house, "203.0.113.7", path=path) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    body = answers[-1].json()
    assert (body["jsonrpc"], body["error"]["code"], body["error"]["data"]["retry"]) == ("2.0", -32005, True)
    assert answers[-1].headers["access-control-allow-origin"] == "*"
    assert (await call(house, "203.0.113.8", path=path)).status_code == 200


@pytest.mark.weakness(15)
async def test_one_bucket_for_all_paths_and_methods(behind_proxy: House) -> None:
    house = behind_proxy
    paths = ("/rpc", "/ds/rpc", "/ds", "/ds/", "/", "/rpc")
    answers = [await call(house, "203.0.113.7", path=path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2


async def test_asking_a_browser_s_question_costs_nothing(behind_proxy: House) -> None:
    house = behind_proxy
    for _ in range(10):
        answer = await house.http.request("OPTIONS", f"{house.url}/ds/rpc", headers={"x-forwarded-for": "203.0.113.7"})
        assert answer.status_code == 204
    assert (await call(house, "203.0.113.7")).status_code == 200


@pytest.mark.weakness(15)
@pytest.mark.attack(12)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/ds/auth/{name}", None),
        ("POST", "/ds/auth/{name}", {"challenge": "x", "signature": "x"}),
        ("POST", "/ds/profile/{name}", {}),
        ("GET", "/api/v1/account/removal/{address}", None),
        ("POST", "/api/v1/account/removal", {"message": "x", "signature": "0x"}),
    ],
)
async def test_too_many_log_ins_and_registrations_are_refused(
    behind_proxy: House, method: str, path: str, body: Any
) -> None:
    house = behind_proxy
    bob = await house.native("bob.eth", "bob")
    url = house.url + path.format(name=bob.name, address=bob.address)

    async def ask(client: str) -> Any:
        return await house.http.request(method, url, json=body, headers={"x-forwarded-for": client})

    answers = [await ask("203.0.113.7") for _ in range(6)]
    assert 429 not in {answer.status_code for answer in answers[:4]}
    assert [answer.status_code for answer in answers[4:]] == [429] * 2
    assert answers[-1].json() == {"error": "Too much at once; please try again later."}
    assert (await ask("203.0.113.8")).status_code != 429
    assert (await call(house, "203.0.113.7")).status_code == 200, "calls have a bucket of their own"


async def test_who_is_logged_in_reads_on(behind_proxy: House) -> None:
    """Log-in has a limit, the mailbox of somebody who is in has not."""
    house = behind_proxy
    alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
    await submit_text(house, alice, bob, "hello")
    for _ in range(10):
        assert len(await bob.fetch()) == 1


@pytest.mark.attack(31)
async def test_names_that_take_time_count_as_calls(behind_proxy: House) -> None:
    house = behind_proxy
    bob = await house.native("bob.eth", "bob")
    headers = {"authorization": f"Bearer {await token_of(house, bob, 'bob')}", "x-forwarded-for": "203.0.113.7"}
    url = f"{house.url}/ds/delivery/messages/{bob.name}/syncAcknowledgements"

    async def acknowledge(*contacts: str) -> int:
        pairs = [{"contactAddress": each, "messageHash": "0x00"} for each in contacts]
        answer = await house.http.post(url, json={"acknowledgements": pairs}, headers=headers)
        return int(answer.status_code)

    plain = [f"n{number}.eth" for number in range(50)]
    assert [await acknowledge(*plain) for _ in range(10)] == [200] * 10
    assert await acknowledge(*plain, "ξένος.eth", "ξένη.eth", "ξένο.eth", "ξένοι.eth") == 200
    assert await acknowledge(*plain, "ξένες.eth") == 429
    assert await acknowledge(*plain) == 200


# --- who is who -----------------------------------------------------------------------------------------------------


@pytest.mark.weakness(15)
async def test_without_trusted_proxies_the_header_is_worth_nothing(without_proxy: House) -> None:
    """Or everybody could be as many askers as they like."""
    house = without_proxy
    answers = [await call(house, f"203.0.113.{number}") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2


@pytest.mark.weakness(15)
async def test_peers_of_different_addresses_do_not_share(without_proxy: House) -> None:
    house = without_proxy
    async with from_address("127.0.0.2") as two, from_address("127.0.0.3") as three:
        assert [(await call(house, http=two)).status_code for _ in range(5)] == [200] * 4 + [429]
        assert (await call(house, http=three)).status_code == 200
        assert (await call(house)).status_code == 200


@pytest.mark.weakness(15)
async def test_only_trusted_proxies_are_believed(behind_proxy: House) -> None:
    house = behind_proxy
    async with from_address("127.0.0.2") as stranger, from_address("127.9.1.1") as second:
        answers = [await call(house, f"203.0.113.{number}", http=stranger) for number in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429], "a peer that calls itself a proxy"
        answers = [await call(house, f"203.0.113.{number}", http=second) for number in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6, "a proxy in a trusted network"


@pytest.mark.weakness(15)
@pytest.mark.parametrize(
    "forwarded",
    [
        lambda number: (f"198.51.100.{number}, 203.0.113.7",),
        lambda number: (f"198.51.100.{number}", "203.0.113.7"),
        lambda number: (f"198.51.100.{number}, 203.0.113.7, 127.9.0.1",),
        lambda number: (f"203.0.113.7:{number + 1000}",),
        lambda number: (("::ffff:203.0.113.7", "203.0.113.7", "::FFFF:CB00:7107")[number % 3],),
        lambda number: (f"2001:db8:1:2::{number + 1:x}",),
        lambda number: (f"[2001:db8:1:2::{number + 1:x}]:{number + 1000}",),
        lambda number: (f"unknown-{number}",),
        lambda number: ("x" * (number + 1),),
    ],
    ids=[
        *("lied in front", "lied in another header", "two proxies", "port", "mapped", "IPv6 network"),
        *("IPv6 with port", "a word", "anything"),
    ],
)
async def test_a_client_cannot_become_somebody_else(behind_proxy: House, forwarded: Any) -> None:
    """What the client wrote itself stands in front of what the proxy added; a network is one customer."""
    house = behind_proxy
    answers = [await call(house, *forwarded(number)) for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert (await call(house, "203.0.113.99")).status_code == 200


# --- the limits themselves ------------------------------------------------------------------------------------------


async def test_zero_is_no_limit(tmp_path: Path) -> None:
    none = dict.fromkeys(FEW, "0")
    async with limited(tmp_path / "house", none) as house:
        assert {(await call(house)).status_code for _ in range(80)} == {200}
        for _ in range(70):
            assert (await house.http.get(f"{house.url}/ds/auth/nobody.eth")).status_code == 404


async def test_the_default_lets_a_client_log_in_as_often_as_it_needs(tmp_path: Path) -> None:
    async with limited(tmp_path / "house", {}) as house:
        bob = await house.native("bob.eth", "bob")
        for _ in range(20):
            await bob.log_in()
        assert json.loads((await call(house)).json()["result"])["sizeLimit"] > 0


async def test_a_refused_log_in_leaves_nothing_behind(behind_proxy: House) -> None:
    """No challenge is written for whoever is refused: the limit is what keeps that table small."""
    house = behind_proxy
    bob: Dm3Client = await house.native("bob.eth", "bob")
    for _ in range(20):
        await house.http.get(f"{house.url}/ds/auth/{bob.name}", headers={"x-forwarded-for": "203.0.113.7"})

    class Count:
        def run(self, conn: Any) -> int:
            return int(conn.exec_driver_sql("SELECT count(*) FROM challenges").scalar())

    assert await house.gateway.store.read(Count()) == 4
