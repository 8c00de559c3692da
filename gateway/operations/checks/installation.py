"""The installation that is examined, and how its own servers are asked."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.dm3.keys import ServiceKeys
from gateway.ens.egress import GuardedClient
from gateway.ids import EnsName
from gateway.operations.installation import parent_name, service_name
from gateway.settings import Settings

CHECK_SECONDS: Final = 6.0
"""For each check; all of a run work at the same time."""
ASK_SECONDS: Final = 3.0
"""For one question to a server; a check that is broken off may have to wait for the last one."""


@dataclass(frozen=True, slots=True)
class KeyReaders:
    """How the relay, which is a part beside this one, reads its key files; both raise ConfigError."""

    service: Callable[[Path], ServiceKeys]
    vapid: Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Installation:
    """A configuration that could be read, and the file that it is in."""

    settings: Settings
    config: Path
    readers: KeyReaders

    @property
    def base(self) -> Path:
        """The folder that relative paths are in."""
        return self.config.resolve().parent

    @property
    def parent(self) -> EnsName:
        """Under which names are issued; raises ConfigError."""
        return parent_name(self.settings.ens.parent)

    @property
    def service(self) -> EnsName:
        """Name of our delivery service; raises ConfigError."""
        return service_name(self.parent)

    @property
    def url(self) -> str:
        """How the world reaches it."""
        return self.settings.server.public_url

    @property
    def on_loopback(self) -> bool:
        """Whether that is this machine only, as in a trial."""
        return is_loopback(urlsplit(self.url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@asynccontextmanager
async def asking(seconds: float = ASK_SECONDS) -> AsyncIterator[GuardedClient]:
    """A client for what the operator named, which may be on this machine."""
    async with GuardedClient(allow_private=True, timeout=seconds) as client:
        yield client
