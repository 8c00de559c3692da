"""A human's XMPP client that works with raw XML, so that no library stands between a check and the server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

import httpx2

from gateway.demo.xmpp_stanza import CLIENT, FORMS, Stanza, XmppFault, bare, element, form, form_values
from gateway.demo.xmpp_stream import SECONDS, XmppStream

__all__ = ["CommandStep", "RosterEntry", "Stanza", "XmppFault", "XmppUser", "bare", "element", "form", "form_values"]

ROSTER: Final = "jabber:iq:roster"
INFO: Final = "http://jabber.org/protocol/disco#info"
ITEMS: Final = "http://jabber.org/protocol/disco#items"
COMMANDS: Final = "http://jabber.org/protocol/commands"
UPLOAD: Final = "urn:xmpp:http:upload:0"
VCARD: Final = "vcard-temp"
REGISTER: Final = "jabber:iq:register"
RECEIPTS: Final = "urn:xmpp:receipts"
MARKERS: Final = "urn:xmpp:chat-markers:0"


class RosterEntry(NamedTuple):
    """Somebody on the own list (RFC 6121, 2.1.2)."""

    subscription: str
    """``none``, ``to``, ``from`` or ``both``."""
    name: str
    asked: bool
    """The own request is not answered yet."""
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Info:
    """What an entity says of itself (XEP-0030, section 3)."""

    identities: frozenset[tuple[str, str, str]]
    """Category, type and name."""
    features: frozenset[str]
    xml: Element
    """The ``query`` element, with extensions (XEP-0128)."""


@dataclass(frozen=True, slots=True)
class CommandStep:
    """Where a command stands (XEP-0050)."""

    to: str
    node: str
    session: str
    status: str
    """``executing``, ``completed`` or ``canceled``."""
    actions: frozenset[str]
    """Ways on beside ``execute`` and ``cancel``: of ``next``, ``prev`` and ``complete``."""
    notes: tuple[str, ...]
    values: Mapping[str, list[str]]
    """What the form's fields hold; empty without a form."""
    xml: Element
    """The ``command`` element."""


