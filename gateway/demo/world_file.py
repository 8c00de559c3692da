"""demo.json: how any client finds its way in the running world."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.demo.mail import BOB
from gateway.demo.world import ECHO_NAMES, EMAIL_DOMAIN, HOST, NATIVE, PARENT, PROFILE_KEY, World
from gateway.dm3.eth import checksum
from gateway.resolver.sources import DELIVERY_SERVICE_KEY

FILE: Final = "demo.json"


def write_world_file(world: World) -> None:
    """Write it whole or not at all: somebody may be waiting for it."""
    content = json.dumps(describe(world), indent=2, ensure_ascii=False) + "\n"
    fresh = world.folder / f"{FILE}.new"
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(world.folder / FILE)


def describe(world: World) -> dict[str, Any]:
    """All facts that a client needs."""
    chain = world.chain
    return {
        "gateway_url": world.gateway_url,
        "rpc_url": chain.url,
        "chain_id": chain.chain_id,
        "ens_registry": checksum(chain.registry),
        "universal_resolver": checksum(chain.universal_resolver),
        "parent": PARENT,
        "resolver_address": checksum(world.resolver),
        "resolver_signer": checksum(world.resolver_signer),
        "ds_name": world.gateway.service_name,
        "ds_profile": world.gateway.service_profile.to_json(),
        "ccip_url": f"{world.gateway_url}/ccip/{{sender}}/{{data}}.json",
        "accounts": [
            {"name": each.name, "address": checksum(each.address), "private_key": "0x" + each.key.hex()}
            for each in chain.accounts.values()
        ],
        "samples": _samples(world),
        "smtp": {
            "host": HOST,
            "mx_port": world.smtp_port,
            "submission_port": None,
            "domain": EMAIL_DOMAIN,
            "user": BOB,
            "password": None,
        }
        if "email" in world.settings.adapters
        else None,
        "matrix": None,
        "xmpp": None,
        "admin_token": world.admin_token,
    }


def _samples(world: World) -> list[dict[str, Any]]:
    """Names with the records that a resolver must return."""
    people = [(NATIVE, world.native), *((name, world.echo) for name in ECHO_NAMES)]
    samples: list[dict[str, Any]] = [
        {
            "name": name,
            "addr": checksum(person.address),
            "texts": {PROFILE_KEY: f"data:application/json,{person.signed_profile().to_text()}"},
            "coins": {"60": person.address},
            "contenthash": None,
        }
        for name, person in people
    ]
    service = world.gateway.service_profile.to_text()
    samples.append(
        {
            "name": world.gateway.service_name,
            "addr": None,
            "texts": {DELIVERY_SERVICE_KEY: f"data:application/json,{service}"},
            "coins": {},
            "contenthash": None,
        }
    )
    return samples
