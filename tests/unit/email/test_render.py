"""A delivery as a mail: headers that nobody can inject into, threads, text, files."""

from __future__ import annotations

import base64
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.parse import TRACE_HEADER
from adapters.email.render import (
    ASCII_HEADERS,
    MAX_SUBJECT,
    MAX_TEXT,
    RenderedMail,
    address_of,
    alias_of,
    render,
    serialise,
)
from adapters.email.threads import ThreadMail
from gateway.sdk import (
    Attachment,
    CanonicalId,
    Delivery,
    EnsName,
    InvalidInput,
    MessageHash,
    MessageType,
    NativeId,
    Reference,
    file_attachment,
)
from gateway.sdk.addresses import normalise

DOMAIN = "gw.example"
HASH = MessageHash("0x" + "ab" * 32)
DELIVERY = Delivery(
    key="ab" * 32,
    recipient=CanonicalId("bob@example.net"),
    recipient_name=EnsName("bob.example.net.email.gw.eth"),
    sender=EnsName("alice.eth"),
    verified=True,
    type=MessageType.NEW,
    text="hello Bob",
    attachments=(),
    message_hash=HASH,
    sent_at=1_800_000_000_000,
)
EXPECTED_HEADERS = {"from", "to", "subject", "date", "message-id", "x-dm3-gateway", "mime-version"}
CONTENT_HEADERS = {"content-type", "content-transfer-encoding"}


def rendered(**changes: object) -> EmailMessage:
    return parsed(render(replace(DELIVERY, **changes), DOMAIN))  # type: ignore[arg-type]


def parsed(mail: RenderedMail) -> EmailMessage:
    return message_from_bytes(mail.content, policy=policy.default)


def body_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert isinstance(part, EmailMessage)
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


def test_an_ordinary_delivery() -> None:
    mail = render(DELIVERY, DOMAIN)
    message = parsed(mail)
    assert message["From"] == '"alice.eth via DM3" <alice.eth@gw.example>'
    assert message["To"] == "bob@example.net"
    assert message["Subject"] == "hello Bob"
    assert parsedate_to_datetime(message["Date"]).timestamp() == 1_800_000_000
    assert message["Message-ID"] == mail.message_id
    assert message[TRACE_HEADER] == DOMAIN
    assert body_of(message) == "hello Bob\n"
    assert {name.lower() for name in message.keys()} == EXPECTED_HEADERS | CONTENT_HEADERS  # noqa: SIM118
    assert not mail.utf8


def test_the_message_id_is_made_of_the_hash_alone() -> None:
    first = render(DELIVERY, DOMAIN).message_id
    assert render(replace(DELIVERY, text="other", sent_at=5), DOMAIN).message_id == first
    assert render(replace(DELIVERY, message_hash=MessageHash("0x" + "cd" * 32)), DOMAIN).message_id != first
    digest = first.removeprefix("<dm3.").removesuffix("@gw.example>").upper()
    assert base64.b32decode(digest + "====") == bytes.fromhex(HASH[2:])


def test_ids_stand_on_one_line() -> None:
    content = render(
        replace(DELIVERY, reference=Reference(HASH, NativeId(f"<{'i' * 100}@example.net>"))), "mail." * 12 + "example"
    ).content
    for name in (b"Message-ID", b"In-Reply-To", b"References"):
        assert b"\r\n" + name + b": <" in content


def test_an_answer_is_threaded() -> None:
    message = rendered(reference=Reference(MessageHash("0x" + "11" * 32), NativeId("<1@example.net>")))
    assert message["In-Reply-To"] == message["References"] == "<1@example.net>"
    assert message["Subject"] == "Re: Conversation with alice.eth"


@pytest.mark.parametrize(
    "native_id", [None, "", "sha256:abc", "<a>\r\nBcc: eve@example.net", "<a b>", "<" + "a" * 500 + ">"]
)
def test_references_that_are_no_message_ids_are_left_out(native_id: str | None) -> None:
    known = None if native_id is None else NativeId(native_id)
    message = rendered(reference=Reference(MessageHash("0x" + "11" * 32), known))
    assert message["In-Reply-To"] is None
    assert message["References"] is None
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("echo: **Hello**\n\nbody", "echo: Hello"),
        ("short", "short"),
        ("\n\n  second line\nthird", "second line"),
        ("**Bold title**\n\ntext", "Bold title"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "\u2026"),
        ("", "Message from alice.eth"),
        (" \n\t\n", "Message from alice.eth"),
        ("\u202eevil", "evil"),
        ("a\rBcc: eve@example.net", "a"),
        ("grüße \U0001f44b", "grüße \U0001f44b"),
        ("\x00\x01\x1b[31m red", "[31m red"),
    ],
)
def test_subjects(text: str, subject: str) -> None:
    assert rendered(text=text)["Subject"] == subject
    assert len(subject) <= MAX_SUBJECT


def test_a_sender_who_was_not_checked_is_shown_as_such() -> None:
    assert rendered(verified=False)["From"] == '"alice.eth (not verified) via DM3" <alice.eth@gw.example>'


