"""Bodies out of their transfer encoding (RFC 2045, section 6), in pieces: large files are never whole in memory."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from adapters.email.mime import Part

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(byte for byte in range(256) if byte not in _BASE64)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part that becomes a file."""

    name: str
    media_type: str
    part: Part

    def blocks(self) -> Iterator[bytes]:
        """Its bytes; a nested mail as it stands in the mail around it."""
        if self.media_type.startswith("message/"):
            return self.part.blocks()
        return decoded_blocks(self.part)


def transfer_decode(part: Part) -> bytes:
    """The bytes of a part; what does not decode comes as it is."""
    return b"".join(decoded_blocks(part))


def decoded_blocks(part: Part) -> Iterator[bytes]:
    """The same in pieces."""
    encoding = str(part.headers.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding == "base64":
        return read_base64(part.blocks())
    if encoding == "quoted-printable":
        return read_quoted_printable(part.blocks())
    return part.blocks()


def read_base64(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Base64 as mail programs read it: foreign characters skipped, missing padding forgiven."""
    kept = b""
    for block in blocks:
        digits, padding, _ = block.partition(b"=")
        kept += digits.translate(None, delete=_NOT_BASE64)
        whole = len(kept) // 4 * 4
        yield base64.b64decode(kept[:whole])
        kept = kept[whole:]
        if padding:
            break
    if len(kept) > 1:
        yield base64.b64decode(kept + b"=" * (4 - len(kept)))


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
