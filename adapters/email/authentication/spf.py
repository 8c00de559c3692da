"""SPF (RFC 7208): may this client send for this domain?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from adapters.email.authentication.dns import Answer, DnsTrouble, Lookups, reverse_name
from adapters.email.authentication.results import Spf, SpfResult
from adapters.email.authentication.spf_macros import Facts, expand, wants_host
from adapters.email.authentication.spf_record import (
    MalformedRecord,
    Mechanism,
    SpfRecord,
    choose_record,
    parse_record,
)

MAX_TERMS: Final = 10
"""Terms that cause look-ups, includes and redirects counted in (section 4.6.4)."""
MAX_VOID: Final = 2
"""Look-ups that may find nothing."""
MAX_HOSTS: Final = 10
"""Hosts of one mx or ptr that are looked at."""

Address = IPv4Address | IPv6Address


class _Permanent(Exception):
    """permerror."""


async def check_spf(client: str, sender: str, helo: str, lookups: Lookups) -> SpfResult:
    """Check the envelope sender, or postmaster of the greeting's domain for the null sender "" (section 2.4).

    `sender` is an address with its domain in ASCII. Never raises for what a record or the DNS says.
    """
    local, _, domain = sender.rpartition("@") if sender else ("postmaster", "", helo)
    subject = domain.lower().removesuffix(".")
    try:
        ip = ip_address(client)
    except ValueError:
        return SpfResult(Spf.NONE, subject, helo=not sender)
    mapped = getattr(ip, "ipv4_mapped", None)
    facts = Facts(mapped or ip, local or "postmaster", subject, subject, helo)
    try:
        outcome = await _Check(lookups).host(facts)
    except DnsTrouble:
        outcome = Spf.TEMPERROR
    except (_Permanent, MalformedRecord):
        outcome = Spf.PERMERROR
    return SpfResult(outcome, subject, helo=not sender)


@dataclass(slots=True)
class _Check:
    """One check_host() with all that it includes."""

    lookups: Lookups
    terms: int = 0
    void: int = 0

    async def host(self, facts: Facts) -> Spf:
        """Section 4."""
        if not _is_domain(facts.domain):
            return Spf.NONE
        text = choose_record((await self.lookups.ask(facts.domain, "TXT")).records)
        if text is None:
            return Spf.NONE
        record = parse_record(text)
        if _host_matters(record):
            facts = replace(facts, host=await self._client_name(facts))
        for mechanism in record.mechanisms:
            if await self._matches(mechanism, facts):
                return mechanism.outcome
        if record.redirect is None:
            return Spf.NEUTRAL
        self._count_term()
        outcome = await self.host(replace(facts, domain=expand(record.redirect, facts)))
        if outcome is Spf.NONE:
            raise _Permanent("redirect to a domain without a record")
        return outcome

    async def _matches(self, mechanism: Mechanism, facts: Facts) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return facts.ip in mechanism.network
        self._count_term()
        domain = expand(mechanism.domain, facts) if mechanism.domain else facts.domain
        match mechanism.name:
            case "include":
                return await self._include(replace(facts, domain=domain))
            case "exists":
                return bool((await self._ask(domain, "A")).records)
            case "ptr":
                return await self._ptr(domain, facts.ip)
            case "mx":
                return await self._mx(domain, mechanism, facts.ip)
            case _:
                return _within(facts.ip, await self._addresses(domain, facts.ip), mechanism)

    async def _include(self, facts: Facts) -> bool:
        outcome = await self.host(facts)
        if outcome is Spf.NONE:
            raise _Permanent("include of a domain without a record")
        return outcome is Spf.PASS

    async def _mx(self, domain: str, mechanism: Mechanism, ip: Address) -> bool:
        hosts = (await self._ask(domain, "MX")).records
        if len(hosts) > MAX_HOSTS:
            raise _Permanent("too many MX records")
        for host in hosts:
            if host and _within(ip, await self._addresses(host, ip), mechanism):
                return True
        return False

    async def _ptr(self, domain: str, ip: Address) -> bool:
        target = domain.lower()
        return any(name == target or name.endswith(f".{target}") for name in await self._client_names(ip))

    async def _client_name(self, facts: Facts) -> str:
        """What ``%{p}`` stands for (section 7.3)."""
        names = await self._client_names(facts.ip)
        inside = [name for name in names if name == facts.domain or name.endswith(f".{facts.domain}")]
        best = [name for name in names if name == facts.domain] or inside or names
        return best[0] if best else "unknown"

    async def _client_names(self, ip: Address) -> list[str]:
        """Names of the client that lead back to it; trouble on the way makes a name none (section 5.5)."""
        try:
            answer = await self._ask(reverse_name(str(ip)), "PTR")
        except DnsTrouble:
            return []
        names = []
        for host in answer.records[:MAX_HOSTS]:
            try:
                # Not void look-ups: the client's network, not the domain's owner, wrote these names.
                found = await self.lookups.ask(host, _kind(ip))
            except DnsTrouble:
                continue
            if ip in _addresses_in(found.records):
                names.append(host.lower())
        return names

    async def _addresses(self, domain: str, ip: Address) -> list[Address]:
        return _addresses_in((await self._ask(domain, _kind(ip))).records)

    async def _ask(self, domain: str, kind: str) -> Answer:
        answer = await self.lookups.ask(domain, kind)
        if not answer.records:
            self.void += 1
            if self.void > MAX_VOID:
                raise _Permanent("too many look-ups that find nothing")
        return answer

    def _count_term(self) -> None:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise _Permanent("too many terms that cause look-ups")


def _host_matters(record: SpfRecord) -> bool:
    return any(wants_host(each.domain) for each in record.mechanisms) or wants_host(record.redirect or "")


def _kind(ip: Address) -> str:
    return "A" if ip.version == 4 else "AAAA"


def _addresses_in(records: Iterable[str]) -> list[Address]:
    return [ip_address(record) for record in records]


def _within(ip: Address, addresses: Iterable[Address], mechanism: Mechanism) -> bool:
    length = mechanism.prefix4 if ip.version == 4 else mechanism.prefix6
    return any(_same(ip, each, length) for each in addresses)


def _same(ip: Address, other: Address, length: int) -> bool:
    """True when the first `length` bits of two addresses of one family are the same."""
    rest = ip.max_prefixlen - length
    return ip.version == other.version and int(ip) >> rest == int(other) >> rest


def _is_domain(domain: str) -> bool:
    """Section 4.3: at least two labels, none of them empty or over 63 octets."""
    labels = domain.split(".")
    return len(labels) > 1 and len(domain) <= 253 and all(1 <= len(label) <= 63 for label in labels)
