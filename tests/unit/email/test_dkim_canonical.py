"""Canonical forms of DKIM: the standard's examples, a plain second way to write the rules, and time on bombs."""

from __future__ import annotations

import base64
import hashlib
import mmap
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.email.dkim import canonical
from adapters.email.dkim.canonical import (
    BLOCK,
    Form,
    body_hash,
    canonical_body,
    canonical_field,
    signed_header,
    without_signature,
)
from adapters.email.dkim.fields import Field, select, split_content, split_fields, split_mail

MAIL = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"
"""The example of RFC 6376, section 3.4.5."""


def body_of(body: bytes, form: Form) -> bytes:
    return b"".join(canonical_body(body, form))


def test_the_example_of_the_standard_relaxed() -> None:
    head, body = split_mail(MAIL)
    assert [canonical_field(each.raw, Form.RELAXED) for each in split_fields(head)] == [b"a:X", b"b:Y Z"]
    assert body_of(body, Form.RELAXED) == b" C\r\nD E\r\n"


def test_the_example_of_the_standard_simple() -> None:
    head, body = split_mail(MAIL)
    assert [canonical_field(each.raw, Form.SIMPLE) for each in split_fields(head)] == [b"A: X", b"B : Y\t\r\n\tZ  "]
    assert body_of(body, Form.SIMPLE) == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(
    ("form", "algorithm", "digest"),
    [
        # RFC 6376, sections 3.4.3 and 3.4.4.
        (Form.SIMPLE, "sha1", "uoq1oCgLlTqpdDX/iUbLy7J1Wic="),
        (Form.SIMPLE, "sha256", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
        (Form.RELAXED, "sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        (Form.RELAXED, "sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ],
)
def test_the_empty_body(form: Form, algorithm: str, digest: str) -> None:
    assert base64.b64encode(body_hash(b"", form, algorithm=algorithm)[0]).decode() == digest


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"x", b"x\r\n", b"x\r\n"),
        (b"x  ", b"x  \r\n", b"x\r\n"),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b" x\r\n\r\ny\r\n\r\n", b" x\r\n\r\ny\r\n", b" x\r\n\r\ny\r\n"),
        (b"\r\nx", b"\r\nx\r\n", b"\r\nx\r\n"),
        (b"x\r", b"x\r\r\n", b"x\r\r\n"),
        (b"x\n\n", b"x\n\n\r\n", b"x\n\n\r\n"),
        (b"a\t b\r\n", b"a\t b\r\n", b"a b\r\n"),
    ],
)
def test_bodies(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert body_of(body, Form.SIMPLE) == simple
    assert body_of(body, Form.RELAXED) == relaxed


def plainly(body: bytes, form: Form) -> bytes:
    """The rules as the standard words them, with no thought of time."""
    lines = body.split(b"\r\n")
    if form is Form.RELAXED:
        lines = [re.sub(rb"[ \t]+", b" ", line) for line in lines]
        lines = [re.sub(rb" $", b"", line) for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return b"\r\n".join(lines) + b"\r\n" if lines or form is Form.SIMPLE else b""


@given(st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"x", b"yz", b"  \t"]), max_size=60), st.integers(1, 9))
@example([b"x", b" ", b"\r\n", b"\r\n"], 3)
def test_blocks_make_no_difference(pieces: list[bytes], size: int) -> None:
    body = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "BLOCK", size)
        for form in Form:
            assert body_of(body, form) == plainly(body, form)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_have_a_canonical_form(data: bytes, limit: int) -> None:
    head, body = split_mail(data)
    for form in Form:
        whole = body_of(body, form)
        assert body_hash(body, form) == (hashlib.sha256(whole).digest(), len(whole))
        assert body_hash(body, form, limit=limit) == (hashlib.sha256(whole[:limit]).digest(), len(whole))
        for field in split_fields(head):
            once = canonical_field(field.raw, form)
            assert canonical_field(once, form) == once


