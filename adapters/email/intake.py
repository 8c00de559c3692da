"""A parsed mail and its recipients as messages for the gateway. Pure."""

from __future__ import annotations

from adapters.email.automatic import AUTOMATIC_MARK
from adapters.email.parse import ParsedMail
from gateway.sdk import NOTICE_MARK, EnsName, MessageType, Outgoing, Person


def outgoing_messages(mail: ParsedMail, recipients: tuple[EnsName, ...]) -> tuple[Outgoing, ...]:
    """One message for each ENS name, however many spellings of it the mail was sent to."""
    return tuple(
        Outgoing(
            sender=Person(mail.sender, mail.display_name),
            recipient=recipient,
            native_id=mail.native_id,
            sent_at=mail.sent_at,
            type=MessageType.NEW if mail.reference is None else MessageType.REPLY,
            text=message_text(mail),
            attachments=mail.attachments,
            reference=mail.reference,
            automatic=mail.automatic,
        )
        for recipient in dict.fromkeys(recipients)
    )


def message_text(mail: ParsedMail) -> str:
    """The text, with the subject in bold above it where it says something: at the start of a thread.

    What a program wrote begins with a mark: DM3 has no other place for that. The gateway's own mark is nobody's.
    """
    starts_thread = mail.subject and mail.reference is None
    text = f"**{mail.subject}**\n\n{mail.text}".rstrip() if starts_thread else mail.text
    if mail.automatic and not text.startswith(AUTOMATIC_MARK):
        return f"{AUTOMATIC_MARK}{text}".rstrip()
    return f"> {text}" if text.startswith(NOTICE_MARK) else text
