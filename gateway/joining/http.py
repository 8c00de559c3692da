"""The HTTP side: routes and pages of every part behind one door."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.types import ASGIApp

from gateway.joining.lookups import join_batch
from gateway.joining.parts import Parts
from gateway.relay.service import DeliveryService
from gateway.resolver.endpoint import BATCH_PATH, CCIP_PATH, CcipEndpoint
from gateway.resolver.resolver import Resolver
from gateway.sdk.adapter import ServesHttp, ServesTrees
from gateway.subnames.policy import Admission
from gateway.subnames.service import NameService
from gateway.web.api_docs import api_docs_router
from gateway.web.application import http_app
from gateway.web.direct import Direct
from gateway.web.origins import origin_of
from gateway.web.pages import Pages
from gateway.web.rendering import Renderer, Site
from gateway.web.security_txt import security_txt
from gateway.web.statics import root_files, static_files


def join_http(
    parts: Parts, relay: DeliveryService, names: NameService, resolver: Resolver, operations: Sequence[APIRouter]
) -> ASGIApp:
    """Everything that this node answers by HTTP; ``operations`` are the routes of whoever watches it."""
    trees: dict[str, ASGIApp] = {CCIP_PATH: CcipEndpoint(resolver, watch=parts.watch)}
    batch = join_batch(parts)
    if batch is not None:
        trees[BATCH_PATH] = batch
    routes = list(relay.routes())
    adapter: object
    for adapter in parts.adapters.values():
        if isinstance(adapter, ServesHttp):
            routes.extend(adapter.routes())
        if isinstance(adapter, ServesTrees):
            trees.update(adapter.trees())
    routes.append(static_files())
    public_url = parts.settings.server.public_url
    renderer = Renderer(site_of(parts), parts.clock)
    routers = (
        *relay.routers(),
        *names.routers(),
        *operations,
        Pages(renderer, registrar=names.registrar, store=parts.store).router(),
        root_files(),
        security_txt(parts.settings.server.security_contact, public_url, parts.clock),
        api_docs_router(renderer),
    )
    return Direct(http_app(routes, routers, public_url=public_url, renderer=renderer), relay.direct(), trees)


def site_of(parts: Parts) -> Site:
    """What every page knows of this gateway."""
    return Site(
        parent=parts.parent,
        service=parts.service_name,
        origin=origin_of(parts.settings.server.public_url),
        chain_id=parts.settings.chain.chain_id,
        claimable=parts.policies[parts.parent].admission is not Admission.CLOSED,
        networks=tuple(sorted(parts.adapters)),
    )
