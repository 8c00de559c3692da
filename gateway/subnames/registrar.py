"""The registrar: what is free, who may have it, and every change of a name, each logged in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from gateway.dm3.canonical import Json
from gateway.dm3.eth import address_bytes, address_from_bytes, checksum
from gateway.dm3.sender_rules import SenderRules
from gateway.ens.names import namehash, normalise
from gateway.ens.unmet import Unmet
from gateway.ens.wallets import Wallets
from gateway.errors import InvalidInput, NameChanged, NameRefused, NameTaken, NotAllowed, NotFound, WalletRefused
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.identities import Identity, IdentityNamed
from gateway.store.links import IdentityOwning, MoveIdentity, UnlinkName, UnlinkStrangers
from gateway.store.names import NameNamed, NameRow, NamesLike, Origin
from gateway.store.op import Op
from gateway.store.ownership import LimitOwner, RefuseAlike, ReplaceName, TakeName, TakenFor
from gateway.store.reservations import Hold, ReservationOf
from gateway.subnames.changes import Change
from gateway.subnames.events import EventType
from gateway.subnames.labels import check_label, label_of, nearest_parent, read_claimed, warnings
from gateway.subnames.orders import (
    DM3_PROFILE,
    LONGEST_SECONDS,
    Action,
    Order,
    carried_out,
    check_profile,
    profile_text,
    released,
    transferred,
)
from gateway.subnames.policy import Admission, Policy
from gateway.subnames.records import EVM_BIT, with_records
from gateway.subnames.skeleton import letters, skeleton

RESEMBLING: Final = 5
"""Names that look alike, of those that are shown."""
_KINDS: Final[Mapping[Action, EventType]] = {
    Action.RECORDS: EventType.CHANGED,
    Action.TRANSFER: EventType.TRANSFERRED,
    Action.RELEASE: EventType.RELEASED,
    Action.RENEW: EventType.RENEWED,
    Action.LIST: EventType.LISTED,
    Action.UNLINK: EventType.UNLINKED,
}


class Holds(Protocol):
    """What the chain knows of somebody."""

    async def unmet(self, address: EthAddress, rules: SenderRules) -> Sequence[Unmet]:
        """See ``gateway.ens.holdings.Holdings.unmet``."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a name can be claimed, and what somebody should know before they do."""

    name: EnsName
    policy: Policy
    free: bool
    reason: str = ""
    """Why not, in words; empty when it is free."""
    warnings: tuple[str, ...] = ()
    resembles: tuple[EnsName, ...] = ()


