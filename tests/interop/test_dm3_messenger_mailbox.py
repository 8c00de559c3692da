"""What a foreign messenger picks up and acknowledges, in its own peculiar way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.ids import EnsName
from tests.interop.messenger import GENERATIONS, Generation, Messenger, Messengers, fresh, texts
from tests.support.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_mail_comes_newest_first_and_by_sender(alice: Messenger, bob: Messenger, carol: Messenger) -> None:
    for writer, text in ((alice, "1"), (carol, "2"), (alice, "3")):
        await writer.send(bob.name, text)
    assert texts(await bob.fetch()) == ["3", "2", "1"]
    assert texts(await bob.fetch(alice.name)) == ["3", "1"]
    assert texts(await bob.fetch(carol.name)) == ["2"]
    assert texts(await bob.fetch(bob.name)) == []


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_acknowledging_everything_for_each_sender_empties_the_mailbox(
    house: House, messengers: Messengers, alice: Messenger, carol: Messenger, generation: Generation
) -> None:
    reader = await messengers.join(house, fresh("reader"), generation)
    for writer, text in ((alice, "1"), (carol, "2"), (alice, "3")):
        await writer.send(reader.name, text)
    assert await reader.pick_up() == ["1", "2", "3"]
    posts = [status for method, _, status in await reader.requests() if method == "POST"][-2:]
    assert posts == [200, 200], "one batch for each sender, with pairs that are not there"
    assert await reader.fetch() == []


async def test_a_messenger_that_ends_after_the_first_sender_loses_nothing(
    alice: Messenger, bob: Messenger, carol: Messenger
) -> None:
    """Its first batch names all hashes, with the first sender: what others wrote is not stored yet and must stay."""
    for writer, text in ((alice, "1"), (carol, "2"), (alice, "3")):
        await writer.send(bob.name, text)
    assert await bob.pick_up(senders=1) == ["1", "2", "3"]
    assert texts(await bob.fetch()) == ["2"]
    assert await bob.pick_up() == ["2"]
    assert await bob.fetch() == []


async def test_what_comes_between_fetch_and_acknowledgement_stays(alice: Messenger, bob: Messenger) -> None:
    first = await alice.send(bob.name, "before")
    second = await alice.send(bob.name, "after the fetch")
    pair = {"contactAddress": alice.name, "messageHash": first}
    assert await bob.ask("acknowledge", acknowledgements=[pair, pair]) == {"done": True, "value": 200}
    (left,) = await bob.fetch()
    assert left.metadata["messageHash"] == second


async def test_an_acknowledgement_reaches_the_own_mailbox_only(alice: Messenger, bob: Messenger) -> None:
    digest = await alice.send(bob.name, "hello")
    pair = {"contactAddress": alice.name, "messageHash": digest}
    assert (await alice.ask("acknowledge", acknowledgements=[pair]))["done"] is True
    assert texts(await bob.fetch()) == ["hello"]


@pytest.mark.parametrize(
    "acknowledgement", [{"contactAddress": "alice.eth"}, {"messageHash": "0x00"}, {"contactAddress": None}, "0x00"]
)
async def test_a_malformed_acknowledgement_is_refused_and_deletes_nothing(
    alice: Messenger, bob: Messenger, acknowledgement: Any
) -> None:
    """As in the reference: the whole batch is answered 400."""
    digest = await alice.send(bob.name, "hello")
    pair = {"contactAddress": alice.name, "messageHash": digest}
    answer = await bob.ask("acknowledge", acknowledgements=[pair, acknowledgement])
    assert (answer["done"], answer["status"]) == (False, 400)
    assert texts(await bob.fetch()) == ["hello"]


async def test_mail_that_cannot_be_read_does_not_stand_in_the_way(alice: Messenger, bob: Messenger) -> None:
    """A messenger leaves it at the service; everything else is picked up and acknowledged all the same."""
    sealed = await alice.seal(bob.name, "for other keys", readBy=alice.name)
    assert (await alice.post(sealed["url"], "dm3_submitMessage", sealed["envelope"]))["status"] == 200
    await alice.send(bob.name, "readable")
    assert await bob.pick_up() == ["readable"]
    assert await bob.fetch() == []


@pytest.mark.weakness(7)
async def test_a_hundred_messages_are_picked_up_and_acknowledged_in_one_batch(house: House, bob: Messenger) -> None:
    python = await house.native(fresh("python"), "carol")
    wanted = [f"{number}" for number in range(100)]
    await asyncio.gather(*(python.send(EnsName(bob.name), text) for text in wanted))
    await bob.requests()
    picked_up = await bob.pick_up()
    assert sorted(picked_up) == sorted(wanted)
    assert [(method, status) for method, _, status in await bob.requests()] == [("GET", 200), ("POST", 200)]
    assert await bob.fetch() == []
