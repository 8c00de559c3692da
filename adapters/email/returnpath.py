"""The envelope sender of our own mail: ``b+<token>@domain``, signed so that only real bounces come back to it.

The token names the message by the first half of its hash, and the day of the first try: all tries have one envelope,
as greylisting servers want it.
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
_DAY_BYTES: Final = 2
_MAC_BYTES: Final = 10
DAY_MS: Final = 24 * 3600 * 1000
DAYS_VALID: Final = 12
"""A week after the last try, which is five days after the first one: as long as other servers keep trying."""
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """Makes and checks return paths of one domain."""

    domain: str
    key: bytes = field(repr=False)

    def address(self, message_hash: MessageHash, first_try_ms: int) -> str:
        """The envelope sender for one message."""
        identifier = bytes.fromhex(message_hash[2:])[:_ID_BYTES]
        signed = identifier + (first_try_ms // DAY_MS).to_bytes(_DAY_BYTES, "big")
        token = base64.b32encode(signed + self._mac(signed)).decode().rstrip("=").lower()
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
        signed, mac = raw[: _ID_BYTES + _DAY_BYTES], raw[_ID_BYTES + _DAY_BYTES :]
        if not hmac.compare_digest(mac, self._mac(signed)):
            raise InvalidInput("return path is forged")
        age = now_ms // DAY_MS - int.from_bytes(signed[_ID_BYTES:], "big")
        # A day of grace on the other side: nodes of one gateway need not agree on the hour.
        if not -1 <= age <= DAYS_VALID:
            raise InvalidInput("return path is too old")
        return message_prefix(signed)

    def _mac(self, signed: bytes) -> bytes:
        return hmac.digest(self.key, b"dm3-gateway email return path\0" + signed, hashlib.sha256)[:_MAC_BYTES]


def message_prefix(digest: bytes) -> str:
    """By what return paths name a message: 0x and the first 32 hex digits of its hash."""
    return "0x" + digest[:_ID_BYTES].hex()


def parse_key(text: str) -> bytes:
    """A key of 32 bytes in hex; raises ConfigError."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError as error:
        raise ConfigError("a return path key is 64 hex digits") from error
    if len(key) != KEY_BYTES:
        raise ConfigError("a return path key is 64 hex digits")
    return key