def test_names_outside_ascii() -> None:
    message = rendered(sender=normalise("ξένος.eth"))
    (address,) = message["From"].addresses
    assert address.display_name == "ξένος.eth via DM3"
    assert address.addr_spec == address_of(normalise("ξένος.eth"), DOMAIN)
    assert address.addr_spec.isascii()


def test_long_names_have_an_alias() -> None:
    name = EnsName(".".join(["a" * 20] * 4) + ".eth")
    alias = alias_of(name)
    assert alias is not None
    assert alias.startswith("a-")
    assert rendered(sender=name)["From"].addresses[0].username == alias
    assert alias_of(EnsName("alice.eth")) is None


@pytest.mark.parametrize(
    "recipient", ["bob@example.net", "b+o.b@example.net", '"b o b"@example.net', r'"b\"o\\b"@example.net']
)
def test_recipients(recipient: str) -> None:
    (address,) = rendered(recipient=CanonicalId(recipient))["To"].addresses
    assert address.addr_spec == recipient


def test_a_recipient_outside_ascii_needs_smtputf8() -> None:
    mail = render(replace(DELIVERY, recipient=CanonicalId("jörg@example.net")), DOMAIN)
    assert mail.utf8
    assert "To: jörg@example.net\r\n".encode() in mail.content


def test_the_first_mail_says_who_can_read() -> None:
    body = body_of(rendered(first=True))
    assert body.startswith("hello Bob\n\n-- \n")
    assert "not end-to-end encrypted" in body
    assert "not end-to-end" not in body_of(rendered(first=False))


