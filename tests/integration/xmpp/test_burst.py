"""Messages that come at once: taken together, in their order, and each of them refused or answered for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.xmpp_stanza import element
from tests.integration.xmpp.worlds import XmppWorld, words, xmpp_world
from tests.support.prosody import prosody_server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("xmpp")]

MANY = 100


async def test_a_burst_arrives_once_and_in_order(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    contact = world.contact(native)
    sent = [await alice.send_asking(contact, f"number {n}") for n in range(MANY)]
    other = [await bob.send_asking(contact, f"another {n}") for n in range(5)]
    again = await alice.send(contact, "number 7", id=sent[7])
    assert again == sent[7]
    for id in sent:
        await alice.wait_receipt(id)
    for id in other:
        await bob.wait_receipt(id)
    received = await world.mail(native, MANY + 5)
    of_alice = [words(each) for each in received if each.message.from_ == world.name_of(alice)]
    assert of_alice == [f"number {n}" for n in range(MANY)]
    assert len(received) == MANY + 5


async def test_one_that_cannot_be_taken_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    limit = {"DM3_GATEWAY__RELAY__SIZE_LIMIT": "100000"}
    async with (
        prosody_server(tmp_path / "server") as server,
        xmpp_world(tmp_path, server, overrides=limit) as world,
    ):
        alice, native = await world.person(), await world.native()
        contact = world.contact(native)
        sent, wrong = [], ""
        for n in range(MANY):
            if n == MANY // 2:
                # Within what a stanza may hold, and more than an envelope may.
                wrong = await alice.send_asking(contact, "x" * 80_000)
                # Without an id nobody can tell a repeat; the same words are said twice.
                for _ in range(2):
                    alice.send_raw(element("message", {"to": contact, "type": "chat"}, element("body", text="again")))
            sent.append(await alice.send_asking(contact, f"number {n}"))
        for id in sent:
            await alice.wait_receipt(id)
        assert (await alice.wait_error(wrong)).condition == "policy-violation"
        received = [words(each) for each in await world.mail(native, MANY + 2)]
        half = MANY // 2
        expected = [f"number {n}" for n in range(MANY)]
        assert received == [*expected[:half], "again", "again", *expected[half:]]


async def test_messages_above_the_rate_are_told_so(tmp_path: Path) -> None:
    async with (
        prosody_server(tmp_path / "server") as server,
        xmpp_world(tmp_path, server, settings={"messages_per_minute": 20}) as world,
    ):
        alice, native = await world.person(), await world.native()
        sent = [await alice.send_asking(world.contact(native), f"number {n}") for n in range(30)]
        for id in sent[:20]:
            await alice.wait_receipt(id)
        for id in sent[25:]:
            assert (await alice.wait_error(id)).condition == "resource-constraint"
