"""The certificate of the public address: whether it holds, and for how long."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from typing import Final

from gateway.operations.checks.installation import CHECK_SECONDS, Installation
from gateway.operations.checks.wire import Place, connected, why
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor

SOON_DAYS: Final = 14
"""Before the end: whatever renews certificates should have done so."""
_RENEW: Final = "renew it (ACME), and let the proxy load it with its whole chain"


async def tls(house: Installation, context: ssl.SSLContext | None = None) -> Sequence[Finding]:
    """``context`` replaces the authorities that are trusted."""
    checks: dict[str, Check] = {"certificate": lambda: _certificate(house, context)}
    return await all_at_once(checks, CHECK_SECONDS)


async def _certificate(house: Installation, context: ssl.SSLContext | None) -> list[Finding]:
    place = Place.of(house.url)
    if not place.tls:
        if house.on_loopback:
            return [good("certificate", "none is needed on this machine")]
        return [bad("certificate", f"{house.url} has none", "put a proxy with a certificate in front")]
    trusted = context or await asyncio.to_thread(_authorities)
    try:
        async with connected(place, trusted) as (_, writer):
            found = writer.get_extra_info("peercert")
    except ssl.SSLCertVerificationError as error:
        return [bad("certificate", f"it does not hold: {error.verify_message}", _RENEW)]
    except OSError as error:
        fix = "let the proxy listen there, and the DNS lead to it"
        return [bad("certificate", f"{place.host} port {place.port} does not answer: {why(error)}", fix)]
    return [days(ssl.cert_time_to_seconds(found["notAfter"]), time.time())]


def days(until: float, now: float) -> Finding:
    """How long a certificate that holds will do so. Pure; seconds since 1970."""
    left = int((until - now) // 86_400)
    if left < SOON_DAYS:
        return poor("certificate", f"it holds for {left} days only", _RENEW)
    return good("certificate", f"it holds, for {left} days")


def _authorities() -> ssl.SSLContext:
    """Those that other gateways' clients trust."""
    import httpx2

    return httpx2.create_ssl_context()
