"""The tables in adapters/email/README.md are true: one of each is sent, and compared with what they say."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from adapters.email.adapter import EmailAdapter
from adapters.email.kept_files import PIECES_KIND
from gateway.sdk import (
    Delivered,
    Delivery,
    EnsName,
    FileContent,
    Link,
    MessageHash,
    MessageType,
    NativeId,
    Outgoing,
    Reference,
    Unavailable,
    attachment_content,
    degrade,
    file_attachment,
)
from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.peers import Mailbox
from tests.integration.email.talk import letter
from tests.integration.email.test_mail_out import delivery, post_office
from tests.unit.email.test_mime import multipart

README = (Path(__file__).parents[3] / "adapters/email/README.md").read_text()
THUMB = "\N{THUMBS UP SIGN}"
THREAD = NativeId("<first@example.net>")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    rows = re.search(r"(?:^\|.*\n)+", README.partition(f"{heading}\n")[2], re.MULTILINE)
    assert rows is not None, heading
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in rows.group().splitlines()][2:]


TO_MAIL = table("### From DM3 to mail")
FROM_MAIL = table("### From mail to DM3")


def door_of(adapter: EmailAdapter, ctx: Any) -> Door:
    ctx.known_names.add(EnsName("alice.eth"))
    return Door(adapter, ctx)


async def begin_thread(door: Door, subject: str = "A question") -> None:
    async with door.talk() as talk:
        assert (await talk.mail(letter("first", f"Subject: {subject}", f"Message-ID: {THREAD}"))).startswith("250")


def answer(adapter: EmailAdapter, kind: MessageType, text: str, **changes: Any) -> Delivery | None:
    reference = None if kind is MessageType.NEW else Reference(MessageHash("0x" + "11" * 32), THREAD)
    made = delivery(adapter, type=kind, text=text, reference=reference, **changes)
    return degrade(made, adapter.capabilities)


async def test_every_dm3_type_has_a_row() -> None:
    assert sorted(row[0].strip("`") for row in TO_MAIL) == sorted(MessageType)


@pytest.mark.parametrize("row", TO_MAIL, ids=lambda row: row[0].strip("`"))
async def test_from_dm3_to_mail(row: list[str]) -> None:
    kind, becomes = MessageType(row[0].strip("`")), row[1]
    mailbox = Mailbox()
    async with post_office(mailbox, allowed_senders=("example.net",)) as (adapter, ctx, _):
        await begin_thread(door_of(adapter, ctx))
        made = answer(adapter, kind, THUMB if kind is MessageType.REACTION else "some text")
        if becomes == "nothing":
            assert made is None
            return
        assert made is not None
        assert isinstance(await adapter.deliver(made), Delivered)
    (mail,) = mailbox.mails
    if kind is MessageType.NEW:
        assert (mail["Subject"], mail["In-Reply-To"]) == ("some text", None)
        return
    assert mail["Subject"] == "Re: A question"
    assert mail["In-Reply-To"] == mail["References"] == THREAD
    said = re.search(r"`([^`…]*)…?`", becomes)
    if kind is MessageType.REACTION:
        words, reaction = mail.iter_parts()
        assert isinstance(words, EmailMessage)
        assert isinstance(reaction, EmailMessage)
        assert words.get_content().startswith(f"Reacted with {THUMB}")
        assert (reaction.get_content_disposition(), reaction.get_content().strip()) == ("reaction", THUMB)
    else:
        assert mail.get_content().startswith(said[1] if said else "some text")


KNOWN = f"In-Reply-To: {THREAD}\r\n".encode()
PLAIN = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nsample caf\xe9"
HTML = b"Content-Type: text/html\r\n\r\n<p>sample <b>bold</b><img src='https://x.example/i'></p><script>no</script>"
QUOTED = b"\r\nsample\r\n\r\nOn Monday Alice wrote:\r\n> Really?"
PICTURE = b"\x89PNG" + b"\0" * 20_000


def file_part(head: bytes, data: bytes) -> bytes:
    return head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n")


def reaction(kind: bytes, content: str) -> bytes:
    return b"Content-Type: " + kind + b"\r\nContent-Disposition: reaction\r\n\r\n" + content.encode()


PDF = file_part(b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf", PICTURE)
INLINE = file_part(b"Content-Type: image/png; name=a.png\r\nContent-ID: <i>\r\nContent-Disposition: inline", PICTURE)
LARGE = file_part(b"Content-Type: image/png; name=large.png", b"x" * 300_000)
NESTED = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhello"
EMOJI = f"{THUMB}\r\n"
REACTION = reaction(b"text/plain; charset=utf-8", EMOJI)
GMAIL = b"Content-Type: text/vnd.google.email-reaction+json\r\n\r\n" + f'{{"emoji": "{THUMB}", "version": 1}}'.encode()

SAMPLES: dict[str, tuple[bytes, str]] = {
    "text/plain": (PLAIN, "sample café"),
    "text/plain; format=flowed": (
        b"Content-Type: text/plain; format=flowed\r\n\r\nsample \r\ntext\r\n> quoted \r\n> too",
        "sample text\n> quoted too",
    ),
    "text/html alone": (HTML, "sample **bold**"),
    "text/plain and text/html as alternatives": (multipart("alternative", "b", PLAIN, HTML), "sample café"),
    "subject": (b"Subject: About\r\n" + PLAIN, "**About**\n\nsample café"),
    "answer in a known thread": (KNOWN + b"Subject: AW: A question\r\n" + QUOTED, "sample"),
    "answer in an unknown thread": (
        b"In-Reply-To: <other@example.net>\r\n" + QUOTED,
        "sample\n\nOn Monday Alice wrote:\n> Really?",
    ),
    "attachment": (multipart("mixed", "b", PLAIN, PDF), "sample café"),
    "attachment beyond `embed_bytes`": (multipart("mixed", "b", PLAIN, LARGE), "sample café"),
    "inline image": (multipart("related", "b", HTML, INLINE), "sample **bold**"),
    "calendar": (
        multipart("alternative", "b", PLAIN, b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR"),
        "sample café",
    ),
    "nested mail": (multipart("mixed", "b", PLAIN, NESTED), "sample café"),
    "text of more than a megabyte": (b"\r\n" + b"sample\r\n" * 150_000, ""),
    "reaction to a known mail (RFC 9078)": (KNOWN + REACTION, THUMB),
    "reaction of Gmail's own kind": (KNOWN + multipart("alternative", "b", PLAIN, GMAIL, HTML), THUMB),
    "reaction to an unknown mail": (b"In-Reply-To: <other@example.net>\r\n" + REACTION, f"Reacted with {THUMB}"),
    "signed or encrypted mail (S/MIME, OpenPGP)": (
        multipart("signed", "b", PLAIN, file_part(b"Content-Type: application/pkcs7-signature; name=smime.p7s", b"x")),
        "sample café",
    ),
    "automatic mail": (b"Auto-Submitted: auto-replied\r\n" + PLAIN, "[automatic] sample café"),
    "address with a tag (`alice.eth+news@`)": (PLAIN, "To: +news\n\nsample café"),
}


async def test_every_row_has_a_sample() -> None:
    assert [row[0] for row in FROM_MAIL] == list(SAMPLES)


@pytest.mark.parametrize("row", FROM_MAIL, ids=lambda row: row[0].replace("`", ""))
async def test_from_mail_to_dm3(open_door: OpenDoor, row: list[str]) -> None:
    content, text = SAMPLES[row[0]]
    limit = 200_000 if "embed_bytes" in row[0] else 5_000_000
    door = await open_door(embed_bytes=limit)
    await begin_thread(door)
    async with door.talk() as talk:
        to = "alice.eth+news@gw.example" if "with a tag" in row[0] else "alice.eth@gw.example"
        reply = await talk.mail(b"From: bob@example.net\r\nMessage-ID: <second@example.net>\r\n" + content, to)
        assert reply.startswith("250")
    taken = door.ctx.taken[-1]
    assert taken.type in (MessageType(row[1].strip("`")), MessageType.REPLY)  # a REPLY to nothing known becomes NEW
    said, _, link = taken.text.partition("\n\n[\u2026](")
    assert said == text
    if "behind a link" in row[2]:
        original = await fetched(door, link.removesuffix(")"))
        assert original.endswith(b"> Really?\r\n")
        assert b"From: bob@example.net" in original
    contents = [attachment_content(each, max_bytes=10**7) for each in taken.attachments]
    if "attachment inside" in row[2]:
        assert [type(each) for each in contents] == [FileContent]
    elif "attachment as link" in row[2]:
        (large,) = contents
        assert isinstance(large, Link)
        assert large.name == "large.png"
        assert await fetched(door, large.url) == b"x" * 300_000
    elif "attachments" not in row[2]:
        assert contents == []


async def fetched(door: Door, url: str) -> bytes:
    """What is behind a link, by the adapter's own routes."""
    client = TestClient(Starlette(routes=list(door.adapter.routes())))
    response = client.get(url.removeprefix(door.ctx.public_url))
    assert response.status_code == 200
    assert response.headers["content-disposition"].startswith("attachment;")
    return response.content


