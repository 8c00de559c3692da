"""A mail server of its own for the demo's mail user: real SMTP in, a Maildir on disk, SMTP out."""

from __future__ import annotations

import asyncio
import mailbox
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, default
from pathlib import Path
from typing import Final

import aiosmtplib
from aiosmtpd.smtp import SMTP as SmtpSession
from aiosmtpd.smtp import Envelope, Session

DOMAIN: Final = "mail.example"
BOB: Final = f"bob@{DOMAIN}"


class MailServer:
    """Takes mail for everybody at its domain and files it by recipient."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of the loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SmtpSession(self, hostname=DOMAIN, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def handle_RCPT(
        self, server: SmtpSession, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse other domains."""
        if not address.lower().endswith(f"@{DOMAIN}"):
            return "550 5.7.1 not a mailbox of this server"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: SmtpSession, session: Session, envelope: Envelope) -> str:
        """File the mail, then say so."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        for recipient in envelope.rcpt_tos:
            await asyncio.to_thread(self._maildir(recipient).add, content)
        return "250 2.0.0 delivered to the mailbox"

    async def messages(self, address: str) -> list[EmailMessage]:
        """What lies in a mailbox, in no particular order."""

        def read() -> list[EmailMessage]:
            box = self._maildir(address)
            parser = BytesParser(policy=default)
            return [parser.parsebytes(box.get_bytes(key)) for key in box.iterkeys()]

        return await asyncio.to_thread(read)

    async def find(self, address: str, *texts: str) -> EmailMessage | None:
        """A mail in a mailbox whose plain text holds all of `texts`."""
        for mail in await self.messages(address):
            body = mail.get_body(("plain",))
            if body is not None and all(text in body.get_content() for text in texts):
                return mail
        return None

    def _maildir(self, address: str) -> mailbox.Maildir:
        folder = self._folder / address.lower()
        # Maildir makes them one after the other, and takes a folder that is there for a complete one: whoever looks for
        # the first mail would be in the way of whoever brings it.
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        return mailbox.Maildir(folder)


async def send_mail(
    *,
    host: str,
    port: int,
    sender: str,
    recipient: str,
    subject: str,
    text: str,
    message_id: str,
    sender_name: str = "Bob",
) -> str:
    """Hand one mail to an SMTP server and return its answer; raises aiosmtplib's errors when it is refused."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"{sender_name} <{sender}>"
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Message-ID"] = message_id
    mail.set_content(text)
    async with aiosmtplib.SMTP(hostname=host, port=port, start_tls=False, local_hostname=DOMAIN) as client:
        _, answer = await client.sendmail(sender, [recipient], mail.as_bytes())
    return answer
