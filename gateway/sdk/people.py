"""What somebody of a foreign network can know and decide about themselves here, whatever network they use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.dm3.sender_rules import MAX_LISTED, RecipientRules
from gateway.errors import ListFull
from gateway.ids import CanonicalId, EnsName, EthAddress, NativeId, Network
from gateway.sdk.attachments import FileContent


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """Who somebody is here. Times are milliseconds since the epoch."""

    network: Network
    canonical_id: CanonicalId
    name: EnsName
    """Their sub-name; what it will be for somebody who has none yet."""
    shown_name: EnsName
    """What others see: the sub-name, or the name that they own and linked."""
    owned_name: EnsName | None = None
    """Name that they claimed with a wallet and linked, also after they took it elsewhere."""
    address: EthAddress | None = None
    """None for somebody who has no name yet."""
    level: str = "bridged"
    """``bridged``, ``owned`` or ``moved``."""
    display_name: str = ""
    since: int | None = None
    """When the sub-name was given; None for somebody who has none yet."""
    paused_until: int | None = None
    """Until when nothing is delivered to them; None, or a time that is over, for no pause."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What became of a message: ``state`` is a `DeliveryState`, ``reason`` a sentence or empty, ``at`` since when."""

    native_id: NativeId
    recipient: EnsName
    state: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that did not arrive and can be tried again."""

    native_id: NativeId
    recipient: EnsName
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """Messages that wait to be sent, since when the oldest does, and why a try of it failed."""

    messages: int = 0
    oldest_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retried:
    """How many failed messages are on their way again, and how many waiting conversations are tried at once."""

    messages: int
    conversations: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody whose messages wait to be let in."""

    sender: EnsName
    messages: int
    since: int


@dataclass(frozen=True, slots=True)
class MailRules:
    """What is asked of those who write to somebody, and who waits because of it."""

    rules: RecipientRules
    strangers: tuple[Stranger, ...] = ()
    stake_contract: EthAddress | None = None
    """Contract whose deposits a rule may ask for; None when there is none."""


@dataclass(frozen=True, slots=True)
class SpamReported:
    """What became of a report."""

    found: bool
    """Whether there is a message of that name."""
    verified: bool = False
    """Whether its sender is known for sure; a report of anybody else would blame somebody who did nothing."""
    passed_on: bool = False
    """Whether somebody takes reports."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What a deletion removed: rows about messages, and messages that waited to leave."""

    failed: int
    statuses: int
    links: int
    waiting: int


class PersonService(Protocol):
    """People of one network, by their canonical ids.

    A change by somebody who has no sub-name yet issues it. Every method raises Unavailable when the gateway cannot
    answer now, and PersonDeleted for somebody who was deleted here.
    """

    async def about(self, person: CanonicalId) -> PersonView:
        """Who this is."""

    async def set_display_name(self, person: CanonicalId, display_name: str) -> PersonView:
        """Choose the name that is shown, whatever the network says; empty leaves it to the network again."""

    async def recent(
        self, person: CanonicalId, limit: int, recipient: EnsName | None = None
    ) -> tuple[SentMessage, ...]:
        """What became of the last messages, the newest first."""

    async def leaving(self, person: CanonicalId) -> Leaving:
        """What waits to be sent."""

    async def failed(
        self, person: CanonicalId, limit: int, recipient: EnsName | None = None
    ) -> tuple[FailedMessage, ...]:
        """What failed and is kept for some days, the newest first."""

    async def retry(self, person: CanonicalId, recipient: EnsName | None = None) -> Retried:
        """Send failed messages again, in the order in which they were written and behind what waits already.

        What waits after a failure is tried at once.
        """

    async def pause(self, person: CanonicalId, until: int) -> int:
        """Deliver nothing until a time (ms), at most as long as messages are kept; the time. Raises InvalidInput."""

    async def resume(self, person: CanonicalId) -> int:
        """Deliver again, at once; how many conversations waited."""

    async def rules(self, person: CanonicalId) -> MailRules:
        """What is asked of those who write."""

    async def change_rules(
        self, person: CanonicalId, change: Callable[[RecipientRules], RecipientRules]
    ) -> RecipientRules:
        """Replace the rules by ``change(rules)``: in force when it returns, also for what waits.

        Raises what ``change`` raises.
        """

    async def block(self, person: CanonicalId, name: EnsName) -> None:
        """Take nothing from a name any more; what waits of it goes. Raises ListFull."""

    async def unblock(self, person: CanonicalId, name: EnsName) -> bool:
        """Take messages again; False when the name was not blocked."""

    async def blocked(self, person: CanonicalId) -> tuple[EnsName, ...]:
        """Names that are blocked, sorted."""

    async def report(self, person: CanonicalId, name: EnsName, *, block: bool = False) -> SpamReported:
        """Report the newest message of a name as spam, and block the name when asked."""

    async def export(self, person: CanonicalId) -> FileContent:
        """All that is kept, as JSON; without secrets, because the keys are the gateway's."""

    async def delete(self, person: CanonicalId) -> Removed:
        """Delete the keys, for good, and what is kept about messages; the name is never given again.

        Raises NotFound for somebody who has no name here.
        """


def allowing(rules: RecipientRules, name: EnsName) -> RecipientRules:
    """With ``name`` on the allow list and not on the block list; raises ListFull."""
    _check_room(rules.allow, name)
    return replace(rules, allow=rules.allow | {name}, block=rules.block - {name})


def blocking(rules: RecipientRules, name: EnsName) -> RecipientRules:
    """With ``name`` on the block list and not on the allow list; raises ListFull."""
    _check_room(rules.block, name)
    return replace(rules, block=rules.block | {name}, allow=rules.allow - {name})


def _check_room(names: frozenset[EnsName], name: EnsName) -> None:
    if name not in names and len(names) >= MAX_LISTED:
        raise ListFull(f"a list has at most {MAX_LISTED} names")
