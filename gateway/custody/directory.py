"""One address book: profiles of bridged people come from custody, all others from ENS."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from gateway.custody.keyring import Keyring
from gateway.ens.names import is_under
from gateway.ens.profiles import Profiles, ResolvedProfile
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.identities import MOVED, Identity
from gateway.store.links import IdentityBearing
from gateway.store.names import NameNamed

FORWARD_MS: Final = 30 * 24 * 3600 * 1000
"""For which mail is sent after a name that was moved."""


class Directory:
    """Resolves any name to its profile; our own sub-names never leave the house for it.

    ``parents`` are the names under which people of other networks can have names.
    """

    def __init__(
        self, *, store: Store, keyring: Keyring, profiles: Profiles, parents: Collection[EnsName], clock: Clock
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._profiles = profiles
        self._parents = tuple(parents)
        self._clock = clock

    async def identity(self, name: EnsName) -> Identity | None:
        """The bridged person who bears this name, given by us or linked by its owner, if they were not deleted.

        A name that was moved to another delivery service is no longer theirs.
        """
        identity = await self._bearer(name)
        if identity is None or (identity.level == MOVED and identity.owned_name == name):
            return None
        return identity

    async def moved(self, name: EnsName) -> Identity | None:
        """The person whose name this was until it was moved a short time ago: what still comes is sent after it."""
        identity = await self._bearer(name)
        if identity is None or identity.level != MOVED or identity.owned_name != name:
            return None
        return identity if self._clock() - (identity.linked_at or 0) < FORWARD_MS else None

    async def user(self, name: EnsName, *, fresh: bool = False) -> ResolvedProfile:
        """The checked profile of a name; `fresh` asks the chain again (within its own limits).

        Raises UnknownName, BadProfile, ChainUnavailable, FetchRefused, FetchFailed.
        """
        identity = await self.identity(name)
        if identity is None:
            return await self._profiles.user(name, fresh=fresh)
        signed, address = self._keyring.keys(identity).signed_profile, identity.address
        if name == identity.owned_name and identity.owner_signature is not None:
            row = await self._store.look_up(NameNamed(name))
            if row is not None and row.owner is not None:
                signed, address = replace(signed, signature=identity.owner_signature), row.owner
        return ResolvedProfile(
            name=name, address=address, profile=signed.profile, signed=signed, fetched_at=self._clock()
        )

    async def _bearer(self, name: EnsName) -> Identity | None:
        if not any(is_under(name, parent) for parent in self._parents):
            return None
        identity = await self._store.look_up(IdentityBearing(name))
        return identity if identity is not None and identity.sealed_salt is not None else None
