"""The XMPP servers of the demo and of the other tests, and the human clients that speak with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.demo.xmpp_server import XmppServer
from gateway.demo.xmpp_user import COMMANDS, Stanza, XmppFault, XmppUser, element, form
from gateway.errors import ConfigError
from tests.integration.xmpp.raw_component import RawComponent
from tests.support.ejabberd import ejabberd_server
from tests.support.prosody import prosody_server

pytestmark = pytest.mark.xdist_group("xmpp")

PASSWORD = 'a "pass\\word" für'
BOB = "bob.b_o-b"
"""Prosody writes all but letters and digits in another way."""
PICTURE = os.urandom(70_000)
PING = element("ping", {"xmlns": "urn:xmpp:ping"})

Server = Callable[..., AbstractAsyncContextManager[XmppServer]]


@pytest.fixture(params=[prosody_server, ejabberd_server], ids=["prosody", "ejabberd"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.param


async def _people(running: XmppServer) -> tuple[XmppUser, XmppUser]:
    await running.register("alice", PASSWORD)
    await running.register(BOB, PASSWORD)
    return await running.connect("alice", PASSWORD), await running.connect(BOB, PASSWORD)


async def test_two_humans_talk(server: Server, tmp_path: Path) -> None:
    async with server(tmp_path) as running:
        alice, bob = await _people(running)
        await _talk(alice, bob)
        await _become_contacts(alice, bob)
        await _files_and_cards(running, alice, bob)
        await _with_a_component(running, alice)
        with pytest.raises(XmppFault, match="conflict: alice@localhost is taken"):
            await running.register("alice", PASSWORD)
        with pytest.raises(XmppFault, match="not-authorized"):
            await running.connect("alice", "another password")


async def _talk(alice: XmppUser, bob: XmppUser) -> None:
    hello = await alice.send_asking(bob.jid, "hello <b> & 👋")
    heard = await bob.wait_text("hello <b> & 👋", alice.jid)
    assert (heard.id, heard.sender, heard.type) == (hello, alice.full_jid, "chat")
    assert heard.has("request")
    await bob.receipt(heard.sender, heard.id)
    assert (await alice.wait_receipt(hello)).sender == bob.full_jid
    await bob.displayed(heard.sender, heard.id)
    await alice.wait_displayed(hello)
    await bob.chat_state(alice.full_jid, "composing")
    await alice.wait_message(lambda message: message.has("{http://jabber.org/protocol/chatstates}composing"))

    await alice.correct(bob.jid, hello, "hello, Bob")
    assert (await bob.wait_text("hello, Bob")).get("replace", "id") == hello
    await bob.react(alice.jid, hello, "👍", "🦊")
    heard = await alice.wait_message(lambda message: message.has("reactions"))
    assert [emoji.text for emoji in heard.all("reactions/reaction")] == ["👍", "🦊"]
    await bob.reply(alice.jid, hello, "hello to you", quoted="hello")
    heard = await alice.wait_text("> hello\nhello to you")
    assert (heard.get("reply", "id"), heard.get("fallback/body", "end")) == (hello, "8")
    await alice.retract(bob.jid, hello)
    assert (await bob.wait_message(lambda message: message.has("retract"))).get("retract", "id") == hello

    lost = await alice.send("nobody@localhost", "hello?")
    assert (await alice.wait_error(lost)).condition == "service-unavailable"
    with pytest.raises(TimeoutError, match=r"(?s)not among \d+ messages after 0.1 s; the last:.*from=.alice@localhost"):
        await bob.wait_text("never said", seconds=0.1)


async def _become_contacts(alice: XmppUser, bob: XmppUser) -> None:
    await alice.subscribe(bob.jid)
    await bob.wait_subscribe(alice.jid)
    assert (await alice.roster())[bob.jid].asked
    await bob.allow(alice.jid)
    await alice.wait_presence(lambda presence: presence.type == "subscribed")
    await bob.presence("<show>away</show>")
    seen = await alice.wait_presence(lambda presence: presence.text("show") == "away")
    assert seen.sender == bob.full_jid
    await alice.set_roster(bob.jid, "Bob")
    assert (await alice.roster())[bob.jid][:3] == ("to", "Bob", False)
    # Pushed to whoever asked for the roster.
    await alice.wait_iq(lambda iq: iq.type == "set" and iq.get("query/item", "name") == "Bob")
    await alice.unsubscribe(bob.jid)
    await bob.wait_presence(lambda presence: presence.type == "unsubscribe")
    assert (await alice.roster())[bob.jid].subscription == "none"


async def _files_and_cards(running: XmppServer, alice: XmppUser, bob: XmppUser) -> None:
    assert await alice.upload_service() == running.upload
    url = await alice.upload(PICTURE, "image/png", "a picture.png")
    await alice.send_file(bob.jid, url)
    heard = await bob.wait_message(lambda message: message.has("{jabber:x:oob}x"))
    assert heard.body == heard.text("x/url") == url
    assert await bob.download(url) == PICTURE
    with pytest.raises(httpx2.HTTPStatusError):
        await bob.download(url.rsplit("/", 2)[0] + "/none/picture.png")

    await alice.set_vcard("<FN>Alice</FN>")
    assert (await bob.vcard(alice.jid)).findtext("{vcard-temp}FN") == "Alice"
    assert "urn:xmpp:mam:2" in (await alice.info(alice.jid)).features
    assert "urn:xmpp:carbons:2" in (await alice.info(running.domain)).features


async def _with_a_component(running: XmppServer, alice: XmppUser) -> None:
    away = await alice.send(f"echo@{running.component}", "anybody?")
    assert (await alice.wait_error(away)).condition in ("remote-server-timeout", "forbidden")
    with pytest.raises(PermissionError, match="not-authorized"):
        async with RawComponent(running, secret="another"):
            pass

    async with RawComponent(running, _echo) as component:
        await alice.send(f"echo@{running.component}", "who <is> there?")
        heard = await component.heard.first(lambda stanza: stanza.type == "chat", 15)
        assert (heard.bare, heard.text("body")) == (alice.jid, "who <is> there?")
        await alice.wait_text("echo: who <is> there?", f"echo@{running.component}")

        assert await alice.commands(running.component) == {"order": "Order something"}
        step = await alice.command(running.component, "order")
        assert (step.status, step.session, step.values) == ("executing", "1", {"what": ["tea"]})
        assert step.actions == {"complete"}
        step = await alice.go_on(step, {"what": "coffee & cake"}, "complete")
        assert (step.status, step.notes) == ("completed", ("coffee & cake",))
        with pytest.raises(XmppFault, match="item-not-found: no such thing") as refused:
            await alice.command(running.component, "other")
        assert refused.value.kind == "cancel"

        component.say(f"<message from='{running.component}' to='{alice.full_jid}'><body>one more</body></message>")
        await alice.wait_text("one more")


def _echo(stanza: Stanza) -> str:
    back = {"from": stanza.to, "to": stanza.sender, "id": stanza.id}
    if stanza.name == "message" and stanza.text("body"):
        return element("message", back | {"type": "chat"}, element("body", text=f"echo: {stanza.text('body')}"))
    if stanza.name == "iq" and stanza.has("query"):
        item = {"jid": stanza.to, "node": "order", "name": "Order something"}
        query = element("query", {"xmlns": "http://jabber.org/protocol/disco#items"}, element("item", item))
        return element("iq", back | {"type": "result"}, query)
    if stanza.name == "iq" and stanza.get("command", "node") == "order":
        return element("iq", back | {"type": "result"}, _order(stanza))
    if stanza.name == "iq":
        names = {"xmlns": "urn:ietf:params:xml:ns:xmpp-stanzas"}
        reason = element("item-not-found", names) + element("text", names, text="no such thing")
        return element("iq", back | {"type": "error"}, element("error", {"type": "cancel"}, reason))
    return ""


def _order(stanza: Stanza) -> str:
    attributes = {"xmlns": COMMANDS, "node": "order", "sessionid": "1"}
    if stanza.get("command", "action") == "execute":
        content = element("actions", {}, element("complete")), form({"what": "tea"}, "form")
        return element("command", attributes | {"status": "executing"}, *content)
    assert stanza.get("command", "sessionid") == "1"
    note = element("note", text=stanza.text("command/x/field/value") or "")
    return element("command", attributes | {"status": "completed"}, note)


async def test_a_restart_and_a_pause_keep_everything(server: Server, tmp_path: Path) -> None:
    async with server(tmp_path) as running:
        alice, bob = await _people(running)
        ports = running.c2s_port, running.component_port, running.http_port
        await bob.disconnect()
        with pytest.raises(ConnectionError):
            await bob.send(alice.jid, "while away")
        assert bob.connected is False
        await alice.send(bob.jid, "for later")
        await alice.iq(running.domain, PING)

        await running.restart()
        await alice.wait_lost()
        assert (running.c2s_port, running.component_port, running.http_port) == ports
        await alice.connect()
        await bob.connect()
        assert (await bob.wait_text("for later")).has("{urn:xmpp:delay}delay")

        running.freeze()
        with pytest.raises(TimeoutError, match=r"no answer of localhost after 0\.2 s"):
            await alice.iq(running.domain, PING, seconds=0.2)
        assert (running.running, alice.connected) == (True, True)
        await alice.send(bob.jid, "into the ice")
        running.thaw()
        await bob.wait_text("into the ice")

        # A user who goes without a word is gone all the same, and so is one whose server dies.
        await bob.disconnect(orderly=False)
        await running.kill()
        await alice.wait_lost()
        assert (running.running, alice.connected) == (False, False)


async def test_what_keeps_it_from_starting_is_told(server: Server, tmp_path: Path) -> None:
    nonsense: dict[str, Any] = {"no such option": "a lot"}
    async with server(tmp_path, start=False, settings=nonsense) as running:
        with pytest.raises(ConfigError, match=r"(?s)(Prosody|ejabberd) ended with code 1; .*\bsuch\b"):
            await running.start()
        assert not running.running


async def test_prosody_has_rooms_and_privileges(tmp_path: Path) -> None:
    async with prosody_server(tmp_path, muc=True, privilege=True, domain="xmpp.example") as running:
        alice, bob = await _people(running)
        room = f"room@{running.muc}"
        for human in (alice, bob):
            human.send_raw(
                f"<presence to='{room}/{human.resource}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            )
            await human.wait_presence(
                lambda presence: presence.bare == room and presence.get("x/status[@code='110']", "code")
            )
        await alice.send(room, "hello, all", type="groupchat")
        assert (await bob.wait_text("hello, all", room)).sender == f"{room}/{alice.resource}"

        async with RawComponent(running) as component:
            told = await component.heard.first(lambda stanza: stanza.has("privilege"), 15)
            granted = {each.get("access"): each.get("type") for each in told.all("privilege/perm")}
            assert granted == {"roster": "both", "message": "outgoing", "presence": "roster", "iq": None}


async def test_features_are_told_to_those_who_ask(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as running:
        await running.register("alice", PASSWORD)
        alice = await running.connect("alice", PASSWORD, features=("urn:example:feature",), resource="here")
        async with await running.connect("alice", PASSWORD, available=False) as other:
            assert alice.full_jid == "alice@localhost/here"
            await other.carbons()
            assert "urn:example:feature" in (await other.info(alice.full_jid)).features


async def test_ejabberd_grants_privileges(tmp_path: Path) -> None:
    async with ejabberd_server(tmp_path, muc=True, privilege=True) as running, RawComponent(running) as component:
        told = await component.heard.first(lambda stanza: stanza.has("privilege"), 15)
        assert {each.get("access") for each in told.all("privilege/perm")} == {"roster", "message", "presence"}
