"""Header fields of a mail as the bytes they were written in: signatures hold for bytes, not for what a parser read.

Lines end in CR LF here; the door refuses mail in which a CR or LF stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from mmap import mmap
from typing import Final

_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")
_NAME: Final = re.compile(rb"[\x21-\x39\x3b-\x7e]+")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field."""

    name: str
    """In lower case."""
    raw: bytes
    """Name, colon and value with its folds; without the CR LF that ends it."""

    @property
    def value(self) -> bytes:
        """What stands behind the colon, folds included."""
        return self.raw.partition(b":")[2]


def split_mail(data: bytes) -> tuple[bytes, bytes]:
    """Header block without the CR LF of its last field, and body; a mail without an empty line is all header."""
    if data.startswith(b"\r\n"):
        return b"", data[2:]
    head, _, body = data.partition(b"\r\n\r\n")
    return head.removesuffix(b"\r\n") if not body else head, body


def split_content(data: bytes | mmap) -> tuple[bytes, bytes | memoryview]:
    """As `split_mail`; the body of a mail in a file is not copied."""
    if isinstance(data, bytes):
        return split_mail(data)
    if data[:2] == b"\r\n":
        return b"", memoryview(data)[2:]
    end = data.find(b"\r\n\r\n")
    if end < 0 or end + 4 == len(data):
        return split_mail(data[:])
    return data[:end], memoryview(data)[end + 4 :]


def split_lines(head: bytes) -> list[bytes]:
    """A header block at the line ends that no fold follows, whatever the lines are."""
    return _FIELD_END.split(head)


def split_fields(head: bytes) -> tuple[Field, ...]:
    """The fields of a header block in order; lines that are no field are left out. Linear in the size of the block."""
    fields = []
    for raw in split_lines(head):
        name, colon, _ = raw.partition(b":")
        # RFC 5322, section 4.5: blanks between name and colon are obsolete, not wrong.
        stripped = name.rstrip(b" \t")
        if colon and _NAME.fullmatch(stripped):
            fields.append(Field(stripped.decode("ascii").lower(), raw))
    return tuple(fields)


def select(fields: Iterable[Field], names: Iterable[str]) -> tuple[Field, ...]:
    """The fields that a list of signed names means (RFC 6376, section 5.4.2): each name takes the lowest one left.

    A name without a field left stands for nothing, which is how signers forbid that one is added.
    """
    stacks: dict[str, list[Field]] = {}
    for field in fields:
        stacks.setdefault(field.name, []).append(field)
    found = []
    for name in names:
        if stack := stacks.get(name.lower()):
            found.append(stack.pop())
    return tuple(found)
