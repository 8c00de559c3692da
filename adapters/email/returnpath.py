"""The envelope sender of our own mail: ``b+<token>@domain``, signed so that only real bounces come back to it.

The token names the message by the first half of its hash and is good for two to three weeks; it changes at most
once a week, so that greylisting servers see the same envelope at each try.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from adapters.email.addresses import RETURN_PATH_PREFIX
from gateway.sdk import ConfigError, InvalidInput, MessageHash

_ID_BYTES: Final = 16
_MAC_BYTES: Final = 10
_WEEK_MS: Final = 7 * 24 * 3600 * 1000
_WEEKS_VALID: Final = 3
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """Makes and checks return paths of one domain."""

    domain: str
    key: bytes = field(repr=False)

    def address(self, message_hash: MessageHash, now_ms: int) -> str:
        """The envelope sender for one message."""
        identifier = bytes.fromhex(message_hash[2:])[:_ID_BYTES]
        token = base64.b32encode(identifier + self._mac(identifier, now_ms // _WEEK_MS)).decode().rstrip("=").lower()
        return f"{RETURN_PATH_PREFIX}{token}@{self.domain}"

    def message_prefix(self, local: str, now_ms: int) -> str:
        """0x and the first 32 hex digits of the message's hash; raises InvalidInput for what we did not sign.

        `local` is the local part; mail servers may have changed the case of its letters.
        """
        token = local.lower().removeprefix(RETURN_PATH_PREFIX).upper()
        try:
            raw = base64.b32decode(token + "=" * (-len(token) % 8))
        except ValueError as error:
            raise InvalidInput("not a return path") from error
        identifier, mac = raw[:_ID_BYTES], raw[_ID_BYTES:]
        week = now_ms // _WEEK_MS
        if not any(hmac.compare_digest(mac, self._mac(identifier, week - age)) for age in range(_WEEKS_VALID)):
            raise InvalidInput("return path is forged or too old")
        return "0x" + identifier.hex()

    def _mac(self, identifier: bytes, week: int) -> bytes:
        content = b"dm3-gateway email return path\0" + week.to_bytes(8, "big") + identifier
        return hmac.digest(self.key, content, hashlib.sha256)[:_MAC_BYTES]


def parse_key(text: str) -> bytes:
    """A key of 32 bytes in hex; raises ConfigError."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError as error:
        raise ConfigError("a return path key is 64 hex digits") from error
    if len(key) != KEY_BYTES:
        raise ConfigError("a return path key is 64 hex digits")
    return key
