"""Bodies out of their transfer encoding (RFC 2045, section 6), in pieces: large files are never whole in memory."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from adapters.email.mime import Part

BASE64: Final = "base64"
_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(byte for byte in range(256) if byte not in _DIGITS)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part that becomes a file: where it stands in its mail, so that it is copied by nobody who does not read it."""

    name: str
    media_type: str
    start: int
    """Where in the mail its body begins, still in its transfer encoding; `end`: behind its last byte."""
    end: int
    encoding: str
    """``base64``, ``quoted-printable``, or anything else for a body that is as it is."""


def file_part(name: str, part: Part) -> FilePart:
    """A part as a file; a nested mail stays as it stands in the mail around it."""
    encoding = "" if part.content_type.startswith("message/") else _encoding(part)
    return FilePart(name, part.content_type, part.start, part.end, encoding)


def file_blocks(file: FilePart, stored: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a file, in pieces; `stored` is what stands at its place in the mail."""
    return _decoded(stored, file.encoding)


def transfer_decode(part: Part) -> bytes:
    """The bytes of a part; what does not decode comes as it is."""
    return b"".join(decoded_blocks(part))


def decoded_blocks(part: Part) -> Iterator[bytes]:
    """The same in pieces."""
    return _decoded(part.blocks(), _encoding(part))


def _encoding(part: Part) -> str:
    return str(part.headers.get("Content-Transfer-Encoding", "")).strip().lower()


def _decoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding == BASE64:
        return read_base64(blocks)
    if encoding == "quoted-printable":
        return read_quoted_printable(blocks)
    return blocks


def read_base64(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Base64 as mail programs read it: foreign characters skipped, missing padding forgiven."""
    kept = b""
    for digits in base64_digits(blocks):
        kept += digits
        whole = len(kept) // 4 * 4
        yield base64.b64decode(kept[:whole])
        kept = kept[whole:]
    if len(kept) > 1:
        yield base64.b64decode(kept + b"=" * (4 - len(kept)))


def base64_digits(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The digits in pieces of any size, up to the padding."""
    for block in blocks:
        digits, padding, _ = block.partition(b"=")
        yield digits.translate(None, delete=_NOT_BASE64)
        if padding:
            return


def read_quoted_printable(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Line by line, wherever the pieces end."""
    line: list[bytes] = []
    for block in blocks:
        whole = block.rfind(b"\n") + 1
        if not whole:
            line.append(block)
            continue
        yield quopri.decodestring(b"".join((*line, block[:whole])))
        line = [block[whole:]]
    yield quopri.decodestring(b"".join(line))
