"""DKIM-Signature fields (RFC 6376, section 3.5; RFC 8301; RFC 8463) as values. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from adapters.email.dkim.canonical import Form
from adapters.email.dkim.fields import Field
from adapters.email.dkim.tags import MalformedTags, parse_tags, unfolded

MAX_SIGNATURE: Final = 16 * 1024
"""Octets of one field."""
MAX_SIGNED_NAMES: Final = 500
"""Names in ``h=``."""
_NUMBER: Final = re.compile(r"\d{1,20}")
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*"
)
_LABEL_END: Final = re.compile(r"-(?:\.|\Z)")


class Algorithm(Enum):
    """Ways to sign that may be believed: SHA-1 may not (RFC 8301, section 3.1)."""

    RSA_SHA256 = "rsa-sha256"
    ED25519_SHA256 = "ed25519-sha256"


class MalformedSignature(ValueError):
    """permerror; `domain` and `selector` where they could be read."""

    def __init__(self, reason: str, domain: str = "", selector: str = "") -> None:
        super().__init__(reason)
        self.domain = domain
        self.selector = selector


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature claims."""

    algorithm: Algorithm
    signature: bytes = field(repr=False)
    body_hash: bytes = field(repr=False)
    header_form: Form
    body_form: Form
    domain: str
    """In lower case."""
    selector: str
    names: tuple[str, ...]
    """Signed fields in lower case, in order, repeats included."""
    agent_domain: str
    """Domain of ``i=``."""
    body_length: int | None
    expires: int | None
    """Seconds since the epoch."""
    raw: bytes = field(repr=False)

    def over(self, now: int) -> bool:
        """Whether its time is over; `now` in seconds since the epoch."""
        return self.expires is not None and self.expires < now


def parse_signature(source: Field, *, instance_only: bool = False) -> Signature:
    """Read one field; raises MalformedSignature.

    With `instance_only` it is an ARC-Message-Signature (RFC 8617, section 4.1.2): no version, ``i=`` is a number, and
    all else as in DKIM.
    """
    if len(source.raw) > MAX_SIGNATURE:
        raise MalformedSignature("field too long")
    try:
        tags = parse_tags(source.value.decode("ascii"))
    except (MalformedTags, UnicodeDecodeError) as error:
        raise MalformedSignature("not a list of tags") from error
    domain, selector = tags.get("d", "").lower(), tags.get("s", "").lower()
    if not is_domain(domain) or not is_domain(selector):
        raise MalformedSignature("no domain or selector")
    try:
        return _parse(tags, domain, selector, source.raw, instance_only=instance_only)
    except (MalformedTags, ValueError) as error:
        raise MalformedSignature(str(error), domain, selector) from error


def _parse(tags: Mapping[str, str], domain: str, selector: str, raw: bytes, *, instance_only: bool) -> Signature:
    if not instance_only and tags.get("v") != "1":
        raise ValueError("unknown version")
    names = tuple(name.lower() for name in unfolded(tags.get("h", "")).split(":"))
    if "from" not in names:
        raise ValueError("From is not signed")
    if len(names) > MAX_SIGNED_NAMES:
        raise ValueError("too many signed fields")
    agent = domain if instance_only else tags.get("i", f"@{domain}").rpartition("@")[2].lower()
    if agent != domain and not agent.endswith(f".{domain}"):
        raise ValueError("the agent is not of the signing domain")
    if "dns/txt" not in unfolded(tags.get("q", "dns/txt")).lower().split(":"):
        raise ValueError("unknown way to ask for the key")
    signed, expires = _number(tags, "t"), _number(tags, "x")
    if signed is not None and expires is not None and expires < signed:
        raise ValueError("expires before it was made")
    header_form, body_form = _forms(tags.get("c", "simple/simple"))
    return Signature(
        algorithm=_algorithm(tags.get("a", "")),
        signature=decode_base64(tags.get("b", "")),
        body_hash=decode_base64(tags.get("bh", "")),
        header_form=header_form,
        body_form=body_form,
        domain=domain,
        selector=selector,
        names=names,
        agent_domain=agent,
        body_length=_number(tags, "l"),
        expires=expires,
        raw=raw,
    )


def _algorithm(text: str) -> Algorithm:
    try:
        return Algorithm(text.lower())
    except ValueError as error:
        raise ValueError("algorithm that proves nothing") from error


def _forms(text: str) -> tuple[Form, Form]:
    header, _, body = unfolded(text).lower().partition("/")
    try:
        return Form(header), Form(body or "simple")
    except ValueError as error:
        raise ValueError("unknown canonical form") from error


def _number(tags: Mapping[str, str], name: str) -> int | None:
    text = tags.get(name)
    if text is None:
        return None
    if not text.isascii() or not _NUMBER.fullmatch(text):
        raise ValueError(f"{name}= is no number")
    return int(text)


def decode_base64(text: str) -> bytes:
    """Octets of a value that may be folded; raises ValueError, also for none."""
    try:
        decoded = base64.b64decode(unfolded(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("malformed base64") from error
    if not decoded:
        raise ValueError("an empty value")
    return decoded


def is_domain(text: str) -> bool:
    """True for labels of letters, digits, hyphens and underscores as names in the DNS have them."""
    return text.isascii() and _DOMAIN.fullmatch(text) is not None and not _LABEL_END.search(text)
