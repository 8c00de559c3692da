"""What the caller of the demo decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.demo.ground import GivenChain
from gateway.errors import ConfigError

KNOWN_PEERS: Final = ("email",)
"""Networks whose peer the demo can start; Matrix and XMPP come with their adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Flags of ``dm3-gateway demo``."""

    folder: Path
    once: bool
    only: tuple[str, ...] = ()
    """Peers that take part; empty for all that can be had."""
    gateway_port: int | None = None
    """None takes the usual port, or any free one where that is taken; 0 any free one."""
    rpc_port: int | None = None
    smtp_port: int | None = None
    chain: GivenChain | None = None
    """A chain of the caller's instead of our own."""

    @property
    def peers(self) -> tuple[str, ...]:
        """Peers to start; ConfigError for one that nobody knows."""
        unknown = [peer for peer in self.only if peer not in KNOWN_PEERS]
        if unknown:
            raise ConfigError(f"--only: no peer {', '.join(unknown)} (known: {', '.join(KNOWN_PEERS)})")
        return self.only or KNOWN_PEERS
