"""Connections of one address: a few thousand silent sockets of one machine must not be all that the server can hold."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeAlias, cast

from gateway.rates import asker_of

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

PER_ADDRESS: Final = 256
"""Open at one time from one address, or one IPv6 network of a customer; websockets are counted by whoever serves them.
"""
LINGER_SECONDS: Final = 1.0
"""From the refusal to the end: a connection closed with bytes unread takes the refusal with it."""
_SENTENCE: Final = b'{"error":"Too many connections from one address."}'
REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_SENTENCE), _SENTENCE)
)


class Crowd:
    """Counts open connections by the address of their peer."""

    def __init__(self, most: int = PER_ADDRESS, proxies: Sequence[str] = ()) -> None:
        """``proxies``: addresses and networks that speak for many and are not counted; ``*`` for all."""
        self._most = most
        self._everybody = "*" in proxies
        self._proxies = [network for network in map(_network, proxies) if network is not None]
        self._open: Counter[str] = Counter()

    def enter(self, peer: object) -> str | None:
        """Whom a new connection is counted for, to be given to `leave`; None when they have too many.

        ``peer`` is the socket's address, as `getpeername` gives it.
        """
        asker = asker_of({"client": peer})
        if self._speaks_for_many(asker):
            return ""
        if self._open[asker] >= self._most:
            return None
        self._open[asker] += 1
        return asker

    def leave(self, asker: str) -> None:
        """A connection that entered is closed."""
        self._open[asker] -= 1
        if self._open[asker] <= 0:
            del self._open[asker]

    def _speaks_for_many(self, asker: str) -> bool:
        if self._everybody or not self._proxies:
            return self._everybody
        network = _network(asker)
        return network is not None and any(_overlap(network, proxy) for proxy in self._proxies)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def counted(protocol: type[asyncio.Protocol], crowd: Crowd) -> type[asyncio.Protocol]:
    """One of uvicorn's HTTP protocols, whose connections are closed at once when their address has too many."""
    return type("Counted", (_Counted, protocol), {"crowd": crowd})


class _Counted(asyncio.Protocol):
    crowd: ClassVar[Crowd]
    _asker: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._asker = self.crowd.enter(transport.get_extra_info("peername"))
        if self._asker is not None:
            super().connection_made(transport)
        else:
            # Not asked for its class: those of uvloop are none of asyncio's.
            refused = cast("asyncio.WriteTransport", transport)
            refused.write(REFUSAL)
            refused.write_eof()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, refused.close)

    def data_received(self, data: bytes) -> None:
        if self._asker is not None:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asker is not None:
            self._leave()
            super().connection_lost(exc)

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """From here another protocol has the connection."""
        self._leave()
        super().handle_websocket_upgrade(*event)  # type: ignore[misc]

    def _leave(self) -> None:
        if self._asker:
            self.crowd.leave(self._asker)
            self._asker = ""
