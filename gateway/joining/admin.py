"""The operator pages: joined when a node that has them switched on begins to serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from starlette.types import ASGIApp

from gateway.bodies import Bodies
from gateway.ens.wallets import Wallets
from gateway.joining.http import site_of
from gateway.joining.parts import Parts
from gateway.operations import doctor
from gateway.operations.checks.installation import KeyReaders
from gateway.operations.health import Health
from gateway.operations.queue_desk import QueueDesk
from gateway.relay.keys import load_service_keys
from gateway.relay.notify.vapid import load_vapid_key
from gateway.sdk.examination import Finding
from gateway.subnames.signing_in import SigningIn
from gateway.web.admin_access import Access
from gateway.web.admin_app import admin_app
from gateway.web.admin_desk import Desk
from gateway.web.rendering import Renderer

CHALLENGE = "operator"
"""Purpose of the texts that wallets sign here."""


def join_admin(parts: Parts, health: Health, config: Path | None) -> ASGIApp:
    """The application behind the operators' listener; ``config`` is the file that the doctor looks at.

    Reads the token file, and makes it when it is not there; raises ConfigError.
    """
    settings = parts.settings.admin
    wallets = Wallets(parts.chain, block=parts.settings.chain.decision_block)

    def signing_in(origin: str) -> SigningIn:
        return SigningIn(
            store=parts.store,
            wallets=wallets,
            public_url=origin,
            chain_id=parts.settings.chain.chain_id,
            clock=parts.clock,
            statement=f"Log in as an operator of {parts.parent}.",
            challenge=CHALLENGE,
        )

    async def examine() -> Mapping[str, Sequence[Finding]]:
        if config is None:
            return {}
        readers = KeyReaders(load_service_keys, load_vapid_key)
        return await doctor.examine(doctor.groups(parts.settings, config, readers))

    desk = Desk(
        store=parts.store,
        clock=parts.clock,
        access=Access(settings, store=parts.store, signing_in=signing_in, clock=parts.clock),
        queue=QueueDesk(parts.store, parts.clock),
        renderer=Renderer(site_of(parts), parts.clock),
        bodies=Bodies(offload=parts.offload),
        states=health.states,
        examine=examine,
        parents=tuple(parts.policies),
        networks=tuple(sorted(parts.adapters)),
    )
    return admin_app(desk, settings)
