"""Canonical ids: the one frozen spelling of a person's address in a foreign network.

Names, keys and stored rows hang on this spelling, so it must never change: the golden vectors of the tests hold it.
Two addresses of one person must give one id, and two persons must never share one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

import idna

from gateway.errors import InvalidInput
from gateway.ids import CanonicalId, Network

MATRIX: Final = Network("matrix")
XMPP: Final = Network("xmpp")
EMAIL: Final = Network("email")

MAX_MATRIX_BYTES: Final = 255
"""A whole Matrix user id (Matrix specification, appendix on identifiers)."""
MAX_JID_PART_BYTES: Final = 1023
"""Each part of a JID (RFC 7622, section 3)."""
MAX_LOCAL_OCTETS: Final = 64
"""The local part of a mailbox (RFC 5321, section 4.5.3.1.1)."""
MAX_DOMAIN_BYTES: Final = 253
MAX_OTHER_BYTES: Final = 1023

_MATRIX_ID: Final = re.compile(r"@(?P<local>[^:\0]+):(?P<server>.+)", re.DOTALL)
_MATRIX_SERVER: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?")
_HOST_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_IP_LITERAL: Final = re.compile(r"\[[0-9a-f:.]{2,45}\]")
_JID_FORBIDDEN: Final = frozenset("\"&'/:<>@ ")
_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+")


def canonical_id(network: Network, text: str) -> CanonicalId:
    """Canonical form of an address of any network; networks that we do not know keep theirs as it is.

    Raises InvalidInput when it is no address of a person there.
    """
    match network:
        case "matrix":
            return canonical_matrix(text)
        case "xmpp":
            return canonical_xmpp(text)
        case "email":
            return canonical_email(text)
        case _:
            _check_size(text, MAX_OTHER_BYTES, "id")
            return CanonicalId(text)


def canonical_matrix(text: str) -> CanonicalId:
    """A Matrix user id exactly as its homeserver writes it, historical upper case included.

    Raises InvalidInput when it is over 255 bytes or not of the form ``@localpart:server``.
    """
    _check_size(text, MAX_MATRIX_BYTES, "Matrix user id")
    match = _MATRIX_ID.fullmatch(text)
    if match is None:
        raise InvalidInput("a Matrix user id is written @localpart:server")
    server = _MATRIX_SERVER.fullmatch(match["server"])
    if server is None or not all(server["host"].split(".")):
        raise InvalidInput(f"not a Matrix server name: {match['server']!r}")
    return CanonicalId(text)


def canonical_xmpp(text: str) -> CanonicalId:
    """The bare JID of a person: resource dropped, local part case-mapped (RFC 8265), domain in Unicode (RFC 7622).

    Raises InvalidInput when a part is empty, too long or holds what a JID must not hold.
    """
    return _bare_jid(text.partition("/")[0])


@lru_cache(maxsize=4096)
def _bare_jid(bare: str) -> CanonicalId:
    # Looked at several times for each message, and Unicode takes its time.
    _check_size(bare, 2 * MAX_JID_PART_BYTES + 1, "JID")
    local, at, domain = bare.partition("@")
    if not at:
        raise InvalidInput("a person's JID is written localpart@domain")
    local = _case_map(local)
    _check_size(local, MAX_JID_PART_BYTES, "JID local part")
    if any(char in _JID_FORBIDDEN or _is_control(char) for char in local):
        raise InvalidInput(f"character that a JID must not hold: {local!r}")
    return CanonicalId(f"{local}@{_xmpp_domain(domain)}")


@lru_cache(maxsize=4096)
def canonical_email(text: str) -> CanonicalId:
    """A mail address with its local part in lower case, quoted only where it must be, and its domain in ASCII (IDNA).

    Mail servers may tell case apart in the local part (RFC 5321, section 2.4), people and their programs do not.
    Raises InvalidInput for anything that is no address; address literals (``[127.0.0.1]``) name nobody for long
    and are refused.
    """
    _check_size(text, MAX_LOCAL_OCTETS + 1 + 4 * MAX_DOMAIN_BYTES, "mail address")
    local, _, domain = text.rpartition("@")
    if not local:
        raise InvalidInput("a mail address is written localpart@domain")
    if local.startswith('"'):
        local = _unquote(local)
    elif '"' in local or any(not _ATOM.fullmatch(atom) for atom in local.split(".") if atom):
        raise InvalidInput(f"not a mail local part: {local!r}")
    local = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    if local != unicodedata.normalize("NFC", local.lower()) or any(_is_control(char) for char in local):
        raise InvalidInput("the mail local part has no stable lower case or holds control characters")
    if not all(_ATOM.fullmatch(atom) for atom in local.split(".")):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    _check_size(local, MAX_LOCAL_OCTETS, "mail local part")
    return CanonicalId(f"{local}@{_ascii_domain(domain)}")


def split_id(network: Network, canonical: CanonicalId) -> tuple[str, str]:
    """Local part and server of a canonical id; the server is empty for an id of another network without one."""
    if network == MATRIX:
        local, _, server = canonical.removeprefix("@").partition(":")
        return local, server
    local, at, server = canonical.rpartition("@")
    if network in (XMPP, EMAIL) or (at and local and _is_host(server)):
        return local, server
    return canonical, ""


def join_id(network: Network, local: str, server: str) -> str:
    """The inverse of ``split_id``."""
    if network == MATRIX:
        return f"@{local}:{server}"
    return f"{local}@{server}" if server else local


def _check_size(text: str, limit: int, what: str) -> None:
    try:
        size = len(text.encode()) if len(text) <= limit else limit + 1
    except UnicodeEncodeError:
        raise InvalidInput(f"lone surrogate in {what}") from None
    if not 1 <= size <= limit:
        raise InvalidInput(f"a {what} has 1 to {limit} bytes")


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


def _case_map(local: str) -> str:
    """UsernameCaseMapped of RFC 8265: width mapping, lower case, NFC; never the folding of nodeprep (ß to ss)."""
    wide = "".join(
        unicodedata.normalize("NFKC", char) if unicodedata.east_asian_width(char) in "FH" else char for char in local
    )
    mapped = unicodedata.normalize("NFC", wide.lower())
    if mapped != unicodedata.normalize("NFC", mapped.lower()):
        raise InvalidInput("the local part has no stable lower case")
    if any(unicodedata.category(char) == "Zs" for char in mapped):
        raise InvalidInput("space in a JID local part")
    return mapped


def _unquote(local: str) -> str:
    """Content of a quoted string (RFC 5321, section 4.1.2)."""
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', local, re.DOTALL)
    if match is None or not match[1]:
        raise InvalidInput("quoted mail local part is not closed or is empty")
    return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)


def _is_host(domain: str) -> bool:
    return len(domain) <= MAX_DOMAIN_BYTES and all(_HOST_LABEL.fullmatch(label) for label in domain.split("."))


def _ascii_domain(domain: str) -> str:
    """A domain in lower-case ASCII; labels outside ASCII by IDNA 2008, which keeps ``ß`` apart from ``ss``."""
    lowered = domain.lower() if domain.isascii() else _idna_encode(domain)
    if not _is_host(lowered):
        raise InvalidInput(f"not a domain: {domain!r}")
    return lowered


def _idna_encode(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidInput(f"not an internationalised domain: {domain!r}: {error}") from None


def _xmpp_domain(domain: str) -> str:
    lowered = domain.lower()
    if _IP_LITERAL.fullmatch(lowered):
        return lowered
    return ".".join(_unicode_label(label) for label in _ascii_domain(domain).split("."))


def _unicode_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        decoded = idna.decode(label)
        return decoded if idna.encode(decoded).decode() == label else label
    except (idna.IDNAError, UnicodeError):
        return label
