"""An ENS name as the local part of an address in a foreign network, and back.

Every form is of ASCII letters that no server folds: one name has one address, and one address one name. A name that
does not fit gets a digest form, which is one-way: whoever hands it out keeps it in the table of aliases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.ens.canonical import MAX_JID_PART_BYTES, MAX_LOCAL_OCTETS, MAX_MATRIX_BYTES
from gateway.ens.labels import id_digest
from gateway.ens.names import require_normal
from gateway.errors import InvalidName, UnknownName
from gateway.ids import EnsName

MATRIX_PREFIX: Final = "dm3_"
MAX_EMAIL_LOCAL: Final = MAX_LOCAL_OCTETS
MAX_XMPP_LOCAL: Final = MAX_JID_PART_BYTES

_MATRIX_ESCAPED: Final = re.compile(r"(?:[a-z0-9._-]|=[0-9a-f]{2})+")
_MATRIX_PLAIN: Final = re.compile(r"[a-z0-9._-]")
_MATRIX_DIGEST: Final = re.compile(r"=h[a-z2-7]{26}")
_ALIAS: Final = re.compile(r"a-[a-z2-7]{26}")


@dataclass(frozen=True, slots=True)
class Localpart:
    """A local part; ``digest`` says that it does not hold the name, so the pair must be stored as an alias."""

    text: str
    digest: bool


@dataclass(frozen=True, slots=True)
class Alias:
    """A local part in digest form: its name is in the table of aliases, if anywhere."""

    text: str


def matrix_localpart(name: EnsName, *, server_name: str = "", prefix: str = MATRIX_PREFIX) -> Localpart:
    """Local part of the Matrix user that stands for ``name``: ``dm3_alice.eth``, ``dm3_=f0=9f=92=a9.eth``.

    The whole id with ``server_name`` stays within 255 bytes; a longer one becomes ``dm3_=h`` and a digest.
    """
    require_normal(name)
    escaped = "".join(
        char if _MATRIX_PLAIN.match(char) else "".join(f"={byte:02x}" for byte in char.encode()) for char in name
    )
    if len(f"@{prefix}{escaped}:{server_name}".encode()) <= MAX_MATRIX_BYTES:
        return Localpart(prefix + escaped, digest=False)
    return Localpart(f"{prefix}=h{id_digest(name)}", digest=True)


def name_from_matrix_localpart(
    localpart: str, *, server_name: str = "", prefix: str = MATRIX_PREFIX
) -> EnsName | Alias:
    """The name that ``matrix_localpart`` wrote; UnknownName for anything that it would not write.

    A second spelling of one name (``=61`` for ``a``) would be a second Matrix user for one person.
    """
    if not localpart.startswith(prefix) or len(localpart) > MAX_MATRIX_BYTES:
        raise UnknownName("not a Matrix local part of ours")
    escaped = localpart.removeprefix(prefix)
    if _MATRIX_DIGEST.fullmatch(escaped):
        return Alias(localpart)
    if not _MATRIX_ESCAPED.fullmatch(escaped):
        raise UnknownName(f"not a canonical escape: {localpart!r}")
    first, *escapes = escaped.split("=")
    data = first.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in escapes)
    try:
        name = require_normal(data.decode())
    except (UnicodeDecodeError, InvalidName):
        raise UnknownName(f"holds no ENS name: {localpart!r}") from None
    if matrix_localpart(name, server_name=server_name, prefix=prefix).text != localpart:
        raise UnknownName(f"not a canonical escape: {localpart!r}")
    return name


def punycode_localpart(name: EnsName, *, max_octets: int = MAX_EMAIL_LOCAL) -> Localpart:
    """Local part for XMPP and e-mail: ASCII labels as they are, others as ``xn--`` and their punycode.

    ENSIP-15 forbids ``--`` at that place of an ASCII label, so the two never meet. Over ``max_octets`` (64 for
    e-mail, 1023 for XMPP) it becomes ``a-`` and a digest.
    """
    require_normal(name)
    encoded = ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in name.split(".")
    )
    if len(encoded) <= max_octets and not _ALIAS.fullmatch(encoded):
        return Localpart(encoded, digest=False)
    return Localpart(f"a-{id_digest(name)}", digest=True)


def name_from_punycode_localpart(
    localpart: str, *, max_octets: int = MAX_EMAIL_LOCAL, allow_unicode: bool = False
) -> EnsName | Alias:
    """The name that ``punycode_localpart`` wrote; UnknownName for anything that it would not write.

    ``allow_unicode`` also takes the name itself in UTF-8 (SMTPUTF8). Never set it for XMPP: servers there fold
    ``faß`` to ``fass``, which is another owner's name. Upper case is refused; a mail server folds ASCII before.
    """
    if not localpart or len(localpart) > max_octets:
        raise UnknownName("local part is empty or too long")
    if _ALIAS.fullmatch(localpart):
        return Alias(localpart)
    if not localpart.isascii() and not allow_unicode:
        raise UnknownName("local part outside ASCII")
    try:
        name = require_normal(".".join(_decode_label(label) for label in localpart.split(".")))
    except (UnicodeError, InvalidName):
        raise UnknownName(f"holds no ENS name: {localpart!r}") from None
    if localpart.isascii() and punycode_localpart(name, max_octets=max_octets).text != localpart:
        raise UnknownName(f"not a canonical form: {localpart!r}")
    return name


def _decode_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    decoded = label[4:].encode().decode("punycode")
    # Punycode reads several spellings of one text, and text of ASCII alone needs none.
    if decoded.isascii() or "xn--" + decoded.encode("punycode").decode() != label:
        raise UnicodeError("not canonical punycode")
    return decoded
