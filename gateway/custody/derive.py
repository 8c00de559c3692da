"""Derivation of keys from seed and salt: HKDF-SHA256 (RFC 5869) with unambiguous contexts.

What is derived here is frozen for ever: an address once published must come back after any upgrade.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import Final

from gateway.custody.seed import MasterSeed
from gateway.ids import CanonicalId, Network

VERSION: Final = "dm3-gateway/custody/v1"
_HASH_BYTES: Final = 32
_CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_WIDE_BYTES: Final = 48


class Purpose(StrEnum):
    """What a derived secret is for; the value is part of the derivation."""

    ETH_KEY = "eth-key"
    """secp256k1 key: the identity's address, which signs its profile."""
    STORAGE_KEY = "dm3-storage-key"
    """DM3 storage key, from which encryption and signing pairs follow."""
    SALT_SEALING = "salt-sealing"
    """Key that seals the salts; no identity's."""
    LINK_CODES = "link-codes"
    """Key of the digests of codes that link a claimed name to a person; no identity's."""
    NOTIFICATION_CODES = "notification-codes"
    """Key of the digests of codes that people prove mail addresses with; no identity's."""
    WEBHOOK_SECRETS = "webhook-secrets"
    """Key that seals the secrets by which receivers of news know that it is us; no identity's."""
    TOMBSTONES = "tombstones"
    """Key of the digests by which people who were deleted are known; no identity's."""
    ADAPTER = "adapter"
    """Key of MACs that an adapter makes for itself; no identity's."""


def hkdf_sha256(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Extract and expand (RFC 5869 section 2), at most 8160 bytes."""
    if not 0 < length <= 255 * _HASH_BYTES:
        raise ValueError("HKDF-SHA256 gives 1 to 8160 bytes")
    extracted = hmac.digest(salt or bytes(_HASH_BYTES), secret, "sha256")
    output = block = b""
    for counter in range(1, -(-length // _HASH_BYTES) + 1):
        block = hmac.digest(extracted, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:length]


def context(*fields: str) -> bytes:
    """Fields joined so that no two lists give the same bytes: each after its length in four bytes."""
    encoded = (field.encode("utf-8") for field in fields)
    return b"".join(len(field).to_bytes(4, "big") + field for field in encoded)


def eth_key(seed: MasterSeed, salt: bytes, network: Network, canonical_id: CanonicalId, epoch: int) -> bytes:
    """The identity's 32-byte secp256k1 key.

    48 bytes are reduced to the range 1 to n-1 (FIPS 186-5 appendix A.4.1), so that every output is a valid key
    and none is likelier than another.
    """
    info = context(VERSION, network, canonical_id, Purpose.ETH_KEY, str(epoch))
    wide = int.from_bytes(hkdf_sha256(seed.secret, salt, info, _WIDE_BYTES), "big")
    return (wide % (_CURVE_ORDER - 1) + 1).to_bytes(32, "big")


def storage_key(seed: MasterSeed, salt: bytes, network: Network, canonical_id: CanonicalId, epoch: int) -> bytes:
    """The identity's 32-byte DM3 storage key."""
    info = context(VERSION, network, canonical_id, Purpose.STORAGE_KEY, str(epoch))
    return hkdf_sha256(seed.secret, salt, info, 32)


def salt_sealing_key(seed: MasterSeed) -> bytes:
    """The 32-byte key under which salts stand in the database."""
    return hkdf_sha256(seed.secret, b"", context(VERSION, Purpose.SALT_SEALING), 32)


def notification_code_key(seed: MasterSeed) -> bytes:
    """The 32-byte key without which the stored digest of a short code tells nothing about the code."""
    return hkdf_sha256(seed.secret, b"", context(VERSION, Purpose.NOTIFICATION_CODES), 32)


def link_code_key(seed: MasterSeed) -> bytes:
    """The 32-byte key of the digests of codes that link names."""
    return hkdf_sha256(seed.secret, b"", context(VERSION, Purpose.LINK_CODES), 32)


def webhook_sealing_key(seed: MasterSeed) -> bytes:
    """The 32-byte key under which the secrets of webhooks stand in the database."""
    return hkdf_sha256(seed.secret, b"", context(VERSION, Purpose.WEBHOOK_SECRETS), 32)


def tombstone(seed: MasterSeed, network: Network, canonical_id: CanonicalId) -> str:
    """64 hex digits that stand for a person who was deleted; nobody without the seed can tell for whom, or try."""
    key = hkdf_sha256(seed.secret, b"", context(VERSION, Purpose.TOMBSTONES), 32)
    return hmac.new(key, context(network, canonical_id), "sha256").hexdigest()


def adapter_key(seed: MasterSeed, network: Network, purpose: str) -> bytes:
    """A 32-byte key of one adapter, for what it says it is for."""
    return hkdf_sha256(seed.secret, b"", context(VERSION, Purpose.ADAPTER, network, purpose), 32)


def fingerprint(seed: MasterSeed) -> str:
    """16 hex digits that tell one seed from another and tell nothing about it; for backups and diagnosis."""
    return hashlib.sha256(hkdf_sha256(seed.secret, b"", context(VERSION, "fingerprint"), 32)).hexdigest()[:16]
