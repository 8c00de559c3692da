"""A Matrix user and a native DM3 client talk: both directions, every kind of message."""

from __future__ import annotations

import pytest

from gateway.dm3.message import MessageType
from tests.integration.matrix.worlds import MatrixWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]


async def test_a_matrix_user_opens_a_chat_with_a_ghost(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await world.chat(alice, native)
    sent = await alice.say(room, "hello from Matrix")
    (received,) = await world.mail(native)
    assert received.message.text is not None
    assert received.message.text.startswith("hello from Matrix")
    assert received.message.from_ == world.name_of(alice)
    status = await alice.wait_event(
        lambda event: (
            event["type"] == "com.beeper.message_send_status" and event["content"]["m.relates_to"]["event_id"] == sent
        )
    )
    assert status["content"]["status"] == "SUCCESS"
    await native.send(world.name_of(alice), "hello from DM3")
    heard = await alice.wait_text(room, "hello from DM3")
    assert heard["sender"] == world.ghost(native)
    await world.mail(native, kind=MessageType.READ_RECEIVED)


async def test_a_dm3_client_writes_first(world: MatrixWorld) -> None:
    bob, native = await world.person(), await world.native()
    await native.send(world.name_of(bob), "is anybody there?")
    invite = await bob.wait_invite()
    assert invite.inviter == world.ghost(native)
    assert invite.is_direct
    await bob.join(invite.room_id)
    await bob.wait_text(invite.room_id, "is anybody there?")
    await bob.say(invite.room_id, "yes")
    (received,) = await world.mail(native)
    assert received.message.text is not None
    assert received.message.text.startswith("yes")
    ghost = world.adapter._opened().ghosts.known(native.name)
    assert await ghost.account_data("m.direct") == {bob.user_id: [invite.room_id]}
