"""Names that strangers point at somebody's address: they open no mailbox, and they hold up none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.custody.directory import Directory
from gateway.dm3.data_uri import data_uri
from gateway.ens.profiles import ResolvedProfile
from gateway.errors import ChainUnavailable, FetchFailed, GatewayError, UnknownName
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import sessions as sessions_module
from tests.integration.relay.clients import get, submit_text, token_of
from tests.support.house import House

EVIL = EnsName("evil.eth")


async def point(house: House, name: EnsName, victim: Dm3Client) -> Dm3Client:
    """Register a name of a stranger's for the victim's address, with the victim's public profile in it."""
    ens = house.chain.ens
    await asyncio.to_thread(ens.register, name)
    await asyncio.to_thread(ens.set_addr, name, victim.address)
    await asyncio.to_thread(ens.set_text, name, "network.dm3.profile", data_uri(victim.signed_profile().to_text()))
    return Dm3Client(
        name=name,
        wallet=house.chain.accounts["bob"].key,
        profiles=house.profiles,
        http=house.http,
        service=house.gateway.service_name,
    )


def answering(monkeypatch: pytest.MonkeyPatch, names: set[EnsName], answer: Any) -> None:
    """From now on a question for one of these names is answered by the stranger's servers."""
    user = Directory.user

    async def changed(self: Directory, name: EnsName, *, fresh: bool = False) -> ResolvedProfile:
        if name in names:
            await answer()
        return await user(self, name, fresh=fresh)

    monkeypatch.setattr(Directory, "user", changed)


async def never() -> None:
    await asyncio.Event().wait()


def failing(error: GatewayError) -> Any:
    async def fail() -> None:
        raise type(error)(error.detail)

    return fail


@pytest.mark.weakness(3)
@pytest.mark.attack(35)
@pytest.mark.parametrize("error", [FetchFailed("gone"), ChainUnavailable("gone"), UnknownName("gone")], ids=repr)
async def test_a_name_that_cannot_be_looked_up_any_more_blocks_nothing(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch, error: GatewayError
) -> None:
    """Mail to such a name waits in the victim's mailbox for thirty days, and the stranger's server is switched off."""
    evil = await point(house, EVIL, bob)
    await submit_text(house, alice, evil, "bait")
    wanted = await submit_text(house, alice, bob, "wanted")
    token = await token_of(house, bob, "bob")
    answering(monkeypatch, {EVIL}, failing(error))
    answer = await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)
    assert answer.status_code == 200
    assert [each["metadata"]["messageHash"] for each in answer.json()] == [wanted]
    paged = await get(house, "/api/v1/mailbox", token)
    assert [each["recipient"] for each in paged.json()["envelopes"]] == [bob.name]


@pytest.mark.weakness(3)
@pytest.mark.attack(35)
async def test_many_names_that_take_their_time_hold_nothing_up(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "NAME_SECONDS", 0.3)
    names = {EnsName(f"evil{number}.eth") for number in range(10)}
    for name in names:
        await submit_text(house, alice, await point(house, name, bob), "bait")
    await submit_text(house, alice, bob, "wanted")
    token = await token_of(house, bob, "bob")
    asked: list[int] = []
    under_way = 0

    async def counted() -> None:
        nonlocal under_way
        under_way += 1
        asked.append(under_way)
        try:
            await never()
        finally:
            under_way -= 1

    answering(monkeypatch, names, counted)
    answer = await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)
    assert (answer.status_code, len(answer.json())) == (200, 1)
    assert max(asked) == len(names), "all at once, and not one after the other"


async def test_a_name_of_one_s_own_comes_back_when_it_can_be_looked_up(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost meanwhile: it waits."""
    alias = await house.native("alias.eth", "bob")
    await submit_text(house, alice, alias, "to the alias")
    token = await token_of(house, bob, "bob")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    with monkeypatch.context() as patch:
        answering(patch, {alias.name}, failing(FetchFailed("away")))
        assert (await get(house, path, token)).json() == []
    assert len((await get(house, path, token)).json()) == 1


async def test_a_chain_that_is_down_is_told_and_ends_no_session(
    house: House, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the name of the session itself there is no answer without it."""
    token = await token_of(house, bob, "bob")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    with monkeypatch.context() as patch:
        answering(patch, {bob.name}, failing(ChainUnavailable("down")))
        answer = await get(house, path, token)
        assert (answer.status_code, set(answer.json())) == (503, {"error"})
    assert (await get(house, path, token)).status_code == 200