class XmppUser(XmppStream):
    """One human with one client; ``connect`` and close it.

    Methods that ask raise XmppFault when they are refused, ConnectionError when the stream ends, and TimeoutError.
    """

    # --- messages ---------------------------------------------------------------------------------------------------

    async def send(self, to: str, body: str | None, *content: str, type: str = "chat", id: str | None = None) -> str:
        """Send a message with an id of one's own, which is returned; `content` is further XML (RFC 6121, 5.2)."""
        key = id or uuid.uuid4().hex
        said = () if body is None else (element("body", text=body),)
        self.send_raw(element("message", {"to": to, "type": type, "id": key}, *said, *content))
        return key

    async def send_asking(self, to: str, body: str) -> str:
        """Send a message that asks for a receipt and for markers, as clients of today do."""
        request, mark = element("request", {"xmlns": RECEIPTS}), element("markable", {"xmlns": MARKERS})
        return await self.send(to, body, request, mark)

    async def receipt(self, to: str, id: str) -> str:
        """Say that a message has arrived (XEP-0184)."""
        return await self.send(to, None, element("received", {"xmlns": RECEIPTS, "id": id}))

    async def displayed(self, to: str, id: str) -> str:
        """Say that a message was shown (XEP-0333)."""
        return await self.send(to, None, element("displayed", {"xmlns": MARKERS, "id": id}))

    async def chat_state(self, to: str, state: str) -> str:
        """Say that one is ``composing``, ``paused``, ``active``, ``inactive`` or ``gone`` (XEP-0085)."""
        return await self.send(to, None, element(state, {"xmlns": "http://jabber.org/protocol/chatstates"}))

    async def correct(self, to: str, id: str, body: str) -> str:
        """Replace one's own message by another, whose id is returned (XEP-0308)."""
        return await self.send(to, body, element("replace", {"xmlns": "urn:xmpp:message-correct:0", "id": id}))

    async def retract(self, to: str, id: str) -> str:
        """Take back one's own message (XEP-0424, version 0.4)."""
        fallback = element("fallback", {"xmlns": "urn:xmpp:fallback:0", "for": "urn:xmpp:message-retract:1"})
        retract = element("retract", {"xmlns": "urn:xmpp:message-retract:1", "id": id})
        return await self.send(to, "A message was retracted.", retract, fallback, element("store", _HINTS))

    async def react(self, to: str, id: str, *emojis: str) -> str:
        """All reactions of one's own to a message; none takes back those of before (XEP-0444)."""
        reactions = (element("reaction", text=emoji) for emoji in emojis)
        wrapped = element("reactions", {"xmlns": "urn:xmpp:reactions:0", "id": id}, *reactions)
        return await self.send(to, None, wrapped, element("store", _HINTS))

    async def reply(self, to: str, id: str, body: str, quoted: str = "") -> str:
        """Answer a message (XEP-0461); with `quoted` also for clients that know no replies (XEP-0428)."""
        reply = element("reply", {"xmlns": "urn:xmpp:reply:0", "id": id, "to": to})
        if not quoted:
            return await self.send(to, body, reply)
        quote = "".join(f"> {line}\n" for line in quoted.split("\n"))
        part = element("body", {"start": "0", "end": str(len(quote))})
        fallback = element("fallback", {"xmlns": "urn:xmpp:fallback:0", "for": "urn:xmpp:reply:0"}, part)
        return await self.send(to, quote + body, reply, fallback)

    async def send_file(self, to: str, url: str, body: str | None = None) -> str:
        """Send the address of a file (XEP-0066, 3); a body that is the same is what makes clients show the file."""
        outside = element("x", {"xmlns": "jabber:x:oob"}, element("url", text=url))
        return await self.send(to, body or url, outside)

    async def wait_text(self, body: str, sender: str | None = None, seconds: float = SECONDS) -> Stanza:
        """The first message with exactly this body, from anybody or a bare address."""
        return await self.wait_message(lambda message: message.body == body and sender in (None, message.bare), seconds)

    async def wait_receipt(self, id: str, seconds: float = SECONDS) -> Stanza:
        """The receipt for a message (XEP-0184)."""
        return await self.wait_message(lambda message: message.get(f"{{{RECEIPTS}}}received", "id") == id, seconds)

    async def wait_displayed(self, id: str, seconds: float = SECONDS) -> Stanza:
        """The marker that a message was shown (XEP-0333)."""
        return await self.wait_message(lambda message: message.get(f"{{{MARKERS}}}displayed", "id") == id, seconds)

    async def wait_error(self, id: str, seconds: float = SECONDS) -> XmppFault:
        """Why a message was not taken (RFC 6120, 8.3)."""
        found = await self.wait_message(lambda message: message.id == id and message.type == "error", seconds)
        return found.fault or XmppFault("undefined-condition")

    # --- presence and roster ----------------------------------------------------------------------------------------

    async def presence(self, *content: str, to: str | None = None, type: str | None = None) -> None:
        """Tell how one is, all or one; `content` is XML as ``<show>away</show>`` (RFC 6121, 4.7)."""
        self.send_raw(element("presence", {"to": to, "type": type}, *content))

    async def subscribe(self, to: str) -> None:
        """Ask to see somebody's presence (RFC 6121, 3.1)."""
        await self.presence(to=to, type="subscribe")

    async def unsubscribe(self, to: str) -> None:
        """No longer see it (RFC 6121, 3.3)."""
        await self.presence(to=to, type="unsubscribe")

    async def allow(self, to: str) -> None:
        """Let somebody see one's own presence (RFC 6121, 3.1.4)."""
        await self.presence(to=to, type="subscribed")

    async def disallow(self, to: str) -> None:
        """Refuse that, or take it back (RFC 6121, 3.2)."""
        await self.presence(to=to, type="unsubscribed")

    async def wait_subscribe(self, sender: str, seconds: float = SECONDS) -> Stanza:
        """The request of a bare address to see one's own presence; nobody answers it but the caller."""
        return await self.wait_presence(
            lambda presence: presence.type == "subscribe" and presence.bare == sender, seconds
        )

    async def roster(self) -> dict[str, RosterEntry]:
        """Own list by bare addresses (RFC 6121, 2.1.4)."""
        answer = await self.iq(None, element("query", {"xmlns": ROSTER}))
        return {
            item.get("jid", ""): RosterEntry(
                item.get("subscription", "none"),
                item.get("name", ""),
                item.get("ask") == "subscribe",
                tuple(group.text or "" for group in item.iterfind(f"{{{ROSTER}}}group")),
            )
            for item in answer.iterfind(f".//{{{ROSTER}}}item")
        }

    async def set_roster(self, jid: str, name: str | None = None, *, remove: bool = False) -> None:
        """Put somebody onto the list under a name, or take them off it with all subscriptions (RFC 6121, 2.3, 2.5)."""
        item = element("item", {"jid": jid, "name": name, "subscription": "remove" if remove else None})
        await self.iq(None, element("query", {"xmlns": ROSTER}, item), "set")

    # --- services ---------------------------------------------------------------------------------------------------

    async def info(self, to: str, node: str | None = None) -> Info:
        """What an entity is and can (XEP-0030, 3)."""
        query = _child(await self.iq(to, element("query", {"xmlns": INFO, "node": node})), f"{{{INFO}}}query")
        identities = query.iterfind(f"{{{INFO}}}identity")
        return Info(
            frozenset((each.get("category", ""), each.get("type", ""), each.get("name", "")) for each in identities),
            frozenset(each.get("var", "") for each in query.iterfind(f"{{{INFO}}}feature")),
            query,
        )

    async def items(self, to: str, node: str | None = None) -> list[tuple[str, str, str]]:
        """Address, node and name of what belongs to an entity (XEP-0030, 4)."""
        answer = await self.iq(to, element("query", {"xmlns": ITEMS, "node": node}))
        found = answer.iterfind(f".//{{{ITEMS}}}item")
        return [(each.get("jid", ""), each.get("node", ""), each.get("name", "")) for each in found]

    async def commands(self, to: str) -> dict[str, str]:
        """Nodes and names of the commands somebody offers (XEP-0050, 3.1)."""
        return {node: name for _, node, name in await self.items(to, COMMANDS)}

    async def command(self, to: str, node: str) -> CommandStep:
        """Begin a command (XEP-0050, 3.2)."""
        return await self._step(to, element("command", {"xmlns": COMMANDS, "node": node, "action": "execute"}))

    async def go_on(
        self,
        step: CommandStep,
        fields: Mapping[str, str | Iterable[str] | bool] | None = None,
        action: str | None = None,
    ) -> CommandStep:
        """The next step of a command, with what its form asks for; `action` as ``complete``, ``prev``, ``cancel``."""
        attributes = {"xmlns": COMMANDS, "node": step.node, "sessionid": step.session, "action": action}
        content = () if fields is None else (form(fields),)
        return await self._step(step.to, element("command", attributes, *content))

    async def vcard(self, to: str | None = None) -> Element:
        """Somebody's ``vCard`` element, one's own without `to` (XEP-0054, 3.1, 3.3)."""
        return _child(await self.iq(to, element("vCard", {"xmlns": VCARD})), f"{{{VCARD}}}vCard")

    async def set_vcard(self, *content: str) -> None:
        """Replace one's own card; `content` is XML as ``<FN>Alice</FN>`` (XEP-0054, 3.2)."""
        await self.iq(None, element("vCard", {"xmlns": VCARD}, *content), "set")

    async def register_with(self, to: str, nick: str) -> None:
        """Make oneself known to a gateway, under a name (XEP-0077, 3.1; XEP-0100, 4.1)."""
        await self.iq(to, element("query", {"xmlns": REGISTER}))
        await self.iq(to, element("query", {"xmlns": REGISTER}, element("nick", text=nick)), "set")

    async def registered_as(self, to: str) -> str:
        """Under which name a gateway knows one; empty without one (XEP-0077, 3.1)."""
        asked = await self.iq(to, element("query", {"xmlns": REGISTER}))
        return asked.findtext(f".//{{{REGISTER}}}nick") or ""

    async def carbons(self) -> None:
        """Be told what one's other clients send and get (XEP-0280, 4)."""
        await self.iq(None, element("enable", {"xmlns": "urn:xmpp:carbons:2"}), "set")

    # --- files ------------------------------------------------------------------------------------------------------

    async def upload_service(self) -> str:
        """Address of the server's service for files (XEP-0363, 3); XmppFault ``item-not-found`` without one."""
        asking = [asyncio.create_task(self._takes_files(jid)) for jid, _, _ in await self.items(self.domain)]
        try:
            for answer in asyncio.as_completed(asking):
                found = await answer
                if found:
                    return found
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        raise XmppFault("item-not-found", "the server takes no files")

    async def upload(
        self, content: bytes, mime: str = "application/octet-stream", name: str = "file", *, service: str | None = None
    ) -> str:
        """Store a file at the server (XEP-0363, 4 and 5); its HTTP address.

        Raises also httpx2.HTTPError, when it is refused by HTTP.
        """
        asked = {"xmlns": UPLOAD, "filename": name, "size": str(len(content)), "content-type": mime}
        answer = await self.iq(service or await self.upload_service(), element("request", asked))
        put = _child(answer, f"{{{UPLOAD}}}slot/{{{UPLOAD}}}put")
        headers = {each.get("name", ""): each.text or "" for each in put.iterfind(f"{{{UPLOAD}}}header")}
        async with httpx2.AsyncClient(trust_env=False) as http:
            stored = await http.put(put.get("url", ""), content=content, headers={"Content-Type": mime, **headers})
            stored.raise_for_status()
        return _child(answer, f"{{{UPLOAD}}}slot/{{{UPLOAD}}}get").get("url", "")

    async def download(self, url: str) -> bytes:
        """A file at an HTTP address; httpx2.HTTPError when there is none."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(url)
            answer.raise_for_status()
            return answer.content

    async def _takes_files(self, jid: str) -> str | None:
        """The address, if that is what it does; of the services of a server some may be away."""
        with suppress(XmppFault, TimeoutError):
            return jid if UPLOAD in (await self.info(jid)).features else None
        return None

    async def _step(self, to: str, command: str) -> CommandStep:
        answer = await self.iq(to, command, "set")
        xml = _child(answer, f"{{{COMMANDS}}}command")
        asked = xml.find(f"{{{FORMS}}}x")
        actions = xml.find(f"{{{COMMANDS}}}actions")
        return CommandStep(
            to=to,
            node=xml.get("node", ""),
            session=xml.get("sessionid", ""),
            status=xml.get("status", ""),
            actions=frozenset(() if actions is None else (each.tag.rpartition("}")[2] for each in actions)),
            notes=tuple(note.text or "" for note in xml.iterfind(f"{{{COMMANDS}}}note")),
            values={} if asked is None else form_values(asked),
            xml=xml,
        )


_HINTS: Final = {"xmlns": "urn:xmpp:hints"}


def _child(answer: Element, path: str) -> Element:
    found = answer.find(path)
    if found is None:
        raise XmppFault("undefined-condition", f"the answer has no {path}", xml=answer.find(f"{{{CLIENT}}}error"))
    return found
