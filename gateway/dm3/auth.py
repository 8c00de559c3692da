"""Log-in at a delivery service: the profile's signing key signs a challenge."""

from __future__ import annotations

import re
from typing import Final

from gateway.dm3.keys import KeyPair
from gateway.dm3.signing import sign, verify
from gateway.errors import InvalidInput

_TOKEN: Final = re.compile(r"(?!0x)[A-Za-z0-9._~+/=-]{8,4096}\Z")


def sign_challenge(signing_key: KeyPair, challenge: str) -> str:
    """Sign what a delivery service sent, base64; raises InvalidInput for a text that is no token.

    The same key signs messages, claims of names and, in the specification's form, bare hashes. A service that
    sends one of those as its challenge would otherwise get a forged message signed.
    """
    if not _TOKEN.match(challenge):
        raise InvalidInput("the challenge is not a token")
    return sign(signing_key, challenge)


def verify_challenge(public_signing_key: bytes, challenge: str, signature: str) -> bool:
    """True when the key signed this challenge."""
    return verify(public_signing_key, challenge, signature)
