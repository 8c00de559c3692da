"""People of both servers meet in rooms and talk with a native DM3 client as one voice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gateway.demo.xmpp_stanza import XmppFault
from gateway.demo.xmpp_user import Stanza, XmppUser, element
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from tests.integration.xmpp.worlds import PASSWORD, XmppWorld, words

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("xmpp")]

MUC = "http://jabber.org/protocol/muc"
USER, ADMIN, OWNER = f"{MUC}#user", f"{MUC}#admin", f"{MUC}#owner"
THUMB = "\N{THUMBS UP SIGN}"
_numbers = itertools.count(1)


@dataclass
class Room:
    """A room's address, and what people do there."""

    jid: str

    async def enter(self, who: XmppUser, nick: str, history: str = "") -> Stanza:
        """Their own presence, which comes last."""
        before = len(who.presences.items)
        await who.presence(element("x", {"xmlns": MUC}, history), to=f"{self.jid}/{nick}")
        return await who.wait_presence(
            lambda each: each.bare == self.jid and 110 in codes(each) and each not in who.presences.items[:before]
        )

    async def refused(self, who: XmppUser, nick: str) -> str:
        """Why they may not come in."""
        await who.presence(element("x", {"xmlns": MUC}), to=f"{self.jid}/{nick}")
        answer = await who.wait_presence(lambda each: each.sender == f"{self.jid}/{nick}" and each.type == "error")
        return "" if answer.fault is None else answer.fault.condition

    async def say(self, who: XmppUser, text: str | None, *content: str) -> str:
        return await who.send(self.jid, text, *content, type="groupchat")

    async def heard(self, who: XmppUser, text: str, nick: str) -> Stanza:
        """What somebody said."""
        return await who.wait_message(lambda each: each.body == text and each.sender == f"{self.jid}/{nick}")

    def name(self) -> EnsName:
        """What the other side calls it."""
        local, _, server = self.jid.partition("@")
        return EnsName(f"{local.replace('+', '-2b').replace('.', '-2e')}.{server}.xmpp.gw.eth")


def codes(stanza: Stanza) -> set[int]:
    return {int(each.get("code", "0")) for each in stanza.all("x/status")}


def gone(room: Room, nick: str, code: int = 0) -> Callable[[Stanza], bool]:
    def fits(stanza: Stanza) -> bool:
        left = stanza.sender == f"{room.jid}/{nick}" and stanza.type == "unavailable"
        return left and (not code or code in codes(stanza))

    return fits


def room_with(world: XmppWorld, native: Dm3Client) -> Room:
    return Room(f"team{next(_numbers)}+{world.contact(native)}")


def stanza_id(stanza: Stanza) -> str:
    return stanza.get("stanza-id", "id") or ""


