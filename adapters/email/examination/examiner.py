"""All checks of a mail domain at the same time, each with its own end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from adapters.email.authentication.dns import DnsTrouble, Lookups
from adapters.email.examination import certificate, ports, routing, senders, transport
from adapters.email.examination.subject import HastyDns, Subject, bad
from adapters.email.settings import EmailSettings
from gateway.sdk import Finding

CHECK_SECONDS: Final = 8.0

CHECKS: Final[tuple[tuple[str, Callable[[Subject], Awaitable[list[Finding]]]], ...]] = (
    ("mx", routing.mx),
    ("address", routing.address),
    ("ptr", routing.ptr),
    ("spf", senders.spf),
    ("dkim", senders.dkim),
    ("dmarc", senders.dmarc),
    ("mta-sts", transport.mta_sts),
    ("tls-rpt", transport.tls_reports),
    ("certificate", certificate.certificate),
    ("port", ports.ports),
)


async def examine_domain(settings: EmailSettings, public_url: str) -> tuple[Finding, ...]:
    """Findings in the order of `CHECKS`."""
    subject = Subject(settings, public_url, Lookups(HastyDns(settings.dns_servers)))
    found = await asyncio.gather(*(_bounded(name, check, subject) for name, check in CHECKS))
    return tuple(finding for findings in found for finding in findings)


async def _bounded(name: str, check: Callable[[Subject], Awaitable[list[Finding]]], subject: Subject) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(subject)
    except DnsTrouble as trouble:
        return [bad(name, str(trouble), "see that this host reaches a DNS server, or name one in dns_servers")]
    except TimeoutError:
        return [bad(name, f"the check took over {CHECK_SECONDS:.0f} seconds", "look at the network, and try again")]
