"""What is wrong with a stanza, in the words of the protocol (RFC 6120, section 8.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.sdk import InvalidInput


class ErrorType(StrEnum):
    """What the sender can do about it (RFC 6120, section 8.3.2)."""

    AUTH = "auth"
    CANCEL = "cancel"
    CONTINUE = "continue"
    MODIFY = "modify"
    WAIT = "wait"


class Condition(StrEnum):
    """The defined conditions of stanza errors."""

    BAD_REQUEST = "bad-request"
    CONFLICT = "conflict"
    FEATURE_NOT_IMPLEMENTED = "feature-not-implemented"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    ITEM_NOT_FOUND = "item-not-found"
    JID_MALFORMED = "jid-malformed"
    NOT_ACCEPTABLE = "not-acceptable"
    NOT_ALLOWED = "not-allowed"
    NOT_AUTHORIZED = "not-authorized"
    POLICY_VIOLATION = "policy-violation"
    RECIPIENT_UNAVAILABLE = "recipient-unavailable"
    REDIRECT = "redirect"
    REGISTRATION_REQUIRED = "registration-required"
    REMOTE_SERVER_NOT_FOUND = "remote-server-not-found"
    REMOTE_SERVER_TIMEOUT = "remote-server-timeout"
    RESOURCE_CONSTRAINT = "resource-constraint"
    SERVICE_UNAVAILABLE = "service-unavailable"
    SUBSCRIPTION_REQUIRED = "subscription-required"
    UNDEFINED_CONDITION = "undefined-condition"
    UNEXPECTED_REQUEST = "unexpected-request"

    @property
    def type(self) -> ErrorType:
        """The type that the RFC gives to it; the first one where it gives two."""
        return _TYPES.get(self, ErrorType.CANCEL)


_TYPES: Final[Mapping[Condition, ErrorType]] = MappingProxyType(
    {
        Condition.BAD_REQUEST: ErrorType.MODIFY,
        Condition.FORBIDDEN: ErrorType.AUTH,
        Condition.JID_MALFORMED: ErrorType.MODIFY,
        Condition.NOT_ACCEPTABLE: ErrorType.MODIFY,
        Condition.NOT_AUTHORIZED: ErrorType.AUTH,
        Condition.POLICY_VIOLATION: ErrorType.MODIFY,
        Condition.RECIPIENT_UNAVAILABLE: ErrorType.WAIT,
        Condition.REDIRECT: ErrorType.MODIFY,
        Condition.REGISTRATION_REQUIRED: ErrorType.AUTH,
        Condition.REMOTE_SERVER_TIMEOUT: ErrorType.WAIT,
        Condition.RESOURCE_CONSTRAINT: ErrorType.WAIT,
        Condition.SUBSCRIPTION_REQUIRED: ErrorType.AUTH,
        Condition.UNEXPECTED_REQUEST: ErrorType.WAIT,
    }
)


@dataclass(frozen=True, slots=True)
class Special:
    """A condition of one protocol's own, which goes beside the defined one (RFC 6120, section 8.3.4)."""

    namespace: str
    name: str


class BadStanza(Exception):
    """A stanza that is not taken. Whoever sent it gets condition and text, unless the stanza must not be answered."""

    def __init__(self, condition: Condition, text: str = "", *, special: Special | None = None) -> None:
        """`text` is a sentence for people."""
        super().__init__(f"{condition}: {text}" if text else str(condition))
        self.condition = condition
        self.text = text
        self.special = special


class Refused(InvalidInput):
    """The answer to a question of ours is an error that does not pass by itself."""

    def __init__(self, detail: str, condition: Condition) -> None:
        """`condition` is what the answer says."""
        super().__init__(detail)
        self.condition = condition
