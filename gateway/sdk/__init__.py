"""The contract between the gateway and an adapter, and the only door an adapter may use.

`adapter` holds what an adapter must be and may be able to do, `delivery` the values that cross the door,
`context` what the gateway lends an adapter, `degrade` the shared table for what a network cannot show,
`people` what its people decide about themselves, `commands` the same as typed commands (loaded by whoever imports it),
`testing` the conformance kit. adapters/README.md shows a complete adapter in under 100 lines.
"""

from __future__ import annotations

from gateway.dm3.assurance import Confidence, SenderAssurance
from gateway.dm3.message import Attachment, MessageType
from gateway.errors import (
    ConfigError,
    GatewayError,
    InvalidInput,
    InvalidName,
    LimitExceeded,
    ListFull,
    NotFound,
    PersonDeleted,
    TooLarge,
    Unavailable,
    UnknownName,
)
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.rates import Rate, asker_of
from gateway.sdk.adapter import (
    Adapter,
    BringsKeys,
    HasOneLink,
    NewKeys,
    Registers,
    ReportsReadiness,
    ReportsStatus,
    ResolvesAddress,
    SearchesDirectory,
    SendsNotices,
    ServesHttp,
    ServesTrees,
)
from gateway.sdk.attachments import FileContent, Link, attachment_content, encoded_attachment, file_attachment
from gateway.sdk.capabilities import Capabilities, TextFormat
from gateway.sdk.context import AdapterContext, BridgedPerson, Submitted
from gateway.sdk.degrade import degrade
from gateway.sdk.delivery import (
    NOTICE_MARK,
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
from gateway.sdk.events import EventOutcome, Handled, HandlesEvents, NativeEvent, Parked
from gateway.sdk.examination import Examines, Finding, State
from gateway.sdk.notices import MailNotice
from gateway.sdk.people import (
    FailedMessage,
    Leaving,
    MailRules,
    PersonService,
    PersonView,
    Removed,
    Retried,
    SentMessage,
    SpamReported,
    Stranger,
    allowing,
    blocking,
)
from gateway.sdk.portrait import Portrait
from gateway.sdk.quoting import quoted, said_by_people
from gateway.sdk.values import Value, Values
from gateway.sections import FilePath, Section, WebAddress

__all__ = [
    "NOTICE_MARK",
    "Adapter",
    "AdapterContext",
    "Attachment",
    "BridgedPerson",
    "BringsKeys",
    "CanonicalId",
    "Capabilities",
    "Confidence",
    "ConfigError",
    "Delivered",
    "Delivery",
    "DeliveryState",
    "EnsName",
    "EventOutcome",
    "Examines",
    "FailedMessage",
    "FileContent",
    "FilePath",
    "Finding",
    "GatewayError",
    "Handled",
    "HandlesEvents",
    "HasOneLink",
    "InvalidInput",
    "InvalidName",
    "Leaving",
    "LimitExceeded",
    "Link",
    "ListFull",
    "MailNotice",
    "MailRules",
    "MessageHash",
    "MessageType",
    "NativeEvent",
    "NativeId",
    "Network",
    "NewKeys",
    "NotFound",
    "Outcome",
    "Outgoing",
    "Parked",
    "Person",
    "PersonDeleted",
    "PersonService",
    "PersonView",
    "Portrait",
    "Rate",
    "Reference",
    "Registers",
    "Rejected",
    "Removed",
    "ReportsReadiness",
    "ReportsStatus",
    "ResolvesAddress",
    "Retried",
    "Retry",
    "SearchesDirectory",
    "Section",
    "SenderAssurance",
    "SendsNotices",
    "SentMessage",
    "ServesHttp",
    "ServesTrees",
    "SpamReported",
    "State",
    "StatusReport",
    "Stranger",
    "Submitted",
    "TextFormat",
    "TooLarge",
    "Unavailable",
    "UnknownName",
    "Value",
    "Values",
    "WebAddress",
    "allowing",
    "asker_of",
    "attachment_content",
    "blocking",
    "degrade",
    "encoded_attachment",
    "file_attachment",
    "quoted",
    "said_by_people",
]
