"""Which IP addresses strangers may send us to: those of the public Internet and no others."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

IpAddress: TypeAlias = IPv4Address | IPv6Address

# IANA special-purpose registries. Python's is_global is not enough: it takes multicast, NAT64 and 6to4 for global.
_DENIED_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
"""The only global unicast space there is: mapped, compatible, NAT64, local and multicast addresses lie outside."""
_DENIED_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocols: Teredo, benchmarking, ORCHID
            "2001:db8::/32",
            "2002::/16",  # 6to4 carries an IPv4 address
            "3fff::/20",
        ),
    )
)
_PRIVATE_V4: Final = tuple(
    map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
_PRIVATE_V6: Final = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))


def is_public(address: IpAddress) -> bool:
    """True for unicast addresses of the public Internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _DENIED_V6)


def is_private(address: IpAddress) -> bool:
    """True for loopback and the private networks of a site.

    Link-local addresses are none of these: cloud machines keep their credentials behind 169.254.169.254.
    """
    if isinstance(address, IPv4Address):
        return any(address in network for network in _PRIVATE_V4)
    return any(address in network for network in _PRIVATE_V6)


def parse_ip(text: str) -> IpAddress | None:
    """An address as a name server gives it, or None; one with a zone id is of a single link and never taken."""
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def may_connect(address: IpAddress, *, allow_private: bool) -> bool:
    """Whether a record of a stranger may make us connect to ``address``."""
    return is_public(address) or (allow_private and is_private(address))
