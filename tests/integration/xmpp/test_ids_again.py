"""Ids of stanzas are unique within a stream only (RFC 6120, 8.1.3): what has one of before is another message."""

from __future__ import annotations

import pytest

from adapters.xmpp import asking
from gateway.demo.xmpp_stanza import Stanza, element
from gateway.demo.xmpp_user import RECEIPTS
from gateway.dm3.message import MessageType
from tests.integration.xmpp.gates import BOB, CONTACT, Gate
from tests.integration.xmpp.worlds import XmppWorld, words
from tests.support.component_server import DOMAIN
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")

ASKING = f"<request xmlns='{RECEIPTS}'/>"
ROOM = f"team+{CONTACT}"


def body(text: str) -> str:
    return element("body", text=text)


async def taken(gate: Gate, number: int) -> list[str]:
    """Texts, once there are so many and everything behind them was handled."""
    await gate.takes_messages(f"carol@{DOMAIN}/x")

    async def look() -> list[str] | None:
        found = [each.text for each in gate.ctx.taken if not each.text.startswith("good")]
        return found if len(found) >= number else None

    return await until(look)


async def test_other_words_under_an_id_of_before_are_another_message(gate: Gate) -> None:
    for text in ("one", "one", "two", "one", "two"):
        gate.say(body(text) + ASKING, id="1", type="chat")
    assert await taken(gate, 2) == ["one", "two"]
    answered = [each for each in gate.server.heard.items if each.get("received", "id") == "1"]
    assert len(answered) == 5


async def test_those_that_wait_together_are_told_apart(gate: Gate) -> None:
    gate.server.say(
        "".join(
            element("message", {"from": BOB, "to": CONTACT, "id": "1", "type": "chat"}, body(text) + ASKING)
            for text in ("one", "two", "two", "three")
        )
    )
    assert await taken(gate, 3) == ["one", "two", "three"]


async def test_what_is_about_another_message_is_another(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.1)  # nobody here has a place for files
    for kind in ("<replace xmlns='urn:xmpp:message-correct:0' id='{}'/>", "<reply xmlns='urn:xmpp:reply:0' id='{}'/>"):
        for about in "ab":
            gate.say(body("same") + kind.format(about), id="1", type="chat")
    for _ in range(2):
        for url in ("https://example.org/a", "https://example.org/b"):
            gate.say(f"<x xmlns='jabber:x:oob'><url>{url}</url></x>" + body("same"), id="1")
        for about in "ab":
            gate.say(f"<retract xmlns='urn:xmpp:message-retract:1' id='{about}'/>", id="1")
            gate.say(f"<reactions xmlns='urn:xmpp:reactions:0' id='{about}'><reaction>x</reaction></reactions>", id="1")
    await taken(gate, 10)
    kinds = [each.type for each in gate.ctx.taken]
    expected = {
        MessageType.EDIT: 2,
        MessageType.REPLY: 2,
        MessageType.DELETE_REQUEST: 2,
        MessageType.REACTION: 2,
    }
    assert {each: kinds.count(each) for each in expected} == expected
    assert [each.attachments[0].data for each in gate.ctx.taken if each.attachments] == [
        "https://example.org/a",
        "https://example.org/b",
    ]


async def test_in_a_room_too(gate: Gate) -> None:
    gate.say("<x xmlns='http://jabber.org/protocol/muc'/>", name="presence", to=f"{ROOM}/Bob")
    for text in ("one", "one", "two"):
        gate.say(body(text), to=ROOM, type="groupchat", id="1")
    gate.say(body("two and a half") + "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>", to=ROOM, type="groupchat")
    assert await taken(gate, 3) == ["Bob: one", "Bob: two", "Bob: two and a half"]
    two, edit = gate.ctx.taken[-3:-1]
    assert (edit.type, edit.reference) == (MessageType.EDIT, two.native_id)


@pytest.mark.asyncio(loop_scope="session")
async def test_an_id_means_what_was_written_last(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    contact, name = world.contact(native), world.name_of(alice)
    for text in ("yesterday", "today"):
        await alice.send(contact, text, id="1")
    first, second = await world.mail(native, 2)
    assert [words(each) for each in (first, second)] == ["yesterday", "today"]
    await alice.correct(contact, "1", "better")
    (edit,) = await world.mail(native, kind=MessageType.EDIT)
    assert edit.message.reference == second.message_hash
    await native.send(name, "well", kind=MessageType.REPLY, reference=second.message_hash)

    def answers(stanza: Stanza) -> bool:
        return stanza.body == "well" and stanza.get("reply", "id") == "1"

    await alice.wait_message(answers)
