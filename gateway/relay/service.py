"""The delivery service as one thing: joins the relay's parts, and gives its routes and its background work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from gateway.bodies import Bodies
from gateway.custody.directory import Directory
from gateway.dm3.canonical import JsonObject
from gateway.dm3.envelope import Envelope
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import Holdings
from gateway.ens.profiles import Profiles
from gateway.ens.relays import RemoteRelays
from gateway.errors import MailboxFull
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.rates import Rate
from gateway.relay.account_api import AccountApi
from gateway.relay.accounts import Accounts
from gateway.relay.arrivals import Arrivals
from gateway.relay.bridged import BridgedRecipients
from gateway.relay.emptying import EMPTY_MAILBOX, Emptying
from gateway.relay.extension import ProfileExtensions
from gateway.relay.forward import FORWARD, Forwarding, ForwardPolicy
from gateway.relay.forwarder import Forwarder
from gateway.relay.gatekeeper import Gatekeeper
from gateway.relay.mailbox import Mailbox
from gateway.relay.mailbox_api import MailboxApi
from gateway.relay.notifications import NotificationsApi
from gateway.relay.notify.codes import CODE_JOB, Codes
from gateway.relay.notify.mail_channel import MailChannel
from gateway.relay.notify.notifier import NOTIFY_JOB, Notifier, NotifyPolicy
from gateway.relay.notify.offered import Offered
from gateway.relay.properties import ServiceProperties
from gateway.relay.push import Push
from gateway.relay.recipients import Recipients
from gateway.relay.removal import Removal
from gateway.relay.reports import Reports
from gateway.relay.rest import RestApi
from gateway.relay.rpc import RpcEndpoint
from gateway.relay.rulebook import Rulebook
from gateway.relay.sessions import Sessions
from gateway.relay.spam_reports import REPORT_SPAM, SpamReports
from gateway.relay.submit import JobFor, RelayPolicy, Submission
from gateway.relay.traffic import Traffic
from gateway.sdk.capabilities import Capabilities
from gateway.settings import RelaySettings
from gateway.store import Store
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.usage import HasRoom, Quota, Usage
from gateway.watch import Watch
from gateway.work.results import Handler

RPC_PATHS: Final = ("/rpc", "/ds/rpc", "/ds", "/ds/", "/")
RPC_METHODS: Final = ("POST", "OPTIONS")
DAY_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Notifications:
    """How people can be told that mail waits."""

    offered: Offered
    policy: NotifyPolicy
    mail: MailChannel | None
    """What carries codes that prove a mail address; None when no adapter sends mail."""
    code_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the delivery service stands on; all of it belongs to somebody else."""

    store: Store
    directory: Directory
    profiles: Profiles
    client: GuardedClient
    """For what other delivery services and strangers' servers are sent."""
    named_by_operator: GuardedClient
    """For servers that stand in the configuration."""
    holdings: Holdings
    notifications: Notifications
    keys: ServiceKeys
    service_name: EnsName
    service_profile: DeliveryServiceProfile
    public_url: str
    chain_id: int
    redis_url: str | None
    capabilities: Mapping[Network, Capabilities]
    job_for: JobFor
    clock: Clock
    offload: Offload
    bodies: Bodies
    watch: Watch = field(default_factory=Watch)


