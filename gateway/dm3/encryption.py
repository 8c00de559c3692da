"""Encryption of DM3: x25519-chacha20-poly1305, padded so that a length tells little.

DM3-MTP leaves the details to its implementation; the bytes are the reference's: a fresh crypto_kx pair as client
towards the receiver as server, ChaCha20-Poly1305 (RFC 8439) without associated data, ISO 7816-4 padding to
blocks of 2048 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_kx_client_session_keys,
    crypto_kx_server_session_keys,
    sodium_pad,
    sodium_unpad,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from gateway.dm3.canonical import parse_object
from gateway.dm3.encoding import from_base64, from_hex, to_base64, to_hex
from gateway.dm3.keys import KeyPair, encryption_pair
from gateway.errors import DecryptionFailed, InvalidInput, ParseError, TooLarge

SCHEME: Final = "x25519-chacha20-poly1305"
"""The default scheme's name in profiles and envelopes."""
MAX_SEALED_BYTES: Final = 64 * 2**20
"""Last line of defence; the relay refuses far smaller envelopes before anything is opened."""
BLOCK_BYTES: Final = 2048
"""Plaintexts are padded to a multiple of this, with at least one byte."""
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class EncryptedPayload:
    """Ciphertext with tag, 12-byte nonce, and the 32-byte ephemeral public key unless the key was shared."""

    ciphertext: bytes
    nonce: bytes
    ephemeral_public_key: bytes | None = None

    def to_text(self) -> str:
        """The canonical JSON text that travels inside other texts."""
        # Base64 and hex need no escapes, and the keys stand in their order: this is what stringify would write.
        ephemeral = self.ephemeral_public_key
        sender = "" if ephemeral is None else f'"ephemPublicKey":"{to_base64(ephemeral)}",'
        return f'{{"ciphertext":"{to_base64(self.ciphertext)}",{sender}"nonce":"{to_hex(self.nonce)}"}}'


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """The random part of one encryption; given only to reproduce test vectors, never twice in earnest."""

    pair: KeyPair
    nonce: bytes


@dataclass(frozen=True, slots=True)
class SealingKey:
    """What an ephemeral pair and a receiver's public key agree on, for one text or for several.

    The curve arithmetic is most of the cost of a small text. Nonces are random and have 96 bits, so no key may seal
    more than 2**32 texts (RFC 8439, section 4; NIST SP 800-38D, section 8.3).
    """

    ephemeral_public_key: bytes
    shared: bytes = field(repr=False)

    @classmethod
    def towards(cls, public_key: bytes, pair: KeyPair | None = None) -> SealingKey:
        """Agree with the owner of a 32-byte public key, by a fresh pair if none is given; raises InvalidInput."""
        if len(public_key) != _KEY_BYTES:
            raise InvalidInput("a public encryption key has 32 bytes")
        pair = encryption_pair() if pair is None else pair
        try:
            _, shared = crypto_kx_client_session_keys(pair.public, pair.private, public_key)
        except CryptoError:
            raise InvalidInput("a public encryption key of low order") from None
        return cls(pair.public, shared)

    def seal(self, plaintext: str, *, nonce: bytes | None = None) -> EncryptedPayload:
        """Seal a text with a fresh nonce if none is given; raises InvalidInput as encrypt_symmetric does."""
        sealed = encrypt_symmetric(self.shared, plaintext, nonce=nonce)
        return EncryptedPayload(sealed.ciphertext, sealed.nonce, self.ephemeral_public_key)