def test_only_automatic_messages_are_marked_so() -> None:
    assert rendered()["Auto-Submitted"] is None
    assert rendered(automatic=True)["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("sent_at", [-1, 0, 253_402_300_799_999, 10**18, -(10**18)])
def test_odd_dates_do_not_stop_a_mail(sent_at: int) -> None:
    assert 1970 <= parsedate_to_datetime(rendered(sent_at=sent_at)["Date"]).year <= 9999


def test_files_and_links() -> None:
    message = rendered(
        attachments=(
            file_attachment("a.png", "image/png", b"\x89PNG"),
            Attachment("https://example.net/b.pdf", "b.pdf"),
            file_attachment("ü\U0001f4a9.txt", "text/plain", "käse".encode()),
            file_attachment("m.eml", "message/rfc822", b"Subject: x\r\n\r\ny"),
            file_attachment("x", "multipart/mixed; boundary=x", b"z"),
        )
    )
    files = [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.iter_attachments()
    ]
    assert files == [
        ("a.png", "image/png", b"\x89PNG"),
        ("ü\U0001f4a9.txt", "text/plain", "käse".encode()),
        ("m.eml", "application/octet-stream", b"Subject: x\r\n\r\ny"),
        ("x", "application/octet-stream", b"z"),
    ]
    assert body_of(message) == "hello Bob\n\nb.pdf: https://example.net/b.pdf\n"


@pytest.mark.parametrize("data", ["data:nonsense", "javascript:alert(1)", "data:text/plain;base64,!!!", ""])
def test_attachments_that_cannot_be_sent(data: str) -> None:
    with pytest.raises(InvalidInput):
        render(replace(DELIVERY, attachments=(Attachment(data, "x"),)), DOMAIN)


def test_attachments_share_one_limit() -> None:
    file = file_attachment("a", "image/png", b"x" * 10_000_000)
    assert render(replace(DELIVERY, attachments=(file,)), DOMAIN).content
    with pytest.raises(InvalidInput, match="too large"):
        render(replace(DELIVERY, attachments=(file, file)), DOMAIN)


def test_a_very_long_text_goes_along_as_a_file() -> None:
    message = rendered(text="ä" * (MAX_TEXT + 1))
    (file,) = message.iter_attachments()
    assert file.get_filename() == "message.txt"
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode() == "ä" * (MAX_TEXT + 1)
    assert "message.txt" in body_of(message)


ENCODED = "=?utf-8?q?=0D=0ABcc:_eve=40example.net?="
HOSTILE = (
    st.text(max_size=80)
    | st.sampled_from(["a\r\nBcc: eve@example.net", "\n.\r\n", "=?utf-8?q?x?=", "\ud800", "\0"])
    | st.lists(st.sampled_from([ENCODED, "=", "=?", "?", "?=", " ", "a", "<", ">", '"', "utf-8?b?DQpYOiB5?="])).map(
        "".join
    )
)
NATIVE_IDS = (HOSTILE | HOSTILE.map(lambda text: f"<{text}>")).map(NativeId)


@pytest.mark.attack(25)
@pytest.mark.parametrize("place", ["text", "attachment", "reference"])
def test_encoded_words_of_a_sender_stay_encoded(place: str) -> None:
    """The standard library decodes them when a header is set, and would write the line ends inside."""
    files = (file_attachment(ENCODED, "text/plain", b"x"),) if place == "attachment" else ()
    reference = Reference(MessageHash("0x" + "11" * 32), NativeId(f"<{ENCODED}>")) if place == "reference" else None
    message = rendered(text=ENCODED if place == "text" else "x", attachments=files, reference=reference)
    assert message["Bcc"] is None
    assert all(part["Bcc"] is None for part in message.walk())
    assert {key.lower() for key in message.keys()} <= EXPECTED_HEADERS | CONTENT_HEADERS  # noqa: SIM118


@pytest.mark.attack(25)
def test_an_address_that_reads_as_an_encoded_word_gets_no_mail() -> None:
    with pytest.raises(InvalidInput, match="address"):
        render(replace(DELIVERY, recipient=CanonicalId("=?utf-8?q?=0d=0abcc=3a_eve?=@example.net")), DOMAIN)


def test_a_header_with_a_line_end_is_never_written() -> None:
    message = EmailMessage(policy=ASCII_HEADERS)
    message["X-Any"] = ENCODED
    with pytest.raises(InvalidInput, match="header"):
        serialise(message)


@pytest.mark.attack(25)
@given(text=HOSTILE, name=HOSTILE, kind=HOSTILE, native_id=NATIVE_IDS, verified=st.booleans(), first=st.booleans())
def test_no_string_of_a_sender_makes_a_header(
    text: str, name: str, kind: str, native_id: NativeId, verified: bool, first: bool
) -> None:
    mail = render(
        replace(
            DELIVERY,
            text=text,
            verified=verified,
            first=first,
            attachments=(file_attachment(name, kind, b"x"), Attachment("https://example.net/", name)),
            reference=Reference(MessageHash("0x" + "11" * 32), native_id),
        ),
        DOMAIN,
    )
    message = parsed(mail)
    allowed = EXPECTED_HEADERS | {"content-type", "in-reply-to", "references"}
    assert {key.lower() for key in message.keys()} <= allowed  # noqa: SIM118
    assert len(message.keys()) == len(set(message.keys()))
    assert message["To"] == "bob@example.net"
    for part in message.iter_attachments():
        assert {key.lower() for key in part.keys()} <= CONTENT_HEADERS | {"content-disposition", "mime-version"}  # noqa: SIM118
    assert mail.content.isascii()
    assert mail.content.count(b"\r") == mail.content.count(b"\n") == mail.content.count(b"\r\n")
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


@given(st.text(max_size=500))
def test_text_arrives_as_it_was_written(text: str) -> None:
    written = "".join(char for char in text if char.isprintable())
    assert body_of(rendered(text=f"|{written}|")).rstrip("\n") == f"|{written}|"


ANSWERED = Reference(MessageHash("0x" + "11" * 32), NativeId("<1@example.net>"))


def in_thread(thread: ThreadMail, **changes: Any) -> EmailMessage:
    made = replace(DELIVERY, **{"reference": replace(ANSWERED, native_id=thread.message_id), **changes})
    return parsed(render(made, DOMAIN, thread=thread))


@pytest.mark.parametrize("subject", ["A question", "Re: A question", "AW: Re: re: A question"])
def test_an_answer_has_the_subject_of_its_thread(subject: str) -> None:
    assert in_thread(ThreadMail(NativeId("<1@x>"), subject))["Subject"] == "Re: A question"


@pytest.mark.parametrize(
    "subject", ["a\r\nBcc: eve@example.net", ENCODED, "x" * 5_000, "\0\u202e", "\ud800", "=?" * 300]
)
def test_subjects_of_strangers_are_one_header(subject: str) -> None:
    message = in_thread(ThreadMail(NativeId("<1@x>"), subject))
    assert message["Bcc"] is None
    assert len(message["Subject"]) <= 800


def test_references_are_whole_however_long_they_are() -> None:
    ids = tuple(NativeId(f"<{number:02d}{'i' * 390}@x>") for number in range(30))
    message = in_thread(ThreadMail(ids[-1], "", ids[:-1]))
    assert message["References"].split() == [ids[0], *ids[-19:]]
    assert message["In-Reply-To"] == ids[-1]


def test_what_is_remembered_of_a_mail() -> None:
    mail = render(replace(DELIVERY, reference=ANSWERED), DOMAIN, thread=ThreadMail(NativeId("<1@x>"), "Hi"))
    assert mail.thread == ThreadMail(mail.message_id, "Re: Hi", (NativeId("<1@x>"),))


def test_a_reaction() -> None:
    message = in_thread(ThreadMail(NativeId("<1@x>"), "Hi"), type=MessageType.REACTION, text="\U0001f44d")
    words, reaction = message.iter_parts()
    assert isinstance(words, EmailMessage)
    assert isinstance(reaction, EmailMessage)
    assert words.get_content().startswith("Reacted with \U0001f44d")
    assert (reaction.get_content_disposition(), reaction.get_content().strip()) == ("reaction", "\U0001f44d")


@pytest.mark.parametrize(("text", "reference"), [("nice", ANSWERED), ("\U0001f44d", None)])
def test_what_is_no_reaction_to_a_mail_is_text(text: str, reference: Reference | None) -> None:
    message = rendered(type=MessageType.REACTION, text=text, reference=reference)
    assert not message.is_multipart()
    assert body_of(message).startswith(f"Reacted with {text}")
