"""Answers to requests: each is read by the table of the services and answered from what the gateway knows."""

from __future__ import annotations

import secrets
from typing import Final

import structlog
from cachetools import TTLCache

from adapters.xmpp import namespaces as ns
from adapters.xmpp import render, replies
from adapters.xmpp.contacts import SOFTWARE, Contacts, face_of
from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Jid, canonical
from adapters.xmpp.own_ids import OWN_IDS
from adapters.xmpp.render import Said, Way
from adapters.xmpp.rooms.rooms import Rooms
from adapters.xmpp.services import adhoc, disco, gateway_prompt, register, requests, search, small, vcard
from adapters.xmpp.services.sessions import Sessions
from adapters.xmpp.stanzas import Chat, Request
from adapters.xmpp.taking import told
from adapters.xmpp.uploads import Uploads
from adapters.xmpp.world import World
from adapters.xmpp.xml import NOTHING, Xml
from gateway.sdk import CanonicalId, EnsName, FileContent, GatewayError, LimitExceeded, NotFound, Person, Unavailable
from gateway.sdk.commands import Answer, Commands, find

log = structlog.get_logger(__name__)

VERSION: Final = "0.1"
PUZZLED: Final = 10_000
"""People."""
PUZZLED_SECONDS: Final = 300.0


