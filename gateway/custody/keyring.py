"""The keyring: makes identities and opens their keys, from the seed and each identity's sealed salt."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from gateway.custody.derive import eth_key, salt_sealing_key, storage_key, tombstone
from gateway.custody.sealed import SecretPlace, open_secret, seal_secret
from gateway.custody.seed import MasterSeed
from gateway.dm3.eth import address_of
from gateway.dm3.keys import KeyPair, ProfileKeys
from gateway.dm3.profile import SignedProfile, UserProfile, sign_profile
from gateway.errors import CustodyError
from gateway.ids import CanonicalId, EnsName, EthAddress, Network
from gateway.store.identities import NewIdentity

if TYPE_CHECKING:
    from gateway.store.identities import Identity

BRIDGED: Final = "bridged"
"""Trust level at which every identity begins: the gateway holds its keys."""
_SALT_BYTES: Final = 32
_CACHED_IDENTITIES: Final = 4_096


@dataclass(frozen=True, slots=True)
class IdentityKeys:
    """Everything an identity signs, opens and publishes with, in one epoch."""

    address: EthAddress
    profile_keys: ProfileKeys
    signed_profile: SignedProfile
    eth_key: bytes = field(repr=False)
    """32 bytes, secp256k1."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What to write into the row of an identity that gets new keys."""

    epoch: int
    address: EthAddress


class Keyring:
    """Derives and remembers keys; safe to use from several threads.

    ``delivery_services`` go into every profile in this order. ``max_ttl_ms`` is the longest time that an envelope
    can wait for pick-up: so long the keys before a rotation still open mail. A derivation takes about 0.2 ms, so
    on the event loop it is no more than a step; callers that derive many at once use a thread.
    """

    def __init__(
        self,
        seed: MasterSeed,
        *,
        delivery_services: tuple[EnsName, ...],
        max_ttl_ms: int,
        cached_identities: int = _CACHED_IDENTITIES,
    ) -> None:
        self._seed = seed
        self._sealing_key = salt_sealing_key(seed)
        self._delivery_services = delivery_services
        self._max_ttl_ms = max_ttl_ms
        self._lock = Lock()
        self._cache: LRUCache[tuple[str, str, int, bytes], IdentityKeys] = LRUCache(cached_identities)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._cache)} identities open)"

    def new_identity(
        self,
        network: Network,
        canonical_id: CanonicalId,
        name: EnsName,
        *,
        now_ms: int,
        display_name: str = "",
    ) -> NewIdentity:
        """A draft of epoch 0 with a fresh salt, sealed; nothing is stored yet."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return NewIdentity(
            network=network,
            canonical_id=canonical_id,
            name=name,
            address=address_of(eth_key(self._seed, salt, network, canonical_id, 0)),
            level=BRIDGED,
            epoch=0,
            sealed_salt=seal_secret(self._sealing_key, salt, _place(network, canonical_id)),
            display_name=display_name,
            created_at=now_ms,
            tombstone=self.tombstone(network, canonical_id),
        )

    def tombstone(self, network: Network, canonical_id: CanonicalId) -> str:
        """What is kept of a person who is deleted, and tells only whoever has the seed who it was."""
        return tombstone(self._seed, network, canonical_id)

    def keys(self, identity: Identity) -> IdentityKeys:
        """The identity's keys of its present epoch.

        Raises CustodyError when the salt was shredded, is of another seed or row, or gives another address than
        the row has.
        """
        keys = self._of_epoch(identity, identity.epoch)
        if keys.address != identity.address:
            raise CustodyError(f"identity {identity.id} has an address that its seed and salt do not give")
        return keys

    def decryption_keys(self, identity: Identity, now_ms: int) -> tuple[KeyPair, ...]:
        """Pairs that open mail now, newest first: the one before a rotation while old mail can still arrive.

        Raises CustodyError as keys does.
        """
        pairs = [self.keys(identity).profile_keys.encryption]
        rotated_at = identity.rotated_at
        if identity.epoch > 0 and rotated_at is not None and rotated_at + self._max_ttl_ms > now_ms:
            pairs.append(self._of_epoch(identity, identity.epoch - 1).profile_keys.encryption)
        return tuple(pairs)

    def rotation(self, identity: Identity) -> Rotation:
        """The next epoch and its address; takes effect once the store has written it. Raises CustodyError."""
        epoch = identity.epoch + 1
        return Rotation(epoch, self._of_epoch(identity, epoch).address)

    def forget(self, network: Network, canonical_id: CanonicalId) -> None:
        """Drop a person's keys from memory, to be called when their salt is shredded."""
        with self._lock:
            for key in [key for key in self._cache if key[:2] == (network, canonical_id)]:
                del self._cache[key]

    def _of_epoch(self, identity: Identity, epoch: int) -> IdentityKeys:
        if identity.sealed_salt is None:
            raise CustodyError(f"the salt of identity {identity.id} was deleted; its keys are gone for ever")
        # The sealed salt is part of the key: a person made anew after shredding never meets the keys of before.
        key = (identity.network, identity.canonical_id, epoch, identity.sealed_salt)
        with self._lock:
            known = self._cache.get(key)
        if known is not None:
            return known
        derived = self._derive(identity.network, identity.canonical_id, epoch, identity.sealed_salt)
        with self._lock:
            self._cache[key] = derived
        return derived

    def _derive(self, network: Network, canonical_id: CanonicalId, epoch: int, sealed_salt: bytes) -> IdentityKeys:
        salt = open_secret(self._sealing_key, sealed_salt, _place(network, canonical_id))
        wallet = eth_key(self._seed, salt, network, canonical_id, epoch)
        pairs = ProfileKeys.from_storage_key(storage_key(self._seed, salt, network, canonical_id, epoch))
        profile = UserProfile(pairs.encryption.public, pairs.signing.public, self._delivery_services)
        return IdentityKeys(address_of(wallet), pairs, sign_profile(profile, wallet), wallet)


def _place(network: Network, canonical_id: CanonicalId) -> SecretPlace:
    """By the person and not by the row number, which is not known before the row is written."""
    return SecretPlace("identities", (network, canonical_id), "sealed_salt")
