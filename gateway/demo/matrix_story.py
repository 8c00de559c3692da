"""The Matrix chapter: Alice and Dave talk with ENS names from plain Matrix clients, where each name is a user."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from typing import Final

from gateway.demo.email_story import BOB_NAME
from gateway.demo.hearing import heard
from gateway.demo.homeserver import MatrixSide, People
from gateway.demo.mail import BOB
from gateway.demo.matrix_user import Json, MatrixUser
from gateway.demo.teller import Teller, check, until
from gateway.demo.world import EMAIL_DOMAIN, PARENT, World
from gateway.dm3.message import MessageType
from gateway.ens.escapes import MATRIX, bridged_name
from gateway.ids import CanonicalId, EnsName, MessageHash
from gateway.sdk.attachments import FileContent, attachment_content

GREETING: Final = "Hello from Matrix! Is this an ENS name?"
CORRECTED: Final = "Hello from Matrix! So this is an ENS name."
ANSWER: Final = "It is. You look like one, too."
THUMB: Final = "👍"
PICTURE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAYCAMAAADXqc3KAAAABlBMVEX///88btwMqBdcAAAANUlEQVR42tXRIRYAAAQEUXP/SyuSZwLNRj/ZjTiHipw7"
    "wSwwC4gYgMgz2H/uJXrtPpRPu0gCh3cBTSn04dEAAAAASUVORK5CYII="
)
FIRST_WORDS: Final = "Good morning, we have not met."
TO_BOB: Final = "Mail from a chat? Yes."
STATUS: Final = "com.beeper.message_send_status"


async def tell_matrix(teller: Teller, world: World, side: MatrixSide, people: People, *, mail: bool) -> None:
    """A chat with everything in it, a stranger's first message, the bot; with mail, a chat with a mailbox."""
    teller.chapter("Matrix")
    chat = _Chat(teller, world, side, people.alice)
    await chat.open()
    await chat.greet()
    await chat.answer()
    await chat.correct()
    await chat.show_picture()
    await _first_words(teller, world, side, people.dave)
    await _bot(teller, side, people.alice)
    if mail:
        await _to_mail(teller, world, side, people.alice)


class _Chat:
    """Alice and native.eth."""

    def __init__(self, teller: Teller, world: World, side: MatrixSide, alice: MatrixUser) -> None:
        self._teller = teller
        self._world = world
        self._alice = alice
        self._native = world.native
        self._ghost = side.ghost(world.native.name)
        self._room = ""
        self._sent = ""
        """Alice's first message: its event, and its hash on the other side."""
        self._hash: MessageHash
        self._answer: MessageHash

    async def open(self) -> None:
        async def work() -> tuple[None, str]:
            self._room = await room_with(self._alice, self._ghost)
            shown = (await self._alice.profile(self._ghost))["displayname"]
            check(self._native.name in shown, f"the user is shown as {shown}")
            return None, f"it is shown as {shown!r}, and joined at once"

        await self._teller.step(f"Alice ({self._alice.user_id}) invites {self._ghost} into a chat", work)

    async def greet(self) -> None:
        name = matrix_name(self._alice)

        async def receive() -> tuple[None, str]:
            self._sent = await self._alice.say(self._room, GREETING)
            received = await heard(self._world, "her message at the relay", MessageType.NEW, name)
            check(GREETING in (received.message.text or ""), "the text is another one")
            check("bridged" in (received.message.text or ""), "the first message does not say that it is bridged")
            self._hash = received.message_hash
            return None, f"from {received.sender}, signature and postmark hold"

        await self._teller.step(f"she writes, and {self._native.name} picks it up", receive)

        async def status() -> tuple[None, str]:
            def about(event: Json) -> object:
                content = event["content"]
                return event["type"] == STATUS and content["m.relates_to"]["event_id"] == self._sent

            told = await self._alice.wait_event(about)
            check(told["sender"] == self._ghost, f"the status is told by {told['sender']}")
            check(told["content"]["status"] == "SUCCESS", f"the status is {told['content']}")
            return None, f"{STATUS}: {told['content']['status']}"

        await self._teller.step("her client learns that it was delivered", status)

    async def answer(self) -> None:
        name = matrix_name(self._alice)

        async def work() -> tuple[None, str]:
            sent = await self._native.send(name, ANSWER, kind=MessageType.REPLY, reference=self._hash)
            self._answer = sent.message_hash
            shown = await self._alice.wait_text(self._room, ANSWER)
            check(shown["sender"] == self._ghost, f"it is from {shown['sender']}")
            replied = shown["content"].get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id")
            check(replied == self._sent, f"it replies to {replied}")
            receipt = await heard(self._world, "the receipt", MessageType.READ_RECEIVED, name)
            check(receipt.message.reference == self._answer, "the receipt is for another message")
            return None, "m.in_reply_to names her message; the way back has a receipt: READ_RECEIVED"

        await self._teller.step(f"{self._native.name} replies, and she sees it as a reply from {self._ghost}", work)

    async def correct(self) -> None:
        name = matrix_name(self._alice)

        async def work() -> tuple[None, str]:
            answer = await self._alice.wait_text(self._room, ANSWER)
            await self._alice.edit(self._room, self._sent, CORRECTED)
            await self._alice.react(self._room, answer["event_id"], THUMB)
            edit = await heard(self._world, "the edit", MessageType.EDIT, name)
            check(edit.message.text == CORRECTED, f"the new text is {edit.message.text!r}")
            check(edit.message.reference == self._hash, "the edit is of another message")
            reaction = await heard(self._world, "the reaction", MessageType.REACTION, name)
            check(reaction.message.text == THUMB, f"the reaction is {reaction.message.text!r}")
            check(reaction.message.reference == self._answer, "the reaction is to another message")
            return None, f"EDIT of {self._hash[:18]}..., REACTION {THUMB} to {self._answer[:18]}..."

        await self._teller.step(f"she edits hers and reacts to the reply; {self._native.name} gets both as such", work)

    async def show_picture(self) -> None:
        async def work() -> tuple[None, str]:
            await self._alice.send_file(self._room, PICTURE, "image/png", "dot.png", kind="m.image")
            received = await heard(self._world, "the picture", MessageType.NEW, matrix_name(self._alice))
            files = [attachment_content(each, max_bytes=len(PICTURE)) for each in received.message.attachments or ()]
            check(files == [FileContent("dot.png", "image/png", PICTURE)], f"the attachments are {files}")
            return None, f"dot.png, image/png, {len(PICTURE)} bytes, each as it was"

        await self._teller.step(f"she sends a picture, and {self._native.name} has it as an attachment", work)


