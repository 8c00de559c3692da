"""What a connection asks of the rest of the adapter: decisions, and a place among the other connections."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from adapters.email.replies import Reply
from adapters.email.spool import Spool


class Role(Enum):
    """What a port is for."""

    MX = "mx"
    SUBMISSION = "submission"


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
    """Counts connections."""

    def enter(self, connection: Connection, address: str) -> bool:
        """False when there are too many."""

    def leave(self, connection: Connection, address: str) -> None:
        """A connection that had entered is over."""


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
