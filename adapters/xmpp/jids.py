"""JIDs: read within their bounds, and those under our own domain, which stand for ENS names.

Nothing is folded here but ASCII letters. Servers differ in what they do with the rest (``straße`` becomes ``strasse``
at one of them and stays at the next), so that a raw local part outside ASCII would lead to another owner's name.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from adapters.xmpp.errors import BadStanza, Condition
from gateway.sdk import CanonicalId, EnsName, InvalidInput, UnknownName
from gateway.sdk.addresses import Alias, canonical_xmpp, name_from_punycode_localpart, punycode_localpart

MAX_PART_BYTES: Final = 1023
"""RFC 7622, sections 3.2 to 3.4."""
ROOM_MARK: Final = "+"
"""Stands between a room's label and the name that it speaks with; no ENS name holds it (ENSIP-15)."""
_ROOM_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,48}[a-z0-9])?")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~=+-]{0,1023}")
"""What nearly every part is made of, and what none forbids."""
_NOT_IN_LOCAL: Final = frozenset("\"&'/:<>@ ")
_NOT_IN_DOMAIN: Final = frozenset("\"&'<>@ ")


@dataclass(frozen=True, slots=True)
class Jid:
    """An address (RFC 7622). ``local`` and ``resource`` are empty where there is none."""

    local: str
    domain: str
    resource: str = ""

    @classmethod
    def parse(cls, text: str) -> Jid:
        """Read a JID; the domain's ASCII letters in lower case, everything else as it came.

        Raises BadStanza with jid-malformed when a part is empty, over 1023 bytes, or holds what it must not.
        """
        if not 0 < len(text) <= 3 * MAX_PART_BYTES + 2:
            raise _malformed("An address has three parts of at most 1023 bytes.")
        bare, slash, resource = text.partition("/")
        first, at, second = bare.partition("@")
        local, domain = (first, second) if at else ("", first)
        if (at and not local) or not domain or (slash and not resource):
            raise _malformed("A part of the address is empty.")
        # A dot at its end belongs to DNS and not to the address (RFC 7622, section 3.2).
        domain = domain.removesuffix(".")
        domain = domain.lower() if domain.isascii() else "".join(c.lower() if c.isascii() else c for c in domain)
        _check(local, _NOT_IN_LOCAL)
        _check(domain, _NOT_IN_DOMAIN)
        _check(resource, frozenset())
        if not all(domain.split(".")):
            raise _malformed("The domain of the address has an empty label.")
        return cls(local, domain, resource)

    @property
    def bare(self) -> Jid:
        """Without its resource."""
        return replace(self, resource="") if self.resource else self

    def __str__(self) -> str:
        at = f"{self.local}@" if self.local else ""
        return f"{at}{self.domain}/{self.resource}" if self.resource else f"{at}{self.domain}"


def canonical(jid: Jid) -> CanonicalId:
    """The canonical id of a person: their bare JID, whatever client they use.

    Raises BadStanza with jid-malformed for a domain alone and for a local part that has no stable form.
    """
    try:
        return canonical_xmpp(str(jid.bare))
    except InvalidInput as error:
        raise _malformed(error.detail) from None


@dataclass(frozen=True, slots=True)
class Ids:
    """Who is who under one component; `ghost` and `named_by` are exact inverses (see `gateway.sdk.addresses`)."""

    component: str
    """The domain of the component, in lower case."""

    @property
    def gateway(self) -> Jid:
        """The component itself."""
        return Jid("", self.component)

    def is_ours(self, jid: Jid) -> bool:
        """Whether an address is the component's or one of its contacts'."""
        return jid.domain == self.component

    def is_contact(self, jid: Jid) -> bool:
        """Whether an address can only be a contact's."""
        return jid.domain == self.component and bool(jid.local) and ROOM_MARK not in jid.local

    def is_room(self, jid: Jid) -> bool:
        """Whether an address can only be a room's: ``team+alice.eth`` under the component."""
        return jid.domain == self.component and ROOM_MARK in jid.local

    def room(self, jid: Jid) -> tuple[Jid, Jid]:
        """The bare address of a room, and the contact with whom it speaks. Raises BadStanza with jid-malformed."""
        label, _, contact = jid.local.lower().rpartition(ROOM_MARK)
        if not _ROOM_LABEL.fullmatch(label) or not contact:
            raise _malformed(
                f"A room is written label{ROOM_MARK}name: up to 50 letters a-z, digits, dots and hyphens before the "
                f"{ROOM_MARK}, and the address of a name behind it."
            )
        return Jid(f"{label}{ROOM_MARK}{contact}", self.component), Jid(contact, self.component)

    def ghost(self, name: EnsName) -> tuple[Jid, bool]:
        """The contact that stands for a name, and whether its address is a digest that must be kept as an alias."""
        local = punycode_localpart(name, max_octets=MAX_PART_BYTES)
        return Jid(local.text, self.component), local.digest

    def named_by(self, jid: Jid) -> EnsName | Alias:
        """The name that a contact stands for, or its digest; the resource does not count.

        Raises BadStanza: jid-malformed for raw text outside ASCII, item-not-found for what no name is written as.
        """
        if not self.is_ours(jid) or not jid.local:
            raise BadStanza(Condition.ITEM_NOT_FOUND, "This address stands for nobody.")
        if not jid.local.isascii():
            raise _malformed(
                "Names with letters outside a-z have an address that begins with xn--; "
                "search for the name to get its address."
            )
        try:
            # One JID to every server (RFC 7622, section 3.3), though not every one folds before it passes them on.
            return name_from_punycode_localpart(jid.local.lower(), max_octets=MAX_PART_BYTES)
        except (InvalidInput, UnknownName):
            raise BadStanza(Condition.ITEM_NOT_FOUND, "This address stands for no ENS name.") from None


def _check(part: str, forbidden: frozenset[str]) -> None:
    if _PLAIN.fullmatch(part):
        return
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        raise _malformed("The address holds half a character.") from None
    if size > MAX_PART_BYTES:
        raise _malformed("A part of the address is longer than 1023 bytes.")
    if any(each in forbidden or unicodedata.category(each) in ("Cc", "Zl", "Zp") for each in part):
        raise _malformed("The address holds a character that no address has.")


def _malformed(text: str) -> BadStanza:
    return BadStanza(Condition.JID_MALFORMED, text)
