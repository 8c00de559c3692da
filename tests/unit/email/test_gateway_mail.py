"""Mail of the gateway's own: headers that no machine answers, and text that cannot leave its place."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.gateway_mail import gateway_mail, notice_hash
from adapters.email.parse import parse_mail
from adapters.email.render import RenderedMail
from adapters.email.replies import MailRefused
from gateway.sdk import CanonicalId, MailNotice

NOW = 1_800_000_000_000
ENCODED = "=?utf-8?q?=0D=0ABcc:_eve=40example.net?="
HOSTILE = st.text(max_size=400) | st.lists(st.sampled_from([ENCODED, "=?", "?=", " ", "a"])).map("".join)
EXPECTED = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-DM3-Gateway",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
]


def notice(**changes: str) -> MailNotice:
    fields = {
        "key": "k",
        "recipient": "bob@example.net",
        "subject": "DM3 New Message",
        "text": "Hello\n\nBob\n",
    } | changes
    return MailNotice(
        key=fields["key"],
        recipient=CanonicalId(fields["recipient"]),
        subject=fields["subject"],
        text=fields["text"],
    )


def mail(**changes: str) -> RenderedMail:
    return gateway_mail(notice(**changes), domain="gw.example", now_ms=NOW)


def parsed(rendered: RenderedMail) -> EmailMessage:
    return message_from_bytes(rendered.content, policy=policy.default)


def test_headers() -> None:
    message = parsed(mail())
    assert message["From"] == "DM3 gateway <noreply@gw.example>"
    assert message["To"] == "bob@example.net"
    assert message["Subject"] == "DM3 New Message"
    assert message["Date"].datetime.timestamp() == NOW / 1000
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == mail().message_id
    assert message.get_content_type() == "text/plain"
    assert message.get_content().splitlines() == ["Hello", "", "Bob"]
    assert sorted(message.keys()) == sorted(EXPECTED)


def test_a_retry_has_the_same_id_and_another_notice_another() -> None:
    assert mail().message_id == mail(text="x").message_id
    assert mail().message_id != mail(key="l").message_id
    assert notice_hash("k") != notice_hash("l")


def test_addresses_outside_ascii_need_smtputf8() -> None:
    assert not mail().utf8
    assert mail(recipient="bøb@example.net").utf8
    assert parsed(mail(recipient='"bob smith"@example.net'))["To"] == '"bob smith"@example.net'


@pytest.mark.attack(46)
def test_what_comes_back_to_our_own_door_is_a_loop() -> None:
    with pytest.raises(MailRefused, match=r"5\.4\.6"):
        parse_mail(mail().content, domain="gw.example", now_ms=NOW)


@pytest.mark.weakness(13)
@pytest.mark.attack(25)
@given(HOSTILE, HOSTILE)
def test_no_text_becomes_a_header_or_a_part(subject: str, text: str) -> None:
    message = parsed(mail(subject=f"a{subject}", text=f"a{text}", key=text))
    assert sorted(message.keys()) == sorted(EXPECTED)
    assert message.get_content_type() == "text/plain"
    assert message["To"] == "bob@example.net"
    assert not message.defects


@pytest.mark.weakness(13)
@pytest.mark.parametrize(
    "evil",
    [
        "x\r\nBcc: eve@example.net",
        "x\nContent-Type: text/html\n\n<script>",
        "x\r\n.\r\nMAIL FROM:<a@b.c>",
        "x\0y\x85z",
        f"x {ENCODED}",
    ],
    ids=repr,
)
def test_line_ends_in_a_subject_are_blanks(evil: str) -> None:
    message = parsed(mail(subject=evil))
    assert sorted(message.keys()) == sorted(EXPECTED)
    assert message["Subject"].startswith("x ")


def test_a_text_is_bounded() -> None:
    assert len(mail(text="x" * 1_000_000).content) < 20_000
