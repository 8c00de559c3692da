"""SMTP replies: codes agree with each other, and each named failure of the gateway gets the right one."""

from __future__ import annotations

import re

import pytest

from adapters.email import replies
from adapters.email.replies import MailRefused, Reply, reply_to
from gateway.errors import (
    BadProfile,
    ChainUnavailable,
    CustodyError,
    FetchFailed,
    LeaseLost,
    SchemaMismatch,
    TooLarge,
    UnknownRecipient,
)
from gateway.sdk import ConfigError, GatewayError, InvalidInput, InvalidName, LimitExceeded, Unavailable, UnknownName

ALL = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}


@pytest.mark.parametrize("name", ALL)
def test_the_two_codes_agree(name: str) -> None:
    reply = ALL[name]
    assert str(reply.code)[0] == reply.enhanced[0]
    assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", reply.enhanced)
    assert reply.permanent is (reply.code >= 500)


@pytest.mark.parametrize("name", ALL)
def test_a_reply_is_one_line_of_ascii(name: str) -> None:
    line = str(ALL[name])
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (UnknownName(), replies.UNKNOWN_RECIPIENT),
        (UnknownRecipient(), replies.UNKNOWN_RECIPIENT),
        (InvalidInput(), replies.NOT_SENDABLE),
        (InvalidName(), replies.NOT_SENDABLE),
        (BadProfile(), replies.NOT_SENDABLE),
        (TooLarge(), replies.TOO_BIG),
        (LimitExceeded(), replies.OVERLOADED),
        (Unavailable(), replies.DEPENDENCY_DOWN),
        (ChainUnavailable(), replies.DEPENDENCY_DOWN),
        (FetchFailed(), replies.DEPENDENCY_DOWN),
        (CustodyError(), replies.FAULT),
        (ConfigError(), replies.FAULT),
        (SchemaMismatch(), replies.FAULT),
        (GatewayError(), replies.FAULT),
        (MailRefused(replies.LOOP), replies.LOOP),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_each_failure_means_for_a_mail(error: GatewayError, reply: Reply) -> None:
    assert reply_to(error) == reply


def test_our_own_faults_never_end_a_mail_for_good() -> None:
    for error in (GatewayError(), CustodyError(), ConfigError(), Unavailable(), LimitExceeded(), LeaseLost()):
        assert not reply_to(error).permanent


def test_details_stay_inside() -> None:
    assert "secret" not in str(reply_to(InvalidInput("secret")))
