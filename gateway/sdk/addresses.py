"""How an ENS name is written in a foreign network, for adapters (the rules are gateway.ens.escapes')."""

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
from gateway.ens.names import normalise

__all__ = [
    "Alias",
    "Localpart",
    "canonical_email",
    "canonical_xmpp",
    "matrix_localpart",
    "name_from_matrix_localpart",
    "name_from_punycode_localpart",
    "normalise",
    "punycode_localpart",
]
