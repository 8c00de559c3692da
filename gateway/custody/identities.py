"""Identities and names: whom a name under our parent means, and the identity of somebody who has none yet."""

from __future__ import annotations

from gateway.custody.keyring import Keyring
from gateway.ens.escapes import BridgedName, bridged_name, canonical_id, parse_bridged_name
from gateway.ids import CanonicalId, EnsName, Network
from gateway.store.identities import NewIdentity


class Identities:
    """Makes drafts of identities under one parent name; the store decides whether a person had one already."""

    def __init__(self, keyring: Keyring, parent: EnsName) -> None:
        self._keyring = keyring
        self._parent = parent

    def draft(self, network: Network, foreign_id: str, *, now_ms: int, display_name: str = "") -> NewIdentity:
        """An identity with name and fresh keys for a person of ``network``, their id in any spelling.

        Raises InvalidInput when ``foreign_id`` is no id of a person there.
        """
        canonical = canonical_id(network, foreign_id)
        name = bridged_name(network, canonical, self._parent)
        return self._keyring.new_identity(network, canonical, name, now_ms=now_ms, display_name=display_name)

    def tombstone(self, network: Network, canonical_id: CanonicalId) -> str:
        """What is kept of a person who is deleted."""
        return self._keyring.tombstone(network, canonical_id)

    def person(self, name: EnsName) -> BridgedName:
        """Who bears ``name``; raises UnknownName for a name that is given to nobody."""
        return parse_bridged_name(name, self._parent)
