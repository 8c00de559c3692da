"""The e-mail chapter: Bob mails an ENS name and gets an answer; neither side has the software of the other."""

from __future__ import annotations

from email.message import EmailMessage

import aiosmtplib

from gateway.demo.mail import BOB, send_mail
from gateway.demo.teller import StepFailed, Teller, check, until
from gateway.demo.world import EMAIL_DOMAIN, HOST, PARENT, World
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.operations.dm3_client import Received
from gateway.operations.echo import PREFIX

QUESTION = "Hello! Does mail reach an ENS name?"
ANSWER = "It does, and this is the way back."
BOB_NAME = EnsName(f"bob.mail.example.email.{PARENT}")
FIRST_ID = "<first.1@mail.example>"


async def tell_email(teller: Teller, world: World) -> None:
    """One message all the way, its answer back, an echo, and a refusal."""
    teller.chapter("E-mail")
    await _send(teller, world)
    received = await _pick_up(teller, world)
    await _resolve_bob(teller, world)
    await _reply(teller, world, received)
    await _echo(teller, world)
    await _refusals(teller, world)


async def _send(teller: Teller, world: World) -> None:
    async def work() -> tuple[None, str]:
        answer = await _mail(world, world.native.name, "A question", QUESTION, FIRST_ID)
        return None, f"SMTP says: {answer}"

    await teller.step(f"{BOB} mails {world.native.name}@{EMAIL_DOMAIN}", work)


async def _pick_up(teller: Teller, world: World) -> Received:
    async def work() -> tuple[Received, str]:
        async def look() -> Received | None:
            waiting = await world.native.fetch()
            return next((each for each in waiting if each.message.type is MessageType.NEW), None)

        received = await until("the envelope at the relay", look)
        check(QUESTION in (received.message.text or ""), "the text is another one")
        check(received.sender == BOB_NAME, f"the sender is {received.sender}")
        check(received.verified, "a signature does not hold")
        check("bridged" in (received.message.text or ""), "the first message does not say that it is bridged")
        return received, f"from {received.sender}, message {received.message_hash[:18]}..., signature and postmark hold"

    received = await teller.step(f"{world.native.name} logs in at the relay, picks the envelope up and opens it", work)

    async def acknowledge() -> tuple[None, str]:
        await world.native.acknowledge(received)
        left = [each for each in await world.native.fetch() if each.message_hash == received.message_hash]
        check(not left, "the envelope is still there")
        return None, "the relay keeps nothing that was picked up"

    await teller.step(f"{world.native.name} acknowledges, the relay deletes the envelope", acknowledge)
    return received


async def _resolve_bob(teller: Teller, world: World) -> None:
    async def work() -> tuple[None, str]:
        found = await world.profiles.user(BOB_NAME, fresh=True)
        address = await world.ens.address(BOB_NAME)
        check(address == found.address, "the address record does not fit the profile")
        check(world.gateway.service_name in found.profile.delivery_services, "the profile does not name the relay")
        return None, f"{BOB_NAME} -> {found.address}"

    await teller.step("Bob has an ENS name now, with an address and a profile of his own", work)


async def _reply(teller: Teller, world: World, received: Received) -> None:
    async def send() -> tuple[None, str]:
        sent = await world.native.send(received.sender, ANSWER, kind=MessageType.REPLY, reference=received.message_hash)
        return None, f"{sent.service} took it"

    await teller.step(f"{world.native.name} replies to Bob's name", send)

    async def arrive() -> tuple[EmailMessage, str]:
        mail = await until("the reply in Bob's mailbox", lambda: world.mail.find(BOB, ANSWER))
        check(mail["In-Reply-To"] == FIRST_ID, f"In-Reply-To is {mail['In-Reply-To']}")
        check(FIRST_ID in str(mail["References"]), "References do not hold the first mail")
        check(f"{world.native.name}@{EMAIL_DOMAIN}" in str(mail["From"]), f"From is {mail['From']}")
        return mail, f"From: {mail['From']}, In-Reply-To: {mail['In-Reply-To']}"

    await teller.step("the reply lies in Bob's mailbox, in the thread of his mail", arrive)

    async def receipt() -> tuple[None, str]:
        async def look() -> Received | None:
            waiting = await world.native.fetch()
            return next((each for each in waiting if each.message.type is MessageType.READ_RECEIVED), None)

        found = await until("the receipt", look)
        await world.native.acknowledge(found)
        return None, f"READ_RECEIVED for {(found.message.reference or '')[:18]}..."

    await teller.step(f"{world.native.name} learns that Bob's mail server took it", receipt)


async def _echo(teller: Teller, world: World) -> None:
    early = world.ground.echoes[1]

    async def work() -> tuple[None, str]:
        text = "Is anybody there?"
        await _mail(world, early, "Echo", text, "<echo.1@mail.example>")
        mail = await until("the echo", lambda: world.mail.find(BOB, PREFIX, text))
        check(f"{early}@{EMAIL_DOMAIN}" in str(mail["From"]), f"From is {mail['From']}")
        return None, f"From: {mail['From']}"

    await teller.step(f"Bob mails {early} and the echo comes back by mail", work)


async def _refusals(teller: Teller, world: World) -> None:
    async def work() -> tuple[None, str]:
        try:
            await _mail(world, EnsName("nobody-here.eth"), "?", "?", "<nobody.1@mail.example>")
        except aiosmtplib.SMTPRecipientsRefused as refused:
            code, text = refused.recipients[0].code, refused.recipients[0].message
            check(code == 550, f"SMTP says {code} {text}")
            return None, f"SMTP says: {code} {text}"
        raise StepFailed("the mail was taken")

    await teller.step("mail to a name that does not exist is refused at once", work)


async def _mail(world: World, to: EnsName, subject: str, text: str, message_id: str) -> str:
    return await send_mail(
        host=HOST,
        port=world.smtp_port,
        sender=BOB,
        recipient=f"{to}@{EMAIL_DOMAIN}",
        subject=subject,
        text=text,
        message_id=message_id,
    )
