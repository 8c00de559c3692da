"""Trust level `owned`: a name that a wallet owns is linked to a person of another network.

Two proofs are needed. A code, sent through the person's own network, shows that they want it; one signature of the
wallet that owns the name, on the DM3 profile with the person's keys, is what every DM3 client checks afterwards.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.dm3.data_uri import data_uri
from gateway.dm3.eth import address_bytes, checksum
from gateway.dm3.user_profile import SignedProfile, registration_text, verify_profile
from gateway.ens.canonical import canonical_id
from gateway.errors import InvalidInput, LimitExceeded, NotAllowed, WalletRefused
from gateway.ids import CanonicalId, EnsName, EthAddress, Network
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.allowance import Allowance, WithAllowances
from gateway.store.identities import Identity, IdentityOf, IssueIdentity, NewIdentity
from gateway.store.jobs import Enqueue, NewJob
from gateway.store.links import LinkCode, LinkCodeFor, LinkIdentity, PutLinkCode, TryLinkCode
from gateway.store.names import NameRow
from gateway.store.op import Op
from gateway.subnames.changes import Change
from gateway.subnames.events import EventType
from gateway.subnames.orders import DM3_PROFILE
from gateway.subnames.registrar import Registrar

LIFE_MS: Final = 10 * 60_000
PAUSE_MS: Final = 60_000
"""Between two codes for one name or to one person."""
GUESSES: Final = 5
DAY_MS: Final = 24 * 3600 * 1000
CODES_PER_PERSON: Final = 5
"""Codes that one person gets in a day, whoever asks: they may have asked for nothing."""
CODES_PER_OWNER: Final = 20
_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without letters and digits that are taken for one another."""
_HALF: Final = 4


