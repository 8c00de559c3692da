"""A delivery as a mail. Pure.

Every header is set through `email.policy`, which refuses line ends; what a DM3 sender wrote is made one line before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Final

from adapters.email.automatic import marked
from adapters.email.charsets import header_line, one_line, plain_text
from adapters.email.messageid import message_id_of, writable_message_id
from adapters.email.parse import TRACE_HEADER
from adapters.email.reactions import emoji_in, set_reaction
from adapters.email.subjects import answer_subject
from adapters.email.threads import ThreadMail
from adapters.email.unsubscribe import WayOut
from gateway.sdk import (
    CanonicalId,
    Delivery,
    EnsName,
    FileContent,
    InvalidInput,
    Link,
    MessageHash,
    MessageType,
    NativeId,
    attachment_content,
)
from gateway.sdk.addresses import punycode_localpart

MAX_TEXT: Final = 500_000
"""Characters of text in the body of a mail; a longer one goes along as a file."""
MAX_SUBJECT: Final = 60
MAX_KEPT_SUBJECT: Final = 500
"""Characters of a subject that somebody else chose."""
MAX_ATTACHMENT_BYTES: Final = 18_000_000
"""25 MB is what common receivers take, and base64 adds a third."""
_MAX_DATE_MS: Final = 253_402_300_799_000
"""The last second of the year 9999, as far as dates of mail go."""
# Content in seven bits passes servers that do not announce 8BITMIME.
ASCII_HEADERS: Final = SMTP.clone(cte_type="7bit")
UTF8_HEADERS: Final = SMTPUTF8.clone(cte_type="7bit")
MAX_HEADER_LINE: Final = 500
"""Header lines are not folded below this: our Message-IDs pass 78 characters, and some servers lose folded ones."""
_LINE_END: Final = re.compile(r"[\r\n\0]")
_COMPOSITE: Final = frozenset({"multipart", "message"})

FOOTER: Final = (
    "-- \nSent from {name} over DM3 through the gateway at {domain}. Bridged, not end-to-end encrypted: the gateway"
    " can read this conversation. Replies go to {name}."
)
OPT_OUT: Final = "You never wrote to {name}. To get no more mail from this name: {link}"
TOO_LONG: Final = "The text of this message is too long for a mail; it is in the attached file message.txt."


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready to be sent."""

    message_id: NativeId
    content: bytes
    utf8: bool
    """True when headers need SMTPUTF8 (RFC 6531)."""
    thread: ThreadMail | None = field(default=None, repr=False)
    """What to remember of it; None for what nobody answers."""


def address_of(name: EnsName, domain: str) -> str:
    """The mail address of an ENS name under our domain; names over 64 octets have a digest form, see `alias_of`."""
    return f"{punycode_localpart(name).text}@{domain}"


def alias_of(name: EnsName) -> str | None:
    """The digest form that must be stored before mail from this name goes out; None when it needs none."""
    local = punycode_localpart(name)
    return local.text if local.digest else None


def render(
    delivery: Delivery, domain: str, way_out: WayOut | None = None, thread: ThreadMail | None = None
) -> RenderedMail:
    """Write the mail; raises InvalidInput when an attachment cannot be sent, or nothing to such an address.

    `way_out` is for people who never wrote to the sender; `thread` is the mail that this one answers, when we know it.
    """
    files, links = _attachments(delivery)
    text = _text(delivery, links)
    policy = ASCII_HEADERS if delivery.recipient.isascii() else UTF8_HEADERS
    message = EmailMessage(policy=policy)
    message_id = message_id_of(delivery.message_hash, domain)
    message["From"] = Address(_display_name(delivery), addr_spec=address_of(delivery.sender, domain))
    message["To"] = to_address(delivery.recipient)
    subject = _subject(delivery, thread)
    message["Subject"] = subject
    message["Date"] = datetime.fromtimestamp(min(max(delivery.sent_at, 0), _MAX_DATE_MS) / 1000, UTC)
    message["Message-ID"] = message_id
    answered = writable_message_id((delivery.reference.native_id or "") if delivery.reference else "")
    references = thread.references_of_answer if thread is not None else ()
    if answered is not None:
        references = references or (answered,)
        message["In-Reply-To"] = answered
        message["References"] = " ".join(references)
    if delivery.automatic or marked(delivery.text):
        message["Auto-Submitted"] = "auto-generated" if answered is None else "auto-replied"
    for name, value in way_out.headers.items() if way_out else ():
        message[name] = value
    message[TRACE_HEADER] = domain
    if len(text) > MAX_TEXT:
        files = (FileContent("message.txt", "text/plain", text.encode()), *files)
        text = TOO_LONG
    body = f"{text}\n\n{_footer(delivery, domain, way_out)}".rstrip() + "\n"
    emoji = emoji_in(delivery.text) if delivery.type is MessageType.REACTION and answered is not None else None
    if emoji is not None:
        set_reaction(message, emoji, body)
    else:
        message.set_content(body, charset="utf-8")
    for file in files:
        _attach(message, file)
    _set_boundaries(message, delivery.message_hash)
    remembered = ThreadMail(message_id, subject, references)
    return RenderedMail(message_id, serialise(message), policy is UTF8_HEADERS, remembered)


