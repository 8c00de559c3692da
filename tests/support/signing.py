"""Mails signed by DKIM and sealed by ARC for tests, and the records of the keys that did it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.email.dkim.canonical import Form, body_hash, canonical_field, signed_header
from adapters.email.dkim.fields import select, split_fields, split_mail

Key = RSAPrivateKey | Ed25519PrivateKey
NAMES = "from:to:subject:from"


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    """One key for all tests: making one takes a while."""
    return generate_private_key(65537, bits)


@cache
def ed25519_key() -> Ed25519PrivateKey:
    """The same every time."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"tests").digest())


def record(key: Key) -> str:
    """What stands in the DNS."""
    if isinstance(key, RSAPrivateKey):
        octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
    octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(octets).decode()}"


def key_rows(domain: str, key: Key, selector: str = "s1") -> dict[str, list[str]]:
    """The same as a row of a zone; quoted pieces of at most 255 octets."""
    text = record(key)
    pieces = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
    return {f"{selector}._domainkey.{domain} TXT": [pieces]}


def signed(
    mail: bytes,
    domain: str,
    key: Key | None = None,
    *,
    selector: str = "s1",
    names: str = NAMES,
    forms: tuple[Form, Form] = (Form.RELAXED, Form.RELAXED),
    extra: str = "",
) -> bytes:
    """The mail with one more signature on top; `extra` are further tags such as ``l=5; ``."""
    key = key or rsa_key()
    head, body = split_mail(mail)
    digest = base64.b64encode(body_hash(body, forms[1])[0]).decode()
    field = (
        f"DKIM-Signature: v=1; a={_algorithm(key)}; c={forms[0].value}/{forms[1].value};\r\n d={domain}; s={selector};"
        f" {extra}h={names};\r\n bh={digest};\r\n b="
    ).encode()
    fields = select(split_fields(head), names.split(":"))
    value = _sign(key, hashlib.sha256(signed_header(fields, field, forms[0])).digest())
    return field + value + b"\r\n" + mail


def sealed(
    mail: bytes,
    domain: str,
    results: str,
    *,
    number: int = 1,
    key: Key | None = None,
    selector: str = "s1",
    cv: str = "",
    names: str = NAMES,
    extra: str = "",
) -> bytes:
    """The mail with one more ARC set on top (RFC 8617, section 5.1); `results` as behind ``i=1;``.

    `names` are signed by the message signature, which has `extra` as further tags such as ``x=5; ``.
    """
    key = key or rsa_key()
    head, body = split_mail(mail)
    report = f"ARC-Authentication-Results: i={number}; {results}".encode()
    digest = base64.b64encode(body_hash(body, Form.RELAXED)[0]).decode()
    message = (
        f"ARC-Message-Signature: i={number}; a={_algorithm(key)}; c=relaxed/relaxed; d={domain}; s={selector};"
        f" {extra}h={names}; bh={digest}; b="
    ).encode()
    content = signed_header(select(split_fields(head), names.split(":")), message, Form.RELAXED)
    message += _sign(key, hashlib.sha256(content).digest())
    cv = cv or ("none" if number == 1 else "pass")
    seal = f"ARC-Seal: i={number}; a={_algorithm(key)}; cv={cv}; d={domain}; s={selector}; b=".encode()
    before = [each.raw for each in reversed(split_fields(head)) if each.name.startswith("arc-")]
    # Sets stand one above the other, each as seal, message signature, results; what is sealed goes the other way.
    chain = b"".join(canonical_field(each, Form.RELAXED) + b"\r\n" for each in [*before, report, message])
    seal += _sign(key, hashlib.sha256(chain + canonical_field(seal, Form.RELAXED)).digest())
    return seal + b"\r\n" + message + b"\r\n" + report + b"\r\n" + mail


def _algorithm(key: Key) -> str:
    return "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"


def _sign(key: Key, digest: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.sign(digest))
    return base64.b64encode(key.sign(digest, PKCS1v15(), Prehashed(SHA256())))
