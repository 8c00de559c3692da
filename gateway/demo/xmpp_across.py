"""The end of the XMPP chapter: people of other networks and Erin reach each other by their ENS names."""

from __future__ import annotations

from typing import Final

from gateway.demo.email_story import BOB_NAME
from gateway.demo.homeserver import MatrixSide
from gateway.demo.mail import BOB, send_mail
from gateway.demo.matrix_story import matrix_name, room_with
from gateway.demo.matrix_user import MatrixUser
from gateway.demo.teller import Teller, check, until
from gateway.demo.world import EMAIL_DOMAIN, HOST, World
from gateway.demo.xmpp_side import XmppSide
from gateway.demo.xmpp_story import name_of
from gateway.demo.xmpp_user import XmppUser

MAIL: Final = "Does mail reach a chat?"
MAIL_ANSWER: Final = "It does; and this is a chat that reaches mail."
MAIL_ID: Final = "<chat.1@mail.example>"
NOTE: Final = "Matrix here. Can you read this?"
NOTE_ANSWER: Final = "I can, in XMPP."


async def tell_mail_and_xmpp(teller: Teller, world: World, side: XmppSide, erin: XmppUser) -> None:
    """A mail to Erin, and her answer in its thread."""
    to, contact = f"{name_of(erin)}@{EMAIL_DOMAIN}", side.contact(BOB_NAME)

    async def work() -> tuple[None, str]:
        await send_mail(
            host=HOST,
            port=world.smtp_port,
            sender=BOB,
            recipient=to,
            subject="A chat?",
            text=MAIL,
            message_id=MAIL_ID,
        )
        shown = await erin.wait_message(lambda message: message.bare == contact and MAIL in (message.body or ""))
        await erin.reply(contact, shown.id, MAIL_ANSWER)
        mail = await until("her answer in Bob's mailbox", lambda: world.mail.find(BOB, MAIL_ANSWER))
        check(mail["In-Reply-To"] == MAIL_ID, f"In-Reply-To is {mail['In-Reply-To']}")
        check(to in str(mail["From"]), f"From is {mail['From']}")
        return None, f"in her client from {contact}; in his mailbox From: {mail['From']}, in the thread of his mail"

    await teller.step(f"Bob mails {to}, and Erin's answer is in his mailbox", work)


async def tell_matrix_and_xmpp(
    teller: Teller, matrix: MatrixSide, alice: MatrixUser, side: XmppSide, erin: XmppUser
) -> None:
    """A chat between two networks."""
    ghost, contact = matrix.ghost(name_of(erin)), side.contact(matrix_name(alice))

    async def work() -> tuple[None, str]:
        room = await room_with(alice, ghost)
        await alice.say(room, NOTE)
        await erin.wait_message(lambda message: message.bare == contact and NOTE in (message.body or ""))
        await erin.send(contact, NOTE_ANSWER)
        shown = await alice.wait_event(
            lambda event: event["room_id"] == room and NOTE_ANSWER in event["content"]["body"]
        )
        check(shown["sender"] == ghost, f"it is from {shown['sender']}")
        return None, f"she is {contact} to Erin, who is {ghost} to her"

    await teller.step("Alice writes to Erin from Matrix, and Erin answers from XMPP", work)
