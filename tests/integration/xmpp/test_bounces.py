"""What comes back, and what only says so: nobody speaks as the gateway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.demo.xmpp_stanza import element
from gateway.ids import EnsName
from gateway.sdk import Delivered, MessageType, NativeId, Outgoing
from tests.integration.xmpp.gates import CONTACT, Gate, delivery, opened_gate
from tests.support.component_server import COMPONENT, DOMAIN, condition

pytestmark = pytest.mark.xdist_group("xmpp")

ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
CAROL = EnsName("carol.eth")
LURE = "Send your seed to eve.eth"


def error(text: str = "", condition: str = "service-unavailable") -> str:
    words = element("text", {"xmlns": ERRORS}, text=text) if text else ""
    return element("error", {"type": "cancel"}, f"<{condition} xmlns='{ERRORS}'/>{words}")


def bounce(gate: Gate, id: str, text: str = "", **attributes: str) -> None:
    gate.say(error(text), id=id, type="error", **attributes)


async def notices(gate: Gate) -> list[Outgoing]:
    """What the name was told, once everything until now was handled."""
    await gate.takes_messages()
    return [each for each in gate.ctx.taken if not each.text.startswith("good")]


async def delivered(gate: Gate, text: str = "hello") -> tuple[NativeId, ...]:
    outcome = await gate.adapter.deliver(delivery(text))
    assert isinstance(outcome, Delivered)
    return (outcome.native_id, *outcome.others)


async def test_a_message_that_comes_back_is_told_once_with_its_words_quoted(gate: Gate) -> None:
    ids = await delivered(gate, "long " * 5_000)
    assert len(ids) == 2
    for id in (*ids, *ids):
        bounce(gate, id, f'No. "\n\n[gateway] {LURE}')
    (notice,) = await notices(gate)
    assert notice.text == (
        f"[gateway] Your message did not reach bob@{DOMAIN}: their server answered service-unavailable. "
        f'It said: "No. \' [gateway] {LURE}"'
    )
    assert (notice.type, notice.reference, notice.automatic) == (MessageType.REPLY, ids[0], True)


async def test_what_was_never_sent_to_somebody_does_not_come_back_from_them(gate: Gate) -> None:
    gate.ctx.known_names.add(CAROL)
    (id,) = await delivered(gate)
    bounce(gate, "dm3-" + "0" * 40, LURE)
    bounce(gate, "dm3-" + "0" * 56, LURE)
    bounce(gate, id, LURE, **{"from": f"eve@{DOMAIN}/x"})
    bounce(gate, id, LURE, to=f"{CAROL}@{COMPONENT}")
    for prefix in ("first", "seen", "failed", "answer"):
        bounce(gate, f"dm3-{prefix}-{id}", LURE)
    assert await notices(gate) == []
    bounce(gate, id)
    assert len(await notices(gate)) == 1


async def test_no_words_of_a_person_are_those_of_the_gateway(gate: Gate) -> None:
    said = f"[gateway] {LURE}"
    reactions = f"<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>{said}</reaction></reactions>"
    replace_ = "<replace xmlns='urn:xmpp:message-correct:0' id='x'/>"
    body = element("body", text=said)
    gate.say(body)
    gate.say(body, type="headline")
    gate.say(body + replace_)
    gate.say(reactions)
    gate.say("<x xmlns='http://jabber.org/protocol/muc'/>", name="presence", to=f"team+{CONTACT}/[gateway] x")
    gate.say(element("body", text=LURE), to=f"team+{CONTACT}", type="groupchat")
    gate.say(element("body", text=f"I saw {said}"))
    texts = [each.text for each in await notices(gate)]
    assert sorted(texts) == sorted([*([f"> {said}"] * 4), f"> [gateway] x: {LURE}", f"I saw {said}"])


async def test_bounces_and_markers_have_a_rate(tmp_path: Path) -> None:
    async with opened_gate(tmp_path, messages_per_minute=20) as gate:
        for number in range(30):
            key = f"{number:040x}"
            outcome = await gate.adapter.deliver(replace(delivery("hello"), key=key))
            assert isinstance(outcome, Delivered)
            bounce(gate, outcome.native_id)
            gate.say(f"<displayed xmlns='urn:xmpp:chat-markers:0' id='m{number}'/>", id=f"d{number}")
        told = await notices(gate)
        kinds = [each.type for each in told]
        assert 20 <= kinds.count(MessageType.REPLY) < 30
        assert 20 <= kinds.count(MessageType.READ_OPENED) < 30
        refused = [each.id for each in gate.server.heard.items if condition(each) == "resource-constraint"]
        assert refused
        # An error is never answered by one.
        assert all(each.startswith("d") for each in refused)


async def test_nobody_in_a_room_speaks_as_another(gate: Gate) -> None:
    room, eve = f"team+{CONTACT}", f"eve@{DOMAIN}/x"
    seats = (("Alice", f"alice@{DOMAIN}/x"), ("Eve: yes", eve), ("al\u200bice", f"mallory@{DOMAIN}/x"))
    for nick, client in seats:
        entering = {"from": client, "to": f"{room}/{nick}"}
        gate.say("<x xmlns='http://jabber.org/protocol/muc'/>", name="presence", **entering)
    gate.say(element("body", text="no\nAlice: pay it"), type="groupchat", **{"from": eve, "to": room})
    assert [each.text for each in await notices(gate)] == ["Eve yes:\n> no\n> Alice: pay it"]
    assert "conflict" in map(condition, gate.server.heard.items)
