"""A whole mail as values: sender, ids, threads, dates, loops, automatic mail."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email import replies
from adapters.email.mime import body_blocks
from adapters.email.parse import MAX_RECEIVED, MAX_REFERENCES, TRACE_HEADER, ParsedMail, parse_mail
from adapters.email.reading.frames import mail_from_json, mail_to_json
from adapters.email.reading.reader import IN_PLACE, is_plain
from adapters.email.replies import MailRefused, Reply
from adapters.email.transfer import file_blocks

NOW = 1_800_000_000_000
FROM = "From: Bob <bob@example.net>"


def parse(*headers: str, body: str = "hello") -> ParsedMail:
    data = "\r\n".join([*headers, "", body]).encode("utf-8", "surrogateescape")
    return parse_mail(data, domain="gw.example", now_ms=NOW).mail


def refusal(*headers: str, body: str = "hello") -> Reply:
    with pytest.raises(MailRefused) as refused:
        parse(*headers, body=body)
    return refused.value.reply


def test_an_ordinary_mail() -> None:
    mail = parse(
        "From: =?utf-8?q?J=C3=B6rg?= <Joerg@Example.NET>",
        "To: alice.eth@gw.example",
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "Date: Fri, 15 Jan 2027 08:00:00 +0100",
        "Message-ID: <1@example.net>",
        body="hi\r\nthere\r\n",
    )
    assert mail == ParsedMail(
        sender="joerg@example.net",  # type: ignore[arg-type]
        display_name="Jörg",
        native_id="<1@example.net>",  # type: ignore[arg-type]
        sent_at=1_799_996_400_000,
        subject="Grüße",
        text="hi\nthere",
        new=8,
        reaction=None,
        answers=(),
        references=(),
        automatic=False,
    )


@pytest.mark.parametrize(
    ("header", "address", "name"),
    [
        ("From: bob@example.net", "bob@example.net", ""),
        ("From: <BOB@EXAMPLE.NET>", "bob@example.net", ""),
        ('From: "Bob, the builder" <bob@example.net>', "bob@example.net", "Bob, the builder"),
        ("From: Bob (at work) <bob@example.net>", "bob@example.net", "Bob"),
        ('From: "b o b"@example.net', '"b o b"@example.net', ""),
        ("From: Bob\r\n <bob@example.net>", "bob@example.net", "Bob"),
        ("From: jörg@bücher.example", "jörg@xn--bcher-kva.example", ""),
        ("From: \u202eboB <bob@example.net>", "bob@example.net", "boB"),
        ('From: "ceo@bank.example" <bob@example.net>', "bob@example.net", ""),
        ('From: "CEO <ceo\uff20bank.example>" <bob@example.net>', "bob@example.net", ""),
        ("From: =?utf-8?q?ceo=40bank=2Eexample?= <bob@example.net>", "bob@example.net", ""),
        ('From: "ceo @bank.example" <bob@example.net>', "bob@example.net", ""),
        ('From: "ceo@ bank.example" <bob@example.net>', "bob@example.net", ""),
        ('From: "The CEO,  ceo  @\t bank.example" <bob@example.net>', "bob@example.net", ""),
        ('From: "ceo \uff20 bank.example" <bob@example.net>', "bob@example.net", ""),
        ('From: "ceo \ufe6bbank.example" <bob@example.net>', "bob@example.net", ""),
        ('From: "ceo\u3000@\u200b\u2003bank.example" <bob@example.net>', "bob@example.net", ""),
        ("From: bob@example.net (ceo =?utf-8?q?=40_bank=2Eexample?=)", "bob@example.net", ""),
        ('From: "ceo \uff20 bank\uff0eexample" <bob@example.net>', "bob@example.net", ""),
        ('From: "ceo @ bank . example" <bob@example.net>', "bob@example.net", ""),
        ('From: "bob @ example.net" <bob@example.net>', "bob@example.net", ""),
        ('From: "Bob @ Acme Inc." <bob@example.net>', "bob@example.net", "Bob @ Acme Inc."),
        ('From: "@bobby" <bob@example.net>', "bob@example.net", "@bobby"),
        ('From: "Bob@Example.net" <bob@example.net>', "bob@example.net", "Bob@Example.net"),
        ('From: "Bob @ work" <bob@example.net>', "bob@example.net", "Bob @ work"),
        ("From: =?utf-8?q?a=0D=0ABcc=3A_x?= <bob@example.net>", "bob@example.net", "a Bcc: x"),
        ("from: bob@example.net", "bob@example.net", ""),
    ],
)
def test_senders_that_are_read(header: str, address: str, name: str) -> None:
    mail = parse(header)
    assert (mail.sender, mail.display_name) == (address, name)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("From:",),
        ("From: Bob",),
        ("From: <>",),
        ("From: bob@example.net, eve@example.net",),
        ("From: bob@example.net", "From: eve@example.net"),
        ("From: bob@example.net", "from: bob@example.net"),
        ("From: friends: bob@example.net, eve@example.net;",),
        ("From: friends:;",),
        ("From: bob@[192.0.2.1]",),
        ("From: bob@exa mple.net",),
        ("From: bob@example.net <eve@example.net>",),
        ("From: bob@",),
        ("From: @example.net",),
        ("From: bob\x00@example.net",),
        ("From: " + "(" * 900 + "bob@example.net",),
        ("From: " + "a" * 2_000 + "@example.net",),
        ("From: " + '"' * 501 + "@example.net",),
        ("From: bob\udce4@example.net",),
    ],
)
def test_senders_that_are_refused(headers: tuple[str, ...]) -> None:
    assert refusal(*headers) == replies.FROM_MALFORMED


def test_a_repeat_without_message_id_has_the_same_id() -> None:
    first = parse(FROM, "Received: by a; now", "Subject: x")
    again = parse(FROM, "Received: by b; later", "Subject: x")
    other = parse(FROM, "Subject: x", body="other")
    assert first.native_id == again.native_id
    assert first.native_id.startswith("sha256:")
    assert first.native_id != other.native_id


@pytest.mark.parametrize(
    "header",
    [
        "Message-ID: none",
        "Message-ID: <a b@example.net>",
        "Message-ID: <" + "a" * 401 + ">",
        "Message-ID: <1@x>\r\nMessage-ID: <2@x>",
        "Message-ID: <é@x>",
        "Message-ID: <>",
    ],
)
def test_ids_that_nobody_could_repeat_are_replaced(header: str) -> None:
    native_id = parse(FROM, header).native_id
    assert native_id.startswith("sha256:")
    assert native_id.isascii()


@pytest.mark.parametrize(
    ("headers", "reference"),
    [
        ((), None),
        (("In-Reply-To: <1@x>",), "<1@x>"),
        (("References: <1@x> <2@x>",), "<2@x>"),
        (("In-Reply-To: <1@x>", "References: <1@x> <2@x>"), "<1@x>"),
        (("In-Reply-To: your mail of Monday <1@x>",), "<1@x>"),
        (("In-Reply-To: nothing", "References: <2@x>"), "<2@x>"),
        (("References: <1@x>\r\n\t<2@x>\r\n <3@x>",), "<3@x>"),
        (("In-Reply-To: <broken",), None),
    ],
)
def test_what_is_answered(headers: tuple[str, ...], reference: str | None) -> None:
    assert parse(FROM, *headers).reference == reference


def test_the_likeliest_answer_comes_first() -> None:
    mail = parse(FROM, "In-Reply-To: <3@x>", "References: <1@x> <2@x> <3@x>")
    assert mail.answers == ("<3@x>", "<2@x>", "<1@x>")
    assert mail.references == ("<1@x>", "<2@x>", "<3@x>")


def test_references_have_a_bound_and_keep_the_first_one() -> None:
    mail = parse(FROM, "References: " + " ".join(f"<{number}@x>" for number in range(100)))
    assert len(mail.references) == len(mail.answers) == MAX_REFERENCES
    assert (mail.references[0], mail.references[-1], mail.answers[0]) == ("<0@x>", "<99@x>", "<99@x>")


@pytest.mark.parametrize(
    ("date", "milliseconds"),
    [
        ("Fri, 15 Jan 2027 08:00:00 +0000", 1_800_000_000_000),
        ("15 Jan 2027 08:00 GMT", 1_800_000_000_000),
        ("Fri, 15 Jan 2027 07:59:59 -0000", 1_799_999_999_000),
        ("Fri, 15 Jan 2027 19:00:00 +0000", 1_800_039_600_000),
        ("Sun, 17 Jan 2027 08:00:00 +0000", NOW),
        ("Fri, 15 Jan 1970 08:00:00 +0000", NOW),
        ("Fri, 99 Jan 2027 08:00:00 +0000", NOW),
        ("Fri, 15 Jan 99999 08:00:00 +0000", NOW),
        ("Fri, 15 Jan 2027 08:00:00 +9999999999", NOW),
        ("yesterday", NOW),
        ("", NOW),
    ],
)
def test_dates(date: str, milliseconds: int) -> None:
    assert parse(FROM, f"Date: {date}").sent_at == milliseconds


def test_a_mail_without_a_date_was_sent_now() -> None:
    assert parse(FROM).sent_at == NOW


@pytest.mark.parametrize(
    ("header", "automatic"),
    [
        ("Auto-Submitted: no", False),
        ("Auto-Submitted: auto-replied", True),
        ("Auto-Submitted: auto-generated; x=y", True),
        ("AUTO-SUBMITTED: Auto-Notified", True),
        ("Precedence: bulk", True),
        ("Precedence: LIST", True),
        ("Precedence: first-class", False),
        ("List-Id: <list.example.net>", True),
        ("List-Unsubscribe: <mailto:x@example.net>", True),
        ("Listen: x", False),
    ],
)
def test_automatic_mail(header: str, automatic: bool) -> None:
    assert parse(FROM, header).automatic is automatic


@pytest.mark.parametrize(
    ("trace", "loops"),
    [
        ("gw.example", True),
        (" GW.Example ; hop=1", True),
        ("other.example", False),
        ("not-gw.example", False),
    ],
)
def test_our_own_trace_is_a_loop(trace: str, loops: bool) -> None:
    headers = (FROM, f"{TRACE_HEADER}: other.example", f"{TRACE_HEADER}: {trace}")
    if loops:
        assert refusal(*headers) == replies.LOOP
    else:
        assert parse(*headers).text == "hello"


def test_too_many_hops_are_a_loop() -> None:
    assert parse(FROM, *["Received: by x"] * MAX_RECEIVED).text == "hello"
    assert refusal(FROM, *["Received: by x"] * (MAX_RECEIVED + 1)) == replies.LOOP


@given(st.binary(max_size=500))
def test_any_bytes_are_a_mail_or_refused(data: bytes) -> None:
    for mail in (data, b"From: bob@example.net\r\n" + data, b"From: " + data):
        try:
            parsed = parse_mail(mail, domain="gw.example", now_ms=NOW).mail
        except MailRefused:
            continue
        assert parsed.native_id.isascii()
        parsed.text.encode()


HEADER_NAMES = st.sampled_from(
    ["From", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Content-Type", "Auto-Submitted"]
)


@given(st.lists(st.tuples(HEADER_NAMES, st.text(max_size=60)), max_size=6), st.text(max_size=100))
def test_any_header_values_are_a_mail_or_refused(headers: list[tuple[str, str]], body: str) -> None:
    data = "".join(f"{name}: {value}\r\n" for name, value in headers) + f"{FROM}\r\n\r\n{body}"
    try:
        parsed = parse_mail(data.encode("utf-8", "replace"), domain="gw.example", now_ms=NOW).mail
    except MailRefused:
        return
    assert len(parsed.subject.splitlines()) <= 1
    assert len(parsed.display_name.splitlines()) <= 1


SENDER = FROM.encode() + b"\r\n"
FEW = 20_000
HARMLESS = {
    "deep HTML": SENDER + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 9_000,
    "tables in tables": SENDER + b"Content-Type: text/html\r\n\r\n" + b"<table><tr><td>" * 3_000,
    "too many tags": SENDER + b"Content-Type: text/html\r\n\r\n" + b"<b>" * 200_000,
    "open brackets": SENDER + b"Content-Type: text/html\r\n\r\n" + b"<" * 1_000_000,
    "attributes": SENDER + b"Content-Type: text/html\r\n\r\n<a " + b"a=b " * 200_000 + b">x</a>",
    "combining marks": SENDER + b"\r\n" + ("a" + "\u0315\u0300" * 500_000).encode(),
    "combining marks in the subject": SENDER + b"Subject: " + ("a" + "\u0315\u0300" * 10_000).encode() + b"\r\n\r\nx",
    "line ends": SENDER + b"\r\n" + b"\r\n" * 1_000_000,
    "UTF-7": SENDER + b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AGE-" * FEW,
    "shifts": SENDER + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B$3\x1b(B" * FEW,
    "quoted-printable": SENDER + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=41=\r\n" * FEW,
    "encoded words": SENDER + b"Subject: " + b"=?utf-8?q?a?= " * 4_000 + b"\r\n\r\nx",
    "references": SENDER + b"References: " + b"<a@b>" * 12_000 + b"\r\n\r\nx",
    "half references": SENDER + b"References: " + b"<" * 60_000 + b"\r\n\r\nx",
    "date": SENDER + b"Date: " + b"1 " * 30_000 + b"\r\n\r\nx",
}
HARMFUL = {
    "parameters": SENDER + b"Content-Type: text/plain; " + b"a=b;" * 15_000 + b"\r\n\r\nx",
    "quoted semicolons": SENDER + b'Content-Type: text/plain; a="' + b";" * 60_000 + b"\r\n\r\nx",
    "pieces of a parameter": SENDER + b"Content-Type: text/plain; " + b"b*1=x;" * 10_000 + b"\r\n\r\nx",
    "escapes": SENDER + b'Content-Type: multipart/mixed; boundary="' + b'\\"' * 30_000 + b"\r\n\r\nx",
    "semicolons in parts": SENDER
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + (b'--b\r\nContent-Type: text/plain; a="' + b";" * 30_000 + b"\r\n\r\nx\r\n") * 8,
    "file name": SENDER + b'Content-Disposition: attachment; filename="' + b"x" * 60_000 + b'"\r\n\r\nx',
    "comments": b"From: " + b"(" * 900 + b"\r\n\r\nx",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_large_but_can_be_read(name: str) -> None:
    parsed = parse_mail(HARMLESS[name], domain="gw.example", now_ms=NOW).mail
    assert parsed.sender == "bob@example.net"


@pytest.mark.parametrize("name", HARMFUL)
def test_what_would_take_too_long_is_refused(name: str) -> None:
    with pytest.raises(MailRefused) as refused:
        parse_mail(HARMFUL[name], domain="gw.example", now_ms=NOW)
    assert refused.value.reply in (replies.BAD_STRUCTURE, replies.FROM_MALFORMED)


def test_a_long_file_name_in_many_pieces_is_read() -> None:
    pieces = "; ".join(f"filename*{number}*=%C3%A4%C3%A4%C3%A4" for number in range(1, 40))
    head = f"Content-Disposition: attachment; filename*0*=utf-8''%C3%A4; {pieces}"
    (file,) = parse_mail(f"{FROM}\r\n{head}\r\n\r\nx".encode(), domain="gw.example", now_ms=NOW).files
    assert file.name == "ä" * (1 + 3 * 39)


def filled(head: bytes, piece: bytes, end: bytes = b"") -> bytes:
    """A mail of as many pieces as are read in place."""
    return head + piece * ((IN_PLACE - len(head) - len(end)) // len(piece)) + end


PLAIN = SENDER + b"X: y\r\n\r\n"
IN_PLACE_BOMBS = {
    "flowed": filled(SENDER + b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n", b"> a \r\n"),
    "attributions": filled(PLAIN, b"On a b wrote:\r\n", b"> x"),
    "mails": filled(PLAIN, b"From: a\r\n"),
    "rules": filled(PLAIN, b"-----------\r\n"),
    "marks": filled(PLAIN, b">"),
    "combining marks": SENDER + b"Subject: " + "\u0315\u0300".encode() * 1_900 + b"\r\n\r\nx",
    "words": SENDER + b"Subject: " + b"=?utf-8?q?a?= " * 550 + b"\r\n\r\nx",
    "folds": SENDER + b"X: a" + b"\r\n y" * 1_900 + b"\r\n\r\nx",
    "pieces": SENDER + b"Content-Type: text/plain; " + b"".join(b"b*%d=x;" % n for n in range(99)) + b"\r\n\r\nx",
}


@pytest.mark.parametrize("name", IN_PLACE_BOMBS)
def test_what_is_read_in_place_is_read_at_once(name: str) -> None:
    """Nine milliseconds at most where this was measured; generous here."""
    bomb = IN_PLACE_BOMBS[name]
    assert is_plain(bomb)
    assert len(bomb) <= IN_PLACE
    begin = time.process_time()
    parse_mail(bomb, domain="gw.example", now_ms=NOW)
    assert time.process_time() - begin < 0.25


PIECES = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/alternative; boundary=c",
        b"Content-Type: text/html",
        b"Content-Type: text/plain; format=flowed; delsp=yes; charset=utf-16",
        b"Content-Type: message/rfc822",
        b"Content-Disposition: reaction",
        b"Content-Disposition: attachment; filename*0*=x'y'%ff; filename*1=\"",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"In-Reply-To: <a@b> <c",
        b"Subject: =?utf-8?q?=ff?= =?x",
        b"",
        b"--b",
        b"--b--",
        b"--c",
        b"--c--",
        b"<b><p>&#99999;<",
        b"> quoted ",
        b"On a b wrote:",
        b"-- ",
        b"QUJD=",
        b"=C3=\xff=",
        b"\xf0\x9f\x91\x8d",
        b" folded",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=30), max_size=60))
def test_any_structure_is_read_in_bounded_time_or_refused(lines: list[bytes]) -> None:
    data = SENDER + b"\r\n".join(lines)
    begin = time.process_time()
    try:
        parsed = parse_mail(data, domain="gw.example", now_ms=NOW)
    except MailRefused:
        return
    for file in parsed.files:
        assert sum(map(len, file_blocks(file, body_blocks(data, file.start, file.end)))) <= len(data)
        assert len(file.name) <= 200
    assert 0 <= parsed.mail.new <= len(parsed.mail.text)
    assert parsed.mail.text.isprintable() or parsed.mail.text.encode()
    assert mail_from_json(mail_to_json(parsed)) == parsed
    assert time.process_time() - begin < 1