async def test_several_people_talk_with_a_name_as_one_voice(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    first = await room.enter(alice, "Alice")
    assert {110, 201} <= codes(first)
    assert (first.get("x/item", "affiliation"), first.get("x/item", "role")) == ("owner", "moderator")
    name = await alice.wait_presence(lambda each: each.sender == f"{room.jid}/{native.name}")
    assert name.get("x/item", "jid") == world.contact(native)
    assert 201 not in codes(await room.enter(bob, "Bob"))
    seen = await alice.wait_presence(lambda each: each.sender == f"{room.jid}/Bob")
    assert (seen.get("x/item", "jid") or "").startswith(bob.jid), "owners know who is behind a nick"
    other = await bob.wait_presence(lambda each: each.sender == f"{room.jid}/Alice")
    assert other.get("x/item", "jid") is None, "others do not"

    await room.say(alice, "hello from us")
    mine, theirs = await room.heard(alice, "hello from us", "Alice"), await room.heard(bob, "hello from us", "Alice")
    assert stanza_id(mine) == stanza_id(theirs) != ""
    assert mine.get("occupant-id", "id") == other.get("occupant-id", "id") != seen.get("occupant-id", "id")
    (received,) = await world.mail(native)
    assert words(received) == "Alice: hello from us"
    assert received.message.from_ == room.name()
    await room.say(bob, "and from me", element("reply", {"xmlns": "urn:xmpp:reply:0", "id": stanza_id(mine)}))
    (reply,) = await world.mail(native, kind=MessageType.REPLY)
    assert (words(reply), reply.message.reference) == ("Bob: and from me", received.message_hash)

    await native.send(room.name(), "hello, all", kind=MessageType.REPLY, reference=reply.message_hash)
    for person in (alice, bob):
        said = await room.heard(person, "hello, all", native.name)
        assert said.get("reply", "id") == stanza_id(await room.heard(person, "and from me", "Bob"))
        notice = await person.wait_message(lambda each: each.sender == room.jid and "bridged" in (each.body or ""))
        assert room.name() in (notice.body or "")


async def test_corrections_reactions_and_retractions_are_of_who_wrote_it(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    await room.enter(alice, "Alice")
    await room.enter(bob, "Bob")
    own = await room.say(alice, "one")
    heard = await room.heard(bob, "one", "Alice")
    (first,) = await world.mail(native)
    await room.say(alice, "better", element("replace", {"xmlns": "urn:xmpp:message-correct:0", "id": own}))
    (edit,) = await world.mail(native, kind=MessageType.EDIT)
    assert (words(edit), edit.message.reference) == ("Alice: better", first.message_hash)
    assert (await room.heard(bob, "better", "Alice")).get("replace", "id") == own
    reactions = element(
        "reactions", {"xmlns": "urn:xmpp:reactions:0", "id": stanza_id(heard)}, element("reaction", text=THUMB)
    )
    await room.say(bob, None, reactions)
    (reaction,) = await world.mail(native, kind=MessageType.REACTION)
    assert (reaction.message.text, reaction.message.reference) == (THUMB, first.message_hash)
    retract = element("retract", {"xmlns": "urn:xmpp:message-retract:1", "id": stanza_id(heard)})
    refused = await room.say(bob, None, retract)
    assert (await bob.wait_error(refused)).condition == "forbidden"
    await room.say(alice, None, retract)
    (gone_,) = await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert gone_.message.reference == first.message_hash
    await bob.wait_message(lambda each: each.get("retract", "id") == stanza_id(heard))

    ours = await native.send(room.name(), "ours")
    shown = await room.heard(alice, "ours", native.name)
    await native.send(room.name(), "ours, better", kind=MessageType.EDIT, reference=ours.message_hash)
    edited = await room.heard(alice, "ours, better", native.name)
    assert edited.get("replace", "id") == shown.id
    await native.send(room.name(), THUMB, kind=MessageType.REACTION, reference=first.message_hash)
    await alice.wait_message(
        lambda each: each.get("reactions", "id") == stanza_id(heard) and each.sender == f"{room.jid}/{native.name}"
    )
    await native.send(room.name(), "", kind=MessageType.DELETE_REQUEST, reference=ours.message_hash)
    await alice.wait_message(lambda each: each.get("retract", "id") == stanza_id(shown))


async def test_who_comes_again_gets_what_passed_since_they_first_came(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    await room.enter(alice, "Alice")
    await room.say(alice, "before Bob")
    await room.heard(alice, "before Bob", "Alice")
    await room.enter(bob, "Bob")
    await bob.presence(to=f"{room.jid}/Bob", type="unavailable")
    await alice.wait_presence(gone(room, "Bob"))
    await room.say(alice, "while Bob is away")
    await world.mail(native, 2)
    await native.send(room.name(), "an answer")
    await room.heard(alice, "an answer", native.name)
    await room.say(alice, None, element("subject", text="What it is about"))
    await alice.wait_message(lambda each: each.text("subject") == "What it is about")
    await room.enter(bob, "Robert")
    told = await bob.wait_message(lambda each: each.text("subject") == "What it is about")
    assert told.sender == f"{room.jid}/Alice"
    late = [each for each in bob.messages.items if each.bare == room.jid and each.has("delay") and each.body]
    assert [each.body for each in late if "bridged" not in (each.body or "")] == ["while Bob is away", "an answer"]
    carol = await world.person()
    await room.enter(carol, "Carol")
    await carol.wait_message(lambda each: each.text("subject") == "What it is about")
    assert not [each for each in carol.messages.items if each.body], "nothing of what was before"


async def test_nicks_belong_to_one_person(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    await room.enter(alice, "Alice")
    assert await room.refused(bob, "aLICE") == "conflict"
    assert await room.refused(bob, native.name) == "conflict"
    await room.enter(bob, "Bob")
    await bob.presence(to=f"{room.jid}/Robert")
    renamed = await alice.wait_presence(gone(room, "Bob", 303))
    assert renamed.get("x/item", "nick") == "Robert"
    await alice.wait_presence(lambda each: each.sender == f"{room.jid}/Robert" and each.type == "available")
    await room.say(bob, "it is me")
    await room.heard(alice, "it is me", "Robert")


async def test_who_is_not_there_says_nothing_and_learns_nothing(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    nowhere = await room.say(bob, "anybody?")
    assert (await bob.wait_error(nowhere)).condition == "item-not-found"
    await room.enter(alice, "Alice")
    outside = await room.say(bob, "anybody?")
    assert (await bob.wait_error(outside)).condition == "not-acceptable"
    with pytest.raises(XmppFault, match="not-acceptable"):
        await bob.iq(f"{room.jid}/Bob", element("ping", {"xmlns": "urn:xmpp:ping"}))
    await alice.iq(f"{room.jid}/Alice", element("ping", {"xmlns": "urn:xmpp:ping"}))
    assert await bob.items(room.jid) == []
    info = await bob.info(room.jid)
    assert {MUC, "muc_open", "urn:xmpp:occupant-id:0", f"{MUC}#stable_id"} <= info.features
    private = await alice.send(f"{room.jid}/{native.name}", "psst")
    assert world.contact(native) in (await alice.wait_error(private)).text
    nobody = Room(f"team+nobody-at-all.eth@{world.server.component}")
    assert await nobody.refused(alice, "Alice") == "item-not-found"
    assert await Room(f"no!room+x.eth@{world.server.component}").refused(alice, "Alice") == "jid-malformed"
    stranger = await world.native()
    with pytest.raises(TimeoutError):
        await world.mail(native, seconds=0.2)
    await stranger.send(room.name(), "may I?")
    (notice,) = await world.mail(stranger, kind=MessageType.REPLY)
    assert f"talks with {native.name} only" in words(notice)


async def test_owners_and_moderators_rule(world: XmppWorld) -> None:
    alice, bob, carol, native = *[await world.person() for _ in range(3)], await world.native()
    room = room_with(world, native)
    await room.enter(alice, "Alice")
    await room.enter(bob, "Bob")

    async def rule(who: XmppUser, **item: str) -> None:
        await who.iq(room.jid, element("query", {"xmlns": ADMIN}, element("item", dict(item))), "set")

    with pytest.raises(XmppFault, match="forbidden"):
        await rule(bob, nick="Alice", role="none")
    await rule(alice, nick="Bob", role="none")
    await bob.wait_presence(gone(room, "Bob", 307))
    await room.enter(bob, "Bob")
    await rule(alice, jid=bob.jid, affiliation="outcast")
    await bob.wait_presence(gone(room, "Bob", 301))
    assert await room.refused(bob, "Bob") == "forbidden"
    listed = await alice.iq(room.jid, element("query", {"xmlns": ADMIN}, element("item", {"affiliation": "outcast"})))
    assert [each.get("jid") for each in listed.iter(f"{{{ADMIN}}}item")] == [bob.jid]
    with pytest.raises(XmppFault, match="conflict"):
        await rule(alice, jid=alice.jid, affiliation="none")

    form = element(
        "x",
        {"xmlns": "jabber:x:data", "type": "submit"},
        *(
            element("field", {"var": var}, element("value", text=value))
            for var, value in (
                ("FORM_TYPE", f"{MUC}#roomconfig"),
                ("muc#roomconfig_roomname", "The team"),
                ("muc#roomconfig_membersonly", "1"),
            )
        ),
    )
    await alice.iq(room.jid, element("query", {"xmlns": OWNER}, form), "set")
    await alice.wait_message(lambda each: 104 in codes(each))
    assert ("conference", "text", "The team") in (await carol.info(room.jid)).identities
    assert await room.refused(carol, "Carol") == "registration-required"
    invite = element("x", {"xmlns": USER}, element("invite", {"to": carol.jid}, element("reason", text="Come")))
    await alice.send(room.jid, None, invite, type="normal")
    asked = await carol.wait_message(lambda each: each.get("x/invite", "from") == alice.jid)
    assert asked.sender == room.jid
    await room.enter(carol, "Carol")
    with pytest.raises(XmppFault, match="forbidden"):
        await carol.iq(room.jid, element("query", {"xmlns": OWNER}, element("destroy", {})), "set")
    await alice.iq(room.jid, element("query", {"xmlns": OWNER}, element("destroy", {})), "set")
    ended = await carol.wait_presence(gone(room, "Carol", 110))
    assert ended.has("x/destroy")
    with pytest.raises(XmppFault, match="item-not-found"):
        await alice.info(room.jid)


async def test_a_client_that_is_lost_is_sent_out(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    await room.enter(alice, "Alice")
    await room.enter(bob, "Bob")
    await bob.close()
    await alice.wait_presence(gone(room, "Bob"))
    again = await world.server.connect(bob.jid.partition("@")[0], PASSWORD)
    await room.enter(again, "Bob")
    await room.say(again, "back")
    await room.heard(alice, "back", "Bob")


async def test_omemo_is_refused_and_states_go_round_without_being_kept(world: XmppWorld) -> None:
    alice, bob, native = await world.person(), await world.person(), await world.native()
    room = room_with(world, native)
    await room.enter(alice, "Alice")
    await room.enter(bob, "Bob")
    secret = element("encrypted", {"xmlns": "eu.siacs.conversations.axolotl"}, element("payload", text="AAAA"))
    sent = await room.say(alice, "I sent you an OMEMO message", secret)
    assert "OMEMO" in (await alice.wait_error(sent)).text
    await room.say(alice, None, element("composing", {"xmlns": "http://jabber.org/protocol/chatstates"}))
    await bob.wait_message(lambda each: each.has("composing") and each.sender == f"{room.jid}/Alice")
    await room.say(alice, "done")
    (received,) = await world.mail(native)
    assert words(received) == "Alice: done"
