"""What a network can carry, as data: one declaration feeds checks, degradation, profile extension and docs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.dm3.message import MessageType


class TextFormat(StrEnum):
    """How the text of a message is written."""

    PLAIN = "plain"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one adapter's network shows as such; everything else is degraded before it reaches `deliver`."""

    types: frozenset[MessageType]
    """DM3 message types that the network has a form of its own for."""
    max_text: int
    """Characters of text in one native message; the adapter splits or attaches what is longer."""
    max_attachments: int
    max_attachment_bytes: int
    """Bytes of all attachments of one message together, decoded."""
    text_format: TextFormat
    idempotent: bool
    """True when the same delivery key handed over twice shows once on the other side."""
    ordered: bool
    """True when the network keeps the order in which we hand messages over."""
