"""Webhooks: who is told of names, and how they know that it is us.

Requests are signed as the Standard Webhooks specification says (version 1, symmetric): HMAC-SHA256 over
``<webhook-id>.<webhook-timestamp>.<body>`` with the receiver's secret.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog

from gateway.custody.sealed import SecretPlace, open_secret, seal_secret
from gateway.dm3.canonical import stringify
from gateway.ens.egress import Fetched, GuardedClient
from gateway.errors import CustodyError, FetchFailed, FetchRefused, InvalidInput, LimitExceeded, NotFound
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.audit import Audit, AuditEntry
from gateway.store.jobs import Job
from gateway.store.webhooks import AddWebhook, DropWebhook, SwitchWebhook, Webhook, WebhookOf, WebhooksOf
from gateway.subnames.events import LIFE_MS, EventType
from gateway.work.results import Checkpoint, Done, Hold, Later, Result

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how receivers know one
MAX_WEBHOOKS: Final = 20
"""Of one parent."""
MAX_URL: Final = 2_000
SEND_SECONDS: Final = 10.0
LONGEST_WAIT_MS: Final = 3600 * 1000
"""That a receiver may ask for in ``Retry-After``."""
_SECRET_BYTES: Final = 32
_GONE: Final = 410
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "::1", "localhost"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A receiver that was just registered; ``secret`` is shown once, to whoever writes the receiver."""

    webhook: Webhook
    secret: str = field(repr=False)


class Webhooks:
    """Registers receivers. ``sealing_key`` (32 bytes) seals their secrets; ``client`` says which URLs may be."""

    def __init__(self, *, store: Store, clock: Clock, sealing_key: bytes, client: GuardedClient) -> None:
        self._store = store
        self._clock = clock
        self._sealing_key = sealing_key
        self._client = client

    async def register(
        self, parent: EnsName, url: str, *, actor: str, events: frozenset[EventType] = frozenset()
    ) -> NewWebhook:
        """Tell ``url`` of ``events`` below ``parent``, of all when empty.

        Raises InvalidInput for a URL that will not be sent to, LimitExceeded.
        """
        self._check(url)
        if len(await self.list(parent)) >= MAX_WEBHOOKS:
            raise LimitExceeded(f"{parent} has {MAX_WEBHOOKS} webhooks; remove some")
        now, webhook_id = self._clock(), secrets.token_hex(8)
        secret = secrets.token_bytes(_SECRET_BYTES)
        sealed = seal_secret(self._sealing_key, secret, _place(webhook_id, parent, url))
        webhook = Webhook(webhook_id, parent, url, tuple(sorted(events)), sealed, now)
        await self._store.commit_all(AddWebhook(webhook), _audit(webhook, "webhook.registered", actor, now))
        return NewWebhook(webhook, SECRET_PREFIX + base64.b64encode(secret).decode())

    async def list(self, parent: EnsName) -> list[Webhook]:
        """Receivers of a parent, disabled ones too."""
        return await self._store.read(WebhooksOf(parent, MAX_WEBHOOKS))

    async def remove(self, parent: EnsName, webhook_id: str, *, actor: str) -> None:
        """Tell a receiver nothing more. Raises NotFound, also for one of another parent."""
        webhook = await self._one(parent, webhook_id)
        now = self._clock()
        await self._store.commit_all(DropWebhook(parent, webhook_id), _audit(webhook, "webhook.removed", actor, now))

    async def enable(self, parent: EnsName, webhook_id: str, *, actor: str) -> None:
        """Tell a receiver again that was disabled; what happened meanwhile it does not hear. Raises NotFound."""
        webhook = await self._one(parent, webhook_id)
        if webhook.disabled_at is not None:
            now = self._clock()
            await self._store.commit_all(
                SwitchWebhook(parent, webhook_id, None), _audit(webhook, "webhook.enabled", actor, now)
            )

    async def _one(self, parent: EnsName, webhook_id: str) -> Webhook:
        webhook = await self._store.read(WebhookOf(webhook_id))
        if webhook is None or webhook.parent != parent:
            raise NotFound(f"{parent} has no webhook {webhook_id[:32]!r}")
        return webhook

    def _check(self, url: str) -> None:
        if len(url) > MAX_URL:
            raise InvalidInput(f"a webhook's URL has at most {MAX_URL} characters")
        try:
            target = self._client.check(url)
        except FetchRefused as error:
            raise InvalidInput(f"this URL cannot be a webhook's: {error.detail}") from None
        if not target.secure and target.host not in _THIS_MACHINE:
            raise InvalidInput("a webhook's URL must be https")


