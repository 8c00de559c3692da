"""A parsed mail and its recipients as messages for the gateway. Pure."""

from __future__ import annotations

from typing import Final

from adapters.email.automatic import AUTOMATIC_MARK
from adapters.email.parse import ParsedMail
from adapters.email.subjects import base_subject
from adapters.email.threads import ThreadMail
from gateway.sdk import Attachment, EnsName, MessageType, Outgoing, Person, said_by_people

REACTED: Final = "Reacted with {emoji}"
"""What a reaction to a mail that nobody knows is in words."""


def outgoing_messages(
    mail: ParsedMail,
    recipients: tuple[EnsName, ...],
    *,
    attachments: tuple[Attachment, ...] = (),
    thread: ThreadMail | None = None,
    original: str | None = None,
) -> tuple[Outgoing, ...]:
    """One message for each ENS name, however many spellings of it the mail was sent to.

    `thread` is the mail that this one answers, when we know it. `original` is a link to the whole mail: what was quoted
    and the signature are cut when there is one.
    """
    reference = thread.message_id if thread is not None else mail.reference
    kind = MessageType.NEW if reference is None else MessageType.REPLY
    text = message_text(mail, thread, original)
    if mail.reaction is not None and thread is not None and not mail.text and not attachments:
        kind, text = MessageType.REACTION, mail.reaction
    return tuple(
        Outgoing(
            sender=Person(mail.sender, mail.display_name),
            recipient=recipient,
            native_id=mail.native_id,
            sent_at=mail.sent_at,
            type=kind,
            text=text,
            attachments=attachments,
            reference=reference,
            automatic=mail.automatic,
        )
        for recipient in dict.fromkeys(recipients)
    )


def message_text(mail: ParsedMail, thread: ThreadMail | None, original: str | None) -> str:
    """The text, with the subject in bold above it where it says something: when a thread begins or its subject changes.

    What a program wrote begins with a mark: DM3 has no other place for that. The gateway's own mark is nobody's.
    """
    said = mail.text if original is None else f"{mail.text[: mail.new].rstrip()}\n\n[\u2026]({original})"
    if mail.reaction is not None:
        reaction = mail.reaction if thread is not None else REACTED.format(emoji=mail.reaction)
        said = f"{reaction}\n\n{said}".rstrip()
    if mail.subject and (thread is None or base_subject(mail.subject) != base_subject(thread.subject)):
        said = f"**{mail.subject}**\n\n{said}".rstrip()
    if mail.automatic and not said.startswith(AUTOMATIC_MARK):
        return f"{AUTOMATIC_MARK}{said}".rstrip()
    return said_by_people(said)
