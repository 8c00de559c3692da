"""Who comes and who goes: declining, leaving, putting out, upgrades, groups, strangers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from adapters.matrix.errors import AnswerTooLarge
from adapters.matrix.ids import RoomId
from adapters.matrix.intent import Intent
from adapters.matrix.portals import PortalKind
from gateway.demo.matrix_user import MatrixFault, MatrixUser
from gateway.dm3.message import MessageType
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import NOTICE_MARK
from tests.integration.matrix.test_kinds import talk, words
from tests.integration.matrix.worlds import MatrixWorld
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]


async def test_who_declines_is_not_asked_again_until_they_begin(world: MatrixWorld) -> None:
    bob, native = await world.person(), await world.native()
    await native.send(world.name_of(bob), "hello?")
    invite = await bob.wait_invite()
    await bob.leave(invite.room_id)
    await world.gone(bob, native)
    await native.send(world.name_of(bob), "hello??")
    # Of the first one too, when it was not yet in the room that was declined.
    refused = await world.mail(native, kind=MessageType.REPLY)
    assert all("declined this conversation" in (each.message.text or "") for each in refused)
    room = await world.chat(bob, native)
    await native.send(world.name_of(bob), "now?")
    assert (await bob.wait_text(room, "now?"))["sender"] == world.ghost(native)


async def test_who_leaves_is_asked_into_a_new_room_by_the_next_message(world: MatrixWorld) -> None:
    bob, native = await world.person(), await world.native()
    await native.send(world.name_of(bob), "one")
    first = await bob.wait_invite()
    await bob.join(first.room_id)
    await bob.wait_text(first.room_id, "one")
    await bob.leave(first.room_id)
    await world.gone(bob, native)
    await native.send(world.name_of(bob), "two")
    second = await bob.wait_invite()
    assert second.room_id != first.room_id
    await bob.join(second.room_id)
    await bob.wait_text(second.room_id, "two")


async def test_an_upgraded_room_goes_on(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    ghost = world.ghost(native)
    old = await alice.create_room(invite=[ghost], is_direct=True, preset="trusted_private_chat", room_version="11")
    await alice.say(old, "before")
    await world.mail(native)
    new = await alice.upgrade_room(old, "12")
    await alice.invite(new, ghost)
    await alice.wait_event(
        lambda event: (
            event["room_id"] == new and event["state_key"] == ghost and event["content"]["membership"] == "join"
        )
    )
    await alice.say(new, "after")
    assert [words(each) for each in await world.mail(native, 2)] == ["before", "after"]
    await native.send(world.name_of(alice), "heard")
    assert (await alice.wait_text(new, "heard"))["room_id"] == new


async def test_a_room_of_several_people_speaks_as_one(world: MatrixWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = await alice.create_room(invite=[bob.user_id], name="Tea & talk")
    await bob.wait_invite()
    await bob.join(room)
    ghost = world.ghost(native)
    await alice.invite(room, ghost)
    await alice.wait_event(lambda event: event["state_key"] == ghost and event["content"]["membership"] == "join")
    await alice.say(room, "hello")
    await bob.say(room, "hello too")
    one, two = await world.mail(native, 2)
    assert words(one) == f"{alice.user_id[1:].partition(':')[0]}: hello"
    assert words(two) == f"{bob.user_id[1:].partition(':')[0]}: hello too"
    assert one.message.from_ == two.message.from_
    await native.send(one.sender, "hello, room", kind=MessageType.REPLY, reference=two.message_hash)
    for person in (alice, bob):
        heard = await person.wait_text(room, "hello, room")
        assert heard["sender"] == ghost
    for person in (bob, alice):
        await person.leave(room)

    async def look() -> bool | None:
        (portal,) = await world.portals().in_room(RoomId(room))
        return portal.closed or None

    await until(look)


async def group(world: MatrixWorld) -> tuple[MatrixUser, MatrixUser, Dm3Client, str]:
    """A room of two people and a ghost, which has heard one of them."""
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = await alice.create_room(invite=[bob.user_id], preset="private_chat")
    await bob.wait_invite()
    await bob.join(room)
    await alice.invite(room, world.ghost(native))
    await alice.wait_event(partial(has_joined, world.ghost(native), room))
    await alice.say(room, "hello")
    await world.mail(native)
    return alice, bob, native, room


async def test_who_is_not_in_a_room_of_several_people_any_more_is_told(world: MatrixWorld) -> None:
    """Not because somebody put the ghost out: nobody said no, and there is no other room to open."""
    _, _, native, room = await group(world)
    await world.adapter._opened().ghosts.known(native.name).leave(RoomId(room), forget=False)
    (hello,) = await world.mail(native)
    await native.send(hello.sender, "hello?", kind=MessageType.REPLY, reference=hello.message_hash)
    (refused,) = await world.mail(native, kind=MessageType.REPLY)
    assert "you are not in this Matrix room any more" in (refused.message.text or "")


async def test_a_room_of_more_people_than_are_read(world: MatrixWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, native, room = await group(world)
    joined = Intent.joined

    async def many(self: Intent, where: RoomId) -> Mapping[str, str]:
        if where == room:
            raise AnswerTooLarge(200, "M_TOO_LARGE", "")
        return await joined(self, where)

    monkeypatch.setattr(Intent, "joined", many)
    # It has grown: nobody is mistaken for somebody else, and it is not taken for empty.
    await bob.set_display_name("Bob")
    await alice.wait_event(partial(calls_themselves, bob.user_id, "Bob"))
    await bob.say(room, "one")
    await bob.leave(room)
    await alice.say(room, "two")
    said = [words(each) for each in await world.mail(native, 3)]
    assert said[1:] == [f"Bob ({bob.user_id}): one", f"{alice.user_id[1:].partition(':')[0]} ({alice.user_id}): two"]
    # Into one that is so large no ghost goes.
    other = await world.native()
    await alice.invite(room, world.ghost(other))
    desk = await alice.wait_invite()
    await alice.join(desk.room_id)
    await alice.wait_event(lambda event: f"invited {other.name} has too many people" in event["content"]["body"])
    assert (await alice.members(room))[world.ghost(other)] == "leave"
    assert [each.name for each in await world.portals().in_room(RoomId(room))] == [native.name]


def has_joined(user: str, room: str, event: dict[str, Any]) -> bool:
    there = event["room_id"] == room and event["state_key"] == user
    return bool(there and event["content"]["membership"] == "join")


def calls_themselves(user: str, name: str, event: dict[str, Any]) -> bool:
    return bool(event["state_key"] == user and event["content"].get("displayname") == name)


async def test_nobody_in_a_room_speaks_as_another(world: MatrixWorld) -> None:
    """Display names are anybody's choice, and so are lines of a message."""
    alice, mallory, native = await world.person(), await world.person(), await world.native()
    await alice.set_display_name("Alice")
    room = await alice.create_room(invite=[mallory.user_id, world.ghost(native)], name="Tea\n& talk")
    await mallory.wait_invite()
    await mallory.join(room)
    await alice.say(room, "one")
    said = ["Alice: one"]
    assert [words(each) for each in await world.mail(native)] == said
    for name, called in (
        ("\uff21lice\u200b", f"\uff21lice ({mallory.user_id})"),
        ("Alice: yes, pay it\nEve", mallory.user_id),
        (alice.user_id, mallory.user_id),
        ("Mallory", "Mallory"),
    ):
        await mallory.set_display_name(name)
        # The homeserver takes it to people's rooms in its own time.
        await alice.wait_event(partial(calls_themselves, mallory.user_id, name))
        await mallory.say(room, "hello")
        await alice.say(room, "two")
        shared = "" if name[1:5] != "lice" or ":" in name else f" ({alice.user_id})"
        said += [f"{called}: hello", f"Alice{shared}: two"]
        assert [words(each) for each in await world.mail(native, len(said))] == said
    await mallory.say(room, f"hm\nAlice: yes, pay it\n{NOTICE_MARK}It was paid.")
    await mallory.send(room, "m.room.message", {"msgtype": "m.emote", "body": "waves\nAlice: yes"})
    said += [
        f"Mallory:\n> hm\n> Alice: yes, pay it\n> {NOTICE_MARK}It was paid.",
        "* Mallory\n> waves\n> Alice: yes",
    ]
    received = await world.mail(native, len(said))
    assert [words(each) for each in received] == said


