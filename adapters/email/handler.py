"""What a connection asks of the rest of the adapter: decisions, and a place among the other connections."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

from adapters.email.replies import Reply
from adapters.email.spool import Spool
from gateway.sdk import asker_of


class Role(Enum):
    """What a port is for."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"
    """As the MX, for a mail server of ours that stands in front (RFC 2033)."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end."""

    role: Role
    address: str
    """IP address, without port."""
    login: str | None
    smtp_utf8: bool
    """True when this transaction agreed on SMTPUTF8 (RFC 6531)."""
    helo: str = ""
    """What it calls itself."""
    tls: bool = False

    @property
    def asker(self) -> str:
        """For whom it is counted."""
        return counted_for(self.address)


def counted_for(address: str) -> str:
    """Who has an IP address: of an IPv6 network of 64 bits one customer has all of them."""
    return asker_of({"client": (address, 0)})


class Handler(Protocol):
    """Decides about senders, recipients and mails; each method ends the command with its reply."""

    async def log_in(self, login: str, password: str) -> bool:
        """True when the password is right."""

    async def mail(self, client: Client, sender: str) -> Reply:
        """A transaction begins."""

    async def rcpt(self, client: Client, sender: str, recipients: int, address: str) -> Reply:
        """One more recipient, behind `recipients` accepted ones."""

    async def data(self, client: Client, sender: str, recipients: tuple[str, ...], spool: Spool) -> Reply:
        """The whole mail is there."""


class Connection(Protocol):
    """One open connection."""

    busy: bool
    """True while a mail is received or stored."""

    def hang_up(self, reply: Reply) -> None:
        """Say why and close, from outside of the conversation."""


class Gate(Protocol):
    """Counts connections, the bytes of mails on their way in, and failed log-ins; addresses by who has them."""

    def enter(self, connection: Connection, address: str) -> bool:
        """False when there are too many."""

    def leave(self, connection: Connection, address: str) -> None:
        """A connection that had entered is over."""

    def reserve(self, size: int) -> bool:
        """Count bytes that are about to be kept; False, and nothing is counted, when there would be too many."""

    def release(self, size: int) -> None:
        """Bytes are kept no more."""

    def log_in_failed(self, address: str) -> None:
        """Somebody did not know the password."""

    def may_log_in(self, address: str) -> bool:
        """False for some minutes after too many failures from one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What all connections to one port have in common."""

    role: Role
    host_name: str
    domain: str
    size_limit: int
    command_timeout: float
    data_timeout: float
    tls: ssl.SSLContext | None
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where connections come from that begin with the header of the PROXY protocol; empty for connections without."""

    def is_proxy(self, address: str) -> bool:
        """Whether an address is one of ours."""
        try:
            return any(ip_address(address) in network for network in self.proxies)
        except ValueError:
            return False
