"""The relay as the world meets it: over its public address, through whatever proxy stands there."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Final

from gateway.dm3.canonical import Json, parse_object
from gateway.dm3.profile import DeliveryServiceProfile, parse_service_profile
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.errors import FetchRefused, GatewayError
from gateway.operations.checks.installation import CHECK_SECONDS, Installation, asking
from gateway.operations.checks.names import lookups
from gateway.operations.checks.wire import Place, announced_body, redirect_of, websocket_status, why
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor

PROPERTIES: Final = "dm3_getDeliveryServiceProperties"
SOCKET: Final = "/socket.io/?EIO=4&transport=websocket"
_PROXY: Final = "see deploy/README.md, Behind a reverse proxy"


async def relay(house: Installation) -> Sequence[Finding]:
    """All checks of the relay but those of TLS."""
    place = Place.of(house.url)
    async with asking() as client, lookups(house) as ens:
        checks: dict[str, Check] = {
            "ready": lambda: _ready(house, client),
            "profile": lambda: _profile(house, client, ens),
            "json-rpc": lambda: _json_rpc(house, client),
            "socket.io": lambda: _socket(place),
            "body-limit": lambda: _body_limit(house, place),
            "proxies": lambda: asyncio.to_thread(_proxies, house),
            "redirect": lambda: _redirect(house, place),
        }
        return await all_at_once(checks, CHECK_SECONDS)


async def _ready(house: Installation, client: GuardedClient) -> list[Finding]:
    """`/readyz` names what does not work."""
    try:
        answer = await client.get(f"{house.url}/readyz", max_redirects=0)
        said = parse_object(answer.body, max_bytes=64 * 2**10, max_depth=4)
    except GatewayError as error:
        fix = "start the gateway; see that server.public_url leads to it, from here as well"
        return [bad("ready", f"{house.url}/readyz does not answer: {error.detail}", fix)]
    parts = said.get("components")
    states = parts if isinstance(parts, dict) else {}
    broken = ", ".join(f"{name}: {state}" for name, state in states.items() if state != "ok")
    if answer.status != 200:
        return [bad("ready", f"the gateway is not ready: {broken or answer.status}", "see those checks, and its log")]
    if broken:
        return [poor("ready", f"the gateway works without some of its parts: {broken}", "see those checks")]
    return [good("ready", f"the gateway is ready: {', '.join(states)}")]


async def _profile(house: Installation, client: GuardedClient, ens: Ens) -> list[Finding]:
    """The record that senders read is ours, and so is the profile that the address gives."""
    keys = await asyncio.to_thread(house.readers.service, house.settings.relay.key_file)
    ours = DeliveryServiceProfile.of(keys, f"{house.url}/ds")
    try:
        published = await Profiles(ens, client).delivery_service(house.service)
    except GatewayError as error:
        found = f"{house.service} gives no profile of a delivery service: {error.detail or error.sentence}"
        return [bad("profile", found, "see names: senders seal their mail with the keys of this record")]
    if published.url != ours.url:
        found = f"the published profile says {published.url}, and server.public_url makes it {ours.url}"
        return [bad("profile", found, "restart the gateway with this configuration, or put server.public_url right")]
    if published != ours:
        found = "the published keys are not those of relay.key: what senders seal cannot be opened"
        return [bad("profile", found, "put the right file to relay.key_file, and restart the gateway")]
    try:
        served = await client.get(f"{house.url}/ds/delivery-service-profile", max_redirects=0)
        if parse_service_profile(served.body) != ours:
            raise FetchRefused("it gives another profile")
    except GatewayError as error:
        return [bad("profile", f"{ours.url} is not ours: {error.detail}", "see where the proxy sends /ds")]
    return [good("profile", "the published profile has our keys and our address")]


async def _json_rpc(house: Installation, client: GuardedClient) -> list[Finding]:
    call: Json = {"jsonrpc": "2.0", "id": 1, "method": PROPERTIES, "params": []}
    fix = f"let the proxy pass on POST /ds and all below; {_PROXY}"
    try:
        answer = await client.post_json(f"{house.url}/ds/rpc", call)
        result = parse_object(answer.body, max_bytes=64 * 2**10, max_depth=4).get("result")
        properties = parse_object(str(result).encode(), max_bytes=64 * 2**10, max_depth=8)
    except GatewayError as error:
        return [bad("json-rpc", f"{house.url}/ds/rpc does not answer JSON-RPC: {error.detail}", fix)]
    if properties.get("sizeLimit") != house.settings.relay.size_limit:
        found = (
            f"it says sizeLimit {properties.get('sizeLimit')}, and the configuration {house.settings.relay.size_limit}"
        )
        return [poor("json-rpc", found, "restart the gateway: it has another configuration")]
    return [good("json-rpc", f"{house.url}/ds/rpc answers")]


async def _socket(place: Place) -> list[Finding]:
    fix = f"let the proxy pass on /socket.io with its upgrade; {_PROXY}"
    try:
        status = await websocket_status(place, SOCKET)
    except OSError as error:
        return [bad("socket.io", f"no connection: {why(error)}", fix)]
    if status != 101:
        return [bad("socket.io", f"the upgrade to websocket is answered {status}: clients hear of no new mail", fix)]
    return [good("socket.io", "the upgrade to websocket passes")]


async def _body_limit(house: Installation, place: Place) -> list[Finding]:
    """Announces the largest body that the relay takes and sends none of it: who would refuse it does so at once."""
    size = house.settings.relay.size_limit + house.settings.relay.size_limit // 4
    try:
        status = await announced_body(place, "/ds/rpc", size)
    except OSError as error:
        return [bad("body-limit", f"no connection: {why(error)}", "start the gateway")]
    if status is not None and status != 100:
        fix = f"let the proxy take bodies of {size} bytes (nginx: client_max_body_size); {_PROXY}"
        return [bad("body-limit", f"a body of {size} bytes is answered {status}", fix)]
    return [good("body-limit", f"a body of {size} bytes is waited for")]


def _proxies(house: Installation) -> list[Finding]:
    """The gateway has no TLS of its own, so at an https address there is a proxy, and it must be named."""
    trusted = house.settings.server.trusted_proxies
    if any(_is_everybody(each) for each in trusted):
        found = "server.trusted_proxies holds everybody, so that anybody can take any address"
        return [bad("proxies", found, "name the addresses of the proxies only")]
    if house.url.startswith("https://") and not trusted:
        found = "server.trusted_proxies is empty: all who come through the proxy share the limits of one address"
        return [poor("proxies", found, 'trusted_proxies = ["127.0.0.1"], or where the proxy is')]
    if trusted:
        return [good("proxies", f"the address of a client is believed to {', '.join(trusted)}")]
    return [good("proxies", "clients come without a proxy")]


def _is_everybody(text: str) -> bool:
    try:
        return text == "*" or ipaddress.ip_network(text, strict=False).prefixlen == 0
    except ValueError:
        return False


async def _redirect(house: Installation, place: Place) -> list[Finding]:
    """Plain http leads to https, or nowhere."""
    if not place.tls:
        return [good("redirect", "there is no https to lead to")]
    try:
        status, location = await redirect_of(place.host)
    except OSError:
        return [good("redirect", "nothing answers at port 80")]
    return [led(status, location)]


def led(status: int, location: str) -> Finding:
    """Whether an answer to plain http leads to https. Pure."""
    if status in (301, 302, 307, 308) and location.startswith("https://"):
        return good("redirect", f"http is answered {status} to https")
    fix = "let the proxy redirect everything at port 80 to https (308)"
    return poor("redirect", f"http is answered {status} without leading to https", fix)
