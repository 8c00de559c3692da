"""Failure notices: delivery status notifications as RFC 3464 has them, answerable by nobody."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.notice import failure_notice
from adapters.email.parse import parse_mail
from adapters.email.render import RenderedMail
from gateway.sdk import CanonicalId, DeliveryState, EnsName, NativeId, StatusReport

NOW = 1_800_000_000_000
ENCODED = "=?utf-8?q?=0D=0ABcc:_eve=40example.net?="


def report(**changes: str) -> StatusReport:
    fields = {
        "native_id": "<1@example.net>",
        "sender": "bob@example.net",
        "recipient": "alice.eth",
        "reason": "The delivery service of alice.eth refused the message.",
    } | changes
    return StatusReport(
        native_id=NativeId(fields["native_id"]),
        sender=CanonicalId(fields["sender"]),
        recipient=EnsName(fields["recipient"]),
        state=DeliveryState.FAILED,
        reason=fields["reason"],
    )


def notice(**changes: str) -> RenderedMail:
    return failure_notice(report(**changes), domain="gw.example", host_name="mx.gw.example", now_ms=NOW)


def parsed(mail: RenderedMail) -> EmailMessage:
    return message_from_bytes(mail.content, policy=policy.default)


def test_headers() -> None:
    message = parsed(notice())
    assert message["From"] == "DM3 gateway <postmaster@gw.example>"
    assert message["To"] == "bob@example.net"
    assert message["Subject"] == "Not delivered: your message to alice.eth"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<1@example.net>"
    assert message["Content-Type"].params["report-type"] == "delivery-status"


def test_parts() -> None:
    message = parsed(notice())
    assert message.get_content_type() == "multipart/report"
    text, status, original = message.iter_parts()
    assert "Reason: The delivery service of alice.eth refused the message." in text.get_content()
    assert status.get_content_type() == "message/delivery-status"
    about_message, about_recipient = status.iter_parts()
    assert about_message["Reporting-MTA"] == "dns; mx.gw.example"
    assert about_recipient["Final-Recipient"] == "rfc822; alice.eth@gw.example"
    assert (about_recipient["Action"], about_recipient["Status"]) == ("failed", "5.0.0")
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Message-ID: <1@example.net>" in original.get_content()


def test_a_mail_without_message_id_is_not_quoted() -> None:
    message = parsed(notice(native_id="sha256:abc"))
    assert message["In-Reply-To"] is None
    assert len(list(message.iter_parts())) == 2


def test_the_same_failure_has_the_same_id() -> None:
    assert notice().message_id == notice(reason="other words").message_id
    assert notice().message_id != notice(recipient="carol.eth").message_id
    assert notice().message_id != notice(native_id="<2@example.net>").message_id


def test_a_gateway_that_gets_it_takes_it_for_automatic() -> None:
    mail = parse_mail(notice().content, domain="other.example", now_ms=NOW).mail
    assert mail.automatic
    assert mail.reference == "<1@example.net>"
    assert "was not delivered" in mail.text


@pytest.mark.parametrize(
    "reason", ["", " ", "a\r\nBcc: eve@example.net", ENCODED, "naïve \U0001f4a9", "x" * 5000, "\0"]
)
def test_reasons_stay_in_their_place(reason: str) -> None:
    mail = notice(reason=reason)
    message = parsed(mail)
    assert all(part["Bcc"] is None for part in message.walk())
    text = next(iter(message.iter_parts())).get_content()
    assert text.count("Reason:") == 1
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


def test_a_sender_outside_ascii() -> None:
    mail = notice(sender="jörg@example.net")
    assert mail.utf8
    assert "To: jörg@example.net".encode() in mail.content


PIECES = st.lists(st.sampled_from([ENCODED, "=?", "?=", "<", ">", " ", "a"])).map("".join)


@pytest.mark.attack(25)
@given(reason=st.text(max_size=100) | PIECES, native_id=st.text(max_size=50) | PIECES.map(lambda text: f"<{text}>"))
def test_no_string_makes_a_header(reason: str, native_id: str) -> None:
    message = parsed(notice(reason=reason, native_id=native_id))
    assert {key.lower() for key in message.keys()} <= {  # noqa: SIM118
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "x-dm3-gateway",
        "in-reply-to",
        "references",
        "mime-version",
        "content-type",
    }
