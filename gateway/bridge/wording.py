"""What the gateway says in its own voice, in one place."""

from __future__ import annotations

from gateway.ids import CanonicalId, EnsName, Network
from gateway.sdk.delivery import NOTICE_MARK

NETWORK_NAMES = {"email": "e-mail", "matrix": "Matrix", "xmpp": "XMPP"}


def first_message_notice(network: Network, person: CanonicalId, parent: EnsName) -> str:
    """Appended to the first message of a conversation: the recipient learns that a gateway reads along."""
    return (
        f"\n\n-- \n{person} writes to you from {NETWORK_NAMES.get(network, network)} through the gateway {parent}. "
        "Your conversation is bridged, not end-to-end encrypted: the gateway can read it."
    )


def failure_notice(person: CanonicalId, reason: str) -> str:
    """Sent in the person's name to whoever wrote to them in vain."""
    return f"{NOTICE_MARK}Your message did not reach {person}: {reason}"


EXPIRED = "It could not be delivered in time."
MISMATCH = "The message does not fit its envelope."
UNVERIFIED = "The sender's signature could not be verified."
UNREADABLE = "The message could not be opened with the recipient's key."
NO_SERVICE = "The recipient's profile names no delivery service."
AUTOMATIC_TO_BRIDGED = "Automatic messages are not passed from one bridged network to another."
ROUTED = "The first relay of its route took it; only a receipt of the recipient tells that it arrived."
