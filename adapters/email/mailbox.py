"""One mailbox of a From header (RFC 5322, section 3.4): its display name and address.

Stricter than the standard library, whose reading of odd headers changed from version to version: what could be read
in two ways is refused, because a name and a right to speak hang on the address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.sdk import InvalidInput

MAX_COMMENT_DEPTH: Final = 20
_SPECIALS: Final = frozenset(",;:<>@[]")


@dataclass(frozen=True, slots=True)
class NamedMailbox:
    """A mailbox as it was written; encoded words in the name are not decoded yet."""

    name: str
    address: str


@dataclass(slots=True)
class _Scan:
    """A header with its comments taken apart."""

    bare: str
    """With every quoted character as U+0000, which no header may hold."""
    text: str
    """Of the same length."""
    comment: str


def parse_mailbox(header: str) -> NamedMailbox:
    """Read ``Name <address>``, ``address`` or ``address (Name)``; raises InvalidInput for anything else."""
    if "\0" in header:
        raise InvalidInput("NUL in a From header")
    scan = _scan(" ".join(header.split()))
    opening, closing = scan.bare.find("<"), scan.bare.rfind(">")
    if opening < 0:
        return NamedMailbox(scan.comment.strip(), _address(scan.bare.strip(), scan.text.strip()))
    name, name_text = scan.bare[:opening], scan.text[:opening]
    if scan.bare[closing + 1 :].strip() or _SPECIALS & set(name):
        raise InvalidInput("more than one mailbox, or a malformed one")
    inner = slice(opening + 1, closing)
    address = _address(scan.bare[inner], scan.text[inner])
    return NamedMailbox(_unquoted(name_text) or scan.comment.strip(), address)


def _address(bare: str, text: str) -> str:
    if " " in bare or bare.count("@") != 1 or _SPECIALS & set(bare.replace("@", "")):
        raise InvalidInput("not one mail address")
    return text


def _unquoted(text: str) -> str:
    """Words and quoted strings of a display name as text."""
    result, escaped, quoted = [], False, False
    for char in text:
        if escaped or (char != "\\" and char != '"') or (char == "\\" and not quoted):
            result.append(char)
            escaped = False
        elif char == '"':
            quoted = not quoted
        else:
            escaped = True
    return "".join(result).strip()


def _scan(header: str) -> _Scan:
    bare: list[str] = []
    text: list[str] = []
    comment: list[str] = []
    depth, quoted, escaped = 0, False, False
    for char in header:
        if escaped:
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif char == "(" and not quoted:
            depth += 1
            if depth > MAX_COMMENT_DEPTH:
                raise InvalidInput("comments nested too deep")
            if depth == 1:
                continue
        elif char == ")" and not quoted:
            depth -= 1
            if depth < 0:
                raise InvalidInput("comment that ends without beginning")
            if depth == 0:
                # A blank stays, so that a comment inside an address makes it none.
                for each in (comment, text, bare):
                    each.append(" ")
                continue
        (comment if depth else text).append(char)
        if not depth:
            bare.append("\0" if quoted or char == '"' else char)
    if depth or quoted or escaped:
        raise InvalidInput("comment or quoted string without end")
    return _Scan("".join(bare), "".join(text), "".join(comment))
