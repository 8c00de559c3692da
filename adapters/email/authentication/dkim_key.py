"""Keys of signers in the DNS (RFC 6376, section 3.6.1; RFC 8463, section 4), and verifying by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from adapters.email.authentication.dkim_signature import Algorithm, decode_base64
from adapters.email.dkim.tags import MalformedTags, parse_tags, unfolded

MIN_RSA_BITS: Final = 1024
"""RFC 8301, section 3.2."""
MAX_RSA_BITS: Final = 4096
"""Larger ones cost more than they prove."""
MAX_RECORD: Final = 4_096
_ED25519_BYTES: Final = 32
KEPT_KEYS: Final = 500
"""Keys that were read, by their records: those of the few domains from which most mail comes."""


class UnusableKey(ValueError):
    """permerror: no key, a revoked one, or one that is not for this."""


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A public key and what it is for. A signer who only tests (``t=y``) is believed as any other."""

    key: RSAPublicKey | Ed25519PublicKey
    exact_domain: bool
    """True when signatures for subdomains are not covered (flag ``s``)."""

    def verifies(self, signature: bytes, digest: bytes, algorithm: Algorithm) -> bool:
        """True when it made this signature over a SHA-256 digest."""
        try:
            if algorithm is Algorithm.RSA_SHA256 and isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
            elif algorithm is Algorithm.ED25519_SHA256 and isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, digest)
            else:
                return False
        except InvalidSignature:
            return False
        return True


def choose_key(records: Iterable[str]) -> SignerKey:
    """The key among the TXT records of a selector; raises UnusableKey unless exactly one record is one."""
    keys: list[SignerKey] = []
    reason = "no key"
    for record in records:
        try:
            keys.append(parse_key(record))
        except UnusableKey as error:
            reason = str(error)
    if len(keys) > 1:
        raise UnusableKey("more than one key")
    if not keys:
        raise UnusableKey(reason)
    return keys[0]


@lru_cache(KEPT_KEYS)
def parse_key(record: str) -> SignerKey:
    """Read one record; raises UnusableKey."""
    if len(record) > MAX_RECORD:
        raise UnusableKey("key record too long")
    try:
        tags = parse_tags(record)
    except MalformedTags as error:
        raise UnusableKey("malformed key record") from error
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        raise UnusableKey("unknown version of key record")
    if "p" not in tags:
        raise UnusableKey("no key in the record")
    if not unfolded(tags["p"]):
        raise UnusableKey("key was revoked")
    if not {"*", "email"} & _items(tags.get("s", "*")):
        raise UnusableKey("key is not for mail")
    if "sha256" not in _items(tags.get("h", "sha256")):
        raise UnusableKey("key is not for SHA-256")
    return SignerKey(_public_key(tags.get("k", "rsa").lower(), tags["p"]), "s" in _items(tags.get("t", "")))


def _items(text: str) -> set[str]:
    return set(unfolded(text).lower().split(":"))


def _public_key(kind: str, text: str) -> RSAPublicKey | Ed25519PublicKey:
    try:
        octets = decode_base64(text)
        if kind == "ed25519":
            if len(octets) != _ED25519_BYTES:
                raise UnusableKey("malformed key")
            return Ed25519PublicKey.from_public_bytes(octets)
        key = load_der_public_key(octets) if kind == "rsa" else None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey("malformed key") from error
    if not isinstance(key, RSAPublicKey):
        raise UnusableKey("unknown kind of key")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise UnusableKey("RSA key of a size that is not accepted")
    return key
