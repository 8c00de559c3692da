"""Keys that sign our mail: files in PEM, and the DNS records by which others find their public halves.

Source: RFC 6376 section 3.6.1 (records), RFC 8301 (RSA of at least 2048 bits for signers), RFC 8463 (Ed25519).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.sdk import ConfigError

RSA_BITS: Final = 2048
"""What fits into one DNS answer over UDP; longer keys gain nothing against what mail needs."""
_DNS_STRING: Final = 255
"""Characters of one string in a TXT record (RFC 1035, section 3.3)."""

PrivateKey = Ed25519PrivateKey | RSAPrivateKey


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key, and the selector under which its public half stands in the DNS."""

    selector: str
    private: PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """What ``a=`` says."""
        return "ed25519-sha256" if isinstance(self.private, Ed25519PrivateKey) else "rsa-sha256"

    def sign(self, data: bytes) -> bytes:
        """The signature; Ed25519 signs the digest of the data (RFC 8463, section 3)."""
        if isinstance(self.private, Ed25519PrivateKey):
            digest = Hash(SHA256())
            digest.update(data)
            return self.private.sign(digest.finalize())
        return self.private.sign(data, PKCS1v15(), SHA256())

    def record(self) -> str:
        """Text of the TXT record at `record_name`."""
        if isinstance(self.private, Ed25519PrivateKey):
            kind, public = "ed25519", self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            kind = "rsa"
            public = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"

    def record_name(self, domain: str) -> str:
        """Where the record stands, without a dot at the end."""
        return f"{self.selector}._domainkey.{domain}"

    def zone_line(self, domain: str = "") -> str:
        """The record as a line of a zone file, in strings as long as they may be; relative without a domain."""
        owner = f"{self.record_name(domain)}." if domain else f"{self.selector}._domainkey"
        text = self.record()
        strings = (text[start : start + _DNS_STRING] for start in range(0, len(text), _DNS_STRING))
        return f"{owner} IN TXT {' '.join(f'{chr(34)}{each}{chr(34)}' for each in strings)}"


def new_keys(selector: str) -> tuple[DkimKey, DkimKey]:
    """A new pair of keys. Takes a tenth of a second."""
    return (
        DkimKey(f"{selector}-ed25519", Ed25519PrivateKey.generate()),
        DkimKey(f"{selector}-rsa", generate_private_key(65537, RSA_BITS)),
    )


def to_pem(key: DkimKey) -> str:
    """PKCS #8 in PEM, not encrypted."""
    return key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def parse_key(pem: bytes, selector: str) -> DkimKey:
    """A key whose selector is ``selector`` and its kind; raises ConfigError for what nobody should sign with."""
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("not a private key in PEM without a password") from error
    if isinstance(private, Ed25519PrivateKey):
        return DkimKey(f"{selector}-ed25519", private)
    if isinstance(private, RSAPrivateKey) and private.key_size >= RSA_BITS:
        return DkimKey(f"{selector}-rsa", private)
    raise ConfigError(f"a DKIM key is an Ed25519 key or an RSA key of at least {RSA_BITS} bits")


def load_keys(paths: Iterable[Path], selector: str) -> tuple[DkimKey, ...]:
    """Keys of files, one of a kind at most; raises ConfigError. Does I/O."""
    keys: dict[str, DkimKey] = {}
    for path in paths:
        try:
            key = parse_key(path.read_bytes(), selector)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except ConfigError as error:
            raise ConfigError(f"{path}: {error.detail}") from error
        if key.selector in keys:
            raise ConfigError(f"{path}: a second key of this kind would need another selector")
        keys[key.selector] = key
    return tuple(keys.values())
