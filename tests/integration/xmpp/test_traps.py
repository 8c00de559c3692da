"""What goes wrong with real servers unless it is thought of; each was seen to, see the facts in the documents."""

from __future__ import annotations

import base64
import hashlib
import itertools
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from gateway.demo.xmpp_user import XmppFault, XmppUser, element, form
from gateway.dm3.message import MessageType
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk.addresses import punycode_localpart
from gateway.sdk.commands import ALL
from tests.integration.xmpp.raw_component import RawComponent
from tests.integration.xmpp.worlds import PASSWORD, XmppWorld, words, xmpp_world
from tests.support.prosody import prosody_server
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("xmpp")]

FOX, KEYCAP = "\N{FOX FACE}", "1\N{COMBINING ENCLOSING KEYCAP}"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_numbers = itertools.count(1)
PUBSUB = "http://jabber.org/protocol/pubsub"
AVATAR = "urn:xmpp:avatar"


def address(world: XmppWorld, client: Dm3Client) -> str:
    return f"{punycode_localpart(client.name, max_octets=1023).text}@{world.server.component}"


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["straße", "ξένος", FOX, KEYCAP, "א", "faß"])
async def test_names_of_any_script_survive_both_servers(world: XmppWorld, label: str) -> None:
    """Servers fold letters outside ASCII into those of another name; the punycode of each label stays what it is."""
    alice, native = await world.person(), await world.native(f"{label}.n{next(_numbers)}.eth")
    contact = address(world, native)
    assert contact.isascii()
    sent = await alice.send_asking(contact, f"to {label}")
    await alice.wait_receipt(sent)
    (received,) = await world.mail(native)
    assert words(received) == f"to {label}"
    await native.send(world.name_of(alice), "back")
    await alice.wait_text("back", contact)
    assert native.name in "".join((await alice.vcard(contact)).itertext()), "the name is shown as it is"


@pytest.mark.parametrize("label", ["straße", "ξένος", FOX, KEYCAP, "א"])
async def test_raw_letters_outside_ascii_reach_nobody(world: XmppWorld, label: str) -> None:
    """Whatever a server makes of them. Only where it folds them into a name that exists, nobody can tell any more."""
    alice = await world.person()
    sent = await alice.send(f"{label}.raw.eth@{world.server.component}", "to whom?")
    refused = await alice.wait_error(sent)
    assert refused.condition in ("jid-malformed", "item-not-found", "bad-request"), refused


