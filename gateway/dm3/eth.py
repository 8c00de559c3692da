"""Ethereum's part of DM3: Keccak-256, addresses (ERC-55) and recoverable signatures (ERC-191, SEC 1).

Addresses are lower-case inside the gateway; the checksummed spelling appears only where a text is shown or signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from gateway.dm3.encoding import from_hex, to_hex
from gateway.errors import BadSignature, InvalidInput
from gateway.ids import EthAddress

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""secp256k1's order (SEC 2)."""
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half of secp256k1's order: the greatest s of a signature that is not malleable (EIP-2)."""


def keccak256(data: bytes) -> bytes:
    """32 bytes; Ethereum's Keccak, not the later SHA3-256."""
    return bytes(keccak(data))


def checksum(address: EthAddress) -> str:
    """The mixed-case spelling of ERC-55."""
    digits = address[2:].lower()
    shades = keccak256(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if shade >= "8" else digit for digit, shade in zip(digits, shades, strict=False)
    )


def parse_address(text: str) -> EthAddress:
    """Read 0x + 40 hex digits; mixed case must carry the right checksum (ERC-55). Raises InvalidInput."""
    if not isinstance(text, str) or not _ADDRESS.match(text):
        raise InvalidInput("not an Ethereum address")
    digits = text[2:]
    address = EthAddress(text.lower())
    if digits not in (digits.lower(), digits.upper()) and checksum(address) != text:
        raise InvalidInput("an Ethereum address with a wrong checksum")
    return address


def address_from_bytes(data: bytes) -> EthAddress:
    """The address of 20 raw bytes; raises InvalidInput for any other length."""
    if len(data) != 20:
        raise InvalidInput("an Ethereum address has 20 bytes")
    return EthAddress(to_hex(data))


def address_bytes(address: EthAddress) -> bytes:
    """20 raw bytes."""
    return bytes.fromhex(address[2:])


def address_of(key: bytes) -> EthAddress:
    """The address that belongs to a 32-byte secp256k1 private key; raises InvalidInput for a key out of range."""
    return _address_of_point(_private(key).public_key)


def eip191_hash(message: bytes) -> bytes:
    """Digest of a personal message (ERC-191 version 0x45)."""
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)


def sign_digest(key: bytes, digest: bytes) -> bytes:
    """65 bytes r || s || v with v 27 or 28 and low s, deterministic (RFC 6979); raises InvalidInput on a bad key."""
    return digest_signer(key)(digest)


def digest_signer(key: bytes) -> Callable[[bytes], bytes]:
    """``sign_digest`` with this key, for who signs often: making the key ready takes longer than a signature."""
    private = _private(key)

    def sign(digest: bytes) -> bytes:
        if len(digest) != 32:
            raise InvalidInput("a digest has 32 bytes")
        signature = private.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))

    return sign


def recover(digest: bytes, signature: bytes) -> EthAddress:
    """The address that signed ``digest``; v may be 0, 1, 27 or 28. Raises BadSignature, also for a high s."""
    if len(digest) != 32 or len(signature) != 65:
        raise BadSignature("a signature has 65 bytes")
    recovery = signature[64] - 27 if signature[64] >= 27 else signature[64]
    if recovery not in (0, 1):
        raise BadSignature("the recovery byte of the signature is not 27 or 28")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise BadSignature("the signature is malleable: its s is in the upper half")
    try:
        point = PublicKey.from_signature_and_message(signature[:64] + bytes((recovery,)), digest, hasher=None)
    except Exception:
        # coincurve raises bare Exception for points that are not on the curve.
        raise BadSignature("no key made this signature") from None
    return _address_of_point(point)


def completed(r: int, s: int, digest: bytes, address: EthAddress) -> bytes:
    """65 bytes r || s || v of an ECDSA signature by ``address`` as devices make it, with any s and no recovery byte.

    Raises BadSignature when it is not by this address.
    """
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise BadSignature("r and s of a signature are between 0 and the order of the curve")
    both = r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")
    for v in (27, 28):
        signature = both + bytes((v,))
        try:
            if recover(digest, signature) == address:
                return signature
        except BadSignature:
            continue  # this half of the curve has no such point
    raise BadSignature(f"the signature is not by {address}")


def sign_text(key: bytes, text: str) -> str:
    """personal_sign of a text: 0x + 65 bytes."""
    return to_hex(sign_digest(key, eip191_hash(text.encode("utf-8"))))


def signed_by(text: str, signature: str, address: EthAddress) -> bool:
    """True when ``signature`` (0x + 65 bytes of hex) is the personal_sign of ``text`` by ``address``."""
    try:
        return recover(eip191_hash(text.encode("utf-8")), from_hex(signature, "signature", length=65)) == address
    except (BadSignature, InvalidInput, UnicodeEncodeError):
        return False


def _private(key: bytes) -> PrivateKey:
    try:
        return PrivateKey(key)
    except (ValueError, TypeError):
        raise InvalidInput("not a secp256k1 private key") from None


def _address_of_point(point: PublicKey) -> EthAddress:
    return EthAddress(to_hex(keccak256(point.format(compressed=False)[1:])[-20:]))
