"""demo.json: how any client finds its way in the running world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.demo.ground import PROFILE_KEY
from gateway.demo.mail import BOB
from gateway.demo.world import EMAIL_DOMAIN, HOST, PARENT, SAMPLE, World
from gateway.dm3.data_uri import data_uri
from gateway.dm3.eth import address_from_bytes, checksum
from gateway.ids import EnsName, EthAddress
from gateway.resolver.sources import DELIVERY_SERVICE_KEY
from gateway.store.identities import ListIdentities
from gateway.store.names import NameNamed

FILE: Final = "demo.json"


async def write_world_file(world: World) -> None:
    """Write it whole or not at all: somebody may be waiting for it."""
    content = json.dumps(await describe(world), indent=2, ensure_ascii=False) + "\n"

    def write() -> None:
        fresh = world.folder / f"{FILE}.new"
        fresh.write_text(content, encoding="utf-8")
        fresh.replace(world.folder / FILE)

    await asyncio.to_thread(write)


async def describe(world: World) -> dict[str, Any]:
    """All facts that a client needs."""
    ground = world.ground
    return {
        "gateway_url": world.gateway_url,
        "rpc_url": ground.url,
        "chain_id": ground.chain_id,
        "ens_registry": checksum(ground.registry),
        "universal_resolver": ground.universal_resolver and checksum(ground.universal_resolver),
        "parent": PARENT,
        "resolver_address": checksum(world.resolver),
        "resolver_signer": checksum(world.resolver_signer),
        "ds_name": world.gateway.service_name,
        "ds_profile": world.gateway.service_profile.to_json(),
        "ccip_url": f"{world.gateway_url}/ccip/{{sender}}/{{data}}.json",
        "accounts": [
            {"name": each.name, "address": checksum(each.address), "private_key": "0x" + each.key.hex()}
            for each in ground.accounts.values()
        ],
        "samples": await _samples(world),
        "smtp": _smtp(world),
        "matrix": _matrix(world),
        "xmpp": _xmpp(world),
        "admin_url": world.admin_url,
        "admin_token": world.admin_token,
    }


def _smtp(world: World) -> dict[str, Any] | None:
    if "email" not in world.settings.adapters:
        return None
    return {
        "host": HOST,
        "mx_port": world.smtp_port,
        "submission_port": None,
        "domain": EMAIL_DOMAIN,
        "user": BOB,
        "password": None,
    }


def _matrix(world: World) -> dict[str, Any] | None:
    """Without user and password where nobody could be registered."""
    if world.matrix is None:
        return None
    homeserver, people = world.matrix.homeserver, world.matrix.people
    return {
        "homeserver_url": homeserver.url,
        "server_name": homeserver.server_name,
        "registration_file": str(homeserver.registration),
        "user": people and people.alice.user_id,
        "password": people and people.password,
    }


def _xmpp(world: World) -> dict[str, Any] | None:
    """Without the part of clients where nobody could be registered."""
    if world.xmpp is None:
        return None
    host, people = world.xmpp.host, world.xmpp.people
    address, port = host.clients or (None, None)
    return {
        "domain": host.domain,
        "component": host.component,
        "host": address,
        "c2s_port": port,
        "user": people and people.erin.jid,
        "password": people and people.password,
    }


async def _samples(world: World) -> list[dict[str, Any]]:
    """Names with the records that a resolver must return."""
    native = [(world.native.name, world.native), *((name, world.echo) for name in world.ground.echoes)]
    samples = [
        _sample(name, person.address, {PROFILE_KEY: data_uri(person.signed_profile().to_text())})
        for name, person in native
    ]
    service = world.gateway.service_profile.to_text()
    samples.append(_sample(world.gateway.service_name, None, {DELIVERY_SERVICE_KEY: data_uri(service)}))
    row = await world.gateway.store.read(NameNamed(SAMPLE))
    if row is not None and row.address is not None:
        samples.append(_sample(SAMPLE, address_from_bytes(row.address), row.texts, row.coins, row.contenthash))
    for identity in await world.gateway.store.read(ListIdentities(None, 100)):
        profile = (await world.profiles.user(identity.name)).signed.to_text()
        samples.append(_sample(identity.name, identity.address, {PROFILE_KEY: data_uri(profile)}))
    return samples


def _sample(
    name: EnsName,
    address: EthAddress | None,
    texts: Mapping[str, str],
    coins: Mapping[int, bytes] | None = None,
    contenthash: bytes | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "addr": None if address is None else checksum(address),
        "texts": dict(texts),
        "coins": {str(coin): "0x" + value.hex() for coin, value in (coins or {}).items()},
        "contenthash": None if contenthash is None else "0x" + contenthash.hex(),
    }
