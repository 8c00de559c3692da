"""What people of a network know and decide about themselves, by the store and by the relay that takes their mail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from gateway.bridge.jobs import conversation, decode_outbound, inbound_lane, outbound_job, outbound_lane
from gateway.bridge.leaving import document_of, leave
from gateway.custody.identities import Identities
from gateway.dm3.sender_rules import RecipientRules
from gateway.ens.escapes import bridged_name
from gateway.errors import InvalidInput, NotFound, PersonDeleted
from gateway.ids import CanonicalId, EnsName, EnvelopeId, EthAddress, LaneKey, Network
from gateway.lifecycle import Clock
from gateway.sdk.attachments import FileContent
from gateway.sdk.people import (
    FailedMessage,
    Leaving,
    MailRules,
    PersonView,
    Removed,
    Retried,
    SentMessage,
    SpamReported,
    Stranger,
    blocking,
)
from gateway.store import Store
from gateway.store.backlog import BacklogOf, LanesOf, NewestWaiting, SendersTo, WakeLanes
from gateway.store.failed import FailuresOf, KeptMessage, KeptMessages, LastFailure, RetryFailed
from gateway.store.identities import (
    Identity,
    IdentityOf,
    IssueIdentity,
    SetDisplayName,
    SetPause,
)
from gateway.store.jobs import NewJob
from gateway.store.messagemap import ConversationKnown, NewestReceived
from gateway.store.status import StatusesOfSender
from gateway.store.tombstones import IsBuried
from gateway.store.usage import UNVERIFIED
from gateway.work.results import clean_reason

log = structlog.get_logger(__name__)

MAX_DISPLAY_NAME: Final = 200
LANES_AT_ONCE: Final = 1_000
"""Conversations of one person that are woken together."""
SENDERS_SHOWN: Final = 20
"""Strangers who are shown; whether each was written to is a look-up of its own."""
RETRIED_AT_ONCE: Final = 10
"""Failed messages that are read together; each may have a megabyte."""


class Desk(Protocol):
    """The relay that takes mail for bridged people."""

    @property
    def stake_contract(self) -> EthAddress | None:
        """Whose deposits a rule may ask for."""

    async def rules_of(self, address: EthAddress) -> RecipientRules:
        """What the owner of `address` asks of senders."""

    async def change_rules(
        self, name: EnsName, address: EthAddress, change: Callable[[RecipientRules], RecipientRules]
    ) -> RecipientRules:
        """Replace the rules of the person with this sub-name and address."""

    def forget(self, address: EthAddress) -> None:
        """The account of this address was removed."""

    async def report_spam(self, reporter: EnsName, sender: EnsName, holder: EthAddress, envelope: EnvelopeId) -> bool:
        """Pass on a report; False when nobody takes any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """What the people of all networks of one gateway share; all of it belongs to somebody else."""

    store: Store
    identities: Identities
    desk: Desk
    parent: EnsName
    message_ttl_ms: int
    clock: Clock
    changed: Callable[[EnsName], None]
    """Told the name of a person whose row was changed, after the commit."""
    forget_keys: Callable[[Network, CanonicalId], None]
    """Drops somebody's keys from memory."""
    end_link: Callable[[EnsName], Awaitable[None]]
    """Takes the profile of keys that are to be deleted out of a claimed name."""


