"""What the caller of the demo decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.demo.ground import GivenChain
from gateway.demo.homeserver import GivenHomeserver
from gateway.demo.prosody import MISSING as NO_PROSODY
from gateway.demo.prosody import find_prosody
from gateway.demo.synapse import MISSING as NO_SYNAPSE
from gateway.demo.synapse import find_synapse
from gateway.demo.xmpp_side import GivenXmpp
from gateway.errors import ConfigError
from gateway.operations.adapter_types import adapter_type

KNOWN_PEERS: Final = ("email", "matrix", "xmpp")
"""Networks whose peer the demo can start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Flags of ``dm3-gateway demo``."""

    folder: Path
    once: bool
    only: tuple[str, ...] = ()
    """Peers that take part; empty for all that can be had."""
    without: tuple[str, ...] = ()
    """Peers that take no part all the same."""
    gateway_port: int | None = None
    """None takes the usual port, or any free one where that is taken; 0 any free one."""
    rpc_port: int | None = None
    smtp_port: int | None = None
    chain: GivenChain | None = None
    """A chain of the caller's instead of our own."""
    homeserver: GivenHomeserver | None = None
    """A Matrix homeserver of the caller's instead of our own."""
    xmpp: GivenXmpp | None = None
    """An XMPP server of the caller's instead of our own."""

    @property
    def peers(self) -> tuple[str, ...]:
        """Peers that take part; ConfigError for one that nobody knows."""
        unknown = [peer for peer in self.only if peer not in KNOWN_PEERS]
        if unknown:
            raise ConfigError(f"--only: no peer {', '.join(unknown)} (known: {', '.join(KNOWN_PEERS)})")
        return tuple(peer for peer in self.only or KNOWN_PEERS if peer not in self.without)

    def lacking(self) -> dict[str, str]:
        """Why peers cannot take part that should, with the line that would help.

        ConfigError when the caller asked for one of them by name.
        """
        reasons: dict[str, str] = {}
        if self.homeserver is not None and "matrix" not in self.peers:
            raise ConfigError("--matrix-homeserver: Matrix takes no part, by --only or --no-matrix")
        if self.xmpp is not None and "xmpp" not in self.peers:
            raise ConfigError("--xmpp-component: XMPP takes no part, by --only or --no-xmpp")
        for peer in self.peers:
            reason = self._lacking(peer)
            if reason:
                reasons[peer] = reason
        if reasons and self.only:
            raise ConfigError("\n".join(f"{peer}: {reason}" for peer, reason in reasons.items()))
        return reasons

    def _lacking(self, peer: str) -> str:
        try:
            adapter_type(peer)
        except ConfigError as error:
            return error.detail
        if peer == "matrix" and self.homeserver is None and find_synapse() is None:
            return NO_SYNAPSE
        if peer == "xmpp" and self.xmpp is None and find_prosody() is None:
            return NO_PROSODY
        return ""
