"""Commands in a mail: which lines are some, whatever mail programs put around them; and what confirms."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.control.answer import Said, answer_mail, from_text, to_text
from adapters.email.control.confirmation import VALID_MS, Confirmation
from adapters.email.control.order import MAX_LINES, Order, bare_subject, command_lines, order_of, read_order
from adapters.email.parse import TRACE_HEADER, parse_mail
from adapters.email.replies import MailRefused
from gateway.sdk import CanonicalId, FileContent, InvalidInput, NativeId

NOW = 1_800_000_000_000
BOB = CanonicalId("bob@example.org")
HOSTILE = st.text(max_size=200)


def order(text: str = "", *headers: str) -> Order:
    lines = ["From: Bob <bob@example.org>", "Message-ID: <1@example.org>", *headers, "", text]
    return order_of(parse_mail("\r\n".join(lines).encode(), domain="gw.example", now_ms=NOW).mail, NOW)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("whoami", ("whoami",)),
        ("\n\n  whoami  \nblock eve.eth\n\nthanks\n", ("whoami", "block eve.eth")),
        ("status\n> old\nhelp", ("status",)),
        ("status\n-- \nBob", ("status",)),
        ("status\n--\nBob", ("status",)),
        ("yes\nOn Mon, 5 Jan 2026 at 10:00, DM3 gateway wrote:\n> text", ("yes",)),
        ("yes\nAm Montag, dem 5. Januar 2026 um 10:00 Uhr\nschrieb DM3 gateway:\n\n> text", ("yes",)),
        ("yes\n-----Original Message-----\nFrom: x", ("yes",)),
        ("yes\n________________________________\nFrom: x", ("yes",)),
        ("On Mon, DM3 gateway wrote:\n\n> text", ()),
        ("> whoami", ()),
        ("", ()),
        ("\n \n", ()),
        ("-- \nBob", ()),
        ("block eve.eth<http://eve.eth>", ("block eve.eth",)),
        ("block [eve.eth](http://eve.eth)", ("block eve.eth",)),
        (r"block eve\_1.eth", ("block eve_1.eth",)),
        ("\n".join(["help"] * 50), ("help",) * MAX_LINES),
    ],
)
def test_lines(text: str, lines: tuple[str, ...]) -> None:
    assert command_lines(text) == lines


@given(HOSTILE)
def test_any_text_has_few_lines_or_none(text: str) -> None:
    assert len(command_lines(text)) <= MAX_LINES
    assert all(line.strip() for line in command_lines(text))


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("whoami", "whoami"),
        ("Re: whoami", "whoami"),
        ("RE: AW: Re[2]: Fwd: whoami", "whoami"),
        ("Re: delete-me [confirm abcdefghijklmnopqrstuvwxyz234567]", "delete-me"),
        ("report eve.eth", "report eve.eth"),
        ("", ""),
    ],
)
def test_subjects(subject: str, bare: str) -> None:
    assert bare_subject(subject) == bare


def test_the_subject_counts_when_the_mail_says_nothing() -> None:
    assert order("", "Subject: Re: block eve.eth").lines == ("block eve.eth",)
    assert order("-- \r\nBob", "Subject: status").lines == ("status",)
    assert order("Sent from my telephone", "Subject: status").lines == ("status",)
    assert order("whoami", "Subject: status").lines == ("whoami",)
    assert order("what is this", "Subject: a question").lines == ("what is this",)
    assert order("", "Subject: Re: DM3 gateway").lines == ("",), "our own subject is no command"
    assert order("").lines == ("",)


def test_html_alone_is_read() -> None:
    made = order('<p>block <a href="http://eve.eth">eve.eth</a></p>', "Content-Type: text/html")
    assert made.lines == ("block eve.eth",)


def test_an_order_is_kept_whole() -> None:
    made = order("whoami\r\nname Jörg", "Subject: x", "In-Reply-To: <0@example.org>")
    assert read_order(made.to_bytes()) == made
    assert made.key == order("something else").key, "a second copy is known by sender and Message-ID"
    assert BOB not in made.key


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"null", json.dumps({"lines": 1}).encode(), b"\xff"])
def test_what_is_no_order(payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_order(payload)


# --- confirmations ----------------------------------------------------------------------------------------------


CONFIRMATION = Confirmation(b"k" * 32)
COMMAND = "delete-me p1.email.gw.eth"
TOKEN = CONFIRMATION.token(BOB, COMMAND, NOW)


@pytest.mark.parametrize(
    "text",
    [f"<dm3.control.ab.{TOKEN}@gw.example>", f"Re: delete-me [confirm {TOKEN}]", f"RE: [CONFIRM {TOKEN.upper()}]"],
)
def test_a_token_is_found_where_mail_programs_leave_it(text: str) -> None:
    assert CONFIRMATION.confirms(text, BOB, COMMAND, NOW)


@pytest.mark.parametrize("later", [0, 60_000, VALID_MS - 60_000])
def test_a_token_holds_for_a_day(later: int) -> None:
    assert CONFIRMATION.confirms(TOKEN, BOB, COMMAND, NOW + later)


def test_a_token_is_bound_to_sender_command_time_and_gateway() -> None:
    assert not CONFIRMATION.confirms(TOKEN, CanonicalId("eve@example.org"), COMMAND, NOW)
    assert not CONFIRMATION.confirms(TOKEN, BOB, "delete-me p2.email.gw.eth", NOW)
    assert not CONFIRMATION.confirms(TOKEN, BOB, COMMAND, NOW + VALID_MS + 60_000)
    assert not CONFIRMATION.confirms(TOKEN, BOB, COMMAND, NOW - 3_600_000)
    assert not Confirmation(b"x" * 32).confirms(TOKEN, BOB, COMMAND, NOW)


@pytest.mark.parametrize("position", range(0, 32, 3))
def test_no_letter_of_a_token_can_be_changed(position: int) -> None:
    other = "b" if TOKEN[position] == "a" else "a"
    assert not CONFIRMATION.confirms(TOKEN[:position] + other + TOKEN[position + 1 :], BOB, COMMAND, NOW)


@given(HOSTILE | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=30, max_size=34))
def test_nothing_else_is_a_token(text: str) -> None:
    assert not CONFIRMATION.confirms(text, BOB, COMMAND, NOW)


# --- answers ----------------------------------------------------------------------------------------------------


def parsed(made: Order, *said: Said) -> EmailMessage:
    return message_from_bytes(answer_mail(made, said, "gw.example").content, policy=policy.default)


def test_an_answer_is_in_the_thread_and_marked() -> None:
    made = order("whoami", "Subject: who", "In-Reply-To: <0@example.org>")
    mail = parsed(made, Said("whoami", "You are `bob@example.org`."), Said("help", "All of it"))
    assert mail["From"] == "DM3 gateway <control@gw.example>"
    assert mail["To"] == "bob@example.org"
    assert mail["Subject"] == "Re: who"
    assert mail["In-Reply-To"] == "<1@example.org>"
    assert mail["References"] == "<0@example.org> <1@example.org>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail[TRACE_HEADER] == "gw.example"
    text = mail.get_content().replace("\r\n", "\n")
    assert text.startswith("> whoami\n\nYou are `bob@example.org`.\n\n> help\n\nAll of it\n\n-- \n")
    with pytest.raises(MailRefused, match=r"5\.4\.6"):
        parse_mail(answer_mail(made, (), "gw.example").content, domain="gw.example", now_ms=NOW)


def test_an_answer_is_the_same_at_each_try() -> None:
    said = (Said("delete-me", "It is final.", token=TOKEN), Said("export", "x", FileContent("a.json", "text/x", b"\0")))
    assert from_text(to_text(said)) == said
    made = order("delete-me")
    first = answer_mail(made, said, "gw.example")
    assert first == answer_mail(made, from_text(to_text(said)), "gw.example")
    mail = message_from_bytes(first.content, policy=policy.default)
    assert TOKEN in mail["Message-ID"]
    assert TOKEN in mail["Subject"]


def test_files_are_attached() -> None:
    mail = parsed(order("export"), Said("export", "Your data.", FileContent("ü\r\n.json", "application/json", b"{}")))
    (file,) = mail.iter_attachments()
    assert file.get_content() == b"{}"
    assert file.get_filename() == "ü .json"


@pytest.mark.attack(25)
@given(HOSTILE | st.just("=?utf-8?q?=0D=0ABcc:_eve=40example.net?="), HOSTILE)
def test_no_text_becomes_a_header_or_a_command(subject: str, text: str) -> None:
    made = Order(
        sender=BOB,
        display_name="",
        native_id=NativeId("<1@example.org>"),
        reference=None,
        subject=subject,
        lines=("x",),
        tokens="",
        at=NOW,
    )
    mail = parsed(made, Said(text, text))
    assert mail["Bcc"] is None
    assert mail["To"] == "bob@example.org"
    assert not mail.is_multipart()


def test_an_address_that_reads_as_an_encoded_word_gets_none() -> None:
    evil = Order(
        sender=CanonicalId("=?utf-8?q?=0d=0abcc=3a_eve?=@example.net"),
        display_name="",
        native_id=NativeId("<1@example.org>"),
        reference=None,
        subject="",
        lines=("help",),
        tokens="",
        at=NOW,
    )
    with pytest.raises(InvalidInput):
        answer_mail(evil, (), "gw.example")
