"""Mail that comes to our return path: whoever wrote the message is told once what became of it, and nobody else is.

It has the null sender as a rule. Programs that answer with an address of their own (vacation) are heard as well; people
are told that nobody reads there.
"""

from __future__ import annotations

import asyncio

import structlog

from adapters.email import replies
from adapters.email.addresses import shown_address
from adapters.email.dsn import Bounce, Fate, by_program, explained, read_bounce
from adapters.email.replies import MailRefused
from adapters.email.returnpath import message_prefix
from adapters.email.sent import SentMail, SentMails
from gateway.sdk import NOTICE_MARK, AdapterContext, MessageType, NativeId, Outgoing, Person, quoted

log = structlog.get_logger(__name__)


class Bounces:
    """Handles what comes to addresses that we signed, so it is about a mail of ours."""

    def __init__(self, domain: str, ctx: AdapterContext, sent: SentMails) -> None:
        self._domain = domain
        self._ctx = ctx
        self._sent = sent

    async def take(self, prefix: str, data: bytes, *, null_sender: bool = True) -> None:
        """One bounce to the return path of a message. Raises MailRefused, and what `submit` raises.

        The token says which message it is; only where nothing is known of that, a Message-ID in the bounce does.
        """
        if not null_sender and not await asyncio.to_thread(by_program, data):
            raise MailRefused(replies.BOUNCE_ONLY)
        bounce = await asyncio.to_thread(read_bounce, data, self._domain)
        key, mail = await self._find(prefix, bounce)
        log.info("mail.bounced", message=key, fate=bounce.fate.value, status=bounce.status, known=mail is not None)
        if mail is None or bounce.fate is Fate.OPEN:
            # What is delayed is theirs to deliver; should they fail, they say so.
            return
        await self._ctx.submit(_told(key, mail, bounce, self._ctx.now_ms()))

    async def _find(self, prefix: str, bounce: Bounce) -> tuple[str, SentMail | None]:
        for key in (prefix, *(message_prefix(bytes.fromhex(each[2:])) for each in bounce.about)):
            if (mail := await self._sent.find(key)) is not None:
                return key, mail
        return prefix, None


def _told(key: str, mail: SentMail, bounce: Bounce, now_ms: int) -> Outgoing:
    """In the person's name, marked as what the gateway says; the same however often a bounce comes."""
    failed = bounce.fate is Fate.FAILED
    text = failure_text(mail, bounce) if failed else answer_text(mail, bounce)
    return Outgoing(
        sender=Person(mail.person),
        recipient=mail.name,
        native_id=NativeId(f"{bounce.fate.value} {key}"),
        sent_at=now_ms,
        type=MessageType.REPLY,
        text=text,
        reference=mail.message_id,
        automatic=True,
    )


def failure_text(mail: SentMail, bounce: Bounce) -> str:
    """Why a mail did not arrive: the code and our words for it, then theirs in quotation marks."""
    person, code = shown_address(mail.person), f" ({bounce.status})" if bounce.status else ""
    sentence = f"{NOTICE_MARK}Your message did not reach {person}: {explained(bounce.status)}{code}."
    return f"{sentence} It said: {quoted(bounce.words)}" if bounce.words else sentence


def answer_text(mail: SentMail, bounce: Bounce) -> str:
    """What a program of the person answered. Nobody proved that it is theirs, so it is not said in their voice."""
    sentence = f"{NOTICE_MARK}An automatic answer to your message came from the mailbox of {shown_address(mail.person)}"
    return f"{sentence}: {quoted(bounce.words)}" if bounce.words else f"{sentence}."
