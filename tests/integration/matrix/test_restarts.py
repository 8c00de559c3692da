"""Exactly once and in order, whichever side stops and starts again in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.errors import HomeserverDown
from adapters.matrix.ids import EventId
from adapters.matrix.intent import Intent
from adapters.matrix.outward import PART_BYTES
from adapters.matrix.portals import Portals, Sending
from gateway.bridge.values import StoredValues
from gateway.ids import CanonicalId, MessageHash
from gateway.lifecycle import now_ms
from gateway.sdk import Delivered, Delivery, MessageType, Retry
from tests.integration.matrix.test_kinds import words
from tests.integration.matrix.worlds import matrix_world

pytestmark = pytest.mark.xdist_group("matrix")


async def test_both_sides_stop_and_start_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    async with matrix_world(tmp_path) as world:
        alice, native = await world.person(), await world.native()
        room = await world.chat(alice, native)
        await alice.say(room, "one")
        await world.mail(native)

        # The homeserver is away: what is for it waits, in order.
        await world.adapter.reach()
        await world.synapse.stop()
        with pytest.raises(HomeserverDown):
            await world.adapter.reach()
        for number in range(3):
            await native.send(world.name_of(alice), f"while away {number}")
        await world.synapse.start()
        await alice.wait_text(room, "while away 2", seconds=30)

        # The gateway does not listen: what the homeserver has for it waits, and a ping brings it at once.
        port = world.house.server.port
        await world.house.server.stop()
        for number in range(3):
            await alice.say(room, f"unheard {number}")
        await asyncio.sleep(0)
        world.house.server = await world.serve_again(port)
        await world.adapter._ping(world.adapter._opened())
        received = await world.mail(native, 4, seconds=30)
        assert [words(each) for each in received] == ["one", *(f"unheard {number}" for number in range(3))]

        bodies = [
            event["content"]["body"]
            for event in reversed(await alice.messages(room))
            if event["sender"] == world.ghost(native) and event["content"].get("body", "").startswith("while")
        ]
        assert bodies == [f"while away {number}" for number in range(3)]


async def test_a_delivery_broken_off_before_it_was_noted_is_found_in_the_room(tmp_path: Path) -> None:
    """The homeserver has forgotten transaction ids by its restart; we have forgotten the event by a crash."""
    async with matrix_world(tmp_path) as world:
        alice, native = await world.person(), await world.native()
        room = await world.chat(alice, native)
        delivery = Delivery(
            key="ab" * 32,
            recipient=CanonicalId(alice.user_id),
            recipient_name=world.name_of(alice),
            sender=native.name,
            verified=True,
            type=MessageType.NEW,
            text="once",
            attachments=(),
            message_hash=MessageHash("0x" + "ab" * 32),
            sent_at=now_ms(),
        )
        first = await world.adapter.deliver(delivery)
        assert isinstance(first, Delivered)
        portals = Portals(StoredValues(world.adapter.name, world.house.gateway.store, now_ms))
        portal = await portals.of(CanonicalId(alice.user_id), native.name)
        assert portal is not None
        noted = await portals.sending(portal)
        assert isinstance(noted, Sending)
        assert noted.events == (EventId(first.native_id),)
        await portals.begin(portal, replace(noted, events=()))
        await world.synapse.restart()
        assert await world.adapter.deliver(delivery) == first
        assert await world.adapter.deliver(delivery) == first
        shown = [event for event in await alice.messages(room) if event["content"].get("body") == "once"]
        assert len(shown) == 1


@pytest.mark.parametrize("waited_ms", [0, 3_600_000])
async def test_a_message_in_parts_that_was_broken_off_goes_on_with_the_part_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waited_ms: int
) -> None:
    """Also one that waited, whose parts are shown with the time at which it was written: long before it began."""
    async with matrix_world(tmp_path) as world:
        alice, native = await world.person(), await world.native()
        room = await world.chat(alice, native)
        texts = [f"part {number} " + "x" * (PART_BYTES - 10) for number in range(3)]
        delivery = Delivery(
            key="cd" * 32,
            recipient=CanonicalId(alice.user_id),
            recipient_name=world.name_of(alice),
            sender=native.name,
            verified=True,
            type=MessageType.NEW,
            text="\n".join(texts),
            attachments=(),
            message_hash=MessageHash("0x" + "cd" * 32),
            sent_at=now_ms() - waited_ms,
        )
        send, sent = Intent.send, 0

        async def broken_off(self: Intent, *args: Any, **options: Any) -> EventId:
            nonlocal sent
            if sent == 2:
                raise HomeserverDown("away")
            sent += 1
            return await send(self, *args, **options)

        with monkeypatch.context() as away:
            away.setattr(Intent, "send", broken_off)
            assert isinstance(await world.adapter.deliver(delivery), Retry)
        # It forgets transaction ids.
        await world.synapse.restart()
        done = await world.adapter.deliver(delivery)
        assert isinstance(done, Delivered)
        shown = [
            (event["event_id"], event["content"]["body"][:6])
            for event in reversed(await alice.messages(room))
            if event["sender"] == world.ghost(native) and event["content"].get("body", "").startswith("part ")
        ]
        assert shown == list(zip([done.native_id, *done.others], ["part 0", "part 1", "part 2"], strict=True))


async def test_a_conversation_goes_on_in_a_new_process(tmp_path: Path) -> None:
    """Portals, ghosts and event ids are on disk: another adapter object knows them."""
    async with matrix_world(tmp_path) as world:
        alice, native = await world.person(), await world.native()
        room = await world.chat(alice, native)
        sent = await alice.say(room, "hello")
        (received,) = await world.mail(native)
        ctx = world.adapter._opened().ctx
        await world.adapter.close()
        fresh = MatrixAdapter(world.adapter._settings)
        await fresh.open(ctx)
        world.house.gateway.adapters[fresh.name] = fresh  # type: ignore[index]
        try:
            await native.send(
                world.name_of(alice), "still here", kind=MessageType.REPLY, reference=received.message_hash
            )
            answer = await alice.wait_text(room, "still here")
            assert answer["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == sent
        finally:
            await fresh.close()
