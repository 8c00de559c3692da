"""``host:port`` as it is written in settings."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WRITTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9._-]{1,253}))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, *, default_port: int | None = None) -> Endpoint:
    """Read ``host:port`` or ``[v6]:port``; raises ValueError, also for a missing port without a default."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError("must be host:port")
    port = default_port if match["port"] is None else int(match["port"])
    if port is None or not 1 <= port <= 65535:
        raise ValueError("must be host:port with a port from 1 to 65535")
    return Endpoint(match["v6"] or match["host"], port)
