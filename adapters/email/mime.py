"""The parts of a MIME message (RFC 2046), found with bounds on everything before anything is decoded.

The parser of the standard library takes seconds for messages of many parts and recurses as deep as they nest, so
only header blocks, which are small here, are given to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import UndecodableBytesDefect
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from mmap import mmap
from typing import Final

from adapters.email import replies
from adapters.email.charsets import decode
from adapters.email.replies import MailRefused

MAX_HEADER_BYTES: Final = 64 * 1024
"""Of the message itself."""
MAX_PART_HEADER_BYTES: Final = 256 * 1024
"""Of all parts together."""
MAX_HEADERS: Final = 1_000
"""Header fields of the message, and of each part."""
MAX_CONTENT_FIELD: Final = 4 * 1024
"""Characters of one Content-* field; a long file name in the form of RFC 2231 takes half of it."""
MAX_PARAMETERS: Final = 100
"""Semicolons in such a field: the standard library takes time by the square of them."""
MAX_PARTS: Final = 1_000
MAX_DEPTH: Final = 50
MAX_BOUNDARY: Final = 256
"""RFC 2046 says 70; some programs take more."""
_MAX_CANDIDATES: Final = 20_000
"""Places where a boundary is looked at closely."""

BLOCK: Final = 96 * 1024
"""Bytes of a body that are looked at together; a multiple of 3 and of 4."""

Content = bytes | mmap
"""A whole mail, in memory or in its file."""

_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_PARSER: Final = HeaderParser(policy=compat32)


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the tree of parts."""

    headers: Message
    source: Content = field(repr=False)
    start: int
    """Where in the mail its body begins, still in its transfer encoding; `end`: behind its last byte."""
    end: int
    path: tuple[str, ...]
    """Types of the multiparts around it, outermost first: ``("multipart/mixed", "multipart/alternative")``."""
    siblings: tuple[int, ...]
    """For each multipart around it, which of its parts we are in."""

    @property
    def content_type(self) -> str:
        """Lower-case type; text/plain when there is none or it is malformed (RFC 2045, section 5.2)."""
        return self.headers.get_content_type()

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.end - self.start

    @property
    def body(self) -> bytes:
        """A copy of the body."""
        return self.source[self.start : self.end]

    def blocks(self) -> Iterator[bytes]:
        """The body piece by piece: a large file is never in memory as a whole."""
        return body_blocks(self.source, self.start, self.end)


def body_blocks(data: Content, start: int, end: int) -> Iterator[bytes]:
    """What stands between two places of a mail, piece by piece."""
    for begin in range(start, end, BLOCK):
        yield data[begin : min(begin + BLOCK, end)]


@dataclass(slots=True)
class _Budget:
    parts: int = MAX_PARTS
    header_bytes: int = MAX_PART_HEADER_BYTES
    candidates: int = _MAX_CANDIDATES


def read_headers(data: Content) -> Message:
    """The header block of a whole mail; raises MailRefused when it is larger than MAX_HEADER_BYTES or MAX_HEADERS."""
    return _headers(data, *_header_block(data, 0, len(data), MAX_HEADER_BYTES)[:2])


def body_start(data: Content) -> int:
    """Where the body of a whole mail begins; raises MailRefused as `read_headers` does."""
    return _header_block(data, 0, len(data), MAX_HEADER_BYTES)[2]


def leaves(data: Content) -> tuple[Part, ...]:
    """Every part that is no multipart, in order; an ordinary mail has one. Raises MailRefused beyond the bounds."""
    return tuple(_walk(data, 0, len(data), (), (), _Budget(), MAX_HEADER_BYTES))


def _walk(
    data: Content,
    start: int,
    end: int,
    path: tuple[str, ...],
    siblings: tuple[int, ...],
    budget: _Budget,
    header_limit: int,
) -> Iterator[Part]:
    budget.parts -= 1
    if budget.parts < 0 or len(path) > MAX_DEPTH:
        raise MailRefused(replies.BAD_STRUCTURE)
    head_start, head_end, body = _header_block(data, start, end, header_limit)
    if path:
        budget.header_bytes -= head_end - head_start
    headers = _headers(data, head_start, head_end)
    boundary = _boundary(headers) if headers.get_content_maintype() == "multipart" else None
    spans = _split(data, body, end, boundary, budget) if boundary else []
    if not spans:
        yield Part(headers, data, body, end, path, siblings)
        return
    inner = (*path, headers.get_content_type())
    for number, (part_start, part_end) in enumerate(spans):
        limit = min(MAX_HEADER_BYTES, budget.header_bytes)
        yield from _walk(data, part_start, part_end, inner, (*siblings, number), budget, limit)