class Answers:
    """Answers people of the network: requests, and what they write to the gateway itself."""

    def __init__(self, world: World, uploads: Uploads, rooms: Rooms, contacts: Contacts) -> None:
        ctx = world.ctx
        self._world = world
        self._uploads = uploads
        self._rooms = rooms
        self._contacts = contacts
        self._sessions = Sessions()
        self._puzzled: TTLCache[CanonicalId, None] = TTLCache(PUZZLED, PUZZLED_SECONDS)
        """Who wrote what is no command, and was told so."""
        self._commands = Commands(
            ctx.people, self._chat, parent=ctx.parent, public_url=ctx.public_url, now_ms=ctx.now_ms
        )

    async def request(self, request: Request) -> Xml:
        """The answer to one request; an error is one, too."""
        try:
            self._world.rate.take(f"iq {request.head.sender.bare}")
            return replies.result(request, await self._answered(request))
        except BadStanza as fault:
            return replies.error(request, fault)
        except LimitExceeded as error:
            return replies.error(request, BadStanza(Condition.RESOURCE_CONSTRAINT, error.sentence))
        except NotFound as error:
            return replies.error(request, BadStanza(Condition.ITEM_NOT_FOUND, error.sentence))
        except Unavailable as error:
            return replies.error(request, BadStanza(Condition.REMOTE_SERVER_TIMEOUT, error.sentence))
        except GatewayError as error:
            return replies.error(request, BadStanza(Condition.NOT_ACCEPTABLE, error.sentence))

    async def command(self, chat: Chat) -> None:
        """A line to the component's own address, answered there. Raises BadStanza for one too many.

        Whoever writes what is no command may be a program that answers every answer: they get one in some minutes.
        """
        head, line = chat.head, chat.text.strip()
        if chat.headline:
            return
        with told(self._world, head, "command"):
            person = canonical(head.sender)
        if _is_command(line):
            self._puzzled.pop(person, None)
        elif person in self._puzzled:
            log.info("command.unanswered")
            return
        else:
            self._puzzled[person] = None
        answer = await self._commands.run(Person(person, chat.nick), line)
        await self._say(head.sender.bare, answer, f"{OWN_IDS}answer-{head.id or secrets.token_hex(8)}"[:200])

    async def _say(self, to: Jid, answer: Answer, own: str) -> None:
        gateway = self._world.ids.gateway
        if answer.text:
            self._world.link.send(
                render.chat(Said(way=Way(gateway, to, own), text=answer.text, wants_receipt=False, markable=False))
            )
        if answer.file is not None:
            await self._send_file(to, answer.file, own)

    async def _send_file(self, to: Jid, file: FileContent, own: str) -> None:
        remote = await self._uploads.remote(file)
        way = Way(self._world.ids.gateway, to, f"{own}-file")
        self._world.link.send(render.chat(Said(way=way, files=(remote,), wants_receipt=False, markable=False)))

    async def _answered(self, request: Request) -> Xml:
        head, ids = request.head, self._world.ids
        if ids.is_room(head.to):
            return await self._rooms.request(request)
        asked = requests.read(request)
        match asked:
            case small.Ping():
                return NOTHING
            case small.VersionAsked():
                return small.version("DM3 gateway", VERSION)
            case small.TimeAsked():
                return small.time(self._world.ctx.now_ms())
            case disco.InfoAsked(node):
                return self._info(head.to, node)
            case disco.ItemsAsked(node):
                commands = node == ns.COMMANDS and not head.to.local
                return disco.items(adhoc.nodes(ids.gateway) if commands else (), node)
            case gateway_prompt.PromptAsked():
                return gateway_prompt.prompt()
            case gateway_prompt.Typed(text):
                return gateway_prompt.address(await self._found(text))
            case search.SearchAsked():
                return search.fields()
            case search.Search(text):
                return search.results(asked, await self._search(text))
            case vcard.CardAsked() | vcard.Card4Asked() | vcard.MetadataAsked() | vcard.PictureAsked():
                return await self._card(head.to, asked)
            case _:
                return await self._of_people(request, asked)

    async def _of_people(self, request: Request, asked: requests.Asked) -> Xml:
        """What somebody knows and decides about themselves."""
        people, sender = self._world.ctx.people, request.head.sender
        person = canonical(sender)
        match asked:
            case register.RegistrationAsked():
                view = await people.about(person)
                return register.form(registered=view.since is not None, display_name=view.display_name)
            case register.Register(display_name):
                await people.set_display_name(person, display_name)
                return NOTHING
            case register.RegistrationCancelled():
                return NOTHING
            case register.Unregister():
                # Keys are not deleted by the removal of a contact; there is a command for that, which asks first.
                await people.set_display_name(person, "")
                return NOTHING
            case small.BlocklistAsked():
                blocked = await people.blocked(person)
                return small.blocklist([(await self._world.contact(name)) for name in blocked])
            case small.Block(jids):
                for jid in jids:
                    await people.block(person, await self._world.name_of(jid))
                return NOTHING
            case small.Unblock(jids):
                names = [await self._world.name_of(jid) for jid in jids] or list(await people.blocked(person))
                for name in names:
                    await people.unblock(person, name)
                return NOTHING
            case adhoc.CommandAsked():
                return await self._step(asked, sender)
            case _:
                raise BadStanza(Condition.SERVICE_UNAVAILABLE, "This is not offered here.")

    async def _step(self, asked: adhoc.CommandAsked, sender: Jid) -> Xml:
        now = self._world.ctx.now_ms()
        step = adhoc.proceed(asked, sender, self._sessions, new_id=secrets.token_hex(16), now_ms=now)
        self._sessions = step.sessions
        if isinstance(step, adhoc.Run):
            answer = await self._commands.run(Person(canonical(sender)), step.line)
            if answer.file is not None:
                await self._send_file(sender.bare, answer.file, f"{OWN_IDS}command-{step.session.id}")
            step = adhoc.answered(step, answer, self._sessions)
            self._sessions = step.sessions
        return step.payload

    def _info(self, to: Jid, node: str) -> Xml:
        face = face_of(to)
        if disco.is_of(node, face, SOFTWARE):
            return disco.info(face, node)
        if not to.local and node == ns.COMMANDS:
            return disco.info(disco.Face((disco.Identity("automation", "command-list", "Commands"),), ()), node)
        return disco.info(adhoc.face(node), node)

    async def _found(self, text: str) -> Jid:
        """The contact of a name that somebody typed, when it can be written to."""
        named = gateway_prompt.named(text, self._world.ids)
        name = (
            named if isinstance(named, str) else await self._world.name_of(Jid(named.text, self._world.ids.component))
        )
        await self._world.ctx.check_recipient(name)
        return await self._world.contact(name)

    async def _search(self, text: str) -> tuple[search.Found, ...]:
        try:
            jid = await self._found(text if "." in text or not text else f"{text}.eth")
        except (BadStanza, NotFound, GatewayError) as error:
            if isinstance(error, Unavailable):
                raise
            return ()
        name = await self._world.name_of(jid)
        portrait = await self._world.portrait(name)
        return (search.Found(jid, name, portrait.display_name),)

    async def _card(self, to: Jid, asked: vcard.Asked) -> Xml:
        if not to.local:
            raise BadStanza(Condition.ITEM_NOT_FOUND, "The gateway has no card.")
        name = await self._world.name_of(to)
        portrait = await self._world.portrait(name)
        match asked:
            case vcard.CardAsked():
                return vcard.card(name, to, portrait)
            case vcard.Card4Asked(as_item):
                return vcard.card4_item(name, to, portrait) if as_item else vcard.card4(name, to, portrait)
            case vcard.MetadataAsked():
                return vcard.metadata(portrait)
            case vcard.PictureAsked(id):
                return vcard.picture(portrait, id)

    async def _chat(self, person: Person, name: EnsName) -> str:
        """Begin a conversation: a contact request, and the address to write to."""
        await self._world.ctx.check_recipient(name)
        contact = await self._world.contact(name)
        portrait = await self._world.portrait(name)
        await self._contacts.befriend(Jid.parse(person.canonical_id), name, contact, vcard.called(name, portrait))
        return f"Write to {contact}: xmpp:{contact}?message"


def _is_command(line: str) -> bool:
    """Whether it has the name of a command and as many words as that takes; everything else is answered by help."""
    first, *behind = line.split() or [""]
    command = find(first)
    return command is not None and command.least <= len(behind) <= command.most
