"""SPF records (RFC 7208, sections 4.5, 4.6 and 12): text to terms. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from adapters.email.authentication.results import Spf
from adapters.email.authentication.spf_macros import MalformedMacro, check_macros

_VERSION: Final = "v=spf1"
_QUALIFIERS: Final = {"+": Spf.PASS, "-": Spf.FAIL, "~": Spf.SOFTFAIL, "?": Spf.NEUTRAL}
_MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MECHANISM: Final = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)")
_LENGTHS: Final = re.compile(r"(?:/(0|[1-9]\d{0,2}))?(?://(0|[1-9]\d{0,2}))?\Z")
_TOP_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_MACRO_END: Final = re.compile(r"%\{[slodiphvSLODIPHV]\d*[rR]?[.\-+,/_=]*\}\Z")
MAX_RECORD: Final = 8_192
"""Characters; RFC 7208 advises 450."""
KEPT_RECORDS: Final = 500
"""Records that were read: those of the few domains from which most mail comes."""


class MalformedRecord(ValueError):
    """permerror."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One test and what follows when it holds."""

    outcome: Spf
    name: str
    domain: str = ""
    """Domain with macros; "" for the one whose record this is."""
    network: IPv4Network | IPv6Network | None = None
    """Of ip4 and ip6."""
    prefix4: int = 32
    prefix6: int = 128


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A record without its explanation, which we would not repeat to anybody."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None = None


def choose_record(texts: Iterable[str]) -> str | None:
    """The one SPF record among TXT records; None when there is none. Raises MalformedRecord for several."""
    found = [text for text in texts if text[: len(_VERSION) + 1].lower().rstrip(" ") == _VERSION]
    if len(found) > 1:
        raise MalformedRecord("more than one SPF record")
    return found[0] if found else None


@lru_cache(KEPT_RECORDS)
def parse_record(text: str) -> SpfRecord:
    """All terms, whether they will be reached or not; raises MalformedRecord for one that breaks the grammar."""
    if not text.isascii() or len(text) > MAX_RECORD:
        raise MalformedRecord("not ASCII, or too long")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text[len(_VERSION) :].split(" "):
        if not term:
            continue
        if modifier := _MODIFIER.fullmatch(term):
            _modifier(modifier[1].lower(), modifier[2], modifiers)
        else:
            mechanisms.append(_mechanism(term))
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect"))


def _modifier(name: str, value: str, modifiers: dict[str, str]) -> None:
    if name in ("redirect", "exp"):
        if name in modifiers:
            raise MalformedRecord(f"{name} comes twice")
        modifiers[name] = _domain_spec(value)
    else:
        _macros(value)


def _mechanism(term: str) -> Mechanism:
    match = _MECHANISM.match(term)
    if match is None:
        raise MalformedRecord("not a term")
    outcome = _QUALIFIERS[match[1] or "+"]
    name, rest = match[2].lower(), term[match.end() :]
    match name:
        case "all" if not rest:
            return Mechanism(outcome, name)
        case "include" | "exists" if rest.startswith(":"):
            return Mechanism(outcome, name, _domain_spec(rest[1:]))
        case "ptr" if not rest or rest.startswith(":"):
            return Mechanism(outcome, name, _domain_spec(rest[1:]) if rest else "")
        case "a" | "mx" if not rest or rest[0] in ":/":
            return _with_lengths(outcome, name, rest)
        case "ip4" | "ip6" if rest.startswith(":"):
            return Mechanism(outcome, name, network=_network(name, rest[1:]))
        case _:
            raise MalformedRecord("unknown mechanism, or one with malformed arguments")


def _with_lengths(outcome: Spf, name: str, rest: str) -> Mechanism:
    # The lengths stand in the last few characters; a domain may hold slashes of its own.
    tail = max(0, len(rest) - 10)
    lengths = next(found for position in range(tail, len(rest) + 1) if (found := _LENGTHS.match(rest, position)))
    domain = rest[: lengths.start()]
    prefix4, prefix6 = int(lengths[1] or 32), int(lengths[2] or 128)
    if prefix4 > 32 or prefix6 > 128 or domain == ":":
        raise MalformedRecord("malformed address length")
    return Mechanism(outcome, name, _domain_spec(domain[1:]) if domain else "", None, prefix4, prefix6)


def _network(name: str, text: str) -> IPv4Network | IPv6Network:
    _, slash, length = text.partition("/")
    if slash and (not length.isdigit() or (length[0] == "0" and length != "0")):
        raise MalformedRecord("malformed address length")
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise MalformedRecord("malformed address") from error
    if network.version != int(name[2]) or "%" in text:
        raise MalformedRecord("address of the other family")
    return network


def _domain_spec(text: str) -> str:
    """Section 7.1: ends in a label that is no number, or in a macro."""
    _macros(text)
    if not _MACRO_END.search(text, max(0, len(text) - 20)):
        _, dot, label = text.removesuffix(".").rpartition(".")
        if not dot or label.isdigit() or not _TOP_LABEL.fullmatch(label):
            raise MalformedRecord("not a domain")
    return text


def _macros(text: str) -> None:
    try:
        check_macros(text)
    except MalformedMacro as error:
        raise MalformedRecord(str(error)) from error
