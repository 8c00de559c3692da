"""Charsets and encoded words: what programs really send, and what must never raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.charsets import decode, decode_words, header_text, known_charset, one_line, plain_text, raw_header
from adapters.email.mime import read_headers


@pytest.mark.parametrize(
    ("data", "claimed", "text"),
    [
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"caf\xe9", "ISO_8859-1", "café"),
        (b"\x93hi\x94", "windows-1252", "“hi”"),
        ("привет".encode("koi8-r"), "KOI8-R", "привет"),
        ("こんにちは".encode("iso-2022-jp"), "iso-2022-jp", "こんにちは"),
        ("你好".encode("gb18030"), "gb18030", "你好"),
        (b"caf\xc3\xa9", "us-ascii", "café"),
        (b"caf\xc3\xa9", None, "café"),
        (b"caf\xe9", None, "café"),
        (b"caf\xe9", "utf-8", "café"),
        (b"caf\xc3\xa9", "x-unknown", "café"),
        (b"caf\xc3\xa9", "", "café"),
        (b"\x81", "utf-8", "\ufffd"),
    ],
)
def test_decode(data: bytes, claimed: str | None, text: str) -> None:
    assert decode(data, claimed) == text


@pytest.mark.parametrize(
    "claimed",
    [
        "hex",
        "base64",
        "zlib",
        "rot13",
        "idna",
        "punycode",
        "unicode_escape",
        "undefined",
        "../../etc",
        "a\0b",
        "x" * 500,
    ],
)
def test_codecs_that_are_no_charsets_are_not_used(claimed: str) -> None:
    assert known_charset(claimed) == "utf-8"
    assert decode(b"\\x41 xn--4141", claimed) == "\\x41 xn--4141"


@given(
    st.binary(max_size=200), st.text(max_size=50) | st.sampled_from(["utf-7", "utf-16", "hz", "iso-2022-kr", "cp037"])
)
def test_decode_never_raises(data: bytes, claimed: str) -> None:
    assert isinstance(decode(data, claimed), str)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("hello", "hello"),
        ("=?utf-8?q?caf=C3=A9?=", "café"),
        ("=?utf-8?B?Y2Fmw6k=?= =?utf-8?B?IG5vaXI=?=", "café noir"),
        ("=?iso-8859-1?q?caf=E9?= and more", "café and more"),
        ("=?no-such?q?caf=C3=A9?=", "café"),
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3Ftwice=3F=3D?=", "=?utf-8?q?twice?="),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        ("=?utf-8?b?not base64!?=", "=?utf-8?b?not base64!?="),
        ("folded\r\n line", "folded line"),
        ("\u202eevil\u200b", "evil"),
    ],
)
def test_encoded_words(raw: str, text: str) -> None:
    assert decode_words(raw, 100) == text


@given(st.text(max_size=300))
def test_words_are_one_line_and_short(raw: str) -> None:
    for text in (decode_words(raw, 50), decode_words(f"=?utf-8?q?{raw}?=", 50), decode_words(f"=?{raw}?b?AAAA?=", 50)):
        assert len(text) <= 50
        assert len(text.splitlines()) <= 1
        text.encode()


@pytest.mark.parametrize(
    ("given_text", "plain"),
    [
        ("a\r\nb\rc\n", "a\nb\nc"),
        ("a\x00b\x1bc", "abc"),
        ("tab\tstays", "tab\tstays"),
        ("e\u0301", "e\u0301"),
        ("\ufeffbom", "bom"),
        ("\ud800x", "?x"),
        ("\n\n a\n\n", " a"),
    ],
)
def test_plain_text(given_text: str, plain: str) -> None:
    assert plain_text(given_text) == plain


@given(st.text())
def test_plain_text_is_clean_and_stable(text: str) -> None:
    once = plain_text(text)
    assert plain_text(once) == once
    assert not {char for char in once if ord(char) < 0x20} - {"\n", "\t"}
    once.encode()


@given(st.text(), st.integers(1, 80))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize("raw", ["café".encode(), "café".encode("cp1252"), b"=?utf-8?q?caf=C3=A9?="])
def test_headers_with_raw_bytes(raw: bytes) -> None:
    headers = read_headers(b"Subject: " + raw + b"\r\n\r\n")
    assert header_text(headers, "subject", 50) == "café"
    assert raw_header(headers, "Absent") == ""
    assert header_text(headers, "Absent", 50) == ""


def test_text_beside_encoded_words_is_kept() -> None:
    assert decode_words("é \u20ac =?utf-8?q?caf=C3=A9?= ü", 50) == "é \u20ac café ü"
