"""Attachments of messages: files as data URIs, links, safe names, and what is refused."""

from __future__ import annotations

import base64
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdk import (
    Attachment,
    FileContent,
    InvalidInput,
    Link,
    attachment_content,
    encoded_attachment,
    file_attachment,
)
from gateway.sdk.attachments import MAX_FILE_NAME, content_size, safe_file_name

PLENTY = 1_000_000
B64 = base64.b64encode(b"hello").decode()


@given(data=st.binary(max_size=5000), name=st.text(max_size=300))
def test_a_file_comes_back_as_it_was(data: bytes, name: str) -> None:
    content = attachment_content(file_attachment(name, "image/png", data), max_bytes=PLENTY)
    assert content == FileContent(safe_file_name(name), "image/png", data)


@given(data=st.binary(max_size=300), size=st.integers(1, 50), padded=st.booleans())
def test_what_is_in_base64_already_stays_in_it(data: bytes, size: int, padded: bool) -> None:
    digits = base64.b64encode(data).decode()
    digits = digits if padded else digits.rstrip("=")
    pieces = [digits[begin : begin + size] for begin in range(0, len(digits), size)]
    assert encoded_attachment("f", "image/png", pieces) == file_attachment("f", "image/png", data)


def test_a_digit_too_many_is_left_out() -> None:
    assert encoded_attachment("f", "image/png", ("QU", "JDR")) == file_attachment("f", "image/png", b"ABC")


@pytest.mark.parametrize(
    ("uri", "media_type", "data"),
    [
        (f"data:text/plain;base64,{B64}", "text/plain", b"hello"),
        (f"data:text/plain;charset=utf-8;BASE64,{B64}", "text/plain", b"hello"),
        (f"DATA:Image/PNG;base64,{B64}", "image/png", b"hello"),
        ("data:,hello%20world", "text/plain", b"hello world"),
        ("data:text/html,<b>,</b>", "text/html", b"<b>,</b>"),
        ("data:;base64,", "text/plain", b""),
        (f"data:no type;base64,{B64}", "application/octet-stream", b"hello"),
        (f"data:text/plain\r\nX: y;base64,{B64}", "application/octet-stream", b"hello"),
    ],
)
def test_spellings_of_data_uris(uri: str, media_type: str, data: bytes) -> None:
    assert attachment_content(Attachment(uri, "f"), max_bytes=PLENTY) == FileContent("f", media_type, data)


@pytest.mark.parametrize("url", ["https://example.net/a?b=c", "http://example.net", "HTTPS://example.net/"])
def test_links_stay_links(url: str) -> None:
    assert attachment_content(Attachment(url, "file.pdf"), max_bytes=0) == Link("file.pdf", url)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "javascript:alert(1)",
        "ftp://example.net/a",
        "file:///etc/passwd",
        "ipfs://bafy",
        "https://example.net/a b",
        "https://example.net/\r\nX: y",
        "https://example.net/" + "a" * 5000,
        "data:text/plain;base64",
        "data:text/plain;base64,hello",
        "data:text/plain;base64,he!!o===",
        "data:text/plain;base64,\u00e4\u00f6",
    ],
)
def test_what_is_no_attachment(data: str) -> None:
    with pytest.raises(InvalidInput):
        attachment_content(Attachment(data), max_bytes=PLENTY)


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_sizes_within_the_limit(size: int) -> None:
    content = attachment_content(file_attachment("f", "image/png", b"x" * size), max_bytes=1000)
    assert isinstance(content, FileContent)
    assert len(content.data) == size


@pytest.mark.parametrize("size", [1001, 5000, 100_000])
def test_sizes_beyond_the_limit(size: int) -> None:
    for uri in (file_attachment("f", "image/png", b"x" * size).data, "data:," + "x" * size):
        with pytest.raises(InvalidInput, match="too large"):
            attachment_content(Attachment(uri), max_bytes=1000)


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x.exe", "C:_Windows_x.exe"),
        ("a\r\nX-Header: y", "a__X-Header: y"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("a\u200bb", "a_b"),
        ("nul\x00l", "nul_l"),
        ("...", "file"),
        (". .", "file"),
        ("", "file"),
        (None, "file"),
        ("\ud800", "_"),
    ],
)
def test_safe_names(given_name: str | None, safe: str) -> None:
    assert safe_file_name(given_name) == safe


@given(st.text())
def test_names_hold_nothing_that_harms(name: str) -> None:
    safe = safe_file_name(name)
    assert 1 <= len(safe) <= MAX_FILE_NAME
    assert not set(safe) & set("/\\\r\n\0")
    assert safe.strip(".") != ""
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in safe)


@given(st.text(max_size=200))
def test_any_string_is_content_or_refused(data: str) -> None:
    for text in (data, f"data:{data}", f"data:;base64,{data}", f"https://{data}"):
        try:
            content = attachment_content(Attachment(text), max_bytes=100)
        except InvalidInput:
            continue
        assert isinstance(content, FileContent | Link)


def test_a_type_that_is_none_is_not_passed_on() -> None:
    assert file_attachment("f", "text/plain\r\nX: y", b"").data.startswith("data:application/octet-stream;base64,")


@given(st.binary(max_size=200))
def test_the_size_is_that_of_the_content(data: bytes) -> None:
    assert content_size(file_attachment("a", "text/plain", data)) == len(data)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("data:,a%20b", 3),
        ("DATA:text/plain;BASE64,aGk=", 2),
        ("data:text/plain;charset=utf-8;base64,aGk", 2),
        ("data:text/plain;charset=utf-8,%C3%A4", 2),
        ("data:", 0),
        ("https://example.org/a.txt", 0),
        ("", 0),
    ],
)
def test_the_size_of_other_spellings(text: str, size: int) -> None:
    assert content_size(Attachment(text)) == size
