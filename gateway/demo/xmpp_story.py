"""The XMPP chapter: Erin and Frank talk with ENS names from plain XMPP clients, where each name is a contact."""

from __future__ import annotations

from typing import Final

from gateway.demo.hearing import heard
from gateway.demo.matrix_story import PICTURE, THUMB
from gateway.demo.teller import Teller, check
from gateway.demo.world import PARENT, World
from gateway.demo.xmpp_side import XmppPeople, XmppSide
from gateway.demo.xmpp_stanza import Stanza
from gateway.demo.xmpp_user import XmppUser
from gateway.dm3.message import MessageType
from gateway.ens.escapes import XMPP, bridged_name
from gateway.ids import CanonicalId, EnsName, MessageHash
from gateway.sdk.attachments import FileContent, attachment_content, file_attachment

GREETING: Final = "Hello from XMPP! Is this an ENS name?"
CORRECTED: Final = "Hello from XMPP! So this is an ENS name."
ANSWER: Final = "It is, and you have one too."
SECOND_ANSWER: Final = "It is, and so have you."
FIRST_WORDS: Final = "Good evening, we have not met."
WORDS_BACK: Final = "Good evening! Now we have."
WHOAMI: Final = "whoami"


async def tell_xmpp(teller: Teller, world: World, side: XmppSide, people: XmppPeople) -> None:
    """A contact, a chat with everything in it, a first message to somebody new, a wrong name, the gateway itself."""
    teller.chapter("XMPP")
    chat = _Chat(teller, world, side, people.erin)
    await chat.add()
    await chat.greet()
    await chat.learn()
    await chat.answer()
    await chat.correct()
    await chat.take_back()
    await chat.exchange_files()
    await _first_words(teller, world, side, people.frank)
    await _wrong_name(teller, side, people.erin)
    await _whoami(teller, side, people.erin)


class _Chat:
    """Erin and native.eth."""

    def __init__(self, teller: Teller, world: World, side: XmppSide, erin: XmppUser) -> None:
        self._teller = teller
        self._world = world
        self._erin = erin
        self._native = world.native
        self._name = name_of(erin)
        self._contact = side.contact(world.native.name)
        self._sent = ""
        """Erin's first message: its id, and its hash on the other side."""
        self._hash: MessageHash
        self._shown = ""
        """The answer to it: its id, and its hash on the other side."""
        self._answer: MessageHash

    async def add(self) -> None:
        async def work() -> tuple[None, str]:
            await self._erin.subscribe(self._contact)
            here = await self._erin.wait_presence(
                lambda presence: presence.bare == self._contact and presence.type == "available"
            )
            nick = here.text("nick")
            check(nick == self._native.name, f"it introduces itself as {nick}")
            await self._erin.wait_subscribe(self._contact)
            await self._erin.allow(self._contact)
            card = await self._erin.vcard(self._contact)
            check(self._native.name in "".join(card.itertext()), "the name is not on its card")
            entry = (await self._erin.roster())[self._contact]
            check(entry.subscription == "both", f"the subscription is {entry.subscription!r}")
            return None, f"it is there, calls itself {nick}, has a card; subscription: {entry.subscription}"

        await self._teller.step(f"Erin ({self._erin.jid}) adds {self._contact} to her contacts", work)

    async def greet(self) -> None:
        async def work() -> tuple[None, str]:
            self._sent = await self._erin.send_asking(self._contact, GREETING)
            received = await heard(self._world, "her message at the relay", MessageType.NEW, self._name)
            check(GREETING in (received.message.text or ""), "the text is another one")
            check("bridged" in (received.message.text or ""), "the first message does not say that it is bridged")
            self._hash = received.message_hash
            return None, f"from {received.sender}, signature and postmark hold"

        await self._teller.step(f"she writes, and {self._native.name} picks it up", work)

    async def learn(self) -> None:
        async def work() -> tuple[None, str]:
            receipt = await self._erin.wait_receipt(self._sent)
            check(receipt.bare == self._contact, f"the receipt is from {receipt.sender}")
            await self._native.send(self._name, "", kind=MessageType.READ_OPENED, reference=self._hash)
            marker = await self._erin.wait_displayed(self._sent)
            check(marker.bare == self._contact, f"the marker is from {marker.sender}")
            return None, "a receipt (XEP-0184) when it was on disk, a marker (XEP-0333) when it was opened"

        await self._teller.step("her client learns that it has arrived, and then that it was read", work)

    async def answer(self) -> None:
        async def work() -> tuple[None, str]:
            sent = await self._native.send(self._name, ANSWER, kind=MessageType.REPLY, reference=self._hash)
            self._answer = sent.message_hash
            shown = await self._erin.wait_text(ANSWER, self._contact)
            self._shown = shown.id
            check(shown.get("reply", "id") == self._sent, f"it replies to {shown.get('reply', 'id')}")
            await self._hears("the receipt", MessageType.READ_RECEIVED, self._answer)
            await self._erin.displayed(self._contact, self._shown)
            await self._hears("the marker", MessageType.READ_OPENED, self._answer)
            return None, "reply (XEP-0461) names her message; the way back has READ_RECEIVED, then READ_OPENED"

        await self._teller.step(
            f"{self._native.name} replies; she sees it as a reply, and that she saw it goes back", work
        )

    async def correct(self) -> None:
        async def work() -> tuple[None, str]:
            await self._erin.correct(self._contact, self._sent, CORRECTED)
            await self._erin.react(self._contact, self._shown, THUMB)
            edited = await self._hears("the correction", MessageType.EDIT, self._hash)
            check(edited == CORRECTED, f"the new text is {edited!r}")
            reaction = await self._hears("the reaction", MessageType.REACTION, self._answer)
            check(reaction == THUMB, f"the reaction is {reaction!r}")
            return None, f"EDIT of {self._hash[:18]}..., REACTION {THUMB} to {self._answer[:18]}..."

        await self._teller.step(
            f"she corrects hers and reacts to the reply; {self._native.name} gets both as such", work
        )

    async def take_back(self) -> None:
        def retracts(message: Stanza) -> object:
            return message.bare == self._contact and message.get("retract", "id") == self._shown

        async def work() -> tuple[None, str]:
            await self._native.send(self._name, SECOND_ANSWER, kind=MessageType.EDIT, reference=self._answer)
            shown = await self._erin.wait_text(SECOND_ANSWER, self._contact)
            check(shown.get("replace", "id") == self._shown, f"it replaces {shown.get('replace', 'id')}")
            await self._native.send(self._name, "", kind=MessageType.DELETE_REQUEST, reference=self._answer)
            await self._erin.wait_message(retracts)
            await self._erin.retract(self._contact, self._sent)
            await self._hears("the retraction", MessageType.DELETE_REQUEST, self._hash)
            return None, "replace (XEP-0308) and retract (XEP-0424) of the reply; DELETE_REQUEST of her message"

        await self._teller.step(
            f"{self._native.name} corrects its reply and takes it back, and she takes back hers", work
        )

    async def exchange_files(self) -> None:
        file = FileContent("dot.png", "image/png", PICTURE)

        async def work() -> tuple[None, str]:
            url = await self._erin.upload(file.data, file.media_type, file.name)
            await self._erin.send_file(self._contact, url)
            received = await heard(self._world, "the picture", MessageType.NEW, self._name)
            (attachment,) = received.message.attachments or ()
            found = attachment_content(attachment, max_bytes=len(PICTURE))
            data = found.data if isinstance(found, FileContent) else await self._erin.download(found.url)
            check(data == PICTURE, "the picture from Erin is another one")
            given = file_attachment(file.name, file.media_type, file.data)
            await self._native.send(self._name, "", attachments=(given,))
            shown = await self._erin.wait_message(
                lambda message: message.bare == self._contact and message.text("x/url")
            )
            there = shown.text("x/url") or ""
            check(await self._erin.download(there) == PICTURE, f"at {there} is another one")
            how = "bytes" if isinstance(found, FileContent) else "a link"
            return None, f"dot.png, {len(PICTURE)} bytes: there as {how}, here on her server (XEP-0363), each as it was"

        await self._teller.step(f"she sends {self._native.name} a picture, and gets one back", work)

    async def _hears(self, what: str, kind: MessageType, about: MessageHash) -> str | None:
        return (await heard(self._world, what, kind, self._name, about=about)).message.text


