"""The delivery service, and the ways in which it tells people that something waits."""

from __future__ import annotations

import asyncio

from gateway.bridge.jobs import inbound_job
from gateway.custody.derive import notification_code_key
from gateway.joining.parts import Parts
from gateway.relay.notify.mail_channel import MailChannel
from gateway.relay.notify.notifier import NotifyPolicy
from gateway.relay.notify.offered import Offered
from gateway.relay.notify.push_channel import PushChannel
from gateway.relay.notify.vapid import default_subject, load_vapid_key
from gateway.relay.service import DeliveryService, Notifications, Surroundings
from gateway.sdk.adapter import SendsNotices


async def join_relay(parts: Parts) -> DeliveryService:
    """The relay. Reads the key of web push, if there is one; raises ConfigError when it is none."""
    settings = parts.settings
    around = Surroundings(
        store=parts.store,
        directory=parts.directory,
        profiles=parts.profiles,
        client=parts.clients.submissions,
        named_by_operator=parts.clients.named,
        holdings=parts.holdings,
        keys=parts.service_keys,
        service_name=parts.service_name,
        service_profile=parts.service_profile,
        public_url=settings.server.public_url,
        chain_id=settings.chain.chain_id,
        redis_url=settings.store.redis_url,
        capabilities={network: adapter.capabilities for network, adapter in parts.adapters.items()},
        job_for=inbound_job,
        notifications=await _notifications(parts),
        clock=parts.clock,
        offload=parts.offload,
        bodies=parts.bodies,
        watch=parts.watch,
    )
    return DeliveryService(settings.relay, around)


async def _notifications(parts: Parts) -> Notifications:
    """Mail through the first adapter that can send it, web push when there is a key."""
    settings = parts.settings.notifications
    capable = (adapter for adapter in parts.adapters.values() if isinstance(adapter, SendsNotices))
    mail = next((MailChannel(adapter, parts.service_name) for adapter in capable), None)
    push = None
    if settings.vapid_key_file is not None:
        push = PushChannel(
            key=await asyncio.to_thread(load_vapid_key, settings.vapid_key_file),
            subject=settings.vapid_subject or default_subject(parts.settings.server.public_url),
            client=parts.clients.public,
            clock=parts.clock,
        )
    offered = Offered(*(way for way in (mail, push) if way is not None))
    policy = NotifyPolicy(settings.delay_seconds * 1000, settings.min_interval_seconds * 1000)
    return Notifications(offered, policy, mail, notification_code_key(parts.seed))
