"""Web push: payload sealed for the browser (RFC 8291), sent through the guarded client because strangers name the URL.

Loads pywebpush at the first push.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from typing import Final

from gateway.dm3.canonical import JsonObject, stringify
from gateway.ens.egress import Fetched, GuardedClient
from gateway.errors import FetchFailed, FetchRefused, InvalidInput
from gateway.ids import NativeId
from gateway.lifecycle import Clock
from gateway.relay.notify.news import News
from gateway.relay.notify.offered import Gone, Told
from gateway.relay.notify.subscription import Subscription, parse_subscription
from gateway.relay.notify.vapid import VapidKey
from gateway.sdk.delivery import Delivered, Rejected, Retry
from gateway.store.channels import ChannelKind

KEPT_SECONDS: Final = 24 * 3600
"""How long a push service keeps a push for a browser that is not there (RFC 8030, section 5.2)."""
TOKEN_SECONDS: Final = 12 * 3600
"""Life of a VAPID token; a day is the most that push services take."""
LONGEST_PAUSE: Final = 3600.0
"""Seconds of a Retry-After that are believed."""


class PushChannel:
    """Pushes to browsers."""

    kind: Final = ChannelKind.PUSH

    def __init__(self, *, key: VapidKey, subject: str, client: GuardedClient, clock: Clock) -> None:
        self._key = key
        self._subject = subject
        self._client = client
        self._clock = clock

    def published(self) -> JsonObject:
        """The public key, which browsers subscribe with."""
        return {"publicVapidKey": self._key.public}

    def check(self, recipient: str) -> None:
        """Raises FetchRefused for an endpoint that is never fetched from, InvalidInput for keys that are no point."""
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

        subscription = parse_subscription(recipient)
        target = self._client.check(subscription.endpoint)
        if ":" in target.host:
            raise InvalidInput("a push service has a name, not an IPv6 address")
        try:
            EllipticCurvePublicKey.from_encoded_point(SECP256R1(), subscription.p256dh)
        except ValueError:
            raise InvalidInput("p256dh is not a point of P-256") from None

    async def tell(self, recipient: str, news: News, key: str) -> Told:
        """One POST to the push service (RFC 8030, section 5)."""
        subscription = parse_subscription(recipient)
        try:
            target = self._client.check(subscription.endpoint)
            token = self._key.authorization(target.origin, self._subject, self._clock() // 1000 + TOKEN_SECONDS)
            body = await asyncio.to_thread(_sealed, subscription, stringify(news.push_payload()).encode())
            headers = {
                "Authorization": token,
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(KEPT_SECONDS),
                "Urgency": "normal",
            }
            answer = await self._client.post(subscription.endpoint, body, headers)
        except FetchRefused as error:
            return Rejected(error.detail)
        except FetchFailed as error:
            return Retry(error.detail)
        return told_by(answer, key)


def told_by(answer: Fetched, key: str) -> Told:
    """What the answer of a push service means (RFC 8030, sections 5 and 7.3)."""
    status = answer.status
    if 200 <= status < 300:
        return Delivered(NativeId(key))
    if status in (404, 410):
        return Gone()
    if status == 429 or status >= 500:
        return Retry(f"the push service said {status}", _pause(answer.headers.get("retry-after", "")))
    return Rejected(f"the push service said {status}")


def _pause(retry_after: str) -> float | None:
    """Seconds of a Retry-After; a date there is not worth reading."""
    return min(float(retry_after), LONGEST_PAUSE) if retry_after.isdecimal() and len(retry_after) < 10 else None


def _sealed(subscription: Subscription, payload: bytes) -> bytes:
    from pywebpush import WebPusher

    keys = {"auth": urlsafe_b64encode(subscription.auth), "p256dh": urlsafe_b64encode(subscription.p256dh)}
    pusher = WebPusher({"endpoint": subscription.endpoint, "keys": keys})
    sealed: bytes = pusher.encode(payload, "aes128gcm")["body"]
    return sealed
