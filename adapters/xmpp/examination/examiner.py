"""All checks of the component at the same time, each with its own end; none takes the component from a running node."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from slixmpp.xmlstream.resolver import default_resolver, get_SRV

from adapters.xmpp.examination.component import NoStream, condition, connected, handshake
from adapters.xmpp.link import MAX_STANZA
from adapters.xmpp.settings import XmppSettings
from gateway.sdk import Finding
from gateway.sdk.examination import Check, all_at_once, bad, good, poor

CHECK_SECONDS: Final = 8.0
ASK_SECONDS: Final = 3.0
CLIENTS: Final = 5222
MAX_ANSWER: Final = 64 * 2**10
_FEATURES: Final = "{http://etherx.jabber.org/streams}features"
_LIMIT: Final = "{urn:xmpp:stream-limits:0}limits/{urn:xmpp:stream-limits:0}max-bytes"
_FIXES: Final = {
    "not-authorized": "let secret_file and the server's configuration have the same secret (registration xmpp)",
    "host-unknown": "let the server read the registration (dm3-gateway registration xmpp), and restart it",
    "host-gone": "let the server read the registration (dm3-gateway registration xmpp), and restart it",
}


async def examine_server(settings: XmppSettings, public_url: str, secret: str) -> tuple[Finding, ...]:
    """Findings about the server, the domain and its limits."""
    checks: dict[str, Check] = {
        "component": lambda: _component(settings, public_url, secret),
        "domain": lambda: _domain(settings),
        "stanza-limit": lambda: stanza_limit(settings, settings.host, CLIENTS),
    }
    return await all_at_once(checks, CHECK_SECONDS)


async def _component(settings: XmppSettings, public_url: str, secret: str) -> list[Finding]:
    """A running node that has the connection is asked, because some servers let a second connection take half of it."""
    state = await state_of_node(public_url)
    if state == "ok":
        return [good("component", f"our running node looks after {settings.component}")]
    where = f"{settings.host} port {settings.port}"
    try:
        said = await handshake(settings.host, settings.port, settings.component, secret)
    except NoStream as error:
        return [bad("component", f"{where}: {error}", "see what listens there, and put host and port right")]
    except (OSError, TimeoutError) as error:
        fix = "let the server listen for components there, and put host and port right"
        return [bad("component", f"{where} does not answer: {type(error).__name__}", fix)]
    return [shaken(settings.component, where, said)]


def shaken(component: str, where: str, said: str) -> Finding:
    """What a handshake's answer means; "" is consent. Pure."""
    if not said:
        return good("component", f"the server at {where} takes us for {component}; nobody is it now")
    if said == "conflict":
        return good("component", f"somebody is {component} already, which is our node if it runs")
    fix = _FIXES.get(said, "see the server's log")
    return bad("component", f"the server at {where} does not take us for {component}: {said}", fix)


async def state_of_node(public_url: str) -> str | None:
    """What a running node says of its XMPP link; None when there is none, or it does not tell."""
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
        async with (
            aiohttp.ClientSession(trust_env=False, timeout=timeout) as session,
            session.get(f"{public_url}/readyz", allow_redirects=False) as answer,
        ):
            said = json.loads(await answer.content.read(MAX_ANSWER))
            parts = said.get("components") if isinstance(said, dict) else None
            states = parts if isinstance(parts, dict) else {}
            return next((str(state) for name, state in states.items() if name.split()[-1:] == ["xmpp"]), None)
    return None


async def _domain(settings: XmppSettings) -> list[Finding]:
    """Whether servers elsewhere find the component (RFC 6120, section 3.2)."""
    services, addresses = await asyncio.gather(_services(settings.component), _addresses(settings.component))
    return [found(settings, services, addresses)]


def found(settings: XmppSettings, services: Sequence[str], addresses: Sequence[str]) -> Finding:
    """What the DNS says of a component. Pure."""
    component, server = settings.component, settings.component.partition(".")[2]
    if services:
        return good("domain", f"servers elsewhere find {component} at {', '.join(services)}")
    if addresses:
        return good("domain", f"servers elsewhere find {component} at {', '.join(addresses)}")
    if server in ("", "localhost", "localdomain"):
        return good("domain", f"{component} is for this machine only")
    line = f"_xmpp-server._tcp.{component}. IN SRV 0 5 5269 {server}."
    fix = "if others are to reach it, and adapters.xmpp.domains lets them, add this to the zone:"
    return poor("domain", f"the DNS does not know {component}: people of {server} only can write to it", fix, line)


async def _services(component: str) -> list[str]:
    resolver: Any = default_resolver(asyncio.get_running_loop())
    if resolver is None:
        return []
    try:
        async with asyncio.timeout(ASK_SECONDS):
            told = await get_SRV(component, 0, ["xmpp-server"], resolver=resolver)
    except TimeoutError:
        return []
    finally:
        await resolver.close()
    return [f"{host}:{port}" for _, host, port in told]


async def _addresses(name: str) -> list[str]:
    try:
        told = await asyncio.get_running_loop().getaddrinfo(name, None)
    except OSError:
        return []
    return sorted({str(each[4][0]) for each in told})


async def stanza_limit(settings: XmppSettings, host: str, port: int) -> list[Finding]:
    """What the server tells its clients of the size of stanzas (XEP-0478); a component is told nothing."""
    try:
        async with connected(host, port) as stream:
            await stream.open("jabber:client", settings.served[0])
            features = await stream.element()
    except (NoStream, OSError, TimeoutError):
        return [good("stanza-limit", f"nobody tells it at {host} port {port}; we send up to {MAX_STANZA} bytes")]
    if features.tag != _FEATURES:
        return [good("stanza-limit", f"the server does not tell it: {condition(features)}")]
    return [limited(features.findtext(_LIMIT) or "")]


def limited(told: str) -> Finding:
    """What a limit means for us. Pure."""
    if not told.isdecimal():
        return good("stanza-limit", f"the server does not tell it; we send up to {MAX_STANZA} bytes")
    if int(told[:20]) < MAX_STANZA:
        fix = f"allow {MAX_STANZA} bytes there (Prosody: c2s_stanza_size_limit), or long messages end connections"
        return poor("stanza-limit", f"clients may send {told} bytes, and we send up to {MAX_STANZA}", fix)
    return good("stanza-limit", f"clients may send {told} bytes")
