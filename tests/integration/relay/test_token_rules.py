"""Token-based rules through the relay: what the chain says of a sender decides whether their mail is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.demo.chain.rpc import rpc_app
from gateway.demo.chain.running import running_chain
from gateway.dm3.spam_report import verify_report
from gateway.operations.dm3_client import Dm3Client
from tests.integration.chain.node import embedded_node
from tests.integration.ens.tokens import ART, ITEM, Tokens, found_tokens
from tests.integration.relay.clients import Api, logged_in, offer, submit
from tests.integration.relay.envelopes import sealed
from tests.support.asgi import serving
from tests.support.house import House, rpc, running_house
from tests.support.waiting import until

RELAY = "DM3_GATEWAY__RELAY__"


@dataclass
class Switch:
    """A chain's endpoint that can be switched off."""

    app: ASGIApp
    on: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or be out of order."""
        answer: ASGIApp = self.app if self.on else Response("out of order", 503)
        await answer(scope, receive, send)


@dataclass
class Receiver:
    """What an operator runs beside a stake contract: keeps the reports that come."""

    reports: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        """One report."""
        self.reports.append(await request.json())
        return JSONResponse({})


@dataclass(frozen=True)
class World:
    """A relay, contracts on its chain, and two people; alice has a little of everything, mallory has nothing."""

    house: House
    tokens: Tokens
    switch: Switch
    receiver: Receiver
    alice: Dm3Client
    mallory: Dm3Client
    bob: Dm3Client
    api: Api

    async def answers(self, **rules: Any) -> tuple[int, int]:
        """Statuses of new envelopes of alice and of mallory under these rules of bob."""
        await self.api.set_rules(**rules)
        first = await offer(self.house, sealed(self.house, self.alice, self.bob))
        second = await offer(self.house, sealed(self.house, self.mallory, self.bob, account="mallory"))
        return first.status_code, second.status_code


@asynccontextmanager
async def world_with(folder: Path, *, working: bool = False, **settings: Any) -> AsyncIterator[World]:
    """Everything started; `settings` are of the relay."""
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(running_chain())
        tokens = await asyncio.to_thread(found_tokens, embedded_node(chain.core), chain.accounts)
        switch, receiver = Switch(rpc_app(chain.core)), Receiver()
        port = await stack.enter_async_context(serving(switch))
        reports = Starlette(routes=[Route("/reports", receiver.take, methods=["POST"])])
        report_port = await stack.enter_async_context(serving(reports))
        settings |= {
            "stake": {"contract": tokens.stakes.address, "report_url": f"http://127.0.0.1:{report_port}/reports"}
        }
        overrides = {f"{RELAY}STAKE__{key.upper()}": value for key, value in settings.pop("stake").items()} | {
            RELAY + key.upper(): json.dumps(value) for key, value in settings.items()
        }
        house = await stack.enter_async_context(
            running_house(
                folder,
                chain=replace(chain, url=f"http://127.0.0.1:{port}"),
                overrides={key: value.strip('"') for key, value in overrides.items()},
                working=working,
            )
        )
        alice, mallory = await house.native("alice.eth", "alice"), await house.native("mallory.eth", "mallory")
        bob = await house.native("bob.eth", "bob")
        api = await logged_in(house, bob, "bob")
        yield World(house, tokens, switch, receiver, alice, mallory, bob, api)


async def test_each_rule_lets_the_owner_in_and_nobody_else(tmp_path: Path, subtests: pytest.Subtests) -> None:
    async with world_with(tmp_path / "house") as world:
        tokens = world.tokens
        rules: dict[str, dict[str, Any]] = {
            "coins": {"minTokenBalance": {"address": tokens.coin.address, "amount": "1000"}},
            "a work of art": {"ownsToken": [{"standard": "ERC721", "address": tokens.art.address}]},
            "this work of art": {
                "ownsToken": [{"standard": "ERC721", "address": tokens.art.address, "tokenId": str(ART)}]
            },
            "items": {
                "ownsToken": [
                    {"standard": "ERC1155", "address": tokens.items.address, "tokenId": str(ITEM), "amount": "3"}
                ]
            },
            "stake": {"minStake": {"contract": tokens.stakes.address, "amount": "5"}},
        }
        for name, rule in rules.items():
            with subtests.test(rule=name):
                assert await world.answers(**rule) == (200, 403)
        with subtests.test(rule="all of them"):
            owned = [rules["a work of art"]["ownsToken"][0], rules["items"]["ownsToken"][0]]
            every = rules["coins"] | rules["stake"] | {"ownsToken": owned, "minNonce": 1, "minBalance": "1"}
            assert await world.answers(**every) == (200, 403)
        with subtests.test(rule="one more coin"):
            more = {"minTokenBalance": {"address": tokens.coin.address, "amount": "1001"}}
            assert await world.answers(**more) == (403, 403)


async def test_a_refusal_says_what_is_missing(tmp_path: Path) -> None:
    async with world_with(tmp_path / "house") as world:
        await world.api.set_rules(minStake={"contract": world.tokens.stakes.address, "amount": str(10**17)})
        answer = await offer(world.house, sealed(world.house, world.alice, world.bob))
        error = answer.json()["error"]
        assert error["code"] == -32010
        assert "0.1 ETH" in error["data"]["detail"]
        extension = json.loads((await rpc(world.house, "dm3_getProfileExtension", world.bob.name)).json()["result"])
        assert extension["spamFilterRules"]["minStake"]["amount"] == str(10**17)


async def test_only_the_relay_s_own_stake_contract_can_be_asked_for(tmp_path: Path) -> None:
    async with world_with(tmp_path / "house") as world:
        other = {"minStake": {"contract": world.tokens.coin.address, "amount": "1"}}
        assert (await world.api.put("account/rules", other)).status_code == 400


async def test_while_the_chain_is_down_mail_waits_among_the_requests(tmp_path: Path) -> None:
    async with world_with(tmp_path / "house") as world:
        await submit(world.house, world.alice, world.bob, "before")
        await world.api.set_rules(minTokenBalance={"address": world.tokens.coin.address, "amount": "1"})
        world.switch.on = False
        await submit(world.house, world.alice, world.bob, "meanwhile")
        assert len(await world.api.mailbox()) == 1
        (request,) = (await world.api.get("mailbox/requests")).json()["requests"]
        assert request["sender"] == "alice.eth"


async def test_while_the_chain_is_down_mail_is_refused_where_the_operator_wants_it(tmp_path: Path) -> None:
    async with world_with(tmp_path / "house", when_chain_is_down="refuse") as world:
        await submit(world.house, world.alice, world.bob, "before")
        await world.api.set_rules(minTokenBalance={"address": world.tokens.coin.address, "amount": "1"})
        world.switch.on = False
        answer = await offer(world.house, sealed(world.house, world.alice, world.bob))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32002)
        await world.api.set_rules(allow=["alice.eth"], minTokenBalance={"address": "0x" + "12" * 20, "amount": "1"})
        await submit(world.house, world.alice, world.bob, "allowed senders need no chain")


async def test_a_report_of_spam_reaches_the_operator_signed_and_once(tmp_path: Path) -> None:
    async with world_with(tmp_path / "house", working=True) as world:
        await submit(world.house, world.mallory, world.bob, account="mallory")
        (found,) = await world.api.mailbox()
        answer = await world.api.post("mailbox/reports", {"id": found["id"]})
        assert answer.json() == {"blocked": "mallory.eth", "reported": True}

        async def look() -> bool | None:
            return bool(world.receiver.reports) or None

        await until(look)
        (report,) = world.receiver.reports
        assert verify_report(report, world.house.gateway.service_profile.public_signing_key)
        assert (report["reporter"], report["sender"], report["senderAddress"], report["envelopeId"]) == (
            "bob.eth",
            "mallory.eth",
            world.mallory.address,
            found["id"],
        )
        assert await world.answers() == (200, 200), "the rules are free again when their owner says so"
