"""One SMTP session from the client's side: the letter, its hand-over, and what each answer means."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Final

import aiosmtplib
from aiosmtplib import (
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from adapters.email.charsets import one_line
from gateway.sdk import Rejected, Retry, quoted

MAX_REASON: Final = 200
"""Characters of a server's words that people are shown."""
QUIT_TIME: Final = 5.0
"""Seconds for a polite end; the mail is theirs already."""
_CLOSING: Final = 421
_ENHANCED: Final = re.compile(r"4\.(\d{1,3})\.\d{1,3}\b")
_OF_ONE_MAILBOX: Final = frozenset({"1", "2"})
"""Subjects of enhanced status codes (RFC 3463) that are about an address; nobody else need wait for it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail with its envelope."""

    sender: str
    """Envelope sender; "" for the null sender."""
    recipient: str
    content: bytes = field(repr=False)
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The next server is responsible now."""

    response: str


Result = Accepted | Retry | Rejected


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try ended."""

    result: Result
    spare_it: bool = False
    """True when the server wants to be left alone for a while, or is not there."""


async def offers_tls(client: aiosmtplib.SMTP) -> bool:
    """Whether STARTTLS is announced."""
    await client.ehlo()
    return client.supports_extension("starttls")


async def transact(client: aiosmtplib.SMTP, letter: Letter) -> Tried:
    """Hand a letter over; raises what aiosmtplib raises."""
    options = ["SMTPUTF8"] if letter.utf8 else []
    _, response = await client.sendmail(letter.sender, [letter.recipient], letter.content, mail_options=options)
    with contextlib.suppress(SMTPException, OSError):
        await client.quit(timeout=QUIT_TIME)
    return Tried(Accepted(one_line(response, MAX_REASON)))


def failed(error: Exception, host: str) -> Tried:
    """What a failure means for the mail, and for others to the same destination."""
    return Tried(result_of(error, host), spare_it=_wants_peace(error))


def result_of(error: Exception, host: str) -> Result:
    """What a failure means for the mail: only a 5xx reply about this mail ends it."""
    if isinstance(error, SMTPRecipientsRefused) and error.recipients:
        return result_of(error.recipients[0], host)
    if isinstance(error, SMTPNotSupported):
        return Rejected("the recipient's mail server takes no addresses outside ASCII")
    if isinstance(error, SMTPConnectResponseError | SMTPHeloError):
        # Said before it saw the mail: another server, or the same one later, may say something else.
        return Retry(_answer(error, host))
    if isinstance(error, SMTPTimeoutError | SMTPServerDisconnected):
        return Retry(f"{host} does not answer")
    if isinstance(error, SMTPResponseException):
        reason = _answer(error, host)
        return Rejected(reason) if 500 <= error.code < 600 else Retry(reason)
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # a bad certificate is both
        return Rejected("the address cannot be written in SMTP")
    return Retry(f"{host} cannot be reached")


def _answer(error: SMTPResponseException, host: str) -> str:
    """It stands in notices of the gateway: no word of the server's may be read as one of ours."""
    words = one_line(str(error.message), MAX_REASON)
    return f"{host} said: {error.code} {quoted(words)}" if words else f"{host} said: {error.code}"


def _wants_peace(error: Exception) -> bool:
    """A server that is not there, says 421, or turns mail away for now for a reason that is not one mailbox's."""
    if isinstance(error, SMTPRecipientsRefused) and error.recipients:
        return _wants_peace(error.recipients[0])
    if isinstance(error, SMTPConnectError | SMTPHeloError | SMTPTimeoutError | SMTPServerDisconnected):
        return True
    if isinstance(error, SMTPResponseException):
        code = _ENHANCED.match(str(error.message).strip())
        temporary = 400 <= error.code < 500
        return error.code == _CLOSING or (temporary and (code is None or code[1] not in _OF_ONE_MAILBOX))
    return isinstance(error, OSError)