def _header_block(data: Content, start: int, end: int, limit: int) -> tuple[int, int, int]:
    """Start and end of the header block that begins at `start`, and where the body begins."""
    for empty in (b"\r\n", b"\n"):
        if data[start : min(start + len(empty), end)] == empty:
            return start, start, start + len(empty)
    found = _HEADER_END.search(data, start, min(end, start + limit + 4))
    head_end, body = (found.start(), found.end()) if found else (end, end)
    if head_end - start > limit:
        raise MailRefused(replies.BAD_STRUCTURE)
    return start, head_end, body


def _headers(data: Content, start: int, end: int) -> Message:
    block = data[start:end]
    if block.count(b"\n") > 4 * MAX_HEADERS:
        raise MailRefused(replies.BAD_STRUCTURE)
    headers = _PARSER.parsestr(decode(block, None))
    if not _is_utf8(block):
        # Readers of addresses must not take our guess at a charset for what was written (RFC 6532).
        headers.defects.append(UndecodableBytesDefect())
    if len(headers) > MAX_HEADERS or any(_is_overlong(name, str(value)) for name, value in headers.raw_items()):
        raise MailRefused(replies.BAD_STRUCTURE)
    return headers


def _is_overlong(name: str, value: str) -> bool:
    if not name.lower().startswith("content-"):
        return False
    return len(value) > MAX_CONTENT_FIELD or value.count(";") > MAX_PARAMETERS


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _boundary(headers: Message) -> bytes | None:
    try:
        boundary = headers.get_boundary()
        encoded = (boundary or "").encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        # What the standard library raises on malformed RFC 2231 parameters; such a part is a leaf.
        return None
    return encoded if 1 <= len(encoded) <= MAX_BOUNDARY and b"\n" not in encoded else None


def _split(data: Content, start: int, end: int, boundary: bytes, budget: _Budget) -> list[tuple[int, int]]:
    """Where the parts between the delimiter lines are; preamble and epilogue belong to nobody."""
    delimiter = b"--" + boundary
    spans: list[tuple[int, int]] = []
    begin: int | None = None
    position = _find(data, delimiter, start, end)
    while position >= 0:
        budget.candidates -= 1
        if budget.candidates < 0:
            raise MailRefused(replies.BAD_STRUCTURE)
        line_end, last = _delimiter_line(data, start, position, position + len(delimiter), end)
        if line_end is not None:
            if begin is not None:
                spans.append((begin, max(begin, _line_before(data, position))))
                if len(spans) > MAX_PARTS:
                    raise MailRefused(replies.BAD_STRUCTURE)
            begin = None if last else line_end
            if last:
                return spans
        position = _find(data, delimiter, position + len(delimiter) if line_end is None else line_end, end)
    if begin is not None:
        spans.append((begin, end))
    return spans


def _find(data: Content, delimiter: bytes, start: int, end: int) -> int:
    """As `find`. Files in base64 have no hyphens, and looking for one byte is ten times as quick."""
    while (hyphen := data.find(b"-", start, end)) >= 0:
        near = min(hyphen + BLOCK, end)
        found = data.find(delimiter, hyphen, near)
        if found >= 0:
            return found
        start = max(hyphen + 1, near - len(delimiter) + 1)
    return -1


def _delimiter_line(data: Content, start: int, position: int, after: int, end: int) -> tuple[int | None, bool]:
    """Where the line behind a delimiter begins, and whether it is the closing one; None when it is none at all."""
    if position != start and data[position - 1 : position] != b"\n":
        return None, False
    last = data[after : min(after + 2, end)] == b"--"
    after += 2 if last else 0
    # RFC 2046 lets blanks follow; more than a handful is no delimiter line.
    line_end = data.find(b"\n", after, min(end, after + 80))
    if line_end < 0 and end - after > 78:
        return None, False
    tail = data[after : line_end if line_end >= 0 else end]
    if tail.strip(b" \t\r"):
        return None, False
    return (end if line_end < 0 else line_end + 1), last


def _line_before(data: Content, position: int) -> int:
    """The line end in front of a delimiter is part of the delimiter."""
    if data[max(position - 2, 0) : position] == b"\r\n":
        return position - 2
    return position - 1