def parse_payload(text: str, *, max_bytes: int = MAX_SEALED_BYTES) -> EncryptedPayload:
    """Read what to_text wrote; a nonce without 0x is taken too. Raises DecryptionFailed for anything else."""
    try:
        value = parse_object(text, max_bytes=max_bytes, max_depth=2, max_items=16)
        ephemeral = value.get("ephemPublicKey")
        return EncryptedPayload(
            ciphertext=from_base64(value.get("ciphertext"), "ciphertext"),
            nonce=from_hex(value.get("nonce"), "nonce", length=_NONCE_BYTES, prefix_required=False),
            ephemeral_public_key=(
                None if ephemeral is None else from_base64(ephemeral, "ephemPublicKey", length=_KEY_BYTES)
            ),
        )
    except (InvalidInput, ParseError, TooLarge) as error:
        raise DecryptionFailed(f"not an encrypted payload: {error.detail}") from None


def encrypt(public_key: bytes, plaintext: str, *, ephemeral: Ephemeral | None = None) -> str:
    """Seal a text to a 32-byte public key; gives the payload's canonical text. Raises InvalidInput on a bad key."""
    return encrypt_payload(public_key, plaintext, ephemeral=ephemeral).to_text()


def encrypt_payload(public_key: bytes, plaintext: str, *, ephemeral: Ephemeral | None = None) -> EncryptedPayload:
    """As encrypt, as a value."""
    if ephemeral is None:
        return SealingKey.towards(public_key).seal(plaintext)
    return SealingKey.towards(public_key, ephemeral.pair).seal(plaintext, nonce=ephemeral.nonce)


def decrypt(key: KeyPair, sealed: str, *, max_bytes: int = MAX_SEALED_BYTES) -> str:
    """Open what encrypt sealed to this pair; raises DecryptionFailed for a wrong key or any changed bit."""
    return decrypt_payload(key, parse_payload(sealed, max_bytes=max_bytes))


def decrypt_by_any(keys: Sequence[KeyPair], payload: EncryptedPayload) -> str:
    """As decrypt_payload by the first pair that opens it; raises DecryptionFailed when none does."""
    for key in keys[:-1]:
        try:
            return decrypt_payload(key, payload)
        except DecryptionFailed:
            continue
    return decrypt_payload(keys[-1], payload)


def decrypt_payload(key: KeyPair, payload: EncryptedPayload) -> str:
    """As decrypt, from a value."""
    if payload.ephemeral_public_key is None:
        raise DecryptionFailed("the ephemeral public key is missing")
    try:
        shared, _ = crypto_kx_server_session_keys(key.public, key.private, payload.ephemeral_public_key)
    except CryptoError:
        raise DecryptionFailed("an ephemeral public key of low order") from None
    return decrypt_symmetric(shared, payload)


def encrypt_symmetric(key: bytes, plaintext: str, *, nonce: bytes | None = None) -> EncryptedPayload:
    """Seal a text with a shared 32-byte key; raises InvalidInput for wrong lengths or text that is no Unicode."""
    nonce = random(_NONCE_BYTES) if nonce is None else nonce
    if len(key) != _KEY_BYTES or len(nonce) != _NONCE_BYTES:
        raise InvalidInput("a key has 32 bytes and a nonce 12")
    try:
        padded = sodium_pad(plaintext.encode("utf-8"), BLOCK_BYTES)
    except UnicodeEncodeError:
        raise InvalidInput("a lone surrogate in the plaintext") from None
    return EncryptedPayload(crypto_aead_chacha20poly1305_ietf_encrypt(padded, None, nonce, key), nonce)


def decrypt_symmetric(key: bytes, payload: EncryptedPayload) -> str:
    """Open with a shared 32-byte key; raises DecryptionFailed."""
    if len(key) != _KEY_BYTES or len(payload.nonce) != _NONCE_BYTES:
        raise DecryptionFailed("a key has 32 bytes and a nonce 12")
    try:
        padded = crypto_aead_chacha20poly1305_ietf_decrypt(payload.ciphertext, None, payload.nonce, key)
        return sodium_unpad(padded, BLOCK_BYTES).decode("utf-8")
    except (CryptoError, UnicodeDecodeError, ValueError):
        raise DecryptionFailed("wrong key, or the ciphertext was changed") from None
