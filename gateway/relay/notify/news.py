"""What a notification says, in the reference's words; names of strangers stand in it as text of one line. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from gateway.dm3.canonical import JsonObject
from gateway.ids import EnsName

CODE_SUBJECT: Final = "Email Verification"
MESSAGE_SUBJECT: Final = "DM3 New Message"
MESSAGE_TITLE: Final = "New Message"
MAX_NAME: Final = 255
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A message has come."""

    recipient: EnsName
    """The name that was written to."""
    sender: EnsName
    verified: bool
    """Whether the sender's signature was checked."""
    service: EnsName
    """The delivery service at which it waits."""

    @property
    def sentence(self) -> str:
        """Who wrote."""
        doubt = "" if self.verified else " (not verified)"
        return f"You received a new message from {plain_name(self.sender)}{doubt}."

    def push_payload(self) -> JsonObject:
        """The object that the service worker of the reference's messenger shows."""
        return {"title": MESSAGE_TITLE, "body": self.sentence}

    def mail_text(self) -> str:
        """The body of a mail."""
        name = plain_name(self.recipient)
        return (
            f"{self.sentence}\n\n"
            f"It waits for {name} at the delivery service {plain_name(self.service)}. Your DM3 messenger shows it.\n\n"
            f"You get this mail because somebody proved for {name} that this address is theirs."
            " Notifications are switched off in the messenger's settings.\n"
        )


def code_text(code: str, name: EnsName, service: EnsName, minutes: int) -> str:
    """The body of the mail that proves an address."""
    return (
        f"Your verification code is {code}\n\n"
        f"It lets the delivery service {plain_name(service)} tell you here about messages for {plain_name(name)}."
        f" It is good for {minutes} minutes and for one use.\n\n"
        "If you did not ask for it, do nothing: without the code nothing else is sent to this address.\n"
    )


def plain_name(name: str) -> str:
    """A name as plain text of one line: no controls, nothing that hides or reorders text, at most 255 characters."""
    return "".join(each for each in name[:MAX_NAME] if unicodedata.category(each) not in _HIDDEN)
