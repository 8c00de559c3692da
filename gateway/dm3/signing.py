"""Ed25519 signatures over texts, as DM3 messages, envelopes, postmarks and log-ins carry them."""

from __future__ import annotations

import hashlib

from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_PUBLICKEYBYTES
from nacl.exceptions import BadSignatureError

from gateway.dm3.canonical import JsonObject, stringify
from gateway.dm3.encoding import from_base64, to_base64, to_hex
from gateway.dm3.keys import KeyPair
from gateway.errors import InvalidInput


def sign(key: KeyPair, text: str) -> str:
    """Detached signature over the UTF-8 form of ``text``, base64."""
    return to_base64(crypto_sign(text.encode("utf-8"), key.private)[:crypto_sign_BYTES])


def verify(public_key: bytes, text: str, signature: str) -> bool:
    """True when ``signature`` (canonical base64) is over ``text``; never raises for bad input of a stranger."""
    try:
        return _verify_bytes(public_key, text.encode("utf-8"), _decoded(signature))
    except (InvalidInput, UnicodeEncodeError):
        return False


def verify_object(public_key: bytes, signed: JsonObject, signature: str) -> bool:
    """True when ``signature`` is over the canonical text of ``signed``, which must not hold the signature itself."""
    return verify_canonical(public_key, stringify(signed), signature)


def verify_canonical(public_key: bytes, signed_text: str, signature: str) -> bool:
    """As verify_object, from the canonical text.

    The reference signs the text. DM3-MTP words it as a signature over the text's SHA-256, which can be read as
    the 0x text of the hash or as its 32 bytes; both are taken too, so that a client built from the specification
    alone is understood.
    """
    try:
        text = signed_text.encode("utf-8")
        raw = _decoded(signature)
    except (InvalidInput, UnicodeEncodeError):
        return False
    if _verify_bytes(public_key, text, raw):
        return True
    digest = hashlib.sha256(text).digest()
    return _verify_bytes(public_key, to_hex(digest).encode("ascii"), raw) or _verify_bytes(public_key, digest, raw)


def _decoded(signature: str) -> bytes:
    return from_base64(signature, "signature", length=crypto_sign_BYTES)


def _verify_bytes(public_key: bytes, message: bytes, signature: bytes) -> bool:
    if len(public_key) != crypto_sign_PUBLICKEYBYTES:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True
