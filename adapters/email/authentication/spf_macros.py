"""Macros in SPF records (RFC 7208, section 7). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

_MACRO: Final = re.compile(r"%(?:\{([slodiphvSLODIPHV])(\d{0,3})([rR]?)([.\-+,/_=]{0,7})\}|([%_-]))")
_LITERAL: Final = re.compile(r"[\x21-\x24\x26-\x7e]+")
_FIXED: Final = {"%": "%", "_": " ", "-": "%20"}
_MAX_NAME: Final = 253
_UNRESERVED: Final = "-._~"


class MalformedMacro(ValueError):
    """A percent sign that begins no macro, or a macro that counts to zero."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the letters stand for."""

    ip: IPv4Address | IPv6Address
    local: str
    """Local part of the sender."""
    sender_domain: str
    domain: str
    """The domain whose record is read: changes with include and redirect."""
    helo: str
    host: str = "unknown"
    """Name of the client that was checked both ways; ``%{p}``."""


def check_macros(text: str) -> None:
    """Raise MalformedMacro where `expand` would."""
    _pieces(text)


def wants_host(text: str) -> bool:
    """True when `Facts.host` matters."""
    return "%{p" in text.lower()


def expand(text: str, facts: Facts) -> str:
    """A domain, its leftmost labels dropped where it would pass 253 characters. Raises MalformedMacro."""
    name = "".join(piece if isinstance(piece, str) else _value(piece, facts) for piece in _pieces(text))
    while len(name) > _MAX_NAME:
        _, dot, name = name.partition(".")
        if not dot:
            break
    return name.removesuffix(".")


def _pieces(text: str) -> list[str | re.Match[str]]:
    pieces: list[str | re.Match[str]] = []
    position = 0
    while position < len(text):
        found = _MACRO.match(text, position) or _LITERAL.match(text, position)
        if found is None:
            raise MalformedMacro("not a macro")
        if found.re is _LITERAL:
            pieces.append(found[0])
        elif found[5]:
            pieces.append(_FIXED[found[5]])
        elif found[2] and int(found[2]) == 0:
            raise MalformedMacro("a macro that keeps nothing")
        else:
            pieces.append(found)
        position = found.end()
    return pieces


def _value(macro: re.Match[str], facts: Facts) -> str:
    letter, digits, reverse, delimiters = macro[1], macro[2], macro[3], macro[4] or "."
    text = _letter(letter.lower(), facts)
    if digits or reverse or delimiters != ".":
        parts = re.split(f"[{re.escape(delimiters)}]", text)
        if reverse:
            parts.reverse()
        if digits:
            parts = parts[-int(digits) :]
        text = ".".join(parts)
    return quote(text, safe=_UNRESERVED) if letter.isupper() else text


def _letter(letter: str, facts: Facts) -> str:
    match letter:
        case "s":
            return f"{facts.local}@{facts.sender_domain}"
        case "l":
            return facts.local
        case "o":
            return facts.sender_domain
        case "d":
            return facts.domain
        case "i":
            return str(facts.ip) if facts.ip.version == 4 else ".".join(facts.ip.exploded.replace(":", ""))
        case "p":
            return facts.host
        case "v":
            return "in-addr" if facts.ip.version == 4 else "ip6"
        case _:
            return facts.helo
