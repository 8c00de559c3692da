"""The contract between the gateway and an adapter, and the only door an adapter may use.

`adapter` holds what an adapter must be and may be able to do, `delivery` the values that cross the door,
`context` what the gateway lends an adapter, `degrade` the shared table for what a network cannot show,
`testing` the conformance kit. adapters/README.md shows a complete adapter in under 100 lines.
"""

from __future__ import annotations

from gateway.dm3.message import Attachment, MessageType
from gateway.errors import (
    ConfigError,
    GatewayError,
    InvalidInput,
    InvalidName,
    LimitExceeded,
    NotFound,
    TooLarge,
    Unavailable,
    UnknownName,
)
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.sdk.adapter import (
    Adapter,
    ReportsStatus,
    ResolvesAddress,
    SearchesDirectory,
    SendsNotices,
    ServesHttp,
)
from gateway.sdk.attachments import FileContent, Link, attachment_content, file_attachment
from gateway.sdk.capabilities import Capabilities, TextFormat
from gateway.sdk.context import AdapterContext, BridgedPerson, Submitted
from gateway.sdk.degrade import degrade
from gateway.sdk.delivery import (
    Delivered,
    Delivery,
    DeliveryState,
    Outcome,
    Outgoing,
    Person,
    Reference,
    Rejected,
    Retry,
    StatusReport,
)
from gateway.sdk.notices import MailNotice
from gateway.sections import FilePath, Section

__all__ = [
    "Adapter",
    "AdapterContext",
    "Attachment",
    "BridgedPerson",
    "CanonicalId",
    "Capabilities",
    "ConfigError",
    "Delivered",
    "Delivery",
    "DeliveryState",
    "EnsName",
    "FileContent",
    "FilePath",
    "GatewayError",
    "InvalidInput",
    "InvalidName",
    "LimitExceeded",
    "Link",
    "MailNotice",
    "MessageHash",
    "MessageType",
    "NativeId",
    "Network",
    "NotFound",
    "Outcome",
    "Outgoing",
    "Person",
    "Reference",
    "Rejected",
    "ReportsStatus",
    "ResolvesAddress",
    "Retry",
    "SearchesDirectory",
    "Section",
    "SendsNotices",
    "ServesHttp",
    "StatusReport",
    "Submitted",
    "TextFormat",
    "TooLarge",
    "Unavailable",
    "UnknownName",
    "attachment_content",
    "degrade",
    "file_attachment",
]
