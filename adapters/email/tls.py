"""TLS to other mail servers: how sure we must be of the other side, and what went wrong in the words of RFC 8460."""

from __future__ import annotations

import ssl
from enum import Enum, StrEnum
from typing import Final

_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_WRONG_HOST: Final = frozenset({62, 64})
"""Of OpenSSL's verification errors: another name, another address."""


class Security(Enum):
    """What a connection must have."""

    VERIFIED = "verified"
    """TLS with a certificate for the server's name, or no connection."""
    ENCRYPTED = "encrypted"
    """TLS where it is offered, without a look at the certificate (RFC 7435): the alternative is clear text."""
    CLEAR = "clear"


class ResultType(StrEnum):
    """Why there was no TLS as it should have been (RFC 8460, section 4.3)."""

    NOT_OFFERED = "starttls-not-supported"
    WRONG_HOST = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    FAILED = "validation-failure"
    """Everything else: a failed handshake, or a mail server that the policy does not name."""
    POLICY_FETCH = "sts-policy-fetch-error"
    POLICY_INVALID = "sts-policy-invalid"
    WEBPKI = "sts-webpki-invalid"


class TlsFailed(Exception):
    """No TLS as it should be; the connection is over."""

    def __init__(self, kind: ResultType) -> None:
        super().__init__(kind.value)
        self.kind = kind


def result_of_failure(error: BaseException) -> ResultType:
    """The kind of a failed handshake."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ResultType.FAILED
    if error.verify_code in _WRONG_HOST:
        return ResultType.WRONG_HOST
    return ResultType.EXPIRED if error.verify_code in (_EXPIRED, _NOT_YET_VALID) else ResultType.NOT_TRUSTED


def encrypting_context() -> ssl.SSLContext:
    """For `Security.ENCRYPTED`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verifying_context() -> ssl.SSLContext:
    """For `Security.VERIFIED`, with the certificates that the system trusts. Reads files: call it in a thread."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
