"""All checks of one mail: what is read from it, what the DNS says, what servers of ours in front found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from mmap import mmap
from typing import Final

from adapters.email.authentication.arc import Chain, MalformedChain, check_chain, read_chain
from adapters.email.authentication.dkim import Claim, check_claims, read_claims
from adapters.email.authentication.dkim_signature import is_domain
from adapters.email.authentication.dmarc import evaluate
from adapters.email.authentication.dns import Dns, Lookups
from adapters.email.authentication.reported import Report, reports_of
from adapters.email.authentication.results import (
    Arc,
    ArcResult,
    Dkim,
    DkimResult,
    Dmarc,
    DmarcResult,
    Results,
    Spf,
    SpfResult,
)
from adapters.email.authentication.spf import check_spf
from adapters.email.dkim.fields import split_content, split_fields

CHECK_TIME: Final = 30.0
"""Seconds for all look-ups of one mail."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the operator believes."""

    servers: frozenset[str] = frozenset()
    """authserv-ids of servers of ours in front."""
    sealers: frozenset[str] = frozenset()
    """Domains of forwarders."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a mail says of itself."""

    author: str
    """Domain of From."""
    claims: tuple[Claim, ...]
    chain: Chain | None
    broken: bool
    """True when it bears ARC fields that are no chain."""
    reports: tuple[Report, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail came from."""

    client: str
    """IP address."""
    helo: str
    sender: str
    """Envelope sender with its domain in ASCII; "" for the null sender."""
    near: bool = False
    """True for a client of ours: the address that SPF is about is not ours to see."""


def read_evidence(data: bytes | mmap, author: str, *, trust: Trust, near: bool, now: int) -> Evidence:
    """Read what is needed of a mail whose header is within the bounds of `mime`; `now` in seconds.

    Hashes the body, so call it in a thread. Never raises.
    """
    head, body = split_content(data)
    fields = split_fields(head)
    chain, broken = None, False
    if trust.sealers:
        try:
            chain = read_chain(fields, body, trust.sealers, now=now)
        except MalformedChain:
            broken = True
    return Evidence(
        author=author,
        claims=read_claims(fields, body, near=author, now=now),
        chain=chain,
        broken=broken,
        reports=reports_of(fields, trust.servers) if near and trust.servers else (),
    )


class Authenticator:
    """Checks mails one by one; they share what the DNS said."""

    def __init__(self, dns: Dns, trust: Trust) -> None:
        self._dns = dns
        self.trust = trust

    async def check(self, evidence: Evidence, origin: Origin) -> Results:
        """All results; trouble with the DNS is among them and raises nothing."""
        try:
            async with asyncio.timeout(CHECK_TIME):
                return await self._check(evidence, origin)
        except TimeoutError:
            return Results(
                SpfResult(Spf.TEMPERROR), (), DmarcResult(Dmarc.TEMPERROR, evidence.author), ArcResult(Arc.NONE)
            )

    async def _check(self, evidence: Evidence, origin: Origin) -> Results:
        lookups = Lookups(self._dns)
        spf, dkim = await asyncio.gather(self._spf(evidence, origin, lookups), check_claims(evidence.claims, lookups))
        dkim += _reported_dkim(evidence.reports)
        if _reported_dmarc(evidence):
            dmarc = DmarcResult(Dmarc.PASS, evidence.author, aligned=True, by=("server",))
        else:
            dmarc = await evaluate(evidence.author, spf, dkim, lookups)
        arc = await self._arc(evidence, dmarc, lookups)
        return Results(spf, dkim, dmarc, arc, trusted=bool(evidence.reports))

    async def _spf(self, evidence: Evidence, origin: Origin, lookups: Lookups) -> SpfResult:
        if origin.near:
            return _reported_spf(evidence.reports)
        return await check_spf(origin.client, origin.sender, origin.helo, lookups)

    async def _arc(self, evidence: Evidence, dmarc: DmarcResult, lookups: Lookups) -> ArcResult:
        if evidence.broken:
            return ArcResult(Arc.FAIL)
        if evidence.chain is None or dmarc.outcome in (Dmarc.PASS, Dmarc.TEMPERROR):
            return ArcResult(Arc.NONE)
        return await check_chain(evidence.chain, author=evidence.author, sealers=self.trust.sealers, lookups=lookups)


def _reported_spf(reports: Iterable[Report]) -> SpfResult:
    for each in (result for report in reports for result in report.results if result.method == "spf"):
        helo = "smtp.mailfrom" not in each.properties
        address = each.properties.get("smtp.helo" if helo else "smtp.mailfrom", "")
        domain = address.rpartition("@")[2]
        if each.outcome in list(Spf) and is_domain(domain):
            return SpfResult(Spf(each.outcome), domain, helo)
    return SpfResult(Spf.NONE)


def _reported_dkim(reports: Iterable[Report]) -> tuple[DkimResult, ...]:
    """Signatures that passed in front: what carried the mail to us may have broken them."""
    domains = [
        result.properties.get("header.d", "")
        for report in reports
        for result in report.results
        if result.method == "dkim" and result.outcome == "pass"
    ]
    return tuple(DkimResult(Dkim.PASS, domain) for domain in dict.fromkeys(domains) if is_domain(domain))


def _reported_dmarc(evidence: Evidence) -> bool:
    return any(
        each.method == "dmarc" and each.outcome == "pass" and each.properties.get("header.from") == evidence.author
        for report in evidence.reports
        for each in report.results
    )