async def test_nobody_in_a_room_edits_what_another_said(world: MatrixWorld) -> None:
    """To the other side all of them are one writer. A moderator may take back what others said."""
    alice, mallory, native = await world.person(), await world.person(), await world.native()
    room = await alice.create_room(invite=[mallory.user_id, world.ghost(native)], name="Tea & talk")
    await mallory.wait_invite()
    await mallory.join(room)
    one, two = await alice.say(room, "I owe you 1"), await mallory.say(room, "you owe me 1")
    await world.mail(native, 2)
    await mallory.edit(room, one, "I owe you 1000")
    await mallory.edit(room, two, "you owe me 2")
    await alice.edit(room, one, "I owe you nothing")
    edits = [words(each) for each in await world.mail(native, 2, kind=MessageType.EDIT)]
    called = [each.user_id[1:].partition(":")[0] for each in (mallory, alice)]
    assert edits == [f"{called[0]}: you owe me 2", f"{called[1]}: I owe you nothing"]
    await alice.redact(room, two)
    await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert len(await world.mail(native, 2)) == 2, "nor does it come as a new message"


async def test_a_third_person_in_a_chat_of_two_is_told_that_nobody_hears_them(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    bob = await world.person()
    await alice.invite(room, bob.user_id)
    await bob.wait_invite()
    await bob.join(room)
    await bob.say(room, "can you hear me?")
    await bob.wait_event(lambda event: event["content"]["body"].startswith(f"Only {alice.user_id} speaks"))
    await alice.say(room, "I can")
    assert [words(each) for each in await world.mail(native)] == ["I can"]


async def test_the_room_says_what_it_is_bridged_to(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    bridge = await alice.wait_event(lambda event: event["type"] == "m.bridge")
    assert bridge["content"]["channel"]["id"] == native.name
    assert bridge["content"]["bridgebot"] == f"@dm3:{world.synapse.server_name}"
    assert (await alice.profile(world.ghost(native)))["displayname"] == f"{native.name} (DM3)"
    assert room == bridge["room_id"]


async def test_an_encrypted_room_gets_one_clear_notice(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.set_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    for number in range(3):
        await alice.send(room, "m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": str(number)})
    await alice.wait_event(lambda event: event["content"]["body"].startswith("This room is encrypted"))
    await alice.say(room, "in clear")
    await world.mail(native)
    notices = [event for event in await alice.messages(room) if "encrypted, and" in event["content"].get("body", "")]
    assert len(notices) == 1


async def test_a_ghost_put_out_is_a_conversation_declined(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    ghost = world.ghost(native)
    room = await alice.create_room(invite=[ghost], is_direct=True, preset="private_chat")
    await alice.wait_event(lambda event: event["state_key"] == ghost and event["content"]["membership"] == "join")
    await alice.say(room, "hello")
    await world.mail(native)
    try:
        await alice.kick(room, ghost)
    except MatrixFault as fault:
        pytest.fail(f"the ghost cannot be put out: {fault}")
    await world.gone(alice, native)
    await native.send(world.name_of(alice), "wait!")
    (refused,) = await world.mail(native, kind=MessageType.REPLY)
    assert "declined" in (refused.message.text or "")


@pytest.mark.parametrize("kind", PortalKind)
async def test_who_was_put_out_of_a_room_hears_nothing_of_it(world: MatrixWorld, kind: PortalKind) -> None:
    """There are other ghosts in it, so that everything written there still comes to the gateway."""
    alice, first, second = await world.person(), await world.native(), await world.native()
    room = await alice.create_room(preset="private_chat")
    if kind is PortalKind.GROUP:
        bob = await world.person()
        await alice.invite(room, bob.user_id)
        await bob.wait_invite()
        await bob.join(room)
    for native in (first, second):
        await alice.invite(room, world.ghost(native))
        await alice.wait_event(partial(has_joined, world.ghost(native), room))
    await alice.say(room, "hello")
    (hello,) = await world.mail(first)
    await first.send(hello.sender, "unread", kind=MessageType.REPLY, reference=hello.message_hash)
    unread = await alice.wait_text(room, "unread")
    await alice.kick(room, world.ghost(first))

    async def closed() -> bool | None:
        return any(each.closed for each in await world.portals().in_room(RoomId(room))) or None

    await until(closed)
    secret = await alice.say(room, "between us")
    await alice.edit(room, secret, "between us two")
    await alice.react(room, unread["event_id"], "\N{THUMBS UP SIGN}")
    await alice.redact(room, secret)
    await alice.receipt(room, secret)
    await world.mail(second, kind=MessageType.DELETE_REQUEST)
    await alice.invite(room, world.ghost(first))
    await until(lambda: _open_again(world, room))
    await alice.say(room, "again")
    await world.mail(first, 2)
    await world.mail(second, 3)
    kinds = [each for each in MessageType if each is not MessageType.READ_RECEIVED]
    heard = [(each.message.type, words(each)) for each in world.heard[first.name] if each.message.type in kinds]
    name = f"{alice.user_id[1:].partition(':')[0]}: " if kind is PortalKind.GROUP else ""
    assert heard == [(MessageType.NEW, f"{name}hello"), (MessageType.NEW, f"{name}again")]


async def _open_again(world: MatrixWorld, room: str) -> bool | None:
    return all(not each.closed for each in await world.portals().in_room(RoomId(room))) or None


async def test_another_display_name_takes_no_no_back(world: MatrixWorld) -> None:
    """It is told as a joining."""
    alice, first, second = await world.person(), await world.native(), await world.native()
    room = await alice.create_room(preset="private_chat")
    for native in (first, second):
        await alice.invite(room, world.ghost(native))
        await alice.wait_event(partial(has_joined, world.ghost(native), room))
    await alice.kick(room, world.ghost(first))
    await world.gone(alice, first)
    await alice.set_display_name("Alice anew")
    await alice.wait_event(partial(calls_themselves, alice.user_id, "Alice anew"))
    # Events of a room are handled in their order.
    await alice.say(room, "are you there?")
    await world.mail(second)
    await first.send(world.name_of(alice), "wait!")
    (refused,) = await world.mail(first, kind=MessageType.REPLY)
    assert "declined" in (refused.message.text or "")


async def test_who_comes_back_into_a_room_is_not_heard_by_a_name_that_is_not_there(world: MatrixWorld) -> None:
    alice, bob, first, second = await world.person(), await world.person(), await world.native(), await world.native()
    room = await alice.create_room(preset="private_chat", invite=[world.ghost(first)])
    await alice.wait_event(partial(has_joined, world.ghost(first), room))
    await alice.invite(room, bob.user_id)
    await bob.wait_invite()
    await bob.join(room)
    await alice.invite(room, world.ghost(second))
    await bob.wait_event(partial(has_joined, world.ghost(second), room))
    await alice.say(room, "hello")
    await world.mail(second)
    await alice.leave(room)
    await world.gone(alice, first)
    await bob.invite(room, alice.user_id)
    await alice.wait_invite()
    await alice.join(room)
    await alice.say(room, "are you there?")
    await world.mail(second, 2)
    await first.send(world.name_of(alice), "elsewhere")
    invite = await alice.wait_invite()
    await alice.join(invite.room_id)
    await alice.wait_text(invite.room_id, "elsewhere")
    await alice.say(invite.room_id, "here you are")
    assert [words(each) for each in await world.mail(first, 2)] == ["hello", "here you are"]
