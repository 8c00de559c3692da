"""Mail that the gateway writes in its own name, for an adapter that can send it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.ids import CanonicalId


@dataclass(frozen=True, slots=True, kw_only=True)
class MailNotice:
    """One mail by the gateway itself, about the recipient's own account here. Nobody answers it."""

    key: str
    """The same over every retry of one notice and different for every other; any text."""
    recipient: CanonicalId
    subject: str
    """One line; what would break a header is taken out when the mail is written."""
    text: str = field(repr=False)
    """Plain text with LF line ends."""
