"""DM3 profiles of names: found through ENS, checked, remembered for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.dm3.profile import (
    DeliveryServiceProfile,
    SignedProfile,
    UserProfile,
    parse_service_profile,
    parse_signed_profile,
    verify_profile,
)
from gateway.ens.documents import Documents
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.memo import DEFAULT_LIMITS, Memo, MemoLimits
from gateway.ens.names import normalise
from gateway.ens.together import both
from gateway.errors import BadProfile, InvalidInput, InvalidName, UnknownName
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock, now_ms

PROFILE_KEY: Final = "network.dm3.profile"
DELIVERY_SERVICE_KEY: Final = "network.dm3.deliveryService"


@dataclass(frozen=True, slots=True)
class ResolvedProfile:
    """A name, the address it resolved to, and the profile which that address signed."""

    name: EnsName
    address: EthAddress
    profile: UserProfile
    signed: SignedProfile
    fetched_at: int
    """Milliseconds since the epoch."""

    def uses(self, service: EnsName) -> bool:
        """Whether the profile names this delivery service, however it spells it."""
        for text in self.profile.delivery_services:
            with contextlib.suppress(InvalidName):
                if normalise(text) == service:
                    return True
        return False


class Profiles:
    """Profiles of users and of delivery services, each remembered for at most five minutes."""

    def __init__(
        self,
        ens: Ens,
        client: GuardedClient,
        *,
        ipfs_gateways: Sequence[str] = (),
        ipfs_client: GuardedClient | None = None,
        clock: Clock = now_ms,
        limits: MemoLimits = DEFAULT_LIMITS,
    ) -> None:
        """``ipfs_gateways`` and ``ipfs_client``: see Documents; ``clock`` gives milliseconds since the epoch."""
        self._ens = ens
        self._documents = Documents(client, ipfs_gateways, ipfs_client)
        self._clock = clock
        self._users = Memo(self._load_user, clock=clock, limits=limits)
        self._services = Memo(self._load_service, clock=clock, limits=limits)

    async def user(self, name: EnsName, *, fresh: bool = False) -> ResolvedProfile:
        """The profile of a user; ``fresh`` after a signature of theirs failed: they may have new keys.

        Raises UnknownName when the name has no profile, BadProfile when it is malformed or not signed by the name's
        address, FetchRefused, FetchFailed and ChainUnavailable.
        """
        return await self._users.get(name, fresh=fresh)

    async def delivery_service(self, name: EnsName, *, fresh: bool = False) -> DeliveryServiceProfile:
        """The profile of a delivery service; not signed, so its integrity is the record's. Raises as ``user``."""
        return await self._services.get(name, fresh=fresh)

    async def _load_user(self, name: EnsName) -> ResolvedProfile:
        try:
            found = await self._ens.resolver_of(name)
            if found is None:
                raise UnknownName(f"{name} has no resolver")
            uri, address = await both(self._ens.text(name, PROFILE_KEY, at=found), self._ens.address(name, at=found))
        except InvalidInput as error:
            raise BadProfile(f"{name}: {error.detail}") from None
        if not uri:
            raise UnknownName(f"{name} has no DM3 profile")
        if address is None:
            raise BadProfile(f"{name} has no address that could have signed its profile")
        signed = parse_signed_profile(await self._documents.read(uri))
        if not verify_profile(signed, address):
            raise BadProfile(f"the profile of {name} is not signed by the name's address")
        return ResolvedProfile(name, address, signed.profile, signed, self._clock())

    async def _load_service(self, name: EnsName) -> DeliveryServiceProfile:
        try:
            uri = await self._ens.text(name, DELIVERY_SERVICE_KEY)
        except InvalidInput as error:
            raise BadProfile(f"{name}: {error.detail}") from None
        if not uri:
            raise UnknownName(f"{name} is no delivery service")
        return parse_service_profile(await self._documents.read(uri))