class People:
    """Implements `gateway.sdk.PersonService` for one network."""

    def __init__(self, network: Network, around: Household) -> None:
        self._network = network
        self._around = around
        self._store = around.store
        self._desk = around.desk
        self._clock = around.clock

    async def about(self, person: CanonicalId) -> PersonView:
        """Who this is; see `PersonService.about`."""
        identity = await self._find(person)
        if identity is not None:
            return _view(identity)
        name = bridged_name(self._network, person, self._around.parent)
        return PersonView(network=self._network, canonical_id=person, name=name, shown_name=name)

    async def set_display_name(self, person: CanonicalId, display_name: str) -> PersonView:
        """Choose the name that is shown."""
        identity = await self._issued(person)
        wanted = clean_reason(display_name)[:MAX_DISPLAY_NAME]
        await self._store.commit(SetDisplayName(identity.id, wanted, chosen=bool(wanted)))
        self._around.changed(identity.name)
        return _view(replace(identity, display_name=wanted))

    async def recent(
        self, person: CanonicalId, limit: int, recipient: EnsName | None = None
    ) -> tuple[SentMessage, ...]:
        """What became of the last messages."""
        identity = await self._find(person)
        if identity is None:
            return ()
        found = await self._store.read(StatusesOfSender(self._network, identity.name, limit, recipient))
        return tuple(SentMessage(each.native_id, each.recipient, each.state, each.reason, each.at) for each in found)

    async def leaving(self, person: CanonicalId) -> Leaving:
        """What waits to be sent."""
        identity = await self._find(person)
        if identity is None:
            return Leaving()
        waiting = await self._store.read(BacklogOf(identity.name))
        return Leaving(waiting.messages, waiting.oldest_at, waiting.reason)

    async def failed(
        self, person: CanonicalId, limit: int, recipient: EnsName | None = None
    ) -> tuple[FailedMessage, ...]:
        """What failed and can be tried again."""
        identity = await self._find(person)
        if identity is None:
            return ()
        found = await self._store.read(FailuresOf(self._network, identity.name, limit, recipient))
        return tuple(FailedMessage(each.native_id, each.recipient, each.reason, each.at) for each in found)

    async def retry(self, person: CanonicalId, recipient: EnsName | None = None) -> Retried:
        """Send failed messages again; see `PersonService.retry`."""
        identity = await self._find(person)
        if identity is None:
            return Retried(0, 0)
        # What fails again meanwhile is for the next time.
        upto, after, messages = await self._store.read(LastFailure(self._network, identity.name)), 0, 0
        while after < upto:
            page = await self._store.read(
                KeptMessages(self._network, identity.name, recipient, after, upto, RETRIED_AT_ONCE)
            )
            if not page:
                break
            after = page[-1].id
            messages += await self._store.commit(RetryFailed(tuple(self._jobs(page))))
        waiting = await self._store.read(LanesOf(identity.name, self._clock(), LANES_AT_ONCE))
        if recipient is not None:
            waiting = [lane for lane in waiting if lane == outbound_lane(identity.name, recipient)]
        return Retried(messages, await self._wake(waiting))

    async def pause(self, person: CanonicalId, until: int) -> int:
        """Deliver nothing until a time."""
        now = self._clock()
        if until <= now:
            raise InvalidInput("a pause ends in the future")
        until = min(until, now + self._around.message_ttl_ms)
        await self._store.commit(SetPause((await self._issued(person)).id, until))
        return until

    async def resume(self, person: CanonicalId) -> int:
        """Deliver again."""
        identity = await self._find(person)
        if identity is None:
            return 0
        await self._store.commit(SetPause(identity.id, None))
        return await self._wake(await self._lanes_towards(identity))

    async def rules(self, person: CanonicalId) -> MailRules:
        """What is asked of those who write."""
        identity, stake = await self._find(person), self._desk.stake_contract
        if identity is None:
            return MailRules(RecipientRules(), (), stake)
        rules = await self._desk.rules_of(identity.address)
        strangers = await self._strangers(identity, rules) if rules.public.message_requests else ()
        return MailRules(rules, strangers, stake)

    async def change_rules(
        self, person: CanonicalId, change: Callable[[RecipientRules], RecipientRules]
    ) -> RecipientRules:
        """Replace the rules; what waits is judged anew at once."""
        identity = await self._issued(person)
        rules = await self._desk.change_rules(identity.name, identity.address, change)
        await self._wake(await self._lanes_towards(identity))
        return rules

    async def block(self, person: CanonicalId, name: EnsName) -> None:
        """Take nothing from a name any more."""
        await self.change_rules(person, lambda rules: blocking(rules, name))

    async def unblock(self, person: CanonicalId, name: EnsName) -> bool:
        """Take messages of a name again."""
        if name not in await self.blocked(person):
            return False
        await self.change_rules(person, lambda rules: replace(rules, block=rules.block - {name}))
        return True

    async def blocked(self, person: CanonicalId) -> tuple[EnsName, ...]:
        """Names that are blocked."""
        return tuple(sorted((await self.rules(person)).rules.block))

    async def report(self, person: CanonicalId, name: EnsName, *, block: bool = False) -> SpamReported:
        """Report the newest message of a name, be it delivered or still on its way."""
        identity = await self._find(person)
        reported = SpamReported(found=False) if identity is None else await self._report(identity, name)
        if block:
            await self.block(person, name)
        return reported

    async def export(self, person: CanonicalId) -> FileContent:
        """All that is kept."""
        identity = await self._find(person)
        if identity is None:
            raise NotFound("nothing is kept about somebody who has no name here")
        rules = await self._desk.rules_of(identity.address)
        return await document_of(self._store, identity, rules, self._clock())

    async def delete(self, person: CanonicalId) -> Removed:
        """Delete the keys, and whatever is known about the person; what is left is a digest.

        Rows about messages go first: whoever is interrupted can ask again, which nobody without keys could.
        """
        identity = await self._find(person)
        if identity is None:
            raise NotFound("somebody who has no name here cannot be deleted")
        around = self._around
        removed, waiting = await leave(
            self._store, identity, self.tombstone(person), now=self._clock(), end_link=around.end_link
        )
        around.forget_keys(identity.network, identity.canonical_id)
        self._desk.forget(identity.address)
        around.changed(identity.name)
        return Removed(
            failed=removed.of("failed_messages"),
            statuses=removed.of("statuses"),
            links=removed.of("message_links"),
            waiting=waiting,
        )

    def tombstone(self, person: CanonicalId) -> str:
        """What is kept of somebody who was deleted."""
        return self._around.identities.tombstone(self._network, person)

    async def _find(self, person: CanonicalId) -> Identity | None:
        identity = await self._store.read(IdentityOf(self._network, person))
        if identity is None:
            if await self._store.read(IsBuried(self.tombstone(person))):
                raise PersonDeleted
        elif identity.sealed_salt is None:
            raise PersonDeleted
        return identity

    async def _issued(self, person: CanonicalId) -> Identity:
        """With a name, which is issued when there is none yet."""
        identity = await self._find(person)
        if identity is None:
            draft = self._around.identities.draft(self._network, person, now_ms=self._clock())
            identity = await self._store.commit(IssueIdentity(draft))
            self._around.changed(identity.name)
        return identity

    def _jobs(self, page: Iterable[KeptMessage]) -> Iterator[tuple[int, NewJob]]:
        """Jobs by the numbers of the messages; what a newer version wrote stays for that version."""
        now = self._clock()
        for kept in page:
            try:
                work = decode_outbound(kept.payload)
            except InvalidInput as error:
                log.error("people.unreadable_message", detail=error.detail)
                continue
            yield kept.id, outbound_job(work, now=now, expires_at=now + self._around.message_ttl_ms)

    async def _report(self, identity: Identity, name: EnsName) -> SpamReported:
        envelope, holder = None, None
        waiting = await self._store.read(NewestWaiting(identity.address, name))
        if waiting is not None:
            envelope, holder = waiting.envelope, waiting.holder
        else:
            talk = conversation(identity.name, name)
            if (link := await self._store.read(NewestReceived(self._network, talk))) is not None:
                envelope, holder = link.envelope, link.holder
        if envelope is None:
            return SpamReported(found=False)
        if holder is None or holder == UNVERIFIED:
            return SpamReported(found=True)
        passed_on = await self._desk.report_spam(identity.shown_name, name, EthAddress(holder), envelope)
        return SpamReported(found=True, verified=True, passed_on=passed_on)

    async def _strangers(self, identity: Identity, rules: RecipientRules) -> tuple[Stranger, ...]:
        """Whose mail waits to be let in."""
        found = []
        for each in await self._store.read(SendersTo(identity.address, SENDERS_SHOWN)):
            if each.sender in rules.allow or each.sender in rules.block:
                continue
            talk = conversation(identity.name, each.sender)
            if not await self._store.read(ConversationKnown(self._network, talk, outbound=True)):
                found.append(Stranger(each.sender, each.messages, each.since))
        return tuple(found)

    async def _lanes_towards(self, identity: Identity) -> list[LaneKey]:
        """In which mail for this person waits."""
        senders = await self._store.read(SendersTo(identity.address, LANES_AT_ONCE))
        return [inbound_lane(identity, each.sender) for each in senders]

    async def _wake(self, lanes: Sequence[LaneKey]) -> int:
        return await self._store.commit(WakeLanes(tuple(lanes), self._clock())) if lanes else 0


def _view(identity: Identity) -> PersonView:
    return PersonView(
        network=identity.network,
        canonical_id=identity.canonical_id,
        name=identity.name,
        shown_name=identity.shown_name,
        owned_name=identity.owned_name,
        address=identity.address,
        level=identity.level,
        display_name=identity.display_name,
        since=identity.created_at,
        paused_until=identity.paused_until,
    )
