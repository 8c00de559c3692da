"""What the gateway lends to an adapter: the door inwards and the look-ups it needs, no SQL, keys or chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.sdk.delivery import Outgoing
from gateway.sdk.events import NativeEvent
from gateway.sdk.people import PersonService
from gateway.sdk.portrait import Portrait
from gateway.sdk.values import Values


@dataclass(frozen=True, slots=True)
class BridgedPerson:
    """Somebody of the foreign network together with the sub-name the gateway gave them."""

    network: Network
    canonical_id: CanonicalId
    name: EnsName
    display_name: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """The gateway holds the message now, on disk, and will deliver it or say why not."""

    sender_name: EnsName
    """The sender's sub-name, issued on first use."""
    repeat: bool
    """True when this native id, with this fingerprint, had been taken before for this recipient; nothing was stored."""
    trace: str = ""
    """By which the message is found in the log, and which its sender is told when it fails (12 hex digits)."""


class AdapterContext(Protocol):
    """The gateway as an adapter sees it."""

    @property
    def network(self) -> Network:
        """The adapter's own name."""

    @property
    def parent(self) -> EnsName:
        """The ENS name under which this gateway issues names, e.g. ``gw.eth``."""

    @property
    def public_url(self) -> str:
        """Where people reach this gateway's pages, without a trailing slash."""

    @property
    def service_name(self) -> EnsName:
        """The gateway's own name: what it says by itself comes from there."""

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger with the adapter's name bound."""

    def now_ms(self) -> int:
        """The gateway's clock: milliseconds since the epoch."""

    async def submit(self, outgoing: Outgoing) -> Submitted:
        """Take a message for an ENS name.

        Returns only after the commit that holds the message, its job and its sender's identity; acknowledge to the
        network after that and not before. Raises InvalidInput for what can never be sent, LimitExceeded and
        Unavailable when the network should try again later.
        """

    async def submit_all(self, outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        """As `submit` for several in ONE transaction: all are taken or none is (mail with many recipients)."""

    async def take(self, events: Sequence[NativeEvent]) -> int:
        """Write events down, all or none; `HandlesEvents.handle` gets each, in the order of its lane.

        Events that come again in the same company are not taken again; in other company they are, and handling bears
        that. Returns how many groups of one lane are new, after the commit. Raises LimitExceeded and Unavailable when
        the network should try again later.
        """

    @property
    def values(self) -> Values:
        """What the adapter remembers for itself."""

    async def hold(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` on one node of the gateway at a time, until cancelled: the one connection that a network allows.

        ``work`` is cancelled when this node loses the right; another node has it 15 seconds later at the latest.
        """

    def secret(self, purpose: str) -> bytes:
        """32 bytes for MACs of the adapter's own, the same on every node and after every start."""

    @property
    def people(self) -> PersonService:
        """What people of this network know and decide about themselves."""

    async def portrait(self, name: EnsName) -> Portrait:
        """What the name's records show of its owner. Raises Unavailable; a picture that cannot be had is none."""

    async def check_recipient(self, name: EnsName) -> None:
        """Return when the name has a valid DM3 profile; else raise UnknownName, InvalidName, or Unavailable."""

    async def person(self, canonical_id: CanonicalId) -> BridgedPerson | None:
        """Somebody of this network who has a sub-name already."""

    async def person_named(self, name: EnsName) -> BridgedPerson | None:
        """Who owns this sub-name, in whichever network of this gateway."""

    async def native_id_of(self, message_hash: MessageHash) -> NativeId | None:
        """What this network calls a DM3 message; None when it never passed here."""

    async def put_alias(self, alias: str, target: str) -> None:
        """Remember what a digest form of an address stands for."""

    async def alias_target(self, alias: str) -> str | None:
        """What a digest form stands for."""