async def test_a_name_is_typed_found_and_searched(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native(f"{FOX}.typed{next(_numbers)}.eth")
    contact, component = address(world, native), world.server.component
    asked = await alice.iq(component, element("query", {"xmlns": "jabber:iq:gateway"}))
    assert "ENS name" in "".join(asked.itertext())
    for typed in (native.name, f" {native.name.upper()} ", contact):
        prompt = element("query", {"xmlns": "jabber:iq:gateway"}, element("prompt", text=typed))
        answer = await alice.iq(component, prompt, "set")
        assert "".join(answer.itertext()) == contact
    wrong = element("query", {"xmlns": "jabber:iq:gateway"}, element("prompt", text="no name"))
    with pytest.raises(XmppFault, match="item-not-found"):
        await alice.iq(component, wrong, "set")
    search = "jabber:iq:search"
    fields = await alice.iq(component, element("query", {"xmlns": search}))
    assert fields.find(f".//{{{search}}}nick") is not None
    found = await alice.iq(component, element("query", {"xmlns": search}, element("nick", text=native.name)), "set")
    assert [each.get("jid") for each in found.iter(f"{{{search}}}item")] == [contact]
    short = await world.native(f"short{next(_numbers)}.eth")
    label = element("nick", text=short.name.removesuffix(".eth"))
    found = await alice.iq(component, element("query", {"xmlns": search}, label), "set")
    assert [each.get("jid") for each in found.iter(f"{{{search}}}item")] == [world.contact(short)]
    filled = element("query", {"xmlns": search}, form({"FORM_TYPE": search, "name": native.name}))
    table = await alice.iq(component, filled, "set")
    assert contact in [each.text for each in table.iter("{jabber:x:data}value")]
    none = await alice.iq(component, element("query", {"xmlns": search}, element("nick", text="nobody-x.eth")), "set")
    assert not list(none.iter(f"{{{search}}}item"))


# --- what a contact shows ---------------------------------------------------------------------------------------------


async def test_a_picture_is_the_same_in_all_its_forms(world: XmppWorld) -> None:
    """Trap: a library's plugin overwrites the hash, and none of them keeps nodes for a component's contacts."""
    alice, native = await world.person(), await world.native()
    contact, ens = world.contact(native), world.house.chain.ens
    ens.set_text(native.name, "avatar", "data:image/png;base64," + base64.b64encode(PNG).decode())
    ens.set_text(native.name, "name", "bank.eth")
    await alice.subscribe(contact)
    digest = hashlib.sha1(PNG).hexdigest()
    here = await alice.wait_presence(lambda each: each.bare == contact and each.text("x/photo") == digest)
    assert here.text("nick") == f"{native.name} (bank.eth)", "nobody takes another's name by a record"
    card = await alice.vcard(contact)
    assert base64.b64decode(card.findtext("{vcard-temp}PHOTO/{vcard-temp}BINVAL") or "") == PNG
    metadata = await _items(alice, contact, f"{AVATAR}:metadata")
    info = metadata.find(f".//{{{AVATAR}:metadata}}info")
    assert info is not None
    assert (info.get("id"), info.get("type"), info.get("bytes")) == (digest, "image/png", str(len(PNG)))
    data = await _items(alice, contact, f"{AVATAR}:data", digest)
    assert base64.b64decode(data.findtext(f".//{{{AVATAR}:data}}data") or "") == PNG
    four = await _items(alice, contact, "urn:xmpp:vcard4")
    assert native.name in "".join(four.itertext())


async def _items(alice: XmppUser, contact: str, node: str, id: str | None = None) -> Element:
    wanted = () if id is None else (element("item", {"id": id}),)
    return await alice.iq(contact, element("pubsub", {"xmlns": PUBSUB}, element("items", {"node": node}, *wanted)))


async def test_everybody_says_what_they_can(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    component, contact = world.server.component, world.contact(native)
    gate, person = await alice.info(component), await alice.info(contact)
    assert {("gateway", "dm3", "DM3 gateway"), ("conference", "text", "DM3 gateway")} <= gate.identities
    assert {"jabber:iq:gateway", "jabber:iq:search", "jabber:iq:register", "urn:xmpp:blocking"} <= gate.features
    assert gate.xml.find("{jabber:x:data}x") is not None, "extended information"
    chat = ("receipts", "chat-markers:0", "message-correct:0", "message-retract:1", "reactions:0", "reply:0")
    assert {f"urn:xmpp:{each}" for each in chat} <= person.features
    await alice.subscribe(contact)
    here = await alice.wait_presence(lambda each: each.bare == contact and each.has("c"))
    node = f"{here.get('c', 'node')}#{here.get('c', 'ver')}"
    assert (await alice.info(contact, node)).features == person.features, "what presence announced can be asked for"
    for to in (component, contact):
        await alice.iq(to, element("ping", {"xmlns": "urn:xmpp:ping"}))
        version = await alice.iq(to, element("query", {"xmlns": "jabber:iq:version"}))
        assert "DM3 gateway" in "".join(version.itertext())
        time = await alice.iq(to, element("time", {"xmlns": "urn:xmpp:time"}))
        assert "Z" in "".join(time.itertext())
        with pytest.raises(XmppFault, match="service-unavailable"):
            await alice.iq(to, element("query", {"xmlns": "urn:example:unknown"}))


# --- people -----------------------------------------------------------------------------------------------------------


async def test_people_register_and_choose_how_they_are_called(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    component, register = world.server.component, "jabber:iq:register"
    asked = await alice.iq(component, element("query", {"xmlns": register}))
    assert asked.find(f".//{{{register}}}instructions") is not None
    filled = element("query", {"xmlns": register}, form({"FORM_TYPE": register, "nick": "Alice of Wonderland"}))
    await alice.iq(component, filled, "set")
    again = await alice.iq(component, element("query", {"xmlns": register}))
    assert again.find(f".//{{{register}}}registered") is not None
    assert "Alice of Wonderland" in "".join(again.itertext())
    step = await alice.command(component, "whoami")
    assert world.name_of(alice) in step.notes[0]
    await alice.iq(component, element("query", {"xmlns": register}, element("remove")), "set")
    await alice.send(world.contact(native), "still here")
    assert words((await world.mail(native))[0]) == "still here"


async def test_the_commands_are_those_that_can_be_typed(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    component = world.server.component
    assert set(await alice.commands(component)) == {each.name for each in ALL}
    first = await alice.command(component, "name")
    assert (first.status, set(first.actions)) == ("executing", {"complete"})
    done = await alice.go_on(first, {"arguments": "Alice"}, "complete")
    assert done.status == "completed"
    with pytest.raises(XmppFault, match="bad-request"):
        await alice.go_on(done, {"arguments": "again"}, "complete")
    await alice.send(component, f"block {native.name}")
    await alice.wait_message(lambda each: each.bare == component and native.name in (each.body or ""))
    blocked = await alice.iq(component, element("blocklist", {"xmlns": "urn:xmpp:blocking"}))
    assert [each.get("jid") for each in blocked.iter("{urn:xmpp:blocking}item")] == [world.contact(native)]
    unblock = element("unblock", {"xmlns": "urn:xmpp:blocking"}, element("item", {"jid": world.contact(native)}))
    await alice.iq(component, unblock, "set")
    await native.send(world.name_of(alice), "am I heard?")
    await alice.wait_text("am I heard?")
    await alice.send(component, f"report {native.name}")
    await alice.wait_message(lambda each: each.bare == component and "report" in (each.body or "").lower())
    asked = await alice.command(component, "delete-me")
    asked = await alice.go_on(asked, {"arguments": ""}, "complete") if asked.values.get("confirmed") is None else asked
    assert asked.status == "executing", "what cannot be undone is asked once more"
    over = await alice.go_on(asked, action="cancel")
    assert over.status == "canceled"


async def test_only_those_who_asked_are_told_who_is_there(world: XmppWorld) -> None:
    """Trap: a library answers subscriptions and probes by itself."""
    alice, native = await world.person(), await world.native()
    contact = world.contact(native)
    await alice.presence(to=contact, type="probe")
    await alice.iq(contact, element("ping", {"xmlns": "urn:xmpp:ping"}))
    assert not [each for each in alice.presences.items if each.bare == contact and each.type == "available"]
    await alice.subscribe(f"nobody-there.eth@{world.server.component}")
    refused = await alice.wait_presence(
        lambda each: "nobody-there" in each.bare and each.type in ("error", "unsubscribed")
    )
    assert refused.type in ("error", "unsubscribed")
    await alice.subscribe(contact)
    await alice.wait_presence(lambda each: each.bare == contact and each.type == "available")
    await alice.allow(contact)
    await alice.unsubscribe(contact)
    await alice.wait_presence(lambda each: each.bare == contact and each.type == "unavailable")


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_large_messages_come_through_or_back(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    contact = world.contact(native)
    large = "0123456789" * 9_990
    sent = await alice.send_asking(contact, large)
    await alice.wait_receipt(sent)
    assert words((await world.mail(native))[0]) == large
    too_large = await alice.send(contact, "a" * 150_000)
    assert (await alice.wait_error(too_large)).condition in ("not-acceptable", "policy-violation")
    text = " ".join(f"word{number}" for number in range(7_000))
    before = len(alice.messages.items)
    await native.send(world.name_of(alice), text)

    async def whole() -> bool | None:
        parts = [each.body or "" for each in alice.messages.items[before:] if each.bare == contact]
        return " ".join(each for each in parts if each.startswith("word")) == text or None

    await until(whole)


@pytest.mark.parametrize("text", ["a\x00b\x0bc", "a\ufffeb\x1bc", "]]>&<b>\"'", "a\r\nb\rc", "\u202eabc\u2028"])
async def test_whatever_a_message_holds_the_link_stays(world: XmppWorld, text: str) -> None:
    """Trap: one stanza that is not well-formed ends the stream for everybody."""
    alice, native = await world.person(), await world.native()
    await native.send(world.name_of(alice), text)
    await native.send(world.name_of(alice), "and then")
    await alice.wait_text("and then")
    heard = [each.body for each in alice.messages.items if each.bare == world.contact(native)]
    forbidden = str.maketrans(dict.fromkeys(map(ord, "\x00\x0b\ufffe\x1b")))
    assert text.translate(forbidden).replace("\r\n", "\n").replace("\r", "\n") in heard


@pytest.mark.parametrize("namespace", ["urn:a}b", "urn:a{b", "urn:a b", "}", "urn:\N{FOX FACE}"])
async def test_whatever_a_namespace_holds_the_link_stays(world: XmppWorld, namespace: str) -> None:
    """Trap: a brace in a namespace, which servers pass on, was the end of the connection for everybody."""
    alice, native = await world.person(), await world.native()
    await alice.send(world.contact(native), "strange", f"<x xmlns='{namespace}' a='}}'>}}</x>")
    await alice.send(world.contact(native), "ordinary")
    assert [words(each) for each in await world.mail(native, 2)] == ["strange", "ordinary"]


async def test_offsets_of_fallbacks_are_code_points(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    await native.send(world.name_of(alice), f"{FOX}{KEYCAP} first")
    heard = await alice.wait_text(f"{FOX}{KEYCAP} first")
    # Until then the gateway may not know yet under which id it was sent.
    await world.mail(native, kind=MessageType.READ_RECEIVED)
    await alice.reply(world.contact(native), heard.id, f"{FOX} answer", f"{FOX}{KEYCAP} first")
    (reply,) = await world.mail(native, kind=MessageType.REPLY)
    assert words(reply) == f"{FOX} answer"


async def test_who_is_away_gets_it_later_and_has_not_read_it(world: XmppWorld) -> None:
    """What the server has taken is delivered, and not more than that."""
    alice, native = await world.person(), await world.native()
    await alice.send(world.contact(native), "hello")
    await world.mail(native)
    await alice.disconnect()
    await native.send(world.name_of(alice), "for later")
    await world.mail(native, kind=MessageType.READ_RECEIVED)
    assert not [each for each in world.heard[native.name] if each.message.type is MessageType.READ_OPENED]
    again = await world.server.connect(alice.jid.partition("@")[0], PASSWORD)
    assert (await again.wait_text("for later")).bare == world.contact(native)


async def test_typing_is_never_kept(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    for state in ("composing", "paused", "active", "gone"):
        await alice.chat_state(world.contact(native), state)
    await alice.send(world.contact(native), "said")
    assert [words(each) for each in await world.mail(native)] == ["said"]
    assert len(world.heard[native.name]) == 1


# --- the server comes and goes ----------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="function")
async def test_everything_is_there_again_after_a_restart_of_the_server(tmp_path: Path) -> None:
    """Trap: a library forgets commands at each reconnection, or never reconnects."""
    async with prosody_server(tmp_path / "server") as server, xmpp_world(tmp_path, server) as world:
        alice, native = await world.person(), await world.native()
        contact = world.contact(native)
        await alice.subscribe(contact)
        await alice.wait_presence(lambda each: each.bare == contact and each.type == "available")
        await server.restart()
        await alice.wait_lost()
        await alice.connect()
        before = len(alice.presences.items)
        await until(lambda: _connected(world))
        assert set(await alice.commands(server.component)) == {each.name for each in ALL}
        await alice.presence()
        await alice.wait_presence(lambda each: each.bare == contact and each not in alice.presences.items[:before])
        sent = await alice.send_asking(contact, "still there?")
        await alice.wait_receipt(sent)
        await native.send(world.name_of(alice), "yes")
        await alice.wait_text("yes")


@pytest.mark.asyncio(loop_scope="function")
async def test_contacts_go_with_the_gateway(tmp_path: Path) -> None:
    async with prosody_server(tmp_path / "server") as server:
        async with xmpp_world(tmp_path, server) as world:
            alice, native = await world.person(), await world.native()
            contact = world.contact(native)
            await alice.subscribe(contact)
            await alice.wait_presence(lambda each: each.bare == contact and each.type == "available")
        gone = await alice.wait_presence(lambda each: each.bare == contact and each.type == "unavailable")
        assert gone.bare == contact
        lost = await alice.send(contact, "anybody?")
        assert (await alice.wait_error(lost)).condition == "remote-server-timeout"


@pytest.mark.asyncio(loop_scope="function")
async def test_the_component_of_another_is_never_taken(tmp_path: Path) -> None:
    """Prosody keeps the first of two; ejabberd would let both in, so that a lease decides (see `test_nodes`)."""
    async with prosody_server(tmp_path / "server") as server, xmpp_world(tmp_path, server) as world:
        with pytest.raises((PermissionError, ConnectionError)):
            async with RawComponent(server):
                pass
        assert world.adapter.connected


async def _connected(world: XmppWorld) -> bool | None:
    return world.adapter.connected or None
