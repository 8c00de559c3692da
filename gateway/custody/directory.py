"""One address book: profiles of bridged people come from custody, all others from ENS."""

from __future__ import annotations

from gateway.custody.keyring import Keyring
from gateway.ens.names import is_under
from gateway.ens.profiles import Profiles, ResolvedProfile
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.identities import Identity, IdentityNamed


class Directory:
    """Resolves any name to its profile; our own sub-names never leave the house for it."""

    def __init__(self, *, store: Store, keyring: Keyring, profiles: Profiles, parent: EnsName, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._profiles = profiles
        self._parent = parent
        self._clock = clock

    async def identity(self, name: EnsName) -> Identity | None:
        """The bridged person who bears this name, if it is one of ours and not deleted."""
        if not is_under(name, self._parent):
            return None
        identity = await self._store.read(IdentityNamed(name))
        return identity if identity is not None and identity.sealed_salt is not None else None

    async def user(self, name: EnsName, *, fresh: bool = False) -> ResolvedProfile:
        """The checked profile of a name; `fresh` asks the chain again (within its own limits).

        Raises UnknownName, BadProfile, ChainUnavailable, FetchRefused, FetchFailed.
        """
        identity = await self.identity(name)
        if identity is None:
            return await self._profiles.user(name, fresh=fresh)
        signed = self._keyring.keys(identity).signed_profile
        return ResolvedProfile(
            name=name, address=identity.address, profile=signed.profile, signed=signed, fetched_at=self._clock()
        )
