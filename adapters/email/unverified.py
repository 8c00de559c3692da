"""Mail from nobody whom anything vouches for: one sender for all of it, who says so. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from adapters.email.addresses import shown_address
from gateway.sdk import NOTICE_MARK, CanonicalId, Outgoing, Person

LOCAL: Final = "unverified"
"""Local part of the shared sender under our domain; mail to it goes nowhere."""
NAME: Final = "Unverified mail"


def unverified(outgoing: Outgoing, domain: str) -> Outgoing:
    """The same message from the shared sender: the address that it claims is text, the name that it claims is gone.

    It is automatic, so that no notice about it goes to whoever the sender is not.
    """
    claimed = shown_address(outgoing.sender.canonical_id)
    notice = f"{NOTICE_MARK}Nothing proves who sent this. It says that it is from {claimed}."
    return replace(
        outgoing,
        sender=Person(CanonicalId(f"{LOCAL}@{domain}"), NAME),
        text=f"{notice}\n\n{outgoing.text}".rstrip(),
        automatic=True,
    )
