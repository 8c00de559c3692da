"""Base64 and hex as DM3 writes them, read strictly: one value has one text.

The protocol signs and hashes texts. A decoder that shrugs at stray bits or line breaks would let two different
texts stand for the same key, so whatever does not encode back to itself is refused.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from gateway.errors import InvalidInput

_HASH: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})\Z")
_HEX: Final = re.compile(r"[0-9a-fA-F]*\Z")


def to_base64(data: bytes) -> str:
    """Standard alphabet with padding (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: object, what: str, *, length: int | None = None) -> bytes:
    """Decode canonical base64; ``what`` names the field in the error.

    Raises InvalidInput for anything that is no text, not canonical, or not of ``length`` bytes.
    """
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is not a text")
    if length is not None and len(text) != (length + 2) // 3 * 4:
        raise InvalidInput(f"{what} does not have {length} bytes")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise InvalidInput(f"{what} is not base64") from None
    if length is not None and len(data) != length:
        raise InvalidInput(f"{what} does not have {length} bytes")
    if not data or text[-1] == "=":
        # Only a padded tail has spare bits, so only there can two texts mean the same bytes.
        tail_start = len(data) - len(data) % 3
        if to_base64(data[tail_start:]) != text[tail_start // 3 * 4 :]:
            raise InvalidInput(f"{what} is not canonical base64")
    return data


def to_hex(data: bytes) -> str:
    """``0x`` and lower-case digits."""
    return "0x" + data.hex()


def from_hex(text: object, what: str, *, length: int | None, prefix_required: bool = True) -> bytes:
    """Decode ``length`` bytes of hex in either case, any number when None; raises InvalidInput naming ``what``."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is not a text")
    prefixed = text.startswith("0x")
    if prefix_required and not prefixed:
        raise InvalidInput(f"{what} does not begin with 0x")
    digits = text[2:] if prefixed else text
    # bytes.fromhex alone would allow blanks between digits.
    size = len(digits) // 2 if length is None else length
    if len(digits) != 2 * size or not _HEX.match(digits):
        raise InvalidInput(f"{what} does not have {size} bytes of hex")
    return bytes.fromhex(digits)


def hash_text(text: object, what: str) -> str:
    """A SHA-256 in its one spelling, 0x + 64 lower-case digits; 0x may be missing and case is free on input."""
    match = _HASH.match(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidInput(f"{what} is not a hash of 32 bytes")
    return "0x" + match.group(1).lower()
