"""Key pairs of DM3 profiles and delivery services, and how a profile's keys follow from one wallet signature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from nacl.bindings import crypto_kx_keypair, crypto_kx_seed_keypair, crypto_sign_keypair, crypto_sign_seed_keypair

from gateway.dm3.canonical import sha256_hex
from gateway.dm3.encoding import to_base64
from gateway.dm3.eth import checksum
from gateway.errors import InvalidInput
from gateway.ids import EthAddress

DEFAULT_NONCE: Final = sha256_hex("dm3_default_nonce")
"""The nonce that every published client puts into the storage-key text."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Raw bytes of one pair: X25519 (private 32 bytes) for encryption, Ed25519 (private 64 = seed || public)."""

    public: bytes
    private: bytes = field(repr=False)

    @property
    def public_base64(self) -> str:
        """The public key as profiles carry it."""
        return to_base64(self.public)


def encryption_pair(seed: bytes | None = None) -> KeyPair:
    """X25519 pair of libsodium's crypto_kx from a 32-byte seed, or a fresh random one."""
    if seed is None:
        return KeyPair(*crypto_kx_keypair())
    _check_seed(seed)
    return KeyPair(*crypto_kx_seed_keypair(seed))


def signing_pair(seed: bytes | None = None) -> KeyPair:
    """Ed25519 pair from a 32-byte seed, or a fresh random one."""
    if seed is None:
        return KeyPair(*crypto_sign_keypair())
    _check_seed(seed)
    return KeyPair(*crypto_sign_seed_keypair(seed))


@dataclass(frozen=True, slots=True)
class ProfileKeys:
    """The two pairs of a user's DM3 profile."""

    encryption: KeyPair
    signing: KeyPair

    @classmethod
    def from_storage_key(cls, storage_key: bytes) -> ProfileKeys:
        """Both pairs from the 32-byte storage key, as every DM3 client derives them; raises InvalidInput."""
        return cls(encryption_pair(storage_key), signing_pair(storage_key))


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """The two pairs of a delivery service, independent of each other; decoded once, used for every envelope."""

    encryption: KeyPair
    signing: KeyPair
    further: tuple[KeyPair, ...] = ()
    """Pairs that open what is sealed to this service already, or still, while its encryption key changes."""

    @property
    def opening(self) -> tuple[KeyPair, ...]:
        """All that open, the present one first."""
        return self.encryption, *self.further

    @classmethod
    def from_seeds(cls, encryption_seed: bytes, signing_seed: bytes) -> ServiceKeys:
        """From two 32-byte seeds; raises InvalidInput when they are the same or of another length."""
        if encryption_seed == signing_seed:
            raise InvalidInput("the two seeds of a delivery service must differ")
        return cls(encryption_pair(encryption_seed), signing_pair(signing_seed))

    @classmethod
    def generate(cls) -> ServiceKeys:
        """Two fresh random pairs."""
        return cls(encryption_pair(), signing_pair())


def storage_key_text(address: EthAddress, nonce: str = DEFAULT_NONCE) -> str:
    """The text that a wallet signs (ERC-191) to make its storage key; its bytes are fixed by the reference."""
    return (
        "dm3.chat wants you to sign in with your Ethereum account:\n"
        f"{checksum(address)}\n\n"
        "Connect the DM3 MESSENGER with your wallet. Keys for secure communication are derived from this signature."
        "\n\n(There is no paid transaction initiated. The signature is used off-chain only.)\n\n"
        f"URI: https://dm3.chat\nVersion: 1\nNonce: {nonce}"
    )


def storage_key_from_signature(signature: str) -> bytes:
    """32 bytes: SHA-256 over the signature's hex text (not over its bytes)."""
    return hashlib.sha256(signature.encode("utf-8")).digest()


def _check_seed(seed: bytes) -> None:
    if len(seed) != 32:
        raise InvalidInput("a key seed has 32 bytes")