def serialise(message: EmailMessage) -> bytes:
    """The mail as it goes over the wire, in CR LF lines.

    Raises InvalidInput when a header holds a line end after all: Python up to 3.13.0 would write it.
    """
    for part in message.walk():
        if any(_LINE_END.search(str(value)) for value in part.values()):
            raise InvalidInput("a header of this mail cannot be written")
    return message.as_bytes(policy=message.policy.clone(max_line_length=MAX_HEADER_LINE))


def to_address(canonical: CanonicalId) -> Address:
    """A canonical id as a header value; the local part may be a quoted string.

    Raises InvalidInput for one that reads as an encoded word: it would be decoded to something else.
    """
    if "=?" in canonical:
        raise InvalidInput("this mail address cannot be written in a header")
    local, _, host = canonical.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    try:
        return Address(username=local, domain=host)
    except ValueError as error:
        raise InvalidInput("this mail address cannot be written in a header") from error


def _display_name(delivery: Delivery) -> str:
    name = header_line(delivery.sender, 255)
    return f"{name} via DM3" if delivery.verified else f"{name} (not verified) via DM3"


def _subject(delivery: Delivery, thread: ThreadMail | None) -> str:
    """DM3 has no subjects: an answer has that of its thread; some mail programs split threads where it changes."""
    name = header_line(delivery.sender, 100)
    if thread is not None and thread.subject:
        return header_line(answer_subject(thread.subject), MAX_KEPT_SUBJECT)
    if delivery.reference is not None:
        return f"Re: Conversation with {name}"
    first = next((line for line in delivery.text[:2_000].splitlines() if line.strip()), "")
    # A mail's subject comes as a bold first line, and may come back inside an answer.
    subject = header_line(first.replace("**", ""), MAX_SUBJECT + 1).strip("*# ")
    if len(subject) > MAX_SUBJECT:
        subject = subject[: MAX_SUBJECT - 1].rstrip() + "\u2026"
    return subject or f"Message from {name}"


def _text(delivery: Delivery, links: tuple[Link, ...]) -> str:
    text = plain_text(delivery.text)
    if delivery.type is MessageType.REACTION:
        text = f"Reacted with {text}"
    lines = [text, *(f"{one_line(link.name, 200)}: {link.url}" for link in links)]
    return "\n\n".join(line for line in lines if line)


def _footer(delivery: Delivery, domain: str, way_out: WayOut | None) -> str:
    if not delivery.first:
        return ""
    name = one_line(delivery.sender, 255)
    opt_out = OPT_OUT.format(name=name, link=way_out.link) if way_out else ""
    return f"{FOOTER.format(name=name, domain=domain)}\n{opt_out}".rstrip()


def _attachments(delivery: Delivery) -> tuple[tuple[FileContent, ...], tuple[Link, ...]]:
    files: list[FileContent] = []
    links: list[Link] = []
    room = MAX_ATTACHMENT_BYTES
    for attachment in delivery.attachments:
        content = attachment_content(attachment, max_bytes=room)
        if isinstance(content, Link):
            links.append(content)
        else:
            room -= len(content.data)
            files.append(content)
    return tuple(files), tuple(links)


def _set_boundaries(message: EmailMessage, message_hash: MessageHash) -> None:
    """The same boundaries at every try. No text holds them: the hash is made of the text."""
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_dm3.{message_hash[2:34]}.{number}")


def _attach(message: EmailMessage, file: FileContent) -> None:
    maintype, _, subtype = file.media_type.partition("/")
    if maintype in _COMPOSITE or not subtype:
        maintype, subtype = "application", "octet-stream"
    try:
        message.add_attachment(file.data, maintype=maintype, subtype=subtype, filename=header_line(file.name, 200))
    except (ValueError, LookupError, UnicodeError) as error:
        raise InvalidInput("attachment cannot be written into a mail") from error
