"""The end of a mail's content, dot transparency, and the forms that smuggling uses."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.email.data import DataDecoder

BIG = 10**9


def decode(wire: bytes, *, cut: int = 0, size_limit: int = BIG, line_limit: int = BIG) -> tuple[bytes, DataDecoder]:
    """Feed in blocks of `cut` bytes (0: at once) up to the end."""
    decoder = DataDecoder(size_limit=size_limit, line_limit=line_limit)
    content = b""
    step = cut or len(wire)
    for position in range(0, len(wire), step):
        content += decoder.feed(wire[position : position + step])
        if decoder.rest is not None:
            decoder.rest += wire[position + step :]
            break
    return content, decoder


def stuffed(content: bytes) -> bytes:
    """The sender's side of RFC 5321, section 4.5.2, line by line."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5])
@pytest.mark.parametrize(
    ("wire", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...\r\n.\r\n", b"..\r\n", b""),
        (b".a\r\n.\r\n", b"a\r\n", b""),
        (b"a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n", b""),
        (b"a.\r\n.\r\n", b"a.\r\n", b""),
        (b"a\r\n\r\n.\r\n", b"a\r\n\r\n", b""),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
        (b".\r\nMAIL FROM:<>\r\n", b"", b"MAIL FROM:<>\r\n"),
    ],
)
def test_end_and_dots(wire: bytes, content: bytes, rest: bytes, cut: int) -> None:
    got, decoder = decode(wire, cut=cut)
    assert (got, decoder.rest) == (content, rest)
    assert not decoder.refused
    assert decoder.size == len(content)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    "fake_end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r\r\n.\r\r\n",
        b"\r\n\x00.\r\n",
        b"\n\r\n.\n",
    ],
)
def test_no_smuggling_form_ends_a_mail(fake_end: bytes, cut: int) -> None:
    wire = b"a" + fake_end + b"MAIL FROM:<eve@example.net>\r\n.\r\n"
    _, decoder = decode(wire, cut=cut)
    assert decoder.rest == b""
    assert decoder.bare_line_ends or b"\x00" in fake_end


@pytest.mark.parametrize("cut", [0, 1, 3])
@pytest.mark.parametrize("bare", [b"a\rb", b"a\nb", b"\r", b"\n", b"a\r\r\nb", b"a\n\r\nb", b"a\r\n\n"])
def test_bare_line_ends_are_noticed(bare: bytes, cut: int) -> None:
    content, decoder = decode(bare + b"\r\n.\r\n", cut=cut)
    assert decoder.bare_line_ends
    assert decoder.refused
    assert decoder.rest == b""
    assert len(content) <= len(bare)


LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\r", b".").replace(b"\n", b".")), max_size=20)


@given(lines=LINES, cut=st.integers(1, 40), rest=st.binary(max_size=20))
def test_any_lines_come_back_however_they_are_cut(lines: list[bytes], cut: int, rest: bytes) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    got, decoder = decode(stuffed(content) + rest, cut=cut)
    assert got == content
    assert decoder.rest == rest
    assert not decoder.refused


@given(wire=st.binary(max_size=200), cut=st.integers(1, 30))
def test_blocks_do_not_change_what_is_found(wire: bytes, cut: int) -> None:
    at_once, one = decode(wire + b"\r\n.\r\n")
    in_blocks, other = decode(wire + b"\r\n.\r\n", cut=cut)
    assert one.bare_line_ends == other.bare_line_ends
    if not one.bare_line_ends:
        assert (at_once, one.rest, one.size) == (in_blocks, other.rest, other.size)


@pytest.mark.parametrize("cut", [0, 1, 10])
def test_size_limit_counts_content_and_keeps_nothing_beyond(cut: int) -> None:
    _, fits = decode(b"x" * 98 + b"\r\n.\r\n", cut=cut, size_limit=100)
    assert not fits.too_big
    content, beyond = decode(b"x" * 1000 + b"\r\n.\r\nQUIT\r\n", cut=cut, size_limit=100)
    assert beyond.too_big
    assert len(content) <= 100
    assert beyond.rest == b"QUIT\r\n"


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize(
    ("wire", "too_long"),
    [
        (b"x" * 50 + b"\r\n.\r\n", False),
        (b"x" * 51 + b"\r\n.\r\n", True),
        (b"x\r\n" * 100 + b".\r\n", False),
        (b"x\r\n" * 100 + b"y" * 51 + b"\r\n.\r\n", True),
        (b"y" * 51 + b"\r\n" + b"x\r\n" * 100 + b".\r\n", True),
        ((b"y" * 50 + b"\r\n") * 20 + b".\r\n", False),
        ((b"y" * 30 + b"\r\n") * 5 + b"z" * 51 + b"\r\n" + b"y\r\n.\r\n", True),
    ],
)
def test_line_limit(wire: bytes, too_long: bool, cut: int) -> None:
    _, decoder = decode(wire, cut=cut, line_limit=50)
    assert decoder.line_too_long is too_long


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b".", b"\x0b", b"\x1c", b"\x85"]), max_size=12))
def test_bare_line_ends_are_those_without_their_other_half(pieces: list[bytes]) -> None:
    text = b"".join(pieces) + b"\r\n"
    assume(b"\r\n.\r\n" not in b"\r\n" + text)
    pairs = text.count(b"\r\n")
    decoder = DataDecoder(size_limit=BIG, line_limit=BIG)
    decoder.feed(text + b"a")
    assert decoder.bare_line_ends is (text.count(b"\r") != pairs or text.count(b"\n") != pairs)


@given(
    width=st.integers(0, 6),
    count=st.integers(1, 8),
    at=st.integers(0, 60),
    put=st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b""]),
    cut=st.integers(1, 30),
)
def test_bare_line_ends_are_noticed_among_lines_of_one_length(
    width: int, count: int, at: int, put: bytes, cut: int
) -> None:
    lines = (b"a" * width + b"\r\n") * count
    content = lines[:at] + put + lines[at:]
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", content) is not None
    _, decoder = decode(content + b"\r\n.\r\n", cut=cut)
    assert decoder.bare_line_ends is bare
