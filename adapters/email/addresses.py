"""Addresses in SMTP commands: their grammar, and what the local parts under our own domain stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from adapters.email.charsets import one_line
from gateway.sdk import AdapterContext, CanonicalId, EnsName, InvalidInput, UnknownName, quoted
from gateway.sdk.addresses import Alias, canonical_email, name_from_punycode_localpart

NULL_PATH: Final = "<>"
"""How the null sender is written where an address is expected (RFC 5321, section 4.5.5)."""
RETURN_PATH_PREFIX: Final = "b+"
CONTROL: Final = "control"
"""Local part of the address that takes commands."""
TAG_SEPARATOR: Final = "+"
_OPERATOR_BOXES: Final = frozenset({"postmaster", "abuse"})
_MAX_LOCAL_OCTETS: Final = 64
_MAX_PATH_OCTETS: Final = 254
_MAX_SHOWN: Final = 320
_WORDS: Final = frozenset(' "')
"""What only a quoted local part holds (RFC 5321, section 4.1.2)."""

_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]"
_LOCAL: Final = rf'(?:{_ATEXT}+(?:\.{_ATEXT}+)*|"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u00a1-\U0010ffff]|\\[\x20-\x7e])+")'
_DOMAIN: Final = r"(?:[A-Za-z0-9\u00a1-\U0010ffff.-]{1,253}|\[[A-Za-z0-9:.-]{1,60}\])"
_PATH: Final = re.compile(rf"<(?P<local>{_LOCAL})@(?P<domain>{_DOMAIN})>(?P<rest>| .*)")
_BARE_POSTMASTER: Final = re.compile(r"<postmaster>(?P<rest>| .*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as a client wrote it."""

    local: str
    domain: str

    @property
    def ascii(self) -> bool:
        """False when it may be written only after SMTPUTF8 was agreed (RFC 6531)."""
        return self.local.isascii() and self.domain.isascii()

    def canonical_domain(self) -> str | None:
        """The domain in lower-case ASCII; None for an address literal or no domain at all."""
        try:
            return canonical_email(f"x@{self.domain}").partition("@")[2]
        except InvalidInput:
            return None


def shown_address(address: CanonicalId) -> str:
    """An address within a sentence of ours, as one line; in quotation marks where it could be read as words itself."""
    line = one_line(address, _MAX_SHOWN)
    return line if line == address and line.isprintable() and not _WORDS & set(line) else quoted(line)


class Special(Enum):
    """Mailboxes under our domain that are no ENS name."""

    OPERATOR = "operator"
    """postmaster@ and abuse@ (RFC 5321 section 4.5.1, RFC 2142)."""
    RETURN_PATH = "return path"
    """Where bounces of our own mail come back."""
    CONTROL = "control"
    """Where people tell the gateway what it is to do for them."""


def parse_path(argument: str, *, own_domain: str) -> tuple[str, str] | None:
    """Split the argument of MAIL FROM or RCPT TO into address and parameters; None for what breaks the grammar.

    Stricter than RFC 5321 section 4.1.2 where nobody needs more: angle brackets are required, no source routes, no
    control characters or lone surrogates anywhere. The null path gives ``<>``, ``<postmaster>`` our own domain.
    """
    text = argument.strip(" ")
    if any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0xA0 or 0xD800 <= ord(char) <= 0xDFFF for char in text):
        return None
    if text == NULL_PATH or text.startswith(NULL_PATH + " "):
        return NULL_PATH, text[2:]
    if match := _BARE_POSTMASTER.fullmatch(text):
        return f"postmaster@{own_domain}", match["rest"]
    match = _PATH.fullmatch(text)
    if match is None or len(match["local"].encode()) > _MAX_LOCAL_OCTETS:
        return None
    address = f"{match['local']}@{match['domain']}"
    return None if len(address.encode()) > _MAX_PATH_OCTETS else (address, match["rest"])


def split_address(address: str) -> Mailbox:
    """Local part and domain of an address that `parse_path` returned."""
    local, _, domain = address.rpartition("@")
    return Mailbox(local, domain)


def local_target(local: str) -> EnsName | Alias | Special:
    """What a local part under our domain stands for; raises UnknownName for what we never hand out.

    ASCII is read without regard to case, as people write addresses; text outside ASCII must be in normal form. What
    stands behind a plus sign is the recipient's own business (RFC 5233): no name and no mailbox of ours has one.
    """
    if local.strip('"').lower().startswith(RETURN_PATH_PREFIX):
        return Special.RETURN_PATH
    base, _ = split_tag(local)
    folded = base.lower() if base.isascii() else base
    if folded in _OPERATOR_BOXES:
        return Special.OPERATOR
    if folded == CONTROL:
        return Special.CONTROL
    return name_from_punycode_localpart(folded, allow_unicode=True)


def split_tag(local: str) -> tuple[str, str]:
    """``alice.eth+news`` as the mailbox and its tag, as it was written; "" where there is none."""
    base, _, tag = local.strip('"').partition(TAG_SEPARATOR)
    return base, tag


async def resolve_alias(target: EnsName | Alias, ctx: AdapterContext) -> EnsName:
    """The name itself; for a digest form what the gateway stored for it, or UnknownName."""
    if not isinstance(target, Alias):
        return target
    name = await ctx.alias_target(target.text)
    if name is None:
        raise UnknownName("nobody was given this alias")
    return EnsName(name)
