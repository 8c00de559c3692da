"""Confirming what cannot be undone: by answering the mail that asks, which carries a token in its Message-ID.

The token is a MAC over sender, command and time, so nothing is kept, and nobody who does not read the mailbox has it. A
second use of one finds nothing left to do, because what it confirms is final.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from gateway.sdk import CanonicalId

VALID_MS: Final = 24 * 3600 * 1000
WORDS: Final = frozenset({"yes", "yes.", "yes!"})
"""What confirms; an answer that says something else, or a program's, does not."""
_MINUTE_MS: Final = 60_000
_TIME_BYTES: Final = 4
_MAC_BYTES: Final = 16
_TOKEN: Final = re.compile(r"(?<![a-z2-7])[a-z2-7]{32}(?![a-z2-7])")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Makes tokens and checks them."""

    key: bytes = field(repr=False)

    def token(self, sender: CanonicalId, command: str, at: int) -> str:
        """32 letters and digits; `at` is when it was asked for, in milliseconds."""
        minute = (at // _MINUTE_MS).to_bytes(_TIME_BYTES, "big")
        return base64.b32encode(minute + self._mac(sender, command, minute)).decode().lower()

    def confirms(self, text: str, sender: CanonicalId, command: str, now_ms: int) -> bool:
        """Whether some token in the text was made for this sender and command within VALID_MS."""
        return any(self._holds(found, sender, command, now_ms) for found in _TOKEN.findall(text.lower())[:20])

    def _holds(self, token: str, sender: CanonicalId, command: str, now_ms: int) -> bool:
        raw = base64.b32decode(token.upper())
        minute, mac = raw[:_TIME_BYTES], raw[_TIME_BYTES:]
        if not hmac.compare_digest(mac, self._mac(sender, command, minute)):
            return False
        # A minute of grace on the other side: nodes of one gateway need not agree on the second.
        age = now_ms - int.from_bytes(minute, "big") * _MINUTE_MS
        return -_MINUTE_MS <= age <= VALID_MS

    def _mac(self, sender: CanonicalId, command: str, minute: bytes) -> bytes:
        signed = b"\0".join((sender.encode("utf-8", "replace"), command.encode("utf-8", "replace"), minute))
        return hmac.digest(self.key, b"dm3-gateway email confirmation\0" + signed, hashlib.sha256)[:_MAC_BYTES]
