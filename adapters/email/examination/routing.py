"""MX, the mail server's addresses, and their PTR records (RFC 5321 section 5, RFC 1912 section 2.1)."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from adapters.email.authentication.dns import reverse_name
from adapters.email.examination.subject import Subject, address_line, bad, good, mx_line, poor
from gateway.sdk import Finding

_NOWHERE = frozenset({"", ".", "@"})


async def mx(subject: Subject) -> list[Finding]:
    """Mail for the domain comes here."""
    domain, host, line = subject.domain, subject.host, mx_line(subject)
    answer = await subject.lookups.ask(domain, "MX")
    named = sorted({record.lower().removesuffix(".") for record in answer.records})
    if not named:
        return [bad("mx", f"{domain} has no MX record", "add it to the zone", line)]
    if set(named) <= _NOWHERE:
        return [bad("mx", f"{domain} says that it takes no mail (null MX)", "replace that record", line)]
    if host in named:
        others = [name for name in named if name != host]
        if others and not subject.in_front:
            fix = "mail goes there, too: see that it comes back here, or remove them"
            return [poor("mx", f"{domain} is served by {host} and by {', '.join(others)}", fix, line)]
        return [good("mx", f"{domain} is served by {', '.join(named)}", line)]
    if subject.in_front:
        return [good("mx", f"{domain} is served by {', '.join(named)}, in front of this gateway")]
    fix = "name this host there, or set hostname to the name in the MX record"
    return [bad("mx", f"{domain} is served by {', '.join(named)}, and not by {host}", fix, line)]


async def address(subject: Subject) -> list[Finding]:
    """The host has an address of its own that the world can reach."""
    host = subject.host
    alias, addresses = await asyncio.gather(subject.lookups.ask(host, "CNAME"), subject.addresses())
    if alias.records:
        fix = "a mail server's name must have addresses of its own (RFC 2181, section 10.3)"
        return [bad("address", f"{host} is an alias of {alias.records[0]}", fix, address_line(host, "<address>"))]
    if not addresses:
        line = address_line(host, "<public address of this host>")
        return [bad("address", f"{host} has no address", "add one, and an AAAA record where there is IPv6", line)]
    lines = [address_line(host, each) for each in addresses]
    hidden = [each for each in addresses if not ip_address(each).is_global]
    if hidden and not subject.settings.allow_private_destinations:
        fix = "others cannot reach it; put the public address there"
        return [bad("address", f"{host} has the private address {', '.join(hidden)}", fix, *lines)]
    return [good("address", f"{host} is {', '.join(addresses)}", *lines)]


async def ptr(subject: Subject) -> list[Finding]:
    """The addresses lead back to the host: large receivers take nothing from one that does not."""
    if subject.settings.relay is not None:
        return [good("ptr", f"mail goes out through {subject.settings.relay}, so the PTR record of that one counts")]
    addresses = await subject.addresses()
    if not addresses:
        return [bad("ptr", f"{subject.host} has no address that could lead back", "see address")]
    return list(await asyncio.gather(*(_ptr(subject, each) for each in addresses)))


async def _ptr(subject: Subject, address: str) -> Finding:
    name = reverse_name(address)
    line = f"{name}. IN PTR {subject.host}."
    named = [record.lower() for record in (await subject.lookups.ask(name, "PTR")).records]
    if not named:
        fix = "whoever gave you the address sets it (often called reverse DNS)"
        return bad("ptr", f"{address} has no PTR record", fix, line)
    if subject.host not in named:
        fix = "set it to the name of the mail server, or set hostname to that name"
        return poor("ptr", f"{address} leads to {', '.join(named)}, and not to {subject.host}", fix, line)
    return good("ptr", f"{address} leads to {subject.host}", line)
