"""The bridge: what handles its jobs, and the route that its messages take."""

from __future__ import annotations

from gateway.bridge.erasing import ERASE, Erasing
from gateway.bridge.events import Events
from gateway.bridge.inbound import Inbound
from gateway.bridge.jobs import JobKind
from gateway.bridge.local import LocalService
from gateway.bridge.notices import Notices
from gateway.bridge.outbound import Outbound
from gateway.bridge.reports import Reports
from gateway.bridge.route import RelayRoute, route_by
from gateway.ens.relays import RemoteRelays
from gateway.joining.parts import Parts
from gateway.relay.service import DeliveryService
from gateway.work.results import Handler


def join_bridge(parts: Parts, relay: DeliveryService) -> tuple[dict[str, Handler], RelayRoute | None]:
    """The handlers of the bridge's jobs, and the relays that its messages go through, if there are any."""
    reports = Reports(parts.adapters)
    remote = RemoteRelays(parts.clients.submissions)
    route = route_by(
        parts.settings.relay,
        parts.service_name,
        profiles=parts.profiles,
        relays=remote,
        clock=parts.clock,
        offload=parts.offload,
    )
    outbound = Outbound(
        store=parts.store,
        keyring=parts.keyring,
        directory=parts.directory,
        profiles=parts.profiles,
        remote=remote,
        local=LocalService(parts.service_name, parts.service_profile, relay),
        standing=parts.holdings,
        reports=reports,
        route=route,
        parent=parts.parent,
        clock=parts.clock,
        offload=parts.offload,
    )
    inbound = Inbound(
        store=parts.store,
        keyring=parts.keyring,
        directory=parts.directory,
        adapters=parts.adapters,
        reports=reports,
        require_verified_sender=parts.settings.relay.require_verified_sender,
        rules_of=relay.bridged.rules_of,
        message_ttl_ms=parts.message_ttl_ms,
        clock=parts.clock,
        offload=parts.offload,
    )
    handlers: dict[str, Handler] = {
        JobKind.INBOUND: inbound,
        JobKind.OUTBOUND: outbound,
        JobKind.REPORT: reports,
        JobKind.NOTICE: Notices(parts.adapters, parts.service_name),
        JobKind.EVENT: Events(parts.adapters, parts.clock),
        ERASE: Erasing(parts.store, parts.clock),
    }
    return handlers, route