async def test_large_files_go_as_links_and_are_the_same_at_every_try() -> None:
    data = [bytes([number]) * 8_000_000 for number in range(3)]
    files = tuple(file_attachment(f"{number}.bin", "application/zip", each) for number, each in enumerate(data))
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, ctx, _):
        for _ in range(2):
            assert isinstance(await adapter.deliver(delivery(adapter, text="look", attachments=files)), Delivered)
        mail, again = mailbox.mails
        assert [part.get_filename() for part in mail.iter_attachments()] == ["0.bin", "1.bin"]
        text = mail.get_body(("plain",))
        assert isinstance(text, EmailMessage)
        found = re.search(r"2\.bin: (http\S+)", text.get_content())
        assert found is not None
        assert await fetched(door_of(adapter, ctx), found[1]) == data[2]
        assert mailbox.envelopes[0].content == mailbox.envelopes[1].content
    assert again["Message-ID"] == mail["Message-ID"]


async def test_a_conversation_keeps_its_subject_and_its_thread() -> None:
    """Bob asks, Alice answers, Bob answers that, Alice answers again."""
    mailbox = Mailbox()
    async with post_office(mailbox, allowed_senders=("example.net",)) as (adapter, ctx, _):
        door = door_of(adapter, ctx)
        await begin_thread(door, "Re: re: AW: A question")
        first = answer(adapter, MessageType.REPLY, "why not")
        assert first is not None
        assert isinstance(await adapter.deliver(first), Delivered)
        ours = mailbox.mails[0]["Message-ID"]
        async with door.talk() as talk:
            headers = (f"In-Reply-To: {ours}", f"References: {THREAD} {ours}", "Message-ID: <third@example.net>")
            assert (await talk.mail(letter("good", "Subject: Re: A question", *headers))).startswith("250")
        taken: Outgoing = door.ctx.taken[-1]
        assert (taken.type, taken.reference, taken.text) == (MessageType.REPLY, ours, "good")
        last = replace(
            first,
            message_hash=MessageHash("0x" + "77" * 32),
            reference=Reference(MessageHash("0x" + "22" * 32), NativeId("<third@example.net>")),
        )
        assert isinstance(await adapter.deliver(last), Delivered)
    assert [mail["Subject"] for mail in mailbox.mails] == ["Re: A question"] * 2
    assert mailbox.mails[1]["References"] == f"{THREAD} {ours} <third@example.net>"


@pytest.mark.parametrize("again", [True, False])
async def test_of_a_mail_that_is_not_taken_no_file_stays(open_door: OpenDoor, again: bool) -> None:
    door = await open_door(embed_bytes=0)
    await begin_thread(door)
    mail = b"From: bob@example.net\r\nMessage-ID: <second@example.net>\r\n" + multipart("mixed", "b", PLAIN, LARGE)

    def pieces() -> int:
        return sum(kind == PIECES_KIND for kind, _ in door.ctx.values.texts)

    async with door.talk() as talk:
        if again:
            assert (await talk.mail(mail)).startswith("250")
            kept = pieces()
            assert kept == 2
            assert (await talk.mail(mail)).startswith("250")
            assert pieces() == kept
            return
        replies = await talk.begin()
        assert replies[-1].startswith("354")
        door.ctx.fault = Unavailable("the store is away")
        await talk.send(mail + b"\r\n.\r\n")
        assert (await talk.reply()).startswith("451")
    assert pieces() == 0
