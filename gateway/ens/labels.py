"""One label of a bridged person's name: the escape that turns any text into a label and back.

Letters ``a-z`` and digits stand for themselves, every other byte of the UTF-8 form becomes ``-`` and two hex
digits. What results is left alone by ENSIP-15 and by nameprep. Two marks use letters that are no hex digits and so
arise in no other way: ``0-x`` in place of a leading ``-``, and ``-z`` before the digest of a label cut short.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

MAX_LABEL_BYTES: Final = 63
"""A DNS label; longer ones are refused by clients that use DNS forms."""
DIGEST_CHARS: Final = 26
"""130 bits of SHA-256 in base32."""
_PREFIX_BYTES: Final = 30

_TOKEN: Final = re.compile(r"0-x[0-9a-f]{2}|-[0-9a-f]{2}|[a-z0-9]")
_ESCAPED: Final = re.compile(r"(?:0-x[0-9a-f]{2})?(?:-[0-9a-f]{2}|[a-z0-9])*")
_DIGESTED: Final = re.compile(r"(?P<prefix>.{1,30})-z(?P<digest>[a-z2-7]{26})")
_PLAIN_HOST: Final = re.compile(r"(?!..--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# What a label of a server can hold: host names, ports, IPv6 literals, internationalised labels.
_HOST: Final = re.compile(r"[A-Za-z0-9_:\[\]\-\u0080-\U0010ffff]+")


def escape_label(text: str) -> str:
    """The escape of ``text``, of any length: ``bob.smith`` gives ``bob-2esmith``, ``Alice`` gives ``0-x41lice``."""
    escaped = "".join(
        char if char.isascii() and (char.islower() or char.isdigit()) else "".join(f"-{b:02x}" for b in char.encode())
        for char in text
    )
    return "0-x" + escaped[1:] if escaped.startswith("-") else escaped


def unescape_label(label: str) -> str | None:
    """The text whose escape is ``label``, or None when ``label`` is no canonical escape."""
    if not label or not _ESCAPED.fullmatch(label):
        return None
    encoded = "-" + label[3:] if label.startswith("0-x") else label
    first, *escapes = encoded.split("-")
    data = first.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in escapes)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if escape_label(text) == label else None


def escape_host_label(text: str) -> str:
    """One label of a server's name: as it is when it can be, else escaped (``localhost:8448``).

    A plain label that reads as the escape of another host label, or as a digest, is escaped too; otherwise the
    servers ``localhost-3a8448`` and ``localhost:8448`` would have one name.
    """
    return text if _stands(text) else escape_label(text)


def unescape_host_label(label: str) -> str | None:
    """The inverse of ``escape_host_label``; None when nothing has this form."""
    if _stands(label):
        return label
    text = unescape_label(label)
    return text if text is not None and _HOST.fullmatch(text) and escape_host_label(text) == label else None


def _stands(label: str) -> bool:
    if not _PLAIN_HOST.fullmatch(label) or _DIGESTED.fullmatch(label):
        return False
    if "-" not in label:
        return True
    text = unescape_label(label)
    return text is None or not _HOST.fullmatch(text)


def id_digest(canonical_id: str) -> str:
    """26 characters of the base32 of the SHA-256 of an id: what stands for it where it does not fit."""
    return base64.b32encode(hashlib.sha256(canonical_id.encode()).digest()).decode().lower()[:DIGEST_CHARS]


def cut_label(escaped: str, digest: str) -> str:
    """An escape cut between its escapes at 30 bytes at most, then ``-z`` and the digest of the whole id."""
    prefix = ""
    for token in _TOKEN.findall(escaped):
        if len(prefix) + len(token) > _PREFIX_BYTES:
            break
        prefix += token
    return f"{prefix}-z{digest}"


def digest_in(label: str) -> str | None:
    """The digest that a cut label carries, or None when it is no cut label."""
    match = _DIGESTED.fullmatch(label)
    return match["digest"] if match and _ESCAPED.fullmatch(match["prefix"]) else None
