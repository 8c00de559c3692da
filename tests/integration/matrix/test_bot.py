"""The bot: its desk, commands from there and from elsewhere, and what the gateway has to say."""

from __future__ import annotations

import json

import pytest

from gateway.bridge.jobs import notice_job
from gateway.demo.matrix_user import MatrixUser
from gateway.dm3.message import MessageType
from gateway.lifecycle import now_ms
from gateway.store.identities import IdentityNamed
from gateway.store.lanes import Enqueue
from tests.integration.matrix.test_kinds import talk, words
from tests.integration.matrix.worlds import MatrixWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]


async def desk(world: MatrixWorld, person: MatrixUser) -> str:
    """A person's room with the bot."""
    bot = f"@dm3:{world.synapse.server_name}"
    room = await person.create_room(invite=[bot], is_direct=True, preset="trusted_private_chat")
    await person.wait_event(lambda event: event["room_id"] == room and "chat name.eth" in event["content"]["body"])
    return room


async def answer(person: MatrixUser, room: str, line: str) -> str:
    """What the bot says to a line."""
    sent = await person.say(room, line)
    found = await person.wait_event(
        lambda event: (
            event["room_id"] == room
            and event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == sent
            and event["content"]["msgtype"] == "m.notice"
        )
    )
    return str(found["content"]["body"])


async def test_help_names_every_command(world: MatrixWorld) -> None:
    alice = await world.person()
    room = await desk(world, alice)
    text = await answer(alice, room, "help")
    for command in (
        *("chat", "whoami", "name", "claim", "level", "status", "spam", "block", "report", "retry", "pause"),
        *("export", "delete-me"),
    ):
        assert f"!dm3 {command}" in text, command
    assert "help" in await answer(alice, room, "hlep")


async def test_a_chat_by_command(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await desk(world, alice)
    assert native.name in await answer(alice, room, f"chat {native.name}")
    invite = await alice.wait_invite()
    assert invite.inviter == world.ghost(native)
    await alice.join(invite.room_id)
    await alice.say(invite.room_id, "by command")
    assert words((await world.mail(native))[0]) == "by command"
    assert "already" in await answer(alice, room, f"!dm3 chat {native.name}")
    assert "not" in await answer(alice, room, "chat nobody-at-all.eth")


async def test_a_command_in_a_chat_is_not_passed_on(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    assert world.name_of(alice) in await answer(alice, room, "!dm3 whoami")
    sent = await alice.say(room, "!dm3 whoami")
    await alice.edit(room, sent, "!dm3 level")
    await alice.say(room, "!dm3x is no command")
    assert [words(each) for each in await world.mail(native)] == ["!dm3x is no command"]


async def test_pause_keeps_messages_until_resumed(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    await answer(alice, room, "!dm3 pause 1h")
    await native.send(world.name_of(alice), "later")
    assert "paused" in (await answer(alice, room, "!dm3 whoami")).lower()
    assert all(event["content"].get("body") != "later" for event in await alice.messages(room))
    await answer(alice, room, "!dm3 resume")
    await alice.wait_text(room, "later")


async def test_a_blocked_name_does_not_come_through(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    assert native.name in await answer(alice, room, f"!dm3 block {native.name}")
    with pytest.raises(Exception, match=r"-32010|not accept"):
        await native.send(world.name_of(alice), "let me in")
    await answer(alice, room, f"!dm3 unblock {native.name}")
    await native.send(world.name_of(alice), "thanks")
    await alice.wait_text(room, "thanks")


async def test_status_and_retry_of_what_failed(world: MatrixWorld) -> None:
    alice, nobody = await world.person(), await world.native(service="nowhere.eth")
    room = await world.chat(alice, nobody)
    for number in range(3):
        await alice.say(room, f"lost {number}")
    await alice.wait_event(lambda event: event["content"]["status"] == "FAIL_PERMANENT")
    assert nobody.name in await answer(alice, room, "!dm3 status")
    assert "!dm3 retry" in await answer(alice, room, "!dm3 help")


async def test_export_is_a_file_without_secrets(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    await answer(alice, room, "!dm3 export")
    file = await alice.wait_event(lambda event: event["content"]["msgtype"] == "m.file")
    exported = json.loads(await alice.download(file["content"]["url"]))
    assert world.name_of(alice) in json.dumps(exported)
    assert "salt" not in json.dumps(exported)


async def test_delete_me_ends_everything(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    (received,) = await world.mail(native)
    name = world.name_of(alice)
    assert name in await answer(alice, room, "!dm3 delete-me")
    await answer(alice, room, f"!dm3 delete-me {name}")
    with pytest.raises(Exception, match=r".+"):
        await native.send(name, "anybody?", kind=MessageType.REPLY, reference=received.message_hash)
    values = world.house.gateway.store
    assert await values.read(IdentityNamed(name)) is None
    await alice.wait_event(
        lambda event: (
            event["room_id"] == room
            and event["type"] == "m.room.member"
            and event["state_key"] == world.ghost(native)
            and event["content"]["membership"] == "leave"
        )
    )


async def test_what_the_gateway_says_comes_from_the_bot(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    identity = await world.house.gateway.store.read(IdentityNamed(world.name_of(alice)))
    assert identity is not None
    now = now_ms()
    await world.house.gateway.store.commit(
        Enqueue(notice_job(identity, "your code is 123456", now=now, expires_at=now + 60_000))
    )
    invite = await alice.wait_invite()
    assert invite.inviter == f"@dm3:{world.synapse.server_name}"
    await alice.join(invite.room_id)
    told = await alice.wait_event(lambda event: "your code is 123456" in event["content"]["body"])
    assert told["room_id"] == invite.room_id != room