async def _first_words(teller: Teller, world: World, side: MatrixSide, dave: MatrixUser) -> None:
    name, ghost = matrix_name(dave), side.ghost(world.native.name)

    async def invited() -> tuple[str, str]:
        await world.native.send(name, FIRST_WORDS)
        invite = await dave.wait_invite()
        check(invite.inviter == ghost and invite.is_direct, f"{invite.inviter} invites, direct: {invite.is_direct}")
        shown = [event["content"].get("displayname") for event in invite.state if event["type"] == "m.room.member"]
        check(any(world.native.name in (each or "") for each in shown), f"the names in the invitation are {shown}")
        return invite.room_id, f"{name} resolves all the same; he is invited by {ghost}"

    sentence = f"{world.native.name} writes to Dave ({dave.user_id}), who never wrote: he finds an invitation"
    room = await teller.step(sentence, invited)

    async def read() -> tuple[None, str]:
        await dave.join(room)
        shown = await dave.wait_text(room, FIRST_WORDS)
        check(shown["sender"] == ghost, f"it is from {shown['sender']}")
        await dave.wait_event(lambda event: event["room_id"] == room and "bridged" in event["content"]["body"])
        await heard(world, "the receipt", MessageType.READ_RECEIVED, name)
        return None, f"{FIRST_WORDS!r}, and a notice that the conversation is bridged"

    await teller.step("he joins and reads it", read)


async def _bot(teller: Teller, side: MatrixSide, alice: MatrixUser) -> None:
    async def work() -> tuple[None, str]:
        room = await room_with(alice, side.bot)
        asked = await alice.say(room, "whoami")
        answer = await alice.wait_event(
            lambda event: event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == asked
        )
        said = str(answer["content"]["body"])
        check(answer["sender"] == side.bot, f"the answer is from {answer['sender']}")
        check(matrix_name(alice) in said, f"the answer is {said!r}")
        return None, said.splitlines()[0].removeprefix("- ").replace("`", "")

    await teller.step(f"Alice asks the gateway's bot {side.bot}: whoami", work)


async def _to_mail(teller: Teller, world: World, side: MatrixSide, alice: MatrixUser) -> None:
    ghost, name = side.ghost(BOB_NAME), matrix_name(alice)

    async def work() -> tuple[EmailMessage, str]:
        room = await room_with(alice, ghost)
        await alice.say(room, TO_BOB)
        mail = await until("the mail in Bob's mailbox", lambda: world.mail.find(BOB, TO_BOB))
        check(f"{name}@{EMAIL_DOMAIN}" in str(mail["From"]), f"From is {mail['From']}")
        return mail, f"From: {mail['From']}"

    await teller.step(f"Alice writes to {ghost}, and Bob has it as mail", work)


async def room_with(human: MatrixUser, other: str) -> str:
    """A chat of two, as a client opens it; returns when the other one is there."""

    def joined(event: Json) -> object:
        here = event["room_id"] == room and event["type"] == "m.room.member"
        return here and event["state_key"] == other and event["content"]["membership"] == "join"

    room = await human.create_room(invite=[other], is_direct=True, preset="trusted_private_chat")
    await human.wait_event(joined)
    return room


def matrix_name(human: MatrixUser) -> EnsName:
    """The ENS name that somebody has as a bridged person."""
    return bridged_name(MATRIX, CanonicalId(human.user_id), PARENT)
