"""How an ENS name is written in a foreign network, and which IP addresses a stranger may have us connect to.

The rules are those of gateway.ens.escapes and gateway.ens.hosts.
"""

from __future__ import annotations

from gateway.ens.escapes import (
    Alias,
    Localpart,
    canonical_email,
    canonical_xmpp,
    matrix_localpart,
    name_from_matrix_localpart,
    name_from_punycode_localpart,
    punycode_localpart,
)
from gateway.ens.hosts import may_connect, parse_ip
from gateway.ens.names import normalise

__all__ = [
    "Alias",
    "Localpart",
    "canonical_email",
    "canonical_xmpp",
    "matrix_localpart",
    "may_connect",
    "name_from_matrix_localpart",
    "name_from_punycode_localpart",
    "normalise",
    "parse_ip",
    "punycode_localpart",
]
