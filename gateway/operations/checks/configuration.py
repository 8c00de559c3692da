"""The configuration: whether others could change it, and what in it does not go together."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import ConfigError
from gateway.observability import HIDDEN
from gateway.operations.adapter_types import ADAPTERS_GROUP, adapter_settings, make_adapters
from gateway.operations.checks.installation import CHECK_SECONDS, Installation, is_loopback
from gateway.registry_settings import EvmRegistry, HttpRegistry
from gateway.resolver.registries.opening import zones
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor
from gateway.settings import Settings, shown


async def configuration(house: Installation) -> Sequence[Finding]:
    """All checks of the file and its folder."""
    checks: dict[str, Check] = {
        "file": lambda: asyncio.to_thread(_file, house),
        "parent": lambda: asyncio.to_thread(_parent, house),
        "public-url": lambda: asyncio.to_thread(_public_url, house),
        "trials": lambda: asyncio.to_thread(_trials, house),
        "adapters": lambda: asyncio.to_thread(_adapters, house),
        "registries": lambda: asyncio.to_thread(_registries, house),
    }
    return await all_at_once(checks, CHECK_SECONDS)


def _file(house: Installation) -> list[Finding]:
    """Whoever writes the file, or another one in its place, is the gateway; passwords in it are for its owner."""
    for path in (house.config.resolve(), house.base):
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return [bad("file", f"{path} can be changed by others", f"chmod go-w {path}")]
    mode = house.config.stat().st_mode
    if mode & (stat.S_IRGRP | stat.S_IROTH) and _holds_secret(house.settings):
        found = f"{house.config} holds a password or an access key and can be read by others"
        return [poor("file", found, _private(house.config))]
    return [good("file", f"{house.config} is its owner's")]


def _holds_secret(settings: Settings) -> bool:
    """Whether `config show` hides more than the names of users and of files."""
    tables = shown(settings)
    urls = (settings.store.url, settings.store.redis_url or "")
    return (
        any(urlsplit(url).password for url in urls)
        or any(map(_holds_access_key, _providers(settings)))
        or _is_hidden("adapters", tables.pop("adapters"))
        or f"={HIDDEN}" in json.dumps(tables)
    )


def _providers(settings: Settings) -> Iterator[str]:
    """Servers of others, where the path or the query may be what lets in."""
    yield from settings.chain.rpc_urls
    for registry in settings.ens.registries:
        match registry:
            case HttpRegistry(urls=urls) | EvmRegistry(rpc_urls=urls):
                yield from urls
    if settings.relay.stake.report_url is not None:
        yield settings.relay.stake.report_url


def _holds_access_key(url: str) -> bool:
    parts = urlsplit(url)
    return bool("@" in parts.netloc or parts.path.strip("/") or parts.query)


def _is_hidden(key: str, value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_hidden(str(name), each) for name, each in value.items())
    if isinstance(value, list | tuple):
        return any(_is_hidden(key, each) for each in value)
    return isinstance(value, str) and HIDDEN in value and not key.endswith(("_file", "_files"))


def _private(path: Path) -> str:
    return f"chmod 600 {path}"


def _parent(house: Installation) -> list[Finding]:
    return [good("parent", f"names are issued under {house.parent}")]


def _public_url(house: Installation) -> list[Finding]:
    parts = urlsplit(house.url)
    if house.on_loopback:
        return [
            poor("public-url", f"{house.url} is this machine only", "set server.public_url to what the world calls")
        ]
    if parts.scheme != "https":
        fix = "put a proxy with a certificate in front, and https into server.public_url"
        return [bad("public-url", f"{house.url} is without TLS: DM3 clients and wallets refuse it", fix)]
    if parts.port not in (None, 443):
        fix = "serve it at port 443: other gateways fetch from that port only"
        return [poor("public-url", f"{house.url} has a port of its own", fix)]
    return [good("public-url", f"{house.url} is what the world calls")]


def _trials(house: Installation) -> list[Finding]:
    """Settings for trials that are dangerous in the world."""
    if house.settings.chain.allow_private_gateways and not house.on_loopback:
        found = "chain.allow_private_gateways is on: records of strangers make this server fetch from its own network"
        return [bad("trials", found, "take it out of the configuration")]
    if not house.settings.relay.require_verified_sender:
        found = "relay.require_verified_sender is off: anybody can write in anybody's name"
        return [poor("trials", found, "take it out of the configuration")]
    plain = [
        host
        for url in house.settings.chain.rpc_urls
        if urlsplit(url).scheme == "http" and not is_loopback(host := urlsplit(url).hostname or "")
    ]
    if plain:
        found = f"chain.rpc_urls are asked without TLS: whoever is on the way says who owns a name ({', '.join(plain)})"
        return [poor("trials", found, "use https, or a server on this machine")]
    return [good("trials", "no setting that is for trials only")]


def _adapters(house: Installation) -> list[Finding]:
    """That each table has an adapter with its libraries, and is right."""
    tables = house.settings.adapters
    if not tables:
        known = ", ".join(sorted(point.name for point in entry_points(group=ADAPTERS_GROUP)))
        fix = f"add a table such as [adapters.email] (there is: {known}), or leave it at names and native DM3 clients"
        return [poor("adapters", "no network is switched on", fix)]
    findings = []
    for name in tables:
        try:
            adapter_settings(name, tables[name], house.base)
        except ConfigError as error:
            findings.append(bad("adapters", error.detail, f"put [adapters.{name}] right; the gateway does not start"))
    return findings or [good("adapters", f"switched on: {', '.join(tables)}")]


def _registries(house: Installation) -> list[Finding]:
    """Zones of other systems must not be in the way of one another."""
    tables = house.settings.ens.registries
    if not tables:
        return [good("registries", "no names of other systems are served")]
    try:
        zones(tables, house.parent, make_adapters(house.settings, house.base))
    except ConfigError as error:
        return [bad("registries", error.detail, "put [[ens.registries]] right; the gateway does not start")]
    return [good("registries", f"{len(tables)} zones of other systems")]