class NoticeFor(Protocol):
    """Makes the job that tells a person something through their network; the bridge gives it."""

    def __call__(self, identity: Identity | NewIdentity, text: str, *, now: int, expires_at: int) -> NewJob: ...


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A code is on its way; `message` is what the wallet signs to confirm, times in milliseconds."""

    network: Network
    person: CanonicalId
    message: str
    expires_at: int


class Linking:
    """Sends codes and makes links; the end of a link is an order of the owner."""

    def __init__(
        self,
        *,
        store: Store,
        registrar: Registrar,
        identities: Identities,
        keyring: Keyring,
        networks: Collection[Network],
        notice_for: NoticeFor,
        code_key: bytes,
        public_url: str,
        clock: Clock,
    ) -> None:
        """`networks` are those of running adapters; `code_key` is 32 secret bytes."""
        self._store = store
        self._registrar = registrar
        self._identities = identities
        self._keyring = keyring
        self._networks = frozenset(networks)
        self._notice_for = notice_for
        self._code_key = code_key
        self._public_url = public_url
        self._clock = clock

    @property
    def networks(self) -> frozenset[Network]:
        """Networks whose people can be linked."""
        return self._networks

    async def request(self, owner: EthAddress, name: EnsName, network: Network, person: str) -> CodeSent:
        """Send a code to somebody. Raises NotFound, NotAllowed, InvalidInput, LimitExceeded."""
        now = self._clock()
        await self._owned(owner, name)
        if network not in self._networks:
            raise InvalidInput(f"there is no network {network} here; there are: {', '.join(sorted(self._networks))}")
        canonical = canonical_id(network, person)
        known = await self._store.read(IdentityOf(network, canonical))
        if known is not None and known.sealed_salt is None:
            raise InvalidInput("this person was deleted here")
        draft = None if known is not None else self._identities.draft(network, canonical, now_ms=now)
        identity = known or draft
        assert identity is not None
        code = _new_code()
        sent = LinkCode(name, network, canonical, owner, self._digest(name, code), now, now + LIFE_MS)
        text = (
            f"{code} is the code to link the name {name} to you.\n\n"
            f"The wallet {checksum(owner)} asks for it, so that others see this name instead of yours here. If that is"
            f" you, enter the code within ten minutes at {self._public_url}/me\n\n"
            "If it is not, do nothing, and give the code to nobody."
        )
        notice = self._notice_for(identity, text, now=now, expires_at=now + LIFE_MS)
        issue: tuple[Op[Any], ...] = () if draft is None else (IssueIdentity(draft),)
        allowances = (
            Allowance(f"link-person:{self._pseudonym(network, canonical)}", CODES_PER_PERSON, DAY_MS),
            Allowance(f"link-owner:{owner}", CODES_PER_OWNER, DAY_MS),
        )
        ops = (*issue, PutLinkCode(sent, now - PAUSE_MS), Enqueue(notice))
        if isinstance(await self._store.commit(WithAllowances(allowances, now, ops)), Allowance):
            raise LimitExceeded("no more codes today")
        stored = await self._store.read(IdentityOf(network, canonical))
        assert stored is not None
        message = registration_text(self._profile(stored).profile, owner)
        return CodeSent(network, canonical, message, sent.expires_at)

    async def confirm(self, owner: EthAddress, name: EnsName, code: str, signature: str) -> NameRow:
        """Make the link.

        Raises NotFound, NotAllowed for a code that is wrong, old or used up, WalletRefused for a signature that is not
        the owner's on this profile (that of a contract cannot be: DM3 clients do not know ERC-1271), NameChanged.
        """
        row, now = await self._owned(owner, name), self._clock()
        if row.address != address_bytes(owner):
            raise InvalidInput("set the record addr to your wallet first: clients check the profile against it")
        identity = await self._awaited(owner, name, now)
        signed = SignedProfile(self._profile(identity).profile, signature)
        if not verify_profile(signed, owner):
            raise WalletRefused("not the signature of the name's owner on this profile")
        given = self._digest(name, normal_code(code))
        if await self._store.commit(TryLinkCode(name, owner, given, now, GUESSES)) is None:
            raise NotAllowed("this code is wrong, was used, or is older than ten minutes")
        changed = replace(row, texts={**row.texts, DM3_PROFILE: data_uri(signed.to_text())}, updated_at=now)
        told = f"{name} is linked to you: who writes to this name reaches you here, and sees it when you write."
        notice = self._notice_for(identity, told, now=now, expires_at=now + DAY_MS)
        parent = self._registrar.policy_of(name).parent
        change = Change(EventType.LINKED, name, parent, owner, now, {"network": identity.network})
        link = LinkIdentity(identity.id, identity.epoch, name, signature, now)
        return await self._registrar.replace(changed, change, link, Enqueue(notice))

    async def _awaited(self, owner: EthAddress, name: EnsName, now: int) -> Identity:
        """Who got the code that is on its way."""
        waiting = await self._store.read(LinkCodeFor(name, owner, now))
        if waiting is not None:
            identity = await self._store.read(IdentityOf(waiting.network, waiting.canonical_id))
            if identity is not None:
                return identity
        raise NotAllowed("no code is on its way for this name; ask for one")

    async def _owned(self, owner: EthAddress, name: EnsName) -> NameRow:
        row = await self._registrar.named(name)
        if row.owner != owner:
            raise NotAllowed(f"{name} belongs to another wallet")
        return row

    def _profile(self, identity: Identity) -> SignedProfile:
        return self._keyring.keys(identity).signed_profile

    def _digest(self, name: EnsName, code: str) -> bytes:
        return hmac.digest(self._code_key, f"{name}\n{code}".encode("utf-8", "replace"), "sha256")

    def _pseudonym(self, network: Network, person: CanonicalId) -> str:
        return hmac.digest(self._code_key, f"{network}\n{person}".encode(), "sha256").hex()[:32]


def normal_code(text: str) -> str:
    """A code as people type it, in the form in which it was sent."""
    bare = "".join(char for char in text.upper() if char.isalnum())
    return f"{bare[:_HALF]}-{bare[_HALF:]}"


def _new_code() -> str:
    half = ("".join(secrets.choice(_ALPHABET) for _ in range(_HALF)) for _ in range(2))
    return "-".join(half)
