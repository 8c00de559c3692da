"""Which parts of a mail become its text and which its files."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.body import MAX_TEXT_BYTES, read_body
from adapters.email.mime import BLOCK, body_blocks, leaves
from adapters.email.transfer import decoded_blocks, file_blocks, read_base64, read_quoted_printable, transfer_decode
from gateway.sdk import FileContent, attachment_content, file_attachment
from tests.unit.email.test_mime import multipart

THUMB = "\N{THUMBS UP SIGN}"
PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\nplain"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>rich <b>text</b></p>"
EMPTY = b"Content-Type: text/plain\r\n\r\n \r\n"
PNG = (
    b'Content-Type: image/png; name="a.png"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <1@x>\r\n'
    b"Content-Disposition: inline\r\n\r\n" + base64.b64encode(b"\x89PNG")
)


def text_and_files(data: bytes) -> tuple[str, list[FileContent]]:
    body = read_body(leaves(data))
    attachments = [
        file_attachment(
            each.name, each.media_type, b"".join(file_blocks(each, body_blocks(data, each.start, each.end)))
        )
        for each in body.files
    ]
    files = [attachment_content(each, max_bytes=10**7) for each in attachments]
    assert all(isinstance(each, FileContent) for each in files)
    return body.text, [each for each in files if isinstance(each, FileContent)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (PLAIN, "plain"),
        (HTML, "rich **text**"),
        (multipart("alternative", "b", PLAIN, HTML), "plain"),
        (multipart("alternative", "b", HTML, PLAIN), "plain"),
        (multipart("alternative", "b", EMPTY, HTML), "rich **text**"),
        (multipart("mixed", "b", PLAIN, HTML), "plain\n\nrich **text**"),
        (multipart("mixed", "o", multipart("alternative", "i", PLAIN, HTML), PLAIN), "plain\n\nplain"),
        (multipart("alternative", "o", PLAIN, multipart("related", "i", HTML)), "plain"),
        (multipart("alternative", "o", multipart("related", "i", HTML)), "rich **text**"),
        (
            multipart("mixed", "o", multipart("alternative", "i", PLAIN, HTML), multipart("alternative", "j", HTML)),
            "plain\n\nrich **text**",
        ),
        (b"\r\n", ""),
        (b"Content-Type: nonsense\r\n\r\nstill text", "still text"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9", "café"),
        (b"Content-Type: text/plain; charset*=utf-8''us-ascii\r\n\r\nx", "x"),
        (b"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 =\r\nnoir", "café noir"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nY2Fm\r\nw6k", "café"),
        (b"Content-Transfer-Encoding: x-unknown\r\n\r\nas it is", "as it is"),
    ],
)
def test_the_text(data: bytes, text: str) -> None:
    assert text_and_files(data) == (text, [])


def test_inline_images_are_files() -> None:
    data = multipart("related", "o", multipart("alternative", "i", PLAIN, HTML), PNG)
    assert text_and_files(data) == ("plain", [FileContent("a.png", "image/png", b"\x89PNG")])


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"Content-Type: application/pdf; name=a.pdf", "a.pdf", "application/pdf"),
        (b"Content-Disposition: attachment; filename=a.txt", "a.txt", "text/plain"),
        (b"Content-Disposition: attachment", "part-1.txt", "text/plain"),
        (b'Content-Disposition: attachment; filename="=?utf-8?q?caf=C3=A9.txt?="', "café.txt", "text/plain"),
        (b"Content-Disposition: attachment; filename*=utf-8''caf%C3%A9.txt", "café.txt", "text/plain"),
        (b'Content-Disposition: attachment; filename*0="a"; filename*1="b.txt"', "ab.txt", "text/plain"),
        (b'Content-Disposition: attachment; filename="../../etc/passwd"', "_.._etc_passwd", "text/plain"),
        (b'Content-Disposition: attachment; filename="\xe2\x80\xaegnp.exe"', "gnp.exe", "text/plain"),
        (b"Content-Type: text/calendar; method=REQUEST", "invitation-1.ics", "text/calendar"),
        (b"Content-Type: application/x-nothing-known", "part-1.bin", "application/x-nothing-known"),
        (b"Content-Type: message/rfc822", "message-1.eml", "message/rfc822"),
        (b"Content-Type: application/pkcs7-mime; name=smime.p7m", "smime.p7m", "application/pkcs7-mime"),
    ],
)
def test_files_and_their_names(head: bytes, name: str, kind: str) -> None:
    text, files = text_and_files(head + b"\r\n\r\ncontent")
    assert (text, files) == ("", [FileContent(name, kind, b"content")])


def test_a_nested_mail_is_kept_whole() -> None:
    inner = b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x--\r\n"
    data = multipart(
        "mixed", "o", PLAIN, b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + inner
    )
    text, (file,) = text_and_files(data)
    assert text == "plain"
    assert file.data == inner
    assert file.name.endswith(".eml")


def test_a_calendar_in_an_alternative_is_kept() -> None:
    calendar = b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR"
    text, files = text_and_files(multipart("alternative", "b", PLAIN, HTML, calendar))
    assert text == "plain"
    assert [file.media_type for file in files] == ["text/calendar"]


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVsbG8", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b" a G V s b G 8 = ", b"hello"),
        (b"aGVs!!bG8=", b"hello"),
        (b"aGVsbG8=trailing", b"hello"),
        (b"aGVsb", b"hel"),
        (b"", b""),
        (b"=", b""),
        (b"!!!", b""),
    ],
)
def test_base64_as_programs_write_it(encoded: bytes, decoded: bytes) -> None:
    (part,) = leaves(b"Content-Transfer-Encoding: BASE64\r\n\r\n" + encoded)
    assert transfer_decode(part) == decoded


@given(st.binary(max_size=500))
def test_base64_comes_back(data: bytes) -> None:
    (part,) = leaves(b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data))
    assert transfer_decode(part) == data


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_large_files_come_in_pieces(encoding: str) -> None:
    data = bytes(range(256)) * 2_000 + b"end"
    encoded = {
        "base64": base64.encodebytes(data),
        "quoted-printable": quopri.encodestring(data),
        "8bit": data,
    }[encoding]
    (part,) = leaves(f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + encoded)
    pieces = list(decoded_blocks(part))
    assert b"".join(pieces) == data
    assert len(pieces) > 2
    assert max(map(len, pieces)) <= BLOCK + 1_000


@given(st.binary(max_size=300), st.integers(1, 40), st.sampled_from(["base64", "quoted-printable"]))
def test_where_pieces_end_does_not_matter(content: bytes, size: int, encoding: str) -> None:
    (part,) = leaves(f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + content)
    pieces = [content[begin : begin + size] for begin in range(0, len(content), size)]
    read = {"base64": read_base64, "quoted-printable": read_quoted_printable}[encoding]
    assert b"".join(read(iter(pieces))) == transfer_decode(part)


def test_text_that_is_too_long_is_a_file() -> None:
    text, (file,) = text_and_files(multipart("mixed", "b", PLAIN, b"\r\n" + b"x" * (MAX_TEXT_BYTES + 1)))
    assert text == "plain"
    assert (file.name, file.media_type, len(file.data)) == ("part-2.txt", "text/plain", MAX_TEXT_BYTES + 1)


FLOWED = b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n\r\nlong \r\n line"


def test_flowed_text_is_joined() -> None:
    assert text_and_files(FLOWED) == ("longline", [])
    assert text_and_files(FLOWED.replace(b"; delsp=yes", b"; DelSp=no"))[0] == "long line"
    assert text_and_files(FLOWED.replace(b"format=flowed", b"Format=Flowed"))[0] == "longline"
    assert text_and_files(FLOWED.replace(b"format=flowed", b"format=fixed"))[0] == "long \n line"


REACTION = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: reaction\r\n\r\n" + THUMB.encode() + b"\r\n"
)
GMAIL = b"Content-Type: text/vnd.google.email-reaction+json; charset=utf-8\r\n\r\n" + (
    b'{"emoji": "' + THUMB.encode() + b'", "version": 1}'
)


@pytest.mark.parametrize(
    ("data", "reaction", "text"),
    [
        (REACTION, THUMB, ""),
        (multipart("alternative", "b", PLAIN, REACTION), THUMB, ""),
        (multipart("alternative", "b", PLAIN, GMAIL, HTML), THUMB, ""),
        (multipart("mixed", "b", PLAIN, REACTION), THUMB, "plain"),
        (REACTION.replace(THUMB.encode(), b"words"), None, "words"),
        (REACTION.replace(b"reaction", b"inline"), None, THUMB),
    ],
)
def test_reactions(data: bytes, reaction: str | None, text: str) -> None:
    body = read_body(leaves(data))
    assert (body.reaction, body.text, body.files) == (reaction, text, ())


HEADS = st.sampled_from(
    [
        b"Content-Type: text/html",
        b"Content-Type: text/plain; charset=",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: attachment; filename*=",
        b"Content-Disposition: attachment; filename*0*=utf-8'",
        b"Content-Type: image/png; name=",
    ]
)


@given(st.lists(HEADS, max_size=3), st.binary(max_size=100), st.binary(max_size=200))
def test_any_part_has_a_body(heads: list[bytes], tail: bytes, content: bytes) -> None:
    head = b"\r\n".join(heads) + tail.replace(b"\n", b" ").replace(b"\r", b" ")
    body = read_body(leaves(head + b"\r\n\r\n" + content))
    assert isinstance(body.text, str)
    body.text.encode()


def test_many_parts_of_html_share_the_room_of_one() -> None:
    html = b"Content-Type: text/html\r\n\r\n" + b"<p>a <b>word</b></p>" * 2_500
    text, files = text_and_files(multipart("mixed", "b", *[html] * 8))
    assert files == []
    assert text.count("**word**") == 4 * 2_500
    assert text.count("word") == 8 * 2_500