async def _first_words(teller: Teller, world: World, side: XmppSide, frank: XmppUser) -> None:
    name, contact = name_of(frank), side.contact(world.native.name)

    async def work() -> tuple[None, str]:
        await world.native.send(name, FIRST_WORDS)
        request = await frank.wait_subscribe(contact)
        await frank.wait_message(lambda message: message.bare == contact and "bridged" in (message.body or ""))
        shown = await frank.wait_text(FIRST_WORDS, contact)
        await frank.allow(contact)
        await frank.send(shown.sender, WORDS_BACK)
        received = await heard(world, "his answer at the relay", MessageType.NEW, name)
        check(WORDS_BACK in (received.message.text or ""), "the text is another one")
        return None, f"a contact request ({request.text('status')!r}), a notice that this is bridged, and an answer"

    told = f"{world.native.name} writes to {name}, who never used the gateway, and he answers a new contact"
    await teller.step(told, work)

    async def register() -> tuple[None, str]:
        await frank.register_with(side.gateway, "Frank")
        found = await world.profiles.user(name, fresh=True)
        shown = await frank.registered_as(side.gateway)
        check(shown == "Frank", f"the form says {shown!r}")
        return None, f"{name} -> {found.address}, shown as Frank"

    await teller.step(f"Frank ({frank.jid}) registers with {side.gateway} and says how he is called", register)


async def _wrong_name(teller: Teller, side: XmppSide, erin: XmppUser) -> None:
    nobody = side.contact(EnsName("nobody-here.eth"))

    async def work() -> tuple[None, str]:
        fault = await erin.wait_error(await erin.send(nobody, "?"))
        check(fault.condition == "item-not-found", f"the error is {fault}")
        return None, str(fault)

    await teller.step(f"a message to {nobody}, a name that does not exist, comes back", work)


async def _whoami(teller: Teller, side: XmppSide, erin: XmppUser) -> None:
    async def work() -> tuple[None, str]:
        offered = await erin.commands(side.gateway)
        check(WHOAMI in offered, f"the commands are {', '.join(offered)}")
        done = await erin.command(side.gateway, WHOAMI)
        said = "\n".join(done.notes)
        check(done.status == "completed", f"the command is {done.status}")
        check(name_of(erin) in said, f"the answer is {said!r}")
        return None, said.splitlines()[0].removeprefix("- ").replace("`", "")

    await teller.step(f"Erin runs a command of {side.gateway} (XEP-0050): {WHOAMI}", work)


def name_of(human: XmppUser) -> EnsName:
    """The ENS name that somebody has as a bridged person."""
    return bridged_name(XMPP, CanonicalId(human.jid), PARENT)
