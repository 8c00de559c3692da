"""MIME parts: trees, odd delimiters, and bombs that must end quickly in one named refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.mime import MAX_DEPTH, MAX_HEADER_BYTES, MAX_PARTS, Part, leaves, read_headers
from adapters.email.replies import BAD_STRUCTURE, MailRefused


def multipart(kind: str, boundary: str, *parts: bytes) -> bytes:
    """A multipart with its header."""
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return (
        head
        + b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
        + f"--{boundary}--\r\n".encode()
    )


def bodies(data: bytes) -> list[bytes]:
    return [part.body for part in leaves(data)]


def test_a_mail_without_parts_is_one_leaf() -> None:
    (part,) = leaves(b"Subject: x\r\n\r\nhello\r\n")
    assert (part.content_type, part.body, part.path) == ("text/plain", b"hello\r\n", ())


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\nbody", b"body"),
        (b"\nbody", b"body"),
        (b"Subject: x", b""),
        (b"Subject: x\r\n", b""),
        (b"Subject: x\n\nbody", b"body"),
        (b"no header at all\r\n\r\nbody", b"body"),
    ],
)
def test_where_the_body_begins(data: bytes, body: bytes) -> None:
    assert bodies(data) == [body]


def test_a_tree() -> None:
    data = multipart(
        "mixed",
        "out",
        multipart("alternative", "in", b"Content-Type: text/plain\r\n\r\nplain", b"Content-Type: text/html\r\n\r\n<p>"),
        b"Content-Type: image/png\r\n\r\nPNG",
    )
    parts = leaves(data)
    assert [(part.content_type, part.body) for part in parts] == [
        ("text/plain", b"plain"),
        ("text/html", b"<p>"),
        ("image/png", b"PNG"),
    ]
    assert [part.path for part in parts] == [("multipart/mixed", "multipart/alternative")] * 2 + [("multipart/mixed",)]
    assert [part.siblings for part in parts] == [(0, 0), (0, 1), (1,)]


HEAD = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", [b"one", b"two"]),
        (b"preamble\r\n--b\r\n\r\none\r\n--b--\r\nepilogue", [b"one"]),
        (b"--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"]),
        (b"--b  \t\r\n\r\none\r\n--b--", [b"one"]),
        (b"--b\r\n\r\none", [b"one"]),
        (b"--b\r\n\r\none\r\n--b", [b"one", b""]),
        (b"--b\r\n--b\r\n--b--", [b"", b""]),
        (b"--b\r\n\r\nx--b\r\n--bb\r\n --b\r\n--b--", [b"x--b\r\n--bb\r\n --b"]),
        (b"--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\nlate\r\n--b--", [b"one"]),
        (b"--b" + b" " * 100 + b"\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--", [b"two"]),
    ],
)
def test_delimiters(content: bytes, found: list[bytes]) -> None:
    assert bodies(HEAD + content) == found


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: multipart/mixed\r\n\r\n",
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n',
        b"Content-Type: multipart/mixed; boundary=" + b"b" * 300 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary*=x'y\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary*0*=no-such-charset''b%\r\n\r\n",
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nno delimiter in here\r\n',
    ],
)
def test_a_multipart_without_parts_is_a_leaf(head: bytes) -> None:
    (part,) = leaves(head + b"--c\r\n\r\none\r\n--c--\r\n")
    assert part.body.endswith(b"--c--\r\n")


def test_a_boundary_in_several_pieces_is_read() -> None:
    head = b"Content-Type: multipart/mixed; boundary*0=ab; boundary*1=cd\r\n\r\n"
    assert bodies(head + b"--abcd\r\n\r\none\r\n--abcd--") == [b"one"]


def nested(depth: int) -> bytes:
    data = b"\r\ncore"
    for level in range(depth):
        data = multipart("mixed", f"b{level}", data)
    return data


def test_depth_has_a_bound() -> None:
    assert bodies(nested(MAX_DEPTH)) == [b"core"]
    with pytest.raises(MailRefused) as refusal:
        leaves(nested(MAX_DEPTH + 1))
    assert refusal.value.reply == BAD_STRUCTURE


def test_the_number_of_parts_has_a_bound() -> None:
    fits = multipart("mixed", "b", *[b"\r\nx"] * (MAX_PARTS - 1))
    assert len(leaves(fits)) == MAX_PARTS - 1
    for count in (MAX_PARTS, 20_000):
        with pytest.raises(MailRefused):
            leaves(multipart("mixed", "b", *[b"\r\nx"] * count))


BOMBS = {
    "folded header": b"X: " + b"\r\n y" * 20_000 + b"\r\n\r\nbody",
    "one long header": b"X: " + b"y" * (MAX_HEADER_BYTES + 1) + b"\r\n\r\nbody",
    "many headers": b"".join(b"X-%d: y\r\n" % number for number in range(1_500)) + b"\r\nbody",
    "header without end": b"X: y\r\n" * 20_000,
    "long boundary lines": HEAD + b"--b \r" * 200_000,
    "half delimiters": HEAD + b"\r\n--bx" * 100_000,
    "deep": nested(2_000),
    "many parts": multipart("mixed", "b", *[b"\r\n"] * 30_000),
    "headers of parts": multipart("mixed", "b", *[b"X: " + b"y" * 60_000 + b"\r\n\r\n"] * 10),
    "same boundary again": HEAD + (b"--b\r\n" + HEAD) * 5_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused(bomb: str) -> None:
    with pytest.raises(MailRefused) as refusal:
        leaves(BOMBS[bomb])
    assert refusal.value.reply == BAD_STRUCTURE


def test_large_content_is_no_bomb() -> None:
    attachment = b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 19 * 50_000
    parts = leaves(multipart("mixed", "b", b"\r\ntext", attachment))
    assert len(parts) == 2


@given(st.binary(max_size=400))
def test_any_bytes_are_parts_or_refused(data: bytes) -> None:
    for mail in (data, HEAD + data, HEAD + b"--b\r\n" + data + b"\r\n--b--"):
        try:
            parts = leaves(mail)
        except MailRefused:
            continue
        assert all(isinstance(part, Part) for part in parts)
        assert sum(len(part.body) for part in parts) <= len(mail)


@given(st.lists(st.binary(max_size=50).filter(lambda body: b"--" not in body), min_size=1, max_size=10))
def test_bodies_come_back(contents: list[bytes]) -> None:
    assert bodies(multipart("mixed", "out", *[b"\r\n" + body for body in contents])) == contents


def test_read_headers_reads_no_further() -> None:
    assert read_headers(b"Subject: a\r\n\r\nSubject: b\r\n")["Subject"] == "a"
