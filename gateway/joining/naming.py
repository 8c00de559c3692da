"""The name service."""

from __future__ import annotations

from gateway.bridge.jobs import notice_job
from gateway.custody.derive import link_code_key, webhook_sealing_key
from gateway.custody.identities import Identities
from gateway.ens.holdings import HoldingLimits, Holdings
from gateway.ens.wallets import Wallets
from gateway.joining.parts import Parts
from gateway.subnames.service import NameService, Surroundings


def join_names(parts: Parts) -> NameService:
    """The name service. A claim is for long, so what somebody holds is asked for anew each time."""
    settings = parts.settings
    block = settings.chain.decision_block
    holdings = Holdings(parts.chain, block=block, limits=HoldingLimits(ttl=0, unmet_ttl=0))
    parts.resources.push_async_callback(holdings.close)
    around = Surroundings(
        store=parts.store,
        keyring=parts.keyring,
        identities=Identities(parts.keyring, parts.parent),
        wallets=Wallets(parts.chain, block=block),
        holdings=holdings,
        ens=parts.ens,
        networks=parts.adapters,
        notice_for=notice_job,
        link_code_key=link_code_key(parts.seed),
        webhook_sealing_key=webhook_sealing_key(parts.seed),
        client=parts.clients.public,
        changed=parts.name_rows.forget,
        looks_per_minute=settings.subnames.looks_per_minute,
        orders_per_minute=settings.subnames.orders_per_minute,
        offload=parts.offload,
        bodies=parts.bodies,
        public_url=settings.server.public_url,
        chain_id=settings.chain.chain_id,
        owner=parts.owner,
        clock=parts.clock,
    )
    return NameService(parts.policies, parts.parent, around)
