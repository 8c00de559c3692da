"""Where a mail for a domain goes: its MX records (RFC 5321, section 5.1) and their addresses."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from adapters.email.endpoints import parse_endpoint
from gateway.sdk import NotFound, Unavailable
from gateway.sdk.addresses import may_connect, parse_ip

MAX_HOSTS: Final = 5
"""Mail servers of one domain that are tried in one go."""
MAX_ADDRESSES: Final = 4
"""Addresses of one mail server that are tried."""
LOOKUP_TIME: Final = 10.0
"""Seconds for one look-up."""
_NO_NAME: Final = (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel)


@dataclass(frozen=True, slots=True)
class MailServerAddress:
    """One address of one mail server of a domain."""

    host: str
    """Its name, for TLS and for logs."""
    address: str


class Routes(Protocol):
    """Finds the mail servers of a domain."""

    async def find(self, domain: str) -> tuple[MailServerAddress, ...]:
        """Best first, never empty; raises NotFound when the domain takes no mail, Unavailable to try later."""


class MxRoutes:
    """Asks the DNS."""

    def __init__(self, dns_servers: tuple[str, ...] = (), *, allow_private: bool = False) -> None:
        """`dns_servers`: ``address[:port]``; without any, the system's are used."""
        self._resolver = dns.asyncresolver.Resolver(configure=not dns_servers)
        endpoints = [parse_endpoint(each, default_port=53) for each in dns_servers]
        if endpoints:
            self._resolver.nameservers = [endpoint.host for endpoint in endpoints]
            self._resolver.nameserver_ports = {endpoint.host: endpoint.port for endpoint in endpoints}
        self._resolver.cache = dns.resolver.LRUCache(10_000)
        self._allow_private = allow_private

    async def find(self, domain: str) -> tuple[MailServerAddress, ...]:
        """Servers in order of preference, equal ones shuffled; a domain without MX records is its own server.

        Raises NotFound for NXDOMAIN, a null MX (RFC 7505) and hosts without a public address, and Unavailable when
        the DNS does not answer.
        """
        hosts = await self._hosts(domain)
        found: list[MailServerAddress] = []
        unanswered = False
        for host in hosts[:MAX_HOSTS]:
            try:
                addresses = await self._addresses(host)
            except Unavailable:
                unanswered = True
                continue
            found += [MailServerAddress(host, address) for address in addresses[:MAX_ADDRESSES]]
        if not found:
            if unanswered:
                raise Unavailable(f"the DNS does not answer for the mail servers of {domain}")
            raise NotFound(f"{domain} has no mail server that can be reached")
        return tuple(found)

    async def _hosts(self, domain: str) -> list[str]:
        try:
            answer = await self._resolver.resolve(f"{domain}.", "MX", lifetime=LOOKUP_TIME)
        except dns.resolver.NXDOMAIN:
            raise NotFound(f"the mail domain {domain} does not exist") from None
        except dns.resolver.NoAnswer:
            return [domain]
        except _NO_NAME:
            raise NotFound(f"{domain} is no domain") from None
        except dns.exception.DNSException as error:
            raise Unavailable(f"the DNS does not answer for {domain}") from error
        records = [record for record in answer if isinstance(record, MX)]
        # Equal preference is meant to spread load (RFC 5321, section 5.1).
        shuffled = sorted(records, key=lambda record: (record.preference, random.random()))  # noqa: S311
        exchanges = [record.exchange for record in shuffled if record.exchange != dns.name.root]
        if not exchanges:
            raise NotFound(f"{domain} takes no mail")
        return [exchange.to_text(omit_final_dot=True) for exchange in exchanges]

    async def texts(self, name: str) -> tuple[str, ...]:
        """TXT records of a name, each as one string; empty when there are none. Raises Unavailable."""
        try:
            answer = await self._resolver.resolve(f"{name}.", "TXT", lifetime=LOOKUP_TIME)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, *_NO_NAME):
            return ()
        except dns.exception.DNSException as error:
            raise Unavailable(f"the DNS does not answer for {name}") from error
        return tuple(
            b"".join(record.strings).decode("utf-8", "replace") for record in answer if isinstance(record, TXT)
        )

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Addresses of a host that we may connect to; raises Unavailable, also for what is no name."""
        return tuple(await self._addresses(host))

    async def _addresses(self, host: str) -> list[str]:
        addresses: list[str] = []
        failed = False
        for kind in ("A", "AAAA"):
            try:
                answer = await self._resolver.resolve(f"{host}.", kind, lifetime=LOOKUP_TIME)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            except dns.exception.DNSException:
                failed = True
                continue
            addresses += [record.to_text() for record in answer]
        if failed and not addresses:
            raise Unavailable(f"the DNS does not answer for {host}")
        return [address for address in addresses if self._may_connect(address)]

    def _may_connect(self, address: str) -> bool:
        """False where a stranger's MX record could point us into our own network."""
        ip = parse_ip(address)
        return self._allow_private or (ip is not None and may_connect(ip, allow_private=False))
