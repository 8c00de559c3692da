"""The one table for what a receiver cannot show: degraded where people can see it, never dropped in silence.

Both directions use it: towards a network, whose adapter says what it has a form for, and towards an ENS name, whose
delivery service lists the supported types (DM3-MTP, profile extension).

Receipts are the exception by nature: nobody wrote them, and a text for each would be noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gateway.dm3.message import MessageType
from gateway.sdk.capabilities import Capabilities
from gateway.sdk.delivery import Delivery

DEGRADED: Mapping[MessageType, str | None] = MappingProxyType(
    {
        MessageType.REPLY: "{text}",
        MessageType.EDIT: "Correction: {text}",
        MessageType.REACTION: "Reacted with {text}",
        MessageType.DELETE_REQUEST: "Asked you to delete an earlier message.",
        MessageType.RESEND_REQUEST: "Asked you to send an earlier message again.",
        MessageType.READ_RECEIVED: None,
        MessageType.READ_OPENED: None,
    }
)
"""Text of the NEW message that stands in for a type; None for what may vanish."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Type and text in a form that the receiver can show."""

    type: MessageType
    text: str = field(repr=False)


def stand_in(kind: MessageType, text: str, supported: AbstractSet[MessageType]) -> StandIn | None:
    """What a receiver with these types gets for a message; None when there is nothing to show."""
    if kind in supported:
        return StandIn(kind, text)
    template = DEGRADED.get(kind, "{text}")
    return None if template is None else StandIn(MessageType.NEW, template.format(text=text))


def degrade(delivery: Delivery, capabilities: Capabilities) -> Delivery | None:
    """The delivery in a form that the network can show; None when there is nothing to show.

    A stand-in keeps the delivery's key and reference, so that retries stay idempotent and threads hold together.
    """
    shown = stand_in(delivery.type, delivery.text, capabilities.types)
    if shown is None:
        return None
    if (shown.type, shown.text) == (delivery.type, delivery.text):
        return delivery
    return replace(delivery, type=shown.type, text=shown.text)