class Registrar:
    """Issues names under the parents of ``policies`` and carries out what their owners order."""

    def __init__(
        self,
        *,
        store: Store,
        policies: Mapping[EnsName, Policy],
        wallets: Wallets,
        holdings: Holds,
        chain_id: int,
        clock: Clock,
        changed: Callable[[EnsName], None] = lambda _: None,
    ) -> None:
        """`changed` is told each name after a commit that wrote it."""
        self.policies = policies
        self.chain_id = chain_id
        self._store = store
        self._wallets = wallets
        self._holdings = holdings
        self._clock = clock
        self._changed = changed

    def policy_of(self, name: EnsName) -> Policy:
        """The rules for a name; raises NotFound when it is under no parent of ours."""
        parent = nearest_parent(name, self.policies)
        if parent is None:
            raise NotFound(f"{name} is not below a name that we issue under")
        return self.policies[parent]

    async def named(self, name: EnsName) -> NameRow:
        """A name in use; raises NotFound."""
        row = await self._store.read(NameNamed(name))
        if row is None or row.released_at is not None:
            raise NotFound(f"nobody has {name}")
        return row

    async def address_of(self, name: EnsName) -> EthAddress | None:
        """The Ethereum address that we give out for a name, claimed or of a bridged person; raises NotFound."""
        self.policy_of(name)
        identity = await self._store.read(IdentityNamed(name))
        if identity is not None and identity.sealed_salt is not None:
            return identity.address
        row = await self.named(name)
        # Ethereum is an EVM chain like the others: without an address of its own it has theirs (ENSIP-19).
        given = row.address or row.coins.get(EVM_BIT)
        return None if given is None else address_from_bytes(given)

    async def linked(self, name: EnsName) -> Identity | None:
        """The person of another network whom a name is linked to."""
        return await self._store.read(IdentityOwning(name))

    async def availability(self, text: str, parent: EnsName, owner: EthAddress | None = None) -> Availability:
        """Whether ``owner``, or anybody, can claim a label or name. Raises InvalidName for what is no name."""
        name = read_claimed(text, parent)
        policy = self.policies[parent]
        alike = await self.alike(name, policy)
        told = warnings(name.removesuffix(f".{parent}"))
        try:
            await self.check_free(name, owner)
        except (NameRefused, NameTaken) as error:
            return Availability(name, policy, False, error.detail, told, alike)
        return Availability(name, policy, True, "", told, alike)

    async def admit(self, policy: Policy, owner: EthAddress) -> None:
        """Return when ``owner`` may claim under this policy; raises NameRefused saying what is missing."""
        match policy.admission:
            case Admission.CLOSED:
                raise NameRefused(f"names under {policy.parent} are given out by its operator only")
            case Admission.ALLOW if owner not in policy.allow:
                raise NameRefused(f"{checksum(owner)} is not on the list of those who may claim here")
            case Admission.TOKEN:
                lacking = await self._holdings.unmet(owner, policy.gate)
                if lacking:
                    told = "; ".join(each.sentence for each in lacking)
                    raise NameRefused(f"{checksum(owner)} {told}")

    async def claim(self, name: EnsName, owner: EthAddress, *, actor: str | None = None) -> NameRow:
        """Give a free name to ``owner``, whose wishes the caller has verified; raises NameRefused, NameTaken.

        Its address records are the owner's. ``actor`` is who did it when it was not the owner.
        """
        policy, now = self.policy_of(name), self._clock()
        if actor is None:
            await self.admit(policy, owner)
        await self.check_free(name, owner)
        address = address_bytes(owner)
        row = replace(
            self.blank(name, now),
            owner=owner,
            address=address,
            coins={EVM_BIT: address},
            origin=Origin.CLAIM,
            expires_at=policy.until(now),
        )
        change = Change(EventType.CLAIMED, name, policy.parent, actor or owner, now, {"owner": checksum(owner)})
        checks: list[Op[Any]] = [RefuseAlike(_taken_for(name, policy.parent))]
        if policy.per_owner and actor is None:
            checks.append(LimitOwner(owner, policy.parent, policy.per_owner))
        return await self._commit(*checks, TakeName(row, now - policy.rest), change=change, result=len(checks))

    async def set(self, name: EnsName, owner: EthAddress | None, records: Mapping[str, str], *, actor: str) -> NameRow:
        """Make a name, or give it this owner and these lines over its records, as who runs the parent may.

        Only the shape of the label is checked, not the rules for claims. Raises InvalidInput, NameRefused, NameTaken.
        """
        policy, now = self.policy_of(name), self._clock()
        label_of(name, policy.parent)
        old = await self._store.read(NameNamed(name))
        detail: dict[str, Json] = {"records": [*sorted(records)]}
        if owner is not None:
            detail["owner"] = checksum(owner)
        change = Change(EventType.SET, name, policy.parent, actor, now, detail)
        if old is None or old.released_at is not None:
            row = replace(with_records(self.blank(name, now), records), owner=owner)
            return await self._commit(TakeName(row, now), change=change)
        row = old if owner is None or owner == old.owner else transferred(old, owner)
        changed = replace(with_records(row, records), updated_at=now)
        unlink = (UnlinkStrangers(((name, profile_text(changed)),)),)
        return await self._commit(ReplaceName(changed), *unlink, change=change)

    async def drop(self, name: EnsName, *, actor: str) -> NameRow:
        """Take a name away, as who runs the parent may; it rests as if its owner had given it up."""
        row, now = await self.named(name), self._clock()
        change = Change(EventType.RELEASED, name, self.policy_of(name).parent, actor, now)
        return await self._commit(ReplaceName(released(row, now)), UnlinkName(name), change=change)

    async def order(self, order: Order, signature: str) -> NameRow:
        """Carry out what the owner signed.

        Raises NotFound, InvalidInput, WalletRefused for a signature that is not the owner's or out of its time,
        NameChanged for an order about an earlier state, NotAllowed for a name that nobody owns.
        """
        row, now = await self.named(order.name), self._clock()
        policy = self.policy_of(order.name)
        if row.owner is None:
            raise NotAllowed(f"{row.name} belongs to the operator")
        if order.sequence != row.sequence:
            raise NameChanged
        if not now / 1000 < order.expires <= now / 1000 + LONGEST_SECONDS:
            raise WalletRefused("out of its time")
        digest = order.typed_data(policy.parent, self.chain_id).digest()
        if not await self._wallets.signed(row.owner, digest, signature):
            raise WalletRefused("not signed by the owner")
        changed = carried_out(row, order, now, policy.until(now))
        check_profile(changed)
        change = Change(_KINDS[order.action], row.name, policy.parent, row.owner, now, _detail(order))
        return await self._commit(ReplaceName(changed), *self._links(row, changed, order, now), change=change)

    async def replace(self, row: NameRow, change: Change, *ops: Op[Any]) -> NameRow:
        """Write a changed name together with `ops`, and log it; raises NameChanged."""
        return await self._commit(ReplaceName(row), *ops, change=change)

    async def note(self, change: Change, *ops: Op[Any]) -> None:
        """Commit `ops`, and log what they are about."""
        await self._store.commit_all(*ops, *change.told())

    def foresee(self, row: NameRow, order: Order) -> NameRow:
        """The name as it would be after an order; raises InvalidInput for one that could not be carried out."""
        now = self._clock()
        foreseen = carried_out(row, order, now, self.policy_of(row.name).until(now))
        check_profile(foreseen)
        return foreseen

    def blank(self, name: EnsName, now: int) -> NameRow:
        """A name without owner and records."""
        policy = self.policy_of(name)
        return NameRow(
            name=name,
            node=namehash(name),
            owner=None,
            address=None,
            coins={},
            texts={},
            contenthash=None,
            created_at=now,
            updated_at=now,
            skeleton=skeleton_of(name, policy.parent),
        )

    def _links(self, row: NameRow, changed: NameRow, order: Order, now: int) -> tuple[Op[Any], ...]:
        """What an order means for the link: another profile takes the name elsewhere, the rest ends it."""
        if order.action in (Action.TRANSFER, Action.RELEASE, Action.UNLINK):
            return (UnlinkName(row.name),)
        if changed.texts.get(DM3_PROFILE) == row.texts.get(DM3_PROFILE):
            return ()
        return (MoveIdentity(row.name, now) if DM3_PROFILE in changed.texts else UnlinkName(row.name),)

    async def _commit(self, *ops: Op[Any], change: Change, result: int = 0) -> NameRow:
        """All in one transaction; the row that the op at ``result`` gave."""
        results = await self._store.commit_all(*ops, *change.told())
        self._changed(change.name)
        row: NameRow = results[result]
        return row

    async def check_free(self, name: EnsName, owner: EthAddress | None) -> None:
        """Return when nobody has `name` and `owner` (None: anybody) may have it; raises NameRefused, NameTaken."""
        policy = self.policy_of(name)
        kept = await self._store.read(ReservationOf(name))
        if kept is not None and kept.holder is not None and kept.holder == owner and kept.kind is Hold.RESERVED:
            label_of(name, policy.parent)
        else:
            check_label(name, policy.parent, policy.labels)
            if kept is not None:
                raise NameRefused(
                    "this name is reserved" if kept.kind is Hold.RESERVED else "this name is not given out"
                )
        row = await self._store.read(NameNamed(name))
        if row is not None:
            if row.released_at is None:
                raise NameTaken(f"{name} is taken")
            if row.released_at > self._clock() - policy.rest and row.owner != owner:
                raise NameTaken(f"{name} was given up a short time ago and rests")
            return
        other = await self._store.read(_taken_for(name, policy.parent))
        if other is not None:
            raise NameRefused(f"{name} can be taken for {other}, which somebody has")

    async def alike(self, name: EnsName, policy: Policy) -> tuple[EnsName, ...]:
        """Names in use that ``name`` can be taken for."""
        rows = await self._store.read(NamesLike(skeleton_of(name, policy.parent), RESEMBLING + 1))
        return tuple(row.name for row in rows if row.name != name)[:RESEMBLING]


def skeleton_of(name: EnsName, parent: EnsName) -> str:
    """What is compared to find look-alikes: names of other parents never are."""
    return f"{skeleton(name.removesuffix(f'.{parent}'))}.{parent}"


def _taken_for(name: EnsName, parent: EnsName) -> TakenFor:
    """The look for a name with the same letters to the eye; ``rnike`` beside ``mike`` is only warned of."""
    look, suffix = letters(name.removesuffix(f".{parent}")), f".{parent}"
    return TakenFor(name, skeleton_of(name, parent), lambda other: letters(other.removesuffix(suffix)) == look)


def required_name(text: str) -> EnsName:
    """A name from a path or a body; raises InvalidName when it is not normal."""
    normal = normalise(text)
    if normal != text:
        raise InvalidInput(f"write the name as {normal}")
    return normal


def _detail(order: Order) -> dict[str, Json]:
    match order.action:
        case Action.RECORDS:
            return {"records": [*sorted(order.records)]}
        case Action.TRANSFER:
            assert order.to is not None
            return {"to": checksum(order.to)}
        case Action.LIST:
            return {"listed": order.listed}
    return {}
