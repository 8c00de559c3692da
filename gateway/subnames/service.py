"""The name service as one thing: joins its parts, and gives its routes and its background work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fastapi import APIRouter

from gateway.bodies import Bodies
from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.ens.egress import GuardedClient
from gateway.ens.holdings import Holdings
from gateway.ens.lookup import Ens
from gateway.ens.wallets import Wallets
from gateway.ids import EnsName, Network
from gateway.lifecycle import Clock
from gateway.offload import Offload
from gateway.rates import Rate
from gateway.store import Store
from gateway.store.webhooks import WEBHOOK
from gateway.subnames.admin_api import AdminApi, Callers, refusal
from gateway.subnames.api_keys import ApiKeys
from gateway.subnames.bulk import Bulk
from gateway.subnames.events import news_of_import
from gateway.subnames.idempotency import Idempotency
from gateway.subnames.keeping_api import KeepingApi
from gateway.subnames.labels import check_file_name
from gateway.subnames.linking import Linking, NoticeFor
from gateway.subnames.names_api import NamesApi
from gateway.subnames.policy import Policy
from gateway.subnames.registrar import Registrar, skeleton_of
from gateway.subnames.resolution import Resolution
from gateway.subnames.signing_in import SigningIn
from gateway.subnames.terms import Terms
from gateway.subnames.wallet_api import WalletApi
from gateway.subnames.webhooks import Deliveries, Webhooks
from gateway.work.results import Handler

RESOLUTIONS_PER_MINUTE: Final = 60
"""Look-ups through the chain of one asker: each costs several calls to its node, and one to ourselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the name service stands on; all of it belongs to somebody else."""

    store: Store
    keyring: Keyring
    identities: Identities
    wallets: Wallets
    holdings: Holdings
    ens: Ens
    networks: Collection[Network]
    notice_for: NoticeFor
    link_code_key: bytes = field(repr=False)
    public_url: str
    chain_id: int
    looks_per_minute: int
    """Questions of one asker; a page asks while somebody types."""
    orders_per_minute: int
    """Changes of one asker: each costs a signature check, maybe by the chain, and a commit."""
    owner: str
    """Of leases: this node."""
    changed: Callable[[EnsName], None]
    """Told each name whose row was written."""
    webhook_sealing_key: bytes = field(repr=False)
    client: GuardedClient
    """For the URLs of webhooks."""
    offload: Offload
    bodies: Bodies
    clock: Clock


class NameService:
    """All parts of issuing names, joined. Does no I/O until a request or a task."""

    def __init__(self, policies: Mapping[EnsName, Policy], parent: EnsName, around: Surroundings) -> None:
        """`parent` is the one that is meant where none is named."""
        looks, orders = Rate(around.looks_per_minute), Rate(around.orders_per_minute)
        self.registrar = Registrar(
            store=around.store,
            policies=policies,
            wallets=around.wallets,
            holdings=around.holdings,
            chain_id=around.chain_id,
            clock=around.clock,
            changed=around.changed,
        )
        signing_in = SigningIn(
            store=around.store,
            wallets=around.wallets,
            public_url=around.public_url,
            chain_id=around.chain_id,
            clock=around.clock,
        )
        linking = Linking(
            store=around.store,
            registrar=self.registrar,
            identities=around.identities,
            keyring=around.keyring,
            networks=around.networks,
            notice_for=around.notice_for,
            code_key=around.link_code_key,
            public_url=around.public_url,
            clock=around.clock,
        )
        self._terms = Terms(
            store=around.store,
            registrar=self.registrar,
            notice_for=around.notice_for,
            public_url=around.public_url,
            owner=around.owner,
            clock=around.clock,
        )
        names = NamesApi(
            registrar=self.registrar,
            signing_in=signing_in,
            resolution=Resolution(around.ens, public_url=around.public_url, chain_id=around.chain_id),
            store=around.store,
            parent=parent,
            bodies=around.bodies,
            looks=looks,
            orders=orders,
            resolutions=Rate(RESOLUTIONS_PER_MINUTE),
            clock=around.clock,
        )
        wallet = WalletApi(
            signing_in=signing_in,
            registrar=self.registrar,
            linking=linking,
            store=around.store,
            bodies=around.bodies,
            rate=orders,
        )
        self._deliveries = Deliveries(
            store=around.store,
            clock=around.clock,
            sealing_key=around.webhook_sealing_key,
            client=around.client,
        )
        keys = ApiKeys(store=around.store, clock=around.clock)
        callers = Callers(keys=keys, signing_in=signing_in, store=around.store, parent=parent, rate=looks)
        admin = AdminApi(
            callers=callers,
            registrar=self.registrar,
            bulk=lambda given: self._bulk(policies[given], around),
            idempotency=Idempotency(store=around.store, clock=around.clock, answer_of=refusal),
            store=around.store,
            bodies=around.bodies,
            clock=around.clock,
        )
        webhooks = Webhooks(
            store=around.store,
            clock=around.clock,
            sealing_key=around.webhook_sealing_key,
            client=around.client,
        )
        keeping = KeepingApi(
            callers=callers,
            keys=keys,
            webhooks=webhooks,
            store=around.store,
            bodies=around.bodies,
            clock=around.clock,
        )
        self._interfaces = (names, wallet, admin, keeping)

    def _bulk(self, policy: Policy, around: Surroundings) -> Bulk:
        parent = policy.parent
        return Bulk(
            store=around.store,
            clock=around.clock,
            offload=around.offload,
            check=partial(check_file_name, parent=parent, parents=self.registrar.policies),
            skeleton_of=partial(skeleton_of, parent=parent),
            rest_ms=policy.rest,
            tell=news_of_import(parent),
            changed=around.changed,
        )

    def routers(self) -> tuple[APIRouter, ...]:
        """All routes, made anew: the application keeps copies of its own."""
        return tuple(interface.router() for interface in self._interfaces)

    def handlers(self) -> Mapping[str, Handler]:
        """Of the jobs that changes of names leave."""
        return {WEBHOOK: self._deliveries}

    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Work that goes on as long as the node runs, by name."""
        return {"terms": self._terms.run}
