"""The gateway as one adapter sees it: takes messages in, in one transaction with the sender's name and the job."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger

from gateway.bridge.holding import Holding
from gateway.bridge.jobs import OutboundJob, event_groups, event_job, outbound_job, trace_of_outbound
from gateway.bridge.people import Household, People
from gateway.bridge.values import StoredValues
from gateway.custody.directory import Directory
from gateway.custody.identities import Identities
from gateway.ens.escapes import bridged_name, canonical_id
from gateway.ens.names import require_normal
from gateway.ens.portraits import Portraits
from gateway.errors import GatewayError, InvalidInput, PersonDeleted, TooLarge, UnknownName
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.lifecycle import Clock
from gateway.sdk.attachments import FileContent
from gateway.sdk.context import BridgedPerson, Submitted
from gateway.sdk.delivery import Outgoing, Person
from gateway.sdk.events import NativeEvent
from gateway.sdk.portrait import Portrait
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.identities import Identity, IdentityOf, IssueIdentity, SetDisplayName
from gateway.store.intake import Arrival, TakeArrivals
from gateway.store.lanes import Enqueue
from gateway.store.links import IdentityBearing
from gateway.store.messagemap import NativeOf
from gateway.store.once import Once
from gateway.store.op import Op
from gateway.traces import TraceId
from gateway.watch import Counted, Watch

SEALED_GROWTH: Final = 1.4
"""How much a message grows when it is encrypted, put into base64 and quoted."""
SEALED_EXTRA: Final = 16_384
"""Bytes of an envelope besides its message."""
REPEAT_MS: Final = 3_600_000
"""How long a message is a repeat in a network whose ids come again: a program may send the same words under the same id
every day, and a network repeats what it sends within minutes."""
MAX_NATIVE_ID: Final = 2048
ALLOWED_LEAD_MS: Final = 5 * 60_000
"""A network may say that a message was sent this much later than our clock; beyond it, our time is taken."""
MAX_DISPLAY_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Installation:
    """What all adapters of one gateway share."""

    store: Store
    identities: Identities
    directory: Directory
    parent: EnsName
    service_name: EnsName
    public_url: str
    size_limit: int
    """Bytes of the largest envelope that we take."""
    message_ttl_ms: int
    clock: Clock
    portraits: Portraits
    holding: Holding
    secret: Callable[[Network, str], bytes]
    """A key of 32 bytes for an adapter and a purpose."""
    people: Household
    changed: Callable[[EnsName], None]
    """Told the name of a person whose row may have changed, after the commit."""
    watch: Watch = field(default_factory=Watch)


class BridgeContext:
    """Implements `gateway.sdk.AdapterContext` for one adapter."""

    def __init__(self, network: Network, installation: Installation) -> None:
        self._network = network
        self._house = installation
        self._values = StoredValues(network, installation.store, installation.clock)
        self._people = People(network, installation.people)
        self._log: FilteringBoundLogger = structlog.get_logger(f"adapters.{network}").bind(adapter=network)

    @property
    def network(self) -> Network:
        """The adapter's own name."""
        return self._network

    @property
    def parent(self) -> EnsName:
        """The ENS name under which this gateway issues names."""
        return self._house.parent

    @property
    def public_url(self) -> str:
        """Where people reach this gateway, without a trailing slash."""
        return self._house.public_url

    @property
    def service_name(self) -> EnsName:
        """The gateway's own name."""
        return self._house.service_name

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger with the adapter's name bound."""
        return self._log

    def now_ms(self) -> int:
        """The gateway's clock: milliseconds since the epoch."""
        return self._house.clock()

    async def submit(self, outgoing: Outgoing) -> Submitted:
        """Take one message; see `AdapterContext.submit`."""
        (submitted,) = await self.submit_all((outgoing,))
        return submitted

    async def submit_all(self, outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        """Take several in one transaction; see `AdapterContext.submit_all`."""
        watch, begun = self._house.watch, self._house.watch.begin()
        try:
            taken = await self._submit_all(outgoing)
        except GatewayError as error:
            watch.count(Counted.REFUSED, self._network, type(error).__name__)
            watch.end("acceptance", begun, door=self._network, outcome=type(error).__name__)
            raise
        for each in taken:
            watch.count(Counted.REPEATED if each.repeat else Counted.ACCEPTED, self._network)
            watch.end("acceptance", begun, trace=each.trace, door=self._network, outcome="accepted")
            self._log.debug("outgoing.accepted", trace=each.trace, repeat=each.repeat)
        return taken

    async def _submit_all(self, outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        for each in outgoing:
            self._check(each)
        people = dict.fromkeys(each.sender.canonical_id for each in outgoing)
        known = {person: await self._house.store.look_up(IdentityOf(self._network, person)) for person in people}
        accepted = [self._acceptance(each, known[each.sender.canonical_id]) for each in outgoing]
        results = await self._house.store.commit_all(*(op for _, _, op in accepted))
        for name, _, _ in accepted:
            self._house.changed(name)
        return tuple(
            Submitted(name, repeat=result is None, trace=trace)
            for (name, trace, _), result in zip(accepted, results, strict=True)
        )

    async def take(self, events: Sequence[NativeEvent]) -> int:
        """Write events down; see `AdapterContext.take`."""
        house, now = self._house, self._house.clock()
        expires_at = now + house.message_ttl_ms
        arrivals = tuple(
            Arrival(_group_key(group), event_job(self._network, group, now=now, expires_at=expires_at))
            for group in event_groups(events)
        )
        if not arrivals:
            return 0
        new = await house.store.commit(TakeArrivals(f"event:{self._network}", arrivals, expires_at))
        if new < len(arrivals):
            house.watch.count(Counted.REPEATED, self._network)
        return new

    @property
    def values(self) -> StoredValues:
        """What the adapter remembers for itself."""
        return self._values

    @property
    def people(self) -> People:
        """What people of this network know and decide about themselves."""
        return self._people

    async def hold(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something on one node at a time; see `AdapterContext.hold`."""
        await self._house.holding.hold(f"adapter {self._network} {what}", work)

    def secret(self, purpose: str) -> bytes:
        """32 bytes for MACs of the adapter's own."""
        return self._house.secret(self._network, purpose)

    async def portrait(self, name: EnsName) -> Portrait:
        """What the name's records show of its owner."""
        face = await self._house.portraits.of(name)
        if face.picture is None:
            return Portrait(face.display_name)
        return Portrait(face.display_name, FileContent("avatar", face.picture.media_type, face.picture.data))

    async def check_recipient(self, name: EnsName) -> None:
        """Return when the name has a DM3 profile with a delivery service; else raise."""
        try:
            profile = await self._house.directory.user(name)
            if not profile.profile.delivery_services:
                raise UnknownName(f"the profile of {name} names no delivery service")
        except GatewayError as error:
            self._house.watch.count(Counted.REFUSED, self._network, type(error).__name__)
            raise

    async def person(self, canonical_id: CanonicalId) -> BridgedPerson | None:
        """Somebody of this network who has a sub-name already."""
        return _person(await self._house.store.look_up(IdentityOf(self._network, canonical_id)))

    async def person_named(self, name: EnsName) -> BridgedPerson | None:
        """Who owns this sub-name, in whichever network."""
        return _person(await self._house.store.look_up(IdentityBearing(name)))

    async def native_id_of(self, message_hash: MessageHash) -> NativeId | None:
        """What this network calls a DM3 message."""
        links = await self._house.store.look_up(NativeOf(self._network, message_hash))
        return links[0].native_id if links else None

    async def put_alias(self, alias: str, target: str) -> None:
        """Remember what a digest form stands for."""
        await self._house.store.commit(PutAlias(self._network, alias, target))

    async def alias_target(self, alias: str) -> str | None:
        """What a digest form stands for."""
        return await self._house.store.look_up(AliasTarget(self._network, alias))

    def _check(self, outgoing: Outgoing) -> None:
        """What can never be sent is refused before it is acknowledged."""
        require_normal(outgoing.recipient)
        sender = outgoing.sender.canonical_id
        if canonical_id(self._network, sender) != sender:
            raise InvalidInput("the sender's id is not in its canonical form")
        if not 0 < len(outgoing.native_id) <= MAX_NATIVE_ID:
            raise InvalidInput(f"a native id has 1 to {MAX_NATIVE_ID} characters")
        try:
            size = len(outgoing.text.encode())
        except UnicodeEncodeError:
            raise InvalidInput("the text holds a lone surrogate") from None
        size += sum(len(each.data) + len(each.name or "") for each in outgoing.attachments)
        if size * SEALED_GROWTH + SEALED_EXTRA > self._house.size_limit:
            raise TooLarge(f"the message has {size} bytes; sealed it would pass {self._house.size_limit}")

    def _acceptance(self, outgoing: Outgoing, known: Identity | None) -> tuple[EnsName, TraceId, Once]:
        """The sender's name, the trace, and the op that stores identity and job unless it was taken before."""
        house, now = self._house, self._house.clock()
        person = outgoing.sender
        if known is not None and known.sealed_salt is None:
            raise PersonDeleted
        name = known.name if known is not None else bridged_name(self._network, person.canonical_id, house.parent)
        work = OutboundJob(
            network=self._network,
            sender=name,
            recipient=outgoing.recipient,
            type=outgoing.type,
            text=outgoing.text,
            attachments=outgoing.attachments,
            sent_at=outgoing.sent_at if 0 < outgoing.sent_at <= now + ALLOWED_LEAD_MS else now,
            native_id=outgoing.native_id,
            native_reference=outgoing.reference,
            automatic=outgoing.automatic,
            assurance=outgoing.assurance,
        )
        expires_at = now + house.message_ttl_ms
        ops = (*self._identity_ops(known, person), Enqueue(outbound_job(work, now=now, expires_at=expires_at)))
        known_until = now + REPEAT_MS if outgoing.fingerprint else expires_at
        return name, trace_of_outbound(work), Once(f"in:{self._network}", _once_key(outgoing), known_until, ops)

    def _identity_ops(self, known: Identity | None, person: Person) -> tuple[Op[Any], ...]:
        display_name = person.display_name[:MAX_DISPLAY_NAME]
        if known is None:
            house = self._house
            now = house.clock()
            draft = house.identities.draft(self._network, person.canonical_id, now_ms=now, display_name=display_name)
            return (IssueIdentity(draft),)
        if display_name and display_name != known.display_name and not known.display_name_chosen:
            return (SetDisplayName(known.id, display_name),)
        return ()


def _once_key(outgoing: Outgoing) -> str:
    """Of one sender: a mail's Message-ID is chosen by its writer, so a stranger could take somebody else's."""
    parts = [outgoing.sender.canonical_id, outgoing.recipient, outgoing.native_id]
    if outgoing.fingerprint:
        parts.append(outgoing.fingerprint)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _group_key(events: Sequence[NativeEvent]) -> str:
    """The same for the same events in the same order; none where one of them may be handled twice.

    A repeat in other company is handled again, which every step bears; what is submitted has a key of its own.
    """
    keys = [event.key for event in events]
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:40] if all(keys) else ""


def _person(identity: Identity | None) -> BridgedPerson | None:
    if identity is None or identity.sealed_salt is None:
        return None
    return BridgedPerson(identity.network, identity.canonical_id, identity.shown_name, identity.display_name)