class DeliveryService:
    """All parts of the relay, joined. Does no I/O until `run` or a request."""

    def __init__(self, settings: RelaySettings, around: Surroundings) -> None:
        self._around = around
        self._settings = settings
        self._arrivals = Arrivals()
        self._traffic = Traffic(around.store, around.clock)
        self._bodies = around.bodies
        self._calls = Rate(settings.calls_per_minute)
        self._log_ins = Rate(settings.log_ins_per_minute)
        rulebook = self._rulebook = Rulebook(around.store)
        notices = around.notifications
        self._codes = Codes(store=around.store, channel=notices.mail, key=notices.code_key, clock=around.clock)
        self._notifier = Notifier(
            store=around.store,
            offered=notices.offered,
            policy=notices.policy,
            service=around.service_name,
            clock=around.clock,
            count=self._traffic.count_notification,
        )
        self._recipients = Recipients(around.directory, around.service_name)
        self._submission = self._submission_for(settings, rulebook)
        self._sessions = Sessions(store=around.store, directory=around.directory, clock=around.clock)
        self._accounts = Accounts(
            store=around.store,
            directory=around.directory,
            rulebook=rulebook,
            service_name=around.service_name,
            clock=around.clock,
        )
        self._reports = Reports(
            store=around.store,
            service_name=around.service_name,
            enabled=settings.stake.report_url is not None,
            clock=around.clock,
        )
        self.bridged = BridgedRecipients(
            store=around.store,
            directory=around.directory,
            accounts=self._accounts,
            rulebook=rulebook,
            reports=self._reports,
            stake_contract=settings.stake.contract,
            clock=around.clock,
        )
        self._push = Push(
            sessions=self._sessions,
            submission=self._submission,
            redis_url=around.redis_url,
            channel=f"dm3-gateway {around.service_name}",
            rate=self._calls,
            offload=around.offload,
        )
        self._arrivals.listen(self._push.arrived)
        self._extensions = ProfileExtensions(
            recipients=self._recipients,
            rulebook=rulebook,
            capabilities=around.capabilities,
            uniform=settings.uniform_refusals,
        )
        self._forwarding = self._forwarding_for(settings)
        self._rpc = RpcEndpoint(
            submission=self._submission,
            properties=ServiceProperties(
                settings.message_ttl_days,
                settings.size_limit,
                settings.forward_max_delay_seconds * 1000 if self._forwarding else None,
                notices.offered,
            ),
            extensions=self._extensions,
            forwarding=self._forwarding,
            bodies=self._bodies,
            rate=self._calls,
            offload=around.offload,
        )

    async def extension(self, name: EnsName) -> JsonObject:
        """The profile extension of a recipient; UnknownRecipient for a name that does not receive here."""
        return await self._extensions.of(name)

    async def prepare(self, envelope: Envelope) -> AcceptEnvelope:
        """Check and stamp an envelope of our own people; the caller commits, and calls `accepted` then.

        Raises MailboxFull when there is no room now, so that another delivery service of the recipient can be tried.
        """
        op = await self._submission.prepare(envelope)
        stored = op.envelope
        if op.quota is not None and not await self._around.store.read(
            HasRoom(stored.recipient, stored.recipient_name, stored.holder, stored.size, op.quota)
        ):
            raise MailboxFull(stored.recipient_name)
        return op

    def accepted(self, op: AcceptEnvelope) -> None:
        """What was prepared is on disk."""
        self._submission.accepted(op)

    def routes(self) -> list[BaseRoute]:
        """Routes that are plain ASGI: JSON-RPC at all its paths, and the socket."""
        rpc = [Route(path, self._rpc, methods=RPC_METHODS) for path in RPC_PATHS]
        return [*rpc, self._push.route()]

    def direct(self) -> dict[tuple[str, str], ASGIApp]:
        """What is asked so often that it is served past middleware and routing, by method and path."""
        return {(method, path): self._rpc for method in RPC_METHODS for path in RPC_PATHS}

    def routers(self) -> tuple[APIRouter, ...]:
        """Routes that are described by OpenAPI."""
        around = self._around
        rest = RestApi(
            sessions=self._sessions,
            accounts=self._accounts,
            directory=around.directory,
            store=around.store,
            service_profile=around.service_profile,
            clock=around.clock,
            bodies=self._bodies,
            rate=self._log_ins,
            calls=self._calls,
            offload=around.offload,
        )
        mailbox = Mailbox(
            store=around.store,
            sessions=self._sessions,
            accounts=self._accounts,
            arrivals=self._arrivals,
            clock=around.clock,
        )
        mailbox_api = MailboxApi(sessions=self._sessions, mailbox=mailbox, reports=self._reports, bodies=self._bodies)
        removal = Removal(
            store=around.store,
            accounts=self._accounts,
            service_name=around.service_name,
            public_url=around.public_url,
            chain_id=around.chain_id,
            clock=around.clock,
        )
        account_api = AccountApi(
            sessions=self._sessions,
            accounts=self._accounts,
            removal=removal,
            mailbox=mailbox,
            stake_contract=self._settings.stake.contract,
            bodies=self._bodies,
            rate=self._log_ins,
            calls=self._calls,
            offload=around.offload,
        )
        notifications = NotificationsApi(
            sessions=self._sessions,
            store=around.store,
            offered=around.notifications.offered,
            codes=self._codes,
            changed=self._rulebook.forget,
            bodies=self._bodies,
            clock=around.clock,
            rate=self._log_ins,
        )
        return rest.router(), notifications.router(), self._traffic.router(), mailbox_api.router(), account_api.router()

    def handlers(self) -> Mapping[str, Handler]:
        """Who does the relay's own jobs, by kind."""
        around = self._around
        forwarder = Forwarder(
            own_name=around.service_name,
            profiles=around.profiles,
            # Its own turns at each service: strangers' layers must not take those of our people.
            relays=RemoteRelays(around.client),
            submission=self._submission,
            forwarding=self._forwarding,
            offload=around.offload,
        )
        handlers: dict[str, Handler] = {
            FORWARD: forwarder,
            NOTIFY_JOB: self._notifier,
            CODE_JOB: self._codes,
            EMPTY_MAILBOX: Emptying(around.store),
        }
        if (url := self._settings.stake.report_url) is not None:
            handlers[REPORT_SPAM] = SpamReports(
                client=around.named_by_operator, url=url, signing_key=around.keys.signing
            )
        return handlers

    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs beside the requests, by name."""
        return {"push": self._push.run, "traffic": self._traffic.run}

    async def close(self) -> None:
        """Answer every long poll and disconnect all sockets: the node stops."""
        self._arrivals.close()
        await self._push.close()

    def _submission_for(self, settings: RelaySettings, rulebook: Rulebook) -> Submission:
        around = self._around
        quota = Quota(
            Usage(settings.mailbox_messages, settings.mailbox_bytes),
            Usage(settings.sender_messages, settings.sender_bytes),
        )
        return Submission(
            policy=RelayPolicy(
                settings.size_limit,
                settings.message_ttl_days * DAY_MS,
                settings.require_verified_sender,
                settings.uniform_refusals,
            ),
            keys=around.keys,
            recipients=self._recipients,
            directory=around.directory,
            gatekeeper=Gatekeeper(
                rulebook=rulebook,
                holdings=around.holdings,
                quota=quota,
                when_chain_is_down=settings.when_chain_is_down,
            ),
            arrivals=self._arrivals,
            traffic=self._traffic,
            store=around.store,
            job_for=around.job_for,
            notice_for=self._notifier.job_for,
            clock=around.clock,
            offload=around.offload,
            watch=around.watch,
        )

    def _forwarding_for(self, settings: RelaySettings) -> Forwarding | None:
        if not settings.forward:
            return None
        around = self._around
        policy = ForwardPolicy(
            size_limit=settings.size_limit,
            max_delay_ms=settings.forward_max_delay_seconds * 1000,
            max_waiting=settings.forward_max_waiting,
            max_waiting_bytes=settings.forward_max_waiting_bytes,
        )
        return Forwarding(
            policy=policy, keys=around.keys, store=around.store, clock=around.clock, offload=around.offload
        )
