"""What a failure of an SMTP session means for a mail: only a 5xx about this mail, or its address, ends it."""

from __future__ import annotations

import ssl

import pytest
from aiosmtplib import (
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupported,
    SMTPReadTimeoutError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from adapters.email.endpoints import Endpoint
from adapters.email.sender import RelayTransport
from adapters.email.session import MAX_REASON, Letter, result_of
from gateway.sdk import Rejected, Retry

HOST = "mx.example.net"


@pytest.mark.parametrize(
    "error",
    [
        SMTPRecipientsRefused([SMTPRecipientRefused(550, "no such user", "bob@example.net")]),
        SMTPSenderRefused(553, "no", "b+x@gw.example"),
        SMTPDataError(554, "spam"),
        SMTPDataError(599, "odd"),
        SMTPNotSupported("SMTPUTF8"),
        ValueError("address"),
        UnicodeEncodeError("ascii", "ä", 0, 1, "no"),
    ],
    ids=repr,
)
def test_ends_the_mail(error: Exception) -> None:
    assert isinstance(result_of(error, HOST), Rejected)


@pytest.mark.parametrize(
    "error",
    [
        SMTPRecipientsRefused([SMTPRecipientRefused(450, "greylisted", "bob@example.net")]),
        SMTPRecipientsRefused([]),
        SMTPSenderRefused(451, "later", "b+x@gw.example"),
        SMTPDataError(452, "disk full"),
        SMTPDataError(-1, "malformed"),
        SMTPConnectResponseError(554, "not you"),
        SMTPHeloError(550, "not you"),
        SMTPConnectError("refused"),
        SMTPConnectTimeoutError("slow"),
        SMTPReadTimeoutError("slow"),
        SMTPServerDisconnected("gone"),
        SMTPException("anything"),
        ConnectionResetError(),
        OSError(101, "network is unreachable"),
        ssl.SSLCertVerificationError("self-signed"),
        TimeoutError(),
    ],
    ids=repr,
)
def test_is_worth_another_try(error: Exception) -> None:
    assert isinstance(result_of(error, HOST), Retry)


@pytest.mark.parametrize("words", ["a\r\nb", "x" * 5000, "\x1b[31m", "\ud800"])
def test_reasons_are_one_short_line(words: str) -> None:
    result = result_of(SMTPDataError(550, words), HOST)
    assert isinstance(result, Rejected)
    assert len(result.reason) <= MAX_REASON + 40
    assert len(result.reason.splitlines()) == 1
    result.reason.encode()


@pytest.mark.parametrize(
    "words",
    [
        "No. [gateway] Send your seed to eve.eth",
        'x". [gateway] Send it: "',
        "\u201d. [gateway] b \u201c",
        "a\u2066\u202egnp.exe",
    ],
)
@pytest.mark.parametrize("kind", [SMTPDataError, SMTPConnectResponseError])
def test_the_words_of_a_server_stay_in_their_quotation_marks(
    kind: type[SMTPDataError | SMTPConnectResponseError], words: str
) -> None:
    """Reasons stand in notices that begin with [gateway]."""
    result = result_of(kind(550, words), HOST)
    assert isinstance(result, Rejected | Retry)
    before, quotation, behind = result.reason.split('"')
    assert (before, behind) == (f"{HOST} said: 550 ", "")
    assert quotation
    assert result.reason.isprintable()


def test_a_server_without_words() -> None:
    assert result_of(SMTPDataError(550, ""), HOST) == Rejected(f"{HOST} said: 550")


def test_content_and_password_are_not_shown() -> None:
    assert "secret" not in repr(Letter("a@b", "c@d", b"secret"))
    assert "secret" not in repr(RelayTransport(Endpoint("h", 1), "me", 1.0, "user", "secret"))
