"""Secrets at rest: XChaCha20-Poly1305 with the place of the secret bound in.

A sealed value that is moved to another row, column or table does not open, so whoever can write to the database
still cannot give one person the keys of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_ABYTES,
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from gateway.custody.derive import context
from gateway.errors import CustodyError

_FORMAT: Final = b"\x01"
_OVERHEAD: Final = (
    len(_FORMAT) + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES
)


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where a secret stands; ``row`` is the natural key of the row, ``epoch`` that of the sealing key."""

    table: str
    row: tuple[str, ...]
    column: str
    epoch: int = 0

    def to_bytes(self) -> bytes:
        """The associated data of the AEAD."""
        return context(self.table, str(len(self.row)), *self.row, self.column, str(self.epoch))


def seal_secret(key: bytes, secret: bytes, place: SecretPlace) -> bytes:
    """Format byte, nonce, ciphertext and tag; different at every call."""
    nonce = random(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(secret, _FORMAT + place.to_bytes(), nonce, key)
    return _FORMAT + nonce + sealed


def open_secret(key: bytes, sealed: bytes, place: SecretPlace) -> bytes:
    """Raises CustodyError when key or place is another one, or a bit was changed."""
    if len(sealed) < _OVERHEAD or sealed[:1] != _FORMAT:
        raise CustodyError(f"the secret in {place.table}.{place.column} is not of a known format")
    nonce_end = 1 + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[nonce_end:], _FORMAT + place.to_bytes(), sealed[1:nonce_end], key
        )
    except CryptoError:
        raise CustodyError(f"the secret in {place.table}.{place.column} is of another seed or was changed") from None
