"""Web push subscriptions as browsers give them (W3C Push API, PushSubscription.toJSON). Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from gateway.dm3.canonical import Json, parse_object, stringify
from gateway.errors import GatewayError, InvalidInput

MAX_SUBSCRIPTION: Final = 4_096
"""Bytes of the JSON text."""
MAX_ENDPOINT: Final = 2_048
KEY_BYTES: Final = 65
"""A point of P-256 in its uncompressed form (RFC 8291, section 3.1)."""
AUTH_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where to push, and the keys that the payload is sealed with (RFC 8291)."""

    endpoint: str = field(repr=False)
    """Whoever knows this URL can push to the browser."""
    p256dh: bytes = field(repr=False)
    auth: bytes = field(repr=False)

    def to_text(self) -> str:
        """The three members that matter, as canonical JSON."""
        keys: dict[str, Json] = {"auth": to_base64url(self.auth), "p256dh": to_base64url(self.p256dh)}
        return stringify({"endpoint": self.endpoint, "keys": keys})


def parse_subscription(text: str) -> Subscription:
    """Read the JSON text of a subscription; members that we do not need are left out.

    Raises InvalidInput. The endpoint is still only a text: the client that fetches from it checks where it leads.
    """
    try:
        value = parse_object(text, max_bytes=MAX_SUBSCRIPTION, max_depth=3, max_items=16)
    except GatewayError as error:
        raise InvalidInput(f"push subscription: {error.detail}") from None
    endpoint, keys = value.get("endpoint"), value.get("keys")
    if not isinstance(endpoint, str) or not 0 < len(endpoint) <= MAX_ENDPOINT:
        raise InvalidInput("push subscription without an endpoint")
    if not isinstance(keys, dict):
        raise InvalidInput("push subscription without keys")
    p256dh = from_base64url(keys.get("p256dh"), KEY_BYTES, "p256dh")
    if p256dh[0] != 4:
        raise InvalidInput("p256dh is not an uncompressed point")
    return Subscription(endpoint, p256dh, from_base64url(keys.get("auth"), AUTH_BYTES, "auth"))


def to_base64url(data: bytes) -> str:
    """Base64 with the URL's alphabet and without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: object, length: int, what: str) -> bytes:
    """Decode exactly ``length`` bytes, padded or not; raises InvalidInput naming ``what``."""
    if not isinstance(text, str) or len(text) > 2 * length + 4 or not text.isascii():
        raise InvalidInput(f"{what} is not base64url of {length} bytes")
    bare = text.rstrip("=")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise InvalidInput(f"{what} is not base64url of {length} bytes") from None
    if len(data) != length or to_base64url(data) != bare:
        raise InvalidInput(f"{what} is not base64url of {length} bytes")
    return data
