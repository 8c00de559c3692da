"""The one table for what a network cannot show: degraded where people can see it, never dropped in silence.

Receipts are the exception by nature: nobody wrote them, and a text for each would be noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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


def degrade(delivery: Delivery, capabilities: Capabilities) -> Delivery | None:
    """The delivery in a form that the network can show; None when there is nothing to show.

    A stand-in keeps the delivery's key and reference, so that retries stay idempotent and threads hold together.
    """
    if delivery.type in capabilities.types:
        return delivery
    template = DEGRADED.get(delivery.type, "{text}")
    if template is None:
        return None
    return replace(delivery, type=MessageType.NEW, text=template.format(text=delivery.text))
