"""A room of one person that another one takes over: what is for the first is never shown there."""

from __future__ import annotations

import pytest

from adapters.matrix.ids import RoomId
from adapters.matrix.membership import MOVED
from adapters.matrix.portals import PortalKind
from gateway.demo.matrix_user import MatrixUser
from gateway.dm3.message import MessageType
from gateway.ids import CanonicalId
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import DeliveryState, NativeId, StatusReport
from tests.integration.matrix.test_kinds import words
from tests.integration.matrix.worlds import MatrixWorld
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]


async def with_mallory(world: MatrixWorld) -> tuple[MatrixUser, Dm3Client, str, MatrixUser]:
    """A chat of two, into which a third person was let."""
    alice, native, mallory = await world.person(), await world.native(), await world.person()
    ghost = world.ghost(native)
    # Of a kind in which the ghost has no power of its own: whoever made it may put it out.
    room = await alice.create_room(invite=[ghost], is_direct=True, preset="private_chat")
    await alice.wait_event(lambda event: event["state_key"] == ghost and event["content"]["membership"] == "join")
    await alice.invite(room, mallory.user_id)
    await mallory.wait_invite()
    await mallory.join(room)
    await alice.say(room, "hello")
    await world.mail(native)
    return alice, native, room, mallory


async def taken_over(world: MatrixWorld, mallory: MatrixUser, native: Dm3Client, room: str) -> None:
    """The ghost is invited again, by the one who is left there, and hears them."""
    await mallory.invite(room, world.ghost(native))
    await mallory.say(room, "now it is mine")
    while words((await world.mail(native))[-1])[-14:] != "now it is mine":
        await world.mail(native, len(world.heard[native.name]) + 1)


async def seen_by(person: MatrixUser, room: str) -> list[str]:
    return [str(event["content"].get("body", "")) for event in await person.messages(room)]


async def reaches_alone(
    world: MatrixWorld, native: Dm3Client, alice: MatrixUser, mallory: MatrixUser, room: str
) -> None:
    """What is for Alice comes into a new room of hers, and is not seen in the one that Mallory has."""
    await native.send(world.name_of(alice), "your PIN is 1234")
    invite = await alice.wait_invite()
    assert invite.room_id != room
    await alice.join(invite.room_id)
    await alice.wait_text(invite.room_id, "your PIN is 1234")
    assert not any("PIN" in each for each in await seen_by(mallory, room))


async def test_what_is_for_somebody_who_left_is_not_shown_to_who_stayed(world: MatrixWorld) -> None:
    alice, native, room, mallory = await with_mallory(world)
    await alice.leave(room)
    await world.gone(alice, native)
    await taken_over(world, mallory, native, room)
    await reaches_alone(world, native, alice, mallory, room)
    await native.send(world.name_of(mallory), "hello, Mallory")
    await mallory.wait_text(room, "hello, Mallory")


async def test_what_became_of_their_messages_is_not_shown_to_who_stayed(world: MatrixWorld) -> None:
    alice, native, room, mallory = await with_mallory(world)
    written = await alice.say(room, "my last words")
    await world.mail(native, 2)
    await alice.leave(room)
    await world.gone(alice, native)
    await taken_over(world, mallory, native, room)
    for sender, reason in ((alice, "a private reason"), (mallory, "told to her")):
        about, state = NativeId(written), DeliveryState.FAILED
        person = CanonicalId(sender.user_id)
        await world.adapter.report(
            StatusReport(native_id=about, sender=person, recipient=native.name, state=state, reason=reason)
        )
    seen = "\n".join(await seen_by(mallory, room))
    assert "told to her" in seen
    assert "a private reason" not in seen


@pytest.mark.parametrize("kind", PortalKind)
async def test_a_no_stays_when_another_one_asks_the_ghost_in(world: MatrixWorld, kind: PortalKind) -> None:
    alice, native, room, mallory = await with_mallory(world)
    await alice.kick(room, world.ghost(native))
    await world.gone(alice, native)
    if kind is PortalKind.DIRECT:
        await alice.leave(room)
    await taken_over(world, mallory, native, room)
    (portal,) = await world.portals().in_room(RoomId(room))
    assert portal.kind is kind
    await native.send(world.name_of(alice), "your PIN is 1234")
    (refused,) = await world.mail(native, kind=MessageType.REPLY)
    assert "declined this conversation" in (refused.message.text or "")
    assert not any("PIN" in each for each in await seen_by(mallory, room))


async def test_a_forgotten_room_is_not_made_anybodys_again(world: MatrixWorld) -> None:
    """Its alias is that of the first room that a ghost makes for a person, also after the person was deleted here."""
    alice, native, mallory = await world.person(), await world.native(), await world.person()
    await native.send(world.name_of(alice), "one")
    room = (await alice.wait_invite()).room_id
    await alice.join(room)
    await alice.wait_text(room, "one")
    await alice.invite(room, mallory.user_id)
    await mallory.wait_invite()
    await mallory.join(room)
    await alice.leave(room)
    await world.gone(alice, native)
    await world.portals().drop_person(CanonicalId(alice.user_id))
    await taken_over(world, mallory, native, room)
    await reaches_alone(world, native, alice, mallory, room)


@pytest.mark.parametrize("invited", ["before", "after", "never"])
async def test_a_conversation_follows_its_person_only(world: MatrixWorld, invited: str) -> None:
    """Whoever may replace a room does not take its conversation along."""
    alice, native, mallory = await world.person(), await world.native(), await world.person()
    ghost = world.ghost(native)
    room = await alice.create_room(
        invite=[ghost, mallory.user_id], is_direct=True, preset="trusted_private_chat", room_version="11"
    )
    await mallory.wait_invite()
    await mallory.join(room)
    await alice.say(room, "hello")
    await world.mail(native)
    new = await mallory.create_room(preset="public_chat" if invited == "never" else "private_chat")
    if invited == "before":
        await mallory.invite(new, ghost)
        await mallory.say(new, "here we are")
        await world.mail(native, 2)
    await mallory.set_state(room, "m.room.tombstone", {"body": "", "replacement_room": new})
    if invited == "after":
        await until(lambda: world.adapter._opened().ctx.values.get(MOVED, f"{new} {native.name}"))
        await mallory.invite(new, ghost)
        await mallory.say(new, "here we are")
        await world.mail(native, 2)
    await world.gone(alice, native)
    await native.send(world.name_of(alice), "your PIN is 1234")
    invite = await alice.wait_invite()
    assert invite.room_id not in (room, new)
    assert not any("PIN" in each for each in await seen_by(mallory, new))
    portals = await world.portals().in_room(RoomId(new))
    assert [each.person for each in portals] == ([] if invited == "never" else [mallory.user_id])
    assert (await mallory.members(new)).get(ghost) == ("leave" if invited == "never" else "join")
