"""A conversation through a whole gateway with its store: a large file, an answer, its subject, a reaction, a link."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.dm3.message import MessageType
from gateway.operations.dm3_client import Dm3Client, Received
from gateway.sdk import Confidence, Link, Network, SenderAssurance, attachment_content
from tests.integration.email.peers import Mailbox, Zone, dns_server, mail_server
from tests.integration.email.talk import letter, talk_to
from tests.integration.email.test_mail_out import ONE_SERVER
from tests.support.house import running_house
from tests.unit.email.test_mime import multipart

FILE = bytes(range(256)) * 4_000
THUMB = "\N{THUMBS UP SIGN}"


async def next_mail(client: Dm3Client) -> Received:
    async with asyncio.timeout(30):
        while True:
            for received in await client.fetch():
                await client.acknowledge(received)
                if received.message.type not in (MessageType.READ_RECEIVED, MessageType.READ_OPENED):
                    return received
            await asyncio.sleep(0.05)


async def test_a_conversation(tmp_path: Path) -> None:
    mailbox = Mailbox()
    async with mail_server(mailbox) as port, dns_server(Zone(ONE_SERVER)) as dns:
        adapter = EmailAdapter(
            EmailSettings(
                domain="gw.example",
                smtp_host="127.0.0.1",
                smtp_port=0,
                allowed_senders=("example.net",),
                dns_servers=(dns,),
                mx_port=port,
                allow_private_destinations=True,
                embed_bytes=100_000,
            )
        )
        async with running_house(tmp_path, adapters={Network("email"): adapter}) as house:
            alice = await house.native("alice.eth")

            async def write(content: bytes) -> None:
                async with talk_to(adapter.mx_port or 0) as talk:
                    await talk.reply()
                    await talk.say("EHLO client.example.net")
                    assert (await talk.mail(b"From: bob@example.net\r\n" + content)).startswith("250")

            async def answered(count: int) -> str:
                async with asyncio.timeout(30):
                    while len(mailbox.mails) < count:  # noqa: ASYNC110 - the peer tells nobody
                        await asyncio.sleep(0.05)
                assert mailbox.mails[-1]["Subject"] == "Re: A question"
                return str(mailbox.mails[-1]["Message-ID"])

            image = b"Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            parts = (b"\r\nlook", image + base64.encodebytes(FILE).replace(b"\n", b"\r\n"))
            await write(b"Subject: A question\r\nMessage-ID: <1@example.net>\r\n" + multipart("mixed", "b", *parts))
            first = await next_mail(alice)
            assert (first.message.text or "").startswith("**A question**\n\nlook")
            sure = SenderAssurance(confidence=Confidence.PROVED, by=("list",), domain="gw.example")
            assert (first.message.assurance, first.verified) == (sure, True)
            (attachment,) = first.message.attachments or ()
            link = attachment_content(attachment, max_bytes=1_000)
            assert isinstance(link, Link)
            fetched = await house.http.get(link.url)
            assert (fetched.status_code, fetched.content) == (200, FILE)

            await alice.send(first.sender, "nice", kind=MessageType.REPLY, reference=first.message_hash)
            ours = await answered(1)
            quoted = "thanks\r\n\r\nOn Monday alice.eth wrote:\r\n> nice"
            headers = (f"In-Reply-To: {ours}", "Subject: Re: A question", "Message-ID: <2@example.net>")
            await write(letter(quoted, *headers).partition(b"\r\n")[2])
            second = await next_mail(alice)
            assert second.message.type is MessageType.REPLY
            text, _, url = (second.message.text or "").partition("\n\n[\u2026](")
            assert text == "thanks"
            original = await house.http.get(url.partition(")")[0])
            assert original.content.endswith(b"> nice\r\n")

            reaction = f"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: reaction\r\n\r\n{THUMB}"
            await write(f"In-Reply-To: {ours}\r\nMessage-ID: <3@example.net>\r\n{reaction}".encode())
            third = await next_mail(alice)
            assert (third.message.type, third.message.text) == (MessageType.REACTION, THUMB)
            await alice.send(first.sender, THUMB, kind=MessageType.REACTION, reference=second.message_hash)
            await answered(2)
            assert mailbox.mails[-1]["In-Reply-To"] == "<2@example.net>"
            assert [part.get_content_disposition() for part in mailbox.mails[-1].walk()][-1] == "reaction"
