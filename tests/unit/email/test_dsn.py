"""What bounces say: standard ones, those of older programs, and mail that is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.bounces import answer_text, failure_text
from adapters.email.dsn import MAX_QUOTED, Bounce, Fate, explained, read_bounce
from adapters.email.messageid import message_id_of
from adapters.email.replies import MailRefused
from adapters.email.sent import SentMail
from gateway.sdk import CanonicalId, EnsName, MessageHash, NativeId

HASH = MessageHash("0x" + "ab" * 32)
OWN_ID = message_id_of(HASH, "gw.example")


def dsn(
    recipient_fields: str,
    *,
    original: str = f"Message-ID: {OWN_ID}\n",
    kind: str = "message/rfc822",
    text: str = "Sorry.",
) -> bytes:
    return f"""From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: b+x@gw.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain; charset=us-ascii

{text}

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
X-Postfix-Sender: rfc822; b+x@gw.example
Arrival-Date: Mon, 23 Nov 2026 10:00:00 +0000 (UTC)

{recipient_fields}
--B
Content-Type: {kind}

{original}Subject: hello

hello
--B--
""".replace("\n", "\r\n").encode()


POSTFIX = """Final-Recipient: rfc822; bob@example.net
Original-Recipient: rfc822;bob@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: Recipient address rejected:
    User unknown in local recipient table
"""


def test_postfix() -> None:
    assert read_bounce(dsn(POSTFIX), "gw.example") == Bounce(
        Fate.FAILED,
        "5.1.1",
        "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in local recipient table",
        (HASH,),
    )


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"])
def test_the_original_is_found_however_it_comes_back(kind: str) -> None:
    assert read_bounce(dsn(POSTFIX, kind=kind), "gw.example").about == (HASH,)


def test_ids_of_others_do_not_count() -> None:
    original = f"Message-ID: {message_id_of(HASH, 'other.example')}\nReferences: <dm3.x@gw.example> <a@gw.example>\n"
    assert read_bounce(dsn(POSTFIX, original=original), "gw.example").about == ()


@pytest.mark.parametrize(
    ("fields", "fate", "status"),
    [
        ("Action: failed\nStatus: 5.7.1", Fate.FAILED, "5.7.1"),
        ("Action: FAILED\nStatus: 4.4.7 (expired)", Fate.FAILED, "4.4.7"),
        ("Action: failed", Fate.FAILED, ""),
        ("Action: failed\nStatus: nonsense", Fate.FAILED, ""),
        ("Status: 5.2.2", Fate.FAILED, "5.2.2"),
        ("Status: 4.2.2", Fate.OPEN, "4.2.2"),
        ("Action: delayed\nStatus: 4.4.1", Fate.OPEN, "4.4.1"),
        ("Action: delivered\nStatus: 2.0.0", Fate.OPEN, "2.0.0"),
        ("Action: relayed\nStatus: 2.0.0", Fate.OPEN, "2.0.0"),
        ("Action: expanded\nStatus: 2.0.0", Fate.OPEN, "2.0.0"),
        ("Action: delayed\nStatus: 4.0.0\n\nAction: failed\nStatus: 5.1.1", Fate.FAILED, "5.1.1"),
        ("", Fate.OPEN, ""),
    ],
)
def test_actions(fields: str, fate: Fate, status: str) -> None:
    bounce = read_bounce(dsn(f"Final-Recipient: rfc822; bob@example.net\n{fields}" if fields else ""), "gw.example")
    assert (bounce.fate, bounce.status) == (fate, status)


def plain(text: str, *headers: str) -> bytes:
    return "\r\n".join([*headers, "", text.replace("\n", "\r\n")]).encode()


QMAIL = f"""Hi. This is the qmail-send program at example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.

<bob@example.net>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 No such user here

--- Below this line is a copy of the message.