@pytest.mark.parametrize(
    "body",
    [
        b" " * 14_000_000,
        b"\r\n" * 7_000_000,
        b" \t" * 7_000_000 + b"x",
        (b" " * 16_000 + b"x\r\n") * 875,
        b"x \r\n" * 3_500_000,
        b"a b  c\r\n" * 1_750_000,
        b"\n" * 14_000_000,
    ],
    ids=["blanks", "empty lines", "one long run", "long runs", "blanks at ends", "words", "bare"],
)
def test_large_bodies_take_no_more_than_their_size(body: bytes) -> None:
    for form in Form:
        begin = time.process_time()
        body_hash(body, form)
        # Measured 0.1 to 0.5 s; the square of such a size would be hours.
        assert time.process_time() - begin < 10


def test_relaxed_fields() -> None:
    assert canonical_field(b"SUBJect \t: \t A  \r\n\t b \r\n ", Form.RELAXED) == b"subject:A b"
    assert canonical_field(b"X:", Form.RELAXED) == b"x:"


@pytest.mark.parametrize(
    ("raw", "emptied"),
    [
        (b"DKIM-Signature: v=1; b=abc; bh=def", b"DKIM-Signature: v=1; b=; bh=def"),
        (b"DKIM-Signature: bh=b; b = a\r\n bc=\r\n ", b"DKIM-Signature: bh=b; b ="),
        (b"DKIM-Signature:b=x", b"DKIM-Signature:b="),
        (b"DKIM-Signature: v=1; bb=x", b"DKIM-Signature: v=1; bb=x"),
    ],
)
def test_only_the_signature_itself_is_left_out(raw: bytes, emptied: bytes) -> None:
    assert without_signature(raw) == emptied


def test_what_is_signed() -> None:
    fields = split_fields(b"From: a\r\nTo: b\r\nFROM:  c\r\nX: d")
    chosen = select(fields, ["from", "From", "from", "subject", "x"])
    assert [each.raw for each in chosen] == [b"FROM:  c", b"From: a", b"X: d"]
    signature = b"DKIM-Signature: b=xyz; h=from"
    assert signed_header(chosen, signature, Form.RELAXED) == (b"from:c\r\nfrom:a\r\nx:d\r\ndkim-signature:b=; h=from")


@pytest.mark.parametrize(
    ("data", "head", "body"),
    [
        (b"A: b\r\n\r\nc", b"A: b", b"c"),
        (b"A: b\r\n\r\n", b"A: b", b""),
        (b"A: b\r\n", b"A: b", b""),
        (b"A: b", b"A: b", b""),
        (b"\r\nbody", b"", b"body"),
        (b"", b"", b""),
    ],
)
def test_header_and_body(data: bytes, head: bytes, body: bytes) -> None:
    assert split_mail(data) == (head, body)
    assert split_content(data) == (head, body)
    with mmap.mmap(-1, max(1, len(data))) as mapped:
        mapped[: len(data)] = data
        in_a_file = split_content(mapped)
        assert (in_a_file[0], bytes(in_a_file[1])) == ((head, body) if data else (b"\0", b""))
        del in_a_file  # what is looked at cannot be closed


@pytest.mark.parametrize("form", list(Form))
def test_a_body_in_a_file_has_the_same_hash(form: Form) -> None:
    body = b"a \t b \r\n" * (3 * BLOCK // 7) + b"\r\n\r\n"
    assert body_hash(memoryview(body), form) == body_hash(body, form)


def test_fields_in_order_and_nothing_else() -> None:
    head = b"no field\r\nA: 1\r\n 2\r\nB\t : 3\r\n: 4\r\nA b: 5\r\n\xff: 6\r\nC:"
    assert split_fields(head) == (Field("a", b"A: 1\r\n 2"), Field("b", b"B\t : 3"), Field("c", b"C:"))


@pytest.mark.parametrize("size", [125_000, 672_000, 1_360_000])
def test_folded_headers_take_no_more_than_their_size(size: int) -> None:
    head = b"X: y" + b"\r\n z" * (size // 4)
    begin = time.process_time()
    (field,) = split_fields(head)
    for form in Form:
        canonical_field(field.raw, form)
    without_signature(b"DKIM-Signature: " + b"b=;" * (size // 3))
    assert time.process_time() - begin < 2
    assert len(head) > BLOCK