class Deliveries:
    """Handles WEBHOOK jobs: POSTs each event with its signature.

    A status of 2xx ends the job, 410 the webhook. Anything else, redirects among it, is a failure that comes again;
    when an event could not be told for ``LIFE_MS``, the webhook is disabled and what waits for it is dropped.
    """

    def __init__(self, *, store: Store, clock: Clock, sealing_key: bytes, client: GuardedClient) -> None:
        self._store = store
        self._clock = clock
        self._sealing_key = sealing_key
        self._client = client

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Send once."""
        webhook = await self._receiver(job)
        if webhook is None:
            return Done()
        try:
            secret = open_secret(
                self._sealing_key, webhook.sealed_secret, _place(webhook.id, webhook.parent, webhook.url)
            )
        except CustodyError as error:
            return Hold(error.detail)
        event = json.loads(job.payload)
        content = event["body"].encode()
        headers = {
            "Content-Type": "application/json",
            **signed_headers(secret, event["id"], self._clock() // 1000, content),
        }
        try:
            answer = await self._client.post(webhook.url, content, headers, timeout=SEND_SECONDS)
        except (FetchFailed, FetchRefused) as error:
            return Later(error.detail)
        if 200 <= answer.status < 300:
            return Done()
        if answer.status == _GONE:
            return self._disabled(webhook, "answered 410")
        return Later(f"the receiver answered with status {answer.status}", _asked_to_wait_ms(answer))

    async def expire(self, job: Job) -> Done:
        """The event is too old; a receiver that failed for so long is disabled.

        An event that was never tried, because this gateway was away, says nothing about its receiver.
        """
        webhook = await self._receiver(job)
        log.warning("webhook.given_up", job=job.id, attempts=job.attempts)
        if webhook is None or not job.attempts:
            return Done()
        return self._disabled(webhook, f"no event could be delivered for {LIFE_MS // 86_400_000} days")

    async def _receiver(self, job: Job) -> Webhook | None:
        webhook = await self._store.read(WebhookOf(job.lane.partition(":")[2]))
        return None if webhook is None or webhook.disabled_at is not None else webhook

    def _disabled(self, webhook: Webhook, why: str) -> Done:
        now = self._clock()
        log.warning("webhook.disabled", webhook=webhook.id, why=why)
        entry = AuditEntry(
            at=now,
            actor="gateway",
            action="webhook.disabled",
            subject=webhook.parent,
            detail=stringify({"webhook": webhook.id, "why": why}),
        )
        return Done((SwitchWebhook(webhook.parent, webhook.id, now), Audit(entry)))


def signed_headers(secret: bytes, event_id: str, timestamp: int, content: bytes) -> dict[str, str]:
    """Headers of Standard Webhooks; ``timestamp`` in seconds, of this try."""
    signature = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + content, "sha256")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def shown_url(url: str) -> str:
    """A webhook's URL as it may be printed: what follows the host is often a secret of the receiver."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" + ("/…" if parts.path.strip("/") or parts.query else "")


def _place(webhook_id: str, parent: EnsName, url: str) -> SecretPlace:
    """With the URL: whoever writes another one into the database gets nothing signed for it."""
    return SecretPlace("webhooks", (webhook_id, parent, url), "sealed_secret")


def _audit(webhook: Webhook, action: str, actor: str, now: int) -> Audit:
    detail = stringify({"webhook": webhook.id, "url": shown_url(webhook.url), "events": list(webhook.events)})
    return Audit(AuditEntry(at=now, actor=actor, action=action, subject=webhook.parent, detail=detail))


def _asked_to_wait_ms(answer: Fetched) -> int | None:
    seconds = answer.headers.get("retry-after", "")
    if answer.status not in (429, 503) or not seconds.isascii() or not seconds.isdigit() or len(seconds) > 9:
        return None
    return min(max(int(seconds), 1) * 1000, LONGEST_WAIT_MS)