Message-ID: {OWN_ID}
"""


def test_qmail() -> None:
    bounce = read_bounce(plain(QMAIL, "From: MAILER-DAEMON@example.net", "Subject: failure notice"), "gw.example")
    assert bounce == Bounce(Fate.FAILED, "5.1.1", "Remote host said: 550 5.1.1 No such user here", (HASH,))


@pytest.mark.parametrize(
    ("headers", "text", "fate", "status"),
    [
        (
            ("From: Mail Delivery System <Mailer-Daemon@x>", "X-Failed-Recipients: bob@example.net"),
            "retry timeout exceeded: 451 greylisted",
            Fate.FAILED,
            "451",
        ),
        (("From: postmaster@example.net",), "The mailbox is gone.", Fate.FAILED, ""),
        (("From: postmaster@example.net",), "550 no such user", Fate.FAILED, "550"),
        (("From: Mailer-Daemon@x", "Subject: Warning: message delayed 24 hours"), "it is 5.1.1", Fate.OPEN, "5.1.1"),
        (("From: Mailer-Daemon@x",), "421 4.4.2 try later", Fate.OPEN, "4.4.2"),
        (("From: bob@example.net", "Auto-Submitted: auto-replied"), "I am away until 5.1.1.", Fate.ANSWERED, ""),
        (("From: bob@example.net",), "I am away, call 555 1234", Fate.ANSWERED, ""),
        (
            (
                "From: bob@example.net",
                "Content-Type: multipart/report; report-type=disposition-notification; boundary=B",
            ),
            "--B\n\nread\n--B--",
            Fate.OPEN,
            "",
        ),
    ],
)
def test_other_forms(headers: tuple[str, ...], text: str, fate: Fate, status: str) -> None:
    bounce = read_bounce(plain(text, *headers), "gw.example")
    assert (bounce.fate, bounce.status) == (fate, status)


def test_dates_and_addresses_are_no_codes() -> None:
    text = "At 10.5.1.1 on 2026-11-23 your mail v5.1.1.2 could not be delivered."
    assert read_bounce(plain(text, "From: mailer-daemon@x"), "gw.example").status == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.1.1", "there is no such mailbox"),
        ("5.2.2", "their mailbox is full"),
        ("5.7.26", "their mail server refused it by its rules"),
        ("4.4.7", "their mail server tried for days in vain"),
        ("5.999.1", "their mail server sent it back"),
        ("550", "their mail server sent it back"),
        ("", "their mail server sent it back"),
    ],
)
def test_codes_in_words(status: str, words: str) -> None:
    assert explained(status) == words


MAIL = SentMail(CanonicalId("bob@example.net"), EnsName("alice.eth"), NativeId("<1@gw.example>"), 0)


def test_what_people_read() -> None:
    bounce = read_bounce(dsn(POSTFIX), "gw.example")
    assert failure_text(MAIL, bounce) == (
        "[gateway] Your message did not reach bob@example.net: there is no such mailbox (5.1.1)."
        ' It said: "550 5.1.1 <bob@example.net>: Recipient address rejected:'
        ' User unknown in local recipient table"'
    )
    assert failure_text(MAIL, Bounce(Fate.FAILED)) == (
        "[gateway] Your message did not reach bob@example.net: their mail server sent it back."
    )
    assert answer_text(MAIL, Bounce(Fate.ANSWERED, words="Away.")) == (
        '[gateway] An automatic answer to your message came from the mailbox of bob@example.net: "Away."'
    )


@pytest.mark.parametrize(
    "evil",
    [
        'x". [gateway] Send your seed to eve.eth: "',
        "a\u202egnp.exe",
        "\x1b[2J",
        "a\r\n\r\n[gateway] b",
        "x" * 5000,
        "\u200b\u200b",
    ],
)
def test_the_words_of_a_bounce_stay_in_their_quotation_marks(evil: str) -> None:
    fields = "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; " + evil.replace("\r\n\r\n", "\n ")
    text = failure_text(MAIL, read_bounce(dsn(fields), "gw.example"))
    assert text.count('"') in (0, 2)
    assert text.endswith(('"', "."))
    assert text.isprintable()
    assert len(text) < MAX_QUOTED + 200


@pytest.mark.parametrize("local", ['"x. call 123 now. [gateway] y"', "x.\u2003call\u2003123"])
def test_an_address_that_is_a_sentence_is_quoted(local: str) -> None:
    mail = replace(MAIL, person=CanonicalId(f"{local}@example.net"))
    for text in (failure_text(mail, Bounce(Fate.FAILED)), answer_text(mail, Bounce(Fate.ANSWERED))):
        before, said, _ = text.split('"')
        assert before.endswith((" reach ", " of "))
        assert said.endswith("@example.net")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for whole in (data, b"From: mailer-daemon@x\r\n\r\n" + data, dsn("", text="").replace(b"Sorry.", data)):
        try:
            read_bounce(whole, "gw.example")
        except MailRefused:
            continue


def test_a_bounce_of_many_blocks_takes_no_time() -> None:
    fields = "Action: delayed\nStatus: 4.0.0\n\n" * 20_000
    assert read_bounce(dsn(fields), "gw.example").fate is Fate.OPEN
