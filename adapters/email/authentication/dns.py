"""Look-ups in the DNS for authentication: cached, bounded in number and time, and clear about what a failure means."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdata
import dns.resolver
import dns.reversename
from cachetools import TLRUCache
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from adapters.email.endpoints import parse_endpoint

LOOKUP_TIME: Final = 5.0
"""Seconds for one look-up, its repeats included."""
MAX_LOOKUPS: Final = 120
"""Look-ups for one mail: an honest SPF record takes a dozen, each signature one, each tree walk eight."""
CACHE_SIZE: Final = 10_000
"""Answers that are kept for as long as they say; that a name does not exist is one too, kept by the resolver alone.

Those that say something are kept as text beside it: to ask the resolver for one that it knows takes 60 µs.
"""
_MAX_NAME: Final = 253


class DnsTrouble(Exception):
    """No answer that says anything: temperror, whoever asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one type at a name, as text in the form of zone files; TXT as its strings joined."""

    records: tuple[str, ...] = ()
    exists: bool = True
    """False when the name is not there at all (NXDOMAIN, RFC 8020)."""


NO_NAME: Final = Answer(exists=False)


class Dns:
    """Asks the DNS."""

    def __init__(self, servers: tuple[str, ...] = ()) -> None:
        """`servers`: ``address[:port]``; without any, the system's are used."""
        self._endpoints = [parse_endpoint(each, default_port=53) for each in servers]
        self._answers: TLRUCache[tuple[str, str], tuple[Answer, float]] = TLRUCache(
            CACHE_SIZE, ttu=lambda _key, value, _now: value[1], timer=time.time
        )

    @cached_property
    def _resolver(self) -> dns.asyncresolver.Resolver:
        """Made when it is needed: the system's configuration is a file, and may be missing."""
        resolver = dns.asyncresolver.Resolver(configure=not self._endpoints)
        if self._endpoints:
            resolver.nameservers = [endpoint.host for endpoint in self._endpoints]
            resolver.nameserver_ports = {endpoint.host: endpoint.port for endpoint in self._endpoints}
        resolver.cache = dns.resolver.LRUCache(CACHE_SIZE)
        # Keys of 2048 bits do not fit into 512 bytes.
        resolver.use_edns(0, 0, 1232)
        return resolver

    async def ask(self, domain: str, kind: str) -> Answer:
        """Records of a domain in ASCII; what cannot be a name does not exist. Raises DnsTrouble."""
        if known := self._answers.get((domain, kind)):
            return known[0]
        name = _name(domain)
        if name is None:
            return NO_NAME
        try:
            answer = await self._resolver.resolve(name, kind, lifetime=LOOKUP_TIME)
        except dns.resolver.NXDOMAIN:
            return NO_NAME
        except dns.resolver.NoAnswer:
            return Answer()
        except dns.exception.DNSException as error:
            raise DnsTrouble(f"the DNS does not answer for {kind} records") from error
        except OSError as error:
            raise DnsTrouble("the DNS cannot be reached") from error
        found = Answer(tuple(_text(record) for record in answer))
        self._answers[domain, kind] = found, answer.expiration
        return found


@dataclass(slots=True)
class Lookups:
    """The look-ups of one mail: what was asked once is not asked again, and there is an end to it."""

    dns: Dns
    left: int = MAX_LOOKUPS
    _known: dict[tuple[str, str], Answer] = field(default_factory=dict)

    async def ask(self, domain: str, kind: str) -> Answer:
        """As `Dns.ask`. Raises DnsTrouble also beyond MAX_LOOKUPS, which no honest mail needs."""
        key = domain.lower().removesuffix("."), kind
        if key not in self._known:
            if self.left <= 0:
                raise DnsTrouble("this mail causes too many look-ups")
            self.left -= 1
            self._known[key] = await self.dns.ask(*key)
        return self._known[key]


def reverse_name(address: str) -> str:
    """The name whose PTR records name the hosts of an IP address."""
    return dns.reversename.from_address(address).to_text(omit_final_dot=True)


def _name(domain: str) -> dns.name.Name | None:
    """Labels as they are: nothing in them is an escape, and nothing is converted."""
    if not domain or len(domain) > _MAX_NAME:
        return None
    try:
        return dns.name.Name([*(label.encode("ascii") for label in domain.split(".")), b""])
    except (dns.exception.DNSException, UnicodeEncodeError):
        return None


def _text(record: dns.rdata.Rdata) -> str:
    if isinstance(record, TXT):
        # Latin-1 keeps each octet; readers refuse what is not ASCII where that matters.
        return b"".join(record.strings).decode("latin-1")
    if isinstance(record, MX):
        return record.exchange.to_text(omit_final_dot=True)
    return record.to_text().removesuffix(".")
