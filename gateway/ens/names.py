"""ENS names: normal form (ENSIP-15), namehash (EIP-137), DNS encoding (ENSIP-10) and their agreement with nameprep."""

from __future__ import annotations

import re
import stringprep
from functools import lru_cache
from typing import Final

from gateway.dm3.eth import keccak256
from gateway.dm3.nameprep import nameprep
from gateway.errors import InvalidName
from gateway.ids import EnsName

MAX_NAME_BYTES: Final = 255
"""Longest name taken, in UTF-8 bytes. ENSIP-10 sets no limit; normalising a name costs time by its length."""
MAX_DNS_LABEL_BYTES: Final = 255
"""Longest label in DNS form: its length is one byte (ENSIP-10; DNS itself stops at 63)."""
ROOT_NODE: Final = bytes(32)

# ENSIP-15 for labels of ASCII only: underscores lead, no hyphens at the third and fourth place together.
_ASCII_LABEL: Final = re.compile(r"(?!..--)_*[a-z0-9$-]*")


def normalise(name: str) -> EnsName:
    """Return ``name`` in its ENSIP-15 normal form; ``Alice.ETH`` gives ``alice.eth``.

    Raises InvalidName when the name is empty, longer than 255 bytes, or has no normal form.
    """
    # The length in characters is a lower bound of the length in bytes: huge input is refused before it is encoded.
    if len(name) > MAX_NAME_BYTES:
        raise InvalidName(f"name of {len(name)} characters, at most {MAX_NAME_BYTES} bytes are taken")
    return _normalise(name)


def require_normal(name: str) -> EnsName:
    """Return ``name`` unchanged when it is in normal form, else raise InvalidName.

    For names that arrive in a protocol: folding them in silence would let two spellings reach one mailbox.
    """
    if normalise(name) != name:
        raise InvalidName("the name is not in its normal form")
    return EnsName(name)


@lru_cache(maxsize=16_384)
def _normalise(name: str) -> EnsName:
    if not name:
        raise InvalidName("empty name")
    if name.isascii():
        lowered = name.lower()
        if all(label and _ASCII_LABEL.fullmatch(label) for label in lowered.split(".")):
            return EnsName(lowered)
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidName("lone surrogate in name") from None
    if size > MAX_NAME_BYTES:
        raise InvalidName(f"name of {size} bytes, at most {MAX_NAME_BYTES} are taken")
    return EnsName(_ensip15(name))


def _ensip15(name: str) -> str:
    # Loading its tables takes a quarter of a second, and most installations never meet a name outside ASCII.
    from ens_normalize import DisallowedSequence, ens_normalize

    try:
        normal = str(ens_normalize(name))
    except DisallowedSequence as error:
        raise InvalidName(f"the name has no normal form: {error}") from None
    if not normal:
        raise InvalidName("nothing is left of the name in normal form")
    if len(normal.encode()) > MAX_NAME_BYTES:
        raise InvalidName(f"normal form is longer than {MAX_NAME_BYTES} bytes")
    return normal


def labelhash(label: str) -> bytes:
    """Keccak-256 of one label in UTF-8 (EIP-137)."""
    return keccak256(label.encode())


@lru_cache(maxsize=16_384)
def namehash(name: EnsName) -> bytes:
    """The 32-byte node of a name (EIP-137); the empty string is the root, 32 zero bytes."""
    if not name:
        return ROOT_NODE
    label, _, parent = name.partition(".")
    return keccak256(namehash(EnsName(parent)) + labelhash(label))


def parents(name: EnsName) -> tuple[EnsName, ...]:
    """The name itself, then each of its ancestors up to the top-level name: a.b.eth, b.eth, eth."""
    labels = name.split(".")
    return tuple(EnsName(".".join(labels[index:])) for index in range(len(labels)))


def is_under(name: EnsName, parent: EnsName) -> bool:
    """True when ``name`` is a proper sub-name of ``parent``, at any depth."""
    return name.endswith("." + parent)


def dns_encode(name: EnsName) -> bytes:
    """Length-prefixed labels and a closing zero byte (ENSIP-10). Raises InvalidName on a label of over 255 bytes."""
    if not name:
        return b"\0"
    encoded = bytearray()
    for label in name.split("."):
        data = label.encode()
        if not 1 <= len(data) <= MAX_DNS_LABEL_BYTES:
            raise InvalidName(f"label of {len(data)} bytes cannot be written in DNS form")
        encoded.append(len(data))
        encoded += data
    encoded.append(0)
    return bytes(encoded)


def dns_decode(data: bytes) -> EnsName:
    """Read a name in DNS form (ENSIP-10); it must be in normal form.

    Raises InvalidName when it is unterminated, has bytes behind its end, a label that overruns, holds a dot, a NUL
    or no UTF-8, when it is the root, or when the name is not normal.
    """
    if len(data) > MAX_NAME_BYTES + 2:
        raise InvalidName(f"DNS form of {len(data)} bytes")
    labels: list[str] = []
    position = 0
    while True:
        if position >= len(data):
            raise InvalidName("DNS form is not terminated")
        size = data[position]
        if size == 0:
            break
        label = data[position + 1 : position + 1 + size]
        if len(label) != size:
            raise InvalidName("label overruns the DNS form")
        if b"." in label or b"\0" in label:
            raise InvalidName("dot or NUL inside a label")
        try:
            labels.append(label.decode())
        except UnicodeDecodeError:
            raise InvalidName("label is not UTF-8") from None
        position += 1 + size
    if position + 1 != len(data):
        raise InvalidName("bytes behind the end of the DNS form")
    return require_normal(".".join(labels))


def nameprep_safe(name: EnsName) -> bool:
    """True when RFC 3491 leaves the name as it is, so that clients of the reference generation address the same one.

    They run nameprep with unassigned code points (Unicode 3.2) refused and IDNA's rule on hyphens: ``faß.eth``
    would become ``fass.eth``, a joined or newer emoji and a leading hyphen are refused by them.
    """
    labels = name.split(".")
    if any(label.startswith("-") or label.endswith("-") or label[2:4] == "--" for label in labels):
        return False
    if name.isascii():
        return True
    try:
        return nameprep(name) == name and all(map(_one_direction, labels))
    except InvalidName:
        return False


def _one_direction(label: str) -> bool:
    """RFC 3454, section 6: right-to-left text begins and ends with such a letter and holds none of the other kind."""
    right_to_left = [stringprep.in_table_d1(char) for char in label]
    if not any(right_to_left):
        return True
    return right_to_left[0] and right_to_left[-1] and not any(stringprep.in_table_d2(char) for char in label)
