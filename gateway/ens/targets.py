"""URLs from strangers, read in one strict spelling: what is checked is what is connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urljoin, urlsplit

from gateway.errors import FetchRefused

MAX_URL: Final = 64 * 2**10
"""Characters. A gateway's URL holds the calldata in hex."""

_PRINTABLE: Final = re.compile(r"[!-~]+")
_UNSAFE: Final = frozenset('<>"\\^`{|}')
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*"
)
# Clients and libraries read 0x7f.1, 2130706433 and 017700000001 as IPv4 addresses; names end in a label of letters.
_NUMERIC_END: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and what to ask for there."""

    secure: bool
    host: str
    """Lower case: a name, an IPv4 address, or an IPv6 address without brackets."""
    port: int
    path: str
    """Path and query, never empty."""

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority (RFC 6454, section 6.2)."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @property
    def url(self) -> str:
        """The URL in its one spelling."""
        return self.origin + self.path


def parse_target(url: str, *, allow_private: bool) -> Target:
    """Read a URL. Raises FetchRefused for every odd one: scheme, user information, port, spelling of the host.

    https on port 443 only; ``allow_private`` lets plain http and other ports through, for trials on one machine.
    """
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url) or not _UNSAFE.isdisjoint(url):
        raise FetchRefused("URL is too long or holds characters that a URL must not hold")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchRefused("URL cannot be read") from None
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not allow_private):
        raise FetchRefused(f"only https is fetched, not {parts.scheme[:16]!r}")
    if "@" in parts.netloc:
        raise FetchRefused("user information in a URL")
    secure = parts.scheme == "https"
    if port is None:
        if parts.netloc.endswith(":"):
            raise FetchRefused("empty port in a URL")
        port = 443 if secure else 80
    if (port != 443 and not allow_private) or port == 0:
        raise FetchRefused(f"port {port} is not fetched from")
    path = parts.path or "/"
    return Target(secure, _host(parts.netloc), port, f"{path}?{parts.query}" if parts.query else path)


def follow(target: Target, location: str, *, allow_private: bool) -> Target:
    """The target of a redirect, under the same rules. Raises FetchRefused, also for a step from https to http."""
    # urljoin drops blanks and control characters in silence.
    if len(location) > MAX_URL or not _PRINTABLE.fullmatch(location):
        raise FetchRefused("redirect without a URL, or to one that cannot be read")
    try:
        url = urljoin(target.url, location)
    except ValueError:
        raise FetchRefused("redirect to a URL that cannot be read") from None
    found = parse_target(url, allow_private=allow_private)
    if target.secure and not found.secure:
        raise FetchRefused("redirect from https to http")
    return found


def _host(netloc: str) -> str:
    text = netloc.lower()
    if text.startswith("["):
        inside, _, _ = text[1:].partition("]")
        try:
            # A zone id names a link of this machine.
            return str(IPv6Address(inside)) if "%" not in inside else _refuse(netloc)
        except ValueError:
            return _refuse(netloc)
    host, _, _ = text.partition(":")
    if _NUMERIC_END.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            return _refuse(netloc)
    return host if _HOST_NAME.fullmatch(host) else _refuse(netloc)


def _refuse(netloc: str) -> str:
    raise FetchRefused(f"not a host that is fetched from: {netloc[:100]!r}")
