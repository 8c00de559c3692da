"""Names for a term: reminders through the person's own network, renewal, grace, and release."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.dm3.eth import sign_text
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.store.audit import LatestEntries
from gateway.store.links import IdentityOwning
from gateway.store.names import NameNamed
from tests.integration.subnames.wallets import Wallet, detail, shown
from tests.support.adapters import PaperAdapter
from tests.support.house import House, another_node, running_house
from tests.support.waiting import until

NAME = EnsName("robert.gw.eth")
DAY = 24 * 3600 * 1000
TERM = {
    "DM3_GATEWAY__SUBNAMES__POLICY": "open",
    "DM3_GATEWAY__SUBNAMES__TERM_DAYS": "365",
    "DM3_GATEWAY__SUBNAMES__GRACE_DAYS": "20",
    "DM3_GATEWAY__SUBNAMES__REST_DAYS": "10",
}


@dataclass
class Years:
    """A clock that tests set forward."""

    ahead: int = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead


@dataclass
class World:
    """A house in which names have a term, and somebody who claimed one."""

    house: House
    paper: PaperAdapter
    years: Years
    bob: Wallet

    async def look(self, days: float) -> int:
        """What a round does so many days after the claim."""
        self.years.ahead = int(days * DAY)
        return await self.house.gateway._names._terms.look()

    async def events(self) -> list[str]:
        logged = await self.house.gateway.store.read(LatestEntries(NAME, 50))
        return [each.entry.action for each in reversed(logged)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    paper, years = PaperAdapter(), Years()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}, overrides=TERM, clock=years) as house:
        bob = Wallet(house, secrets.token_bytes(32))
        assert (await bob.claim(NAME)).status_code == 201
        yield World(house, paper, years, bob)


async def test_each_reminder_comes_once(world: World) -> None:
    rounds = [(300, 0), (336, 1), (336.1, 0), (350, 0), (359, 1), (364.5, 1), (364.6, 0), (365.5, 1), (380, 0)]
    for days, reminded in rounds:
        assert await world.look(days) == reminded, days
    assert await world.events() == ["name.claimed", *["name.expiring"] * 4]
    assert (await shown(world.house, NAME))["nonce"] == 0, "an order that was prepared before a reminder stays good"


async def test_who_was_away_gets_one_reminder_and_not_all(world: World) -> None:
    assert await world.look(365.5) == 1
    assert await world.look(366) == 0


async def test_in_its_grace_a_name_works_and_can_be_renewed(world: World) -> None:
    await world.look(370)
    assert await world.house.ens.address(NAME) == world.bob.address
    before = await shown(world.house, NAME)
    assert before["grace_until"] == before["expires_at"] + 20 * DAY
    answer = await world.bob.order(NAME, action="renew")
    assert answer.status_code == 200, answer.text
    assert abs(answer.json()["expires_at"] - (world.years() + 365 * DAY)) < 60_000
    assert await world.look(370 + 330) == 0
    assert await world.look(370 + 340) == 1, "and the reminders begin anew"


async def test_after_its_grace_it_is_nobody_s_rests_and_can_be_claimed(world: World) -> None:
    await world.look(384.9)
    assert await world.house.ens.address(NAME) == world.bob.address
    assert await world.look(385.1) == 1
    assert await world.house.ens.address(NAME) is None
    assert (await world.bob.get(f"/names/{NAME}")).status_code == 404
    assert (await world.events())[-1] == "name.expired"
    mallory = Wallet(world.house, secrets.token_bytes(32))
    assert "rests" in detail(await mallory.claim(NAME), 409)
    world.years.ahead = int(395.2 * DAY)
    assert (await mallory.claim(NAME)).status_code == 201
    row = await world.house.gateway.store.read(NameNamed(NAME))
    assert row is not None
    assert (row.owner, row.reminded, row.released_at) == (mallory.address, 0, None)


async def test_a_renewal_never_shortens_a_term(world: World) -> None:
    end = (await shown(world.house, NAME))["expires_at"]
    world.years.ahead = -10 * DAY
    answer = await world.bob.order(NAME, action="renew")
    assert answer.json()["expires_at"] == end


async def test_the_reminder_comes_through_the_person_s_own_network(world: World) -> None:
    asked = await world.bob.post(f"/names/{NAME}/link", {"network": "paper", "person": "bob@example.org"}, session=True)
    (note,) = await world.paper.wait_delivered(1)
    code = note.text.removeprefix("[gateway] ")[:9]
    signature = sign_text(world.bob.key, asked.json()["message"])
    confirmed = await world.bob.post(
        f"/names/{NAME}/link/confirm", {"code": code, "signature": signature}, session=True
    )
    assert confirmed.status_code == 200, confirmed.text
    await world.paper.wait_delivered(2)
    end = datetime.fromtimestamp(confirmed.json()["expires_at"] / 1000, UTC)
    await world.look(359)
    reminder = (await world.paper.wait_delivered(3))[2]
    assert reminder.recipient == "bob@example.org"
    assert f"is yours until {end:%d %B %Y}" in reminder.text
    assert f"{world.house.url}/names/{NAME}" in reminder.text
    await world.look(366)
    assert "It still works, and you can renew it, until" in (await world.paper.wait_delivered(4))[3].text
    await world.look(386)
    assert "It is no longer yours" in (await world.paper.wait_delivered(5))[4].text

    async def unlinked() -> bool | None:
        return True if await world.house.gateway.store.read(IdentityOwning(NAME)) is None else None

    await until(unlinked)


async def test_one_node_reminds(world: World) -> None:
    async with another_node(world.house, working=False) as other:
        other.gateway._clock = world.years
        world.years.ahead = 359 * DAY
        terms = [each.gateway._names._terms for each in (world.house, other)]
        terms[1]._clock = world.years
        done = await asyncio.gather(*(each.look() for each in terms for _ in range(5)))
        assert sum(done) == 1
    assert (await world.events()).count("name.expiring") == 1


async def test_names_without_a_term_are_for_ever(tmp_path: Path) -> None:
    years = Years()
    async with running_house(
        tmp_path / "house", overrides={"DM3_GATEWAY__SUBNAMES__POLICY": "open"}, clock=years
    ) as house:
        bob = Wallet(house, secrets.token_bytes(32))
        assert (await bob.claim(NAME)).json()["name"]["expires_at"] is None
        assert (await bob.order(NAME, action="renew")).json()["expires_at"] is None
        years.ahead = 100 * 365 * DAY
        assert await house.gateway._names._terms.look() == 0
