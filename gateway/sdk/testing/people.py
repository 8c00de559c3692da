"""`PersonService` in memory: what an adapter's tests need of it, with rules that nobody enforces."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.dm3.sender_rules import RecipientRules
from gateway.errors import GatewayError, NotFound, PersonDeleted
from gateway.ids import CanonicalId, EnsName, Network
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
    blocking,
)


@dataclass(kw_only=True)
class MemoryPeople:
    """People in dictionaries; a test puts into them what is to be found."""

    network: Network
    parent: EnsName = EnsName("gw.eth")
    fault: GatewayError | None = None
    """Raised by every method while it is set."""
    views: dict[CanonicalId, PersonView] = field(default_factory=dict)
    deleted: set[CanonicalId] = field(default_factory=set)
    sent: dict[CanonicalId, list[SentMessage]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[CanonicalId, list[FailedMessage]] = field(default_factory=lambda: defaultdict(list))
    waiting: dict[CanonicalId, Leaving] = field(default_factory=dict)
    asked: dict[CanonicalId, RecipientRules] = field(default_factory=dict)
    """Rules of each person."""
    received: set[tuple[CanonicalId, EnsName]] = field(default_factory=set)
    """Who got a message of whom, and can report it."""
    reports: list[tuple[CanonicalId, EnsName]] = field(default_factory=list)

    async def about(self, person: CanonicalId) -> PersonView:
        """As it is, or would be."""
        self._check(person)
        name = EnsName(f"p{len(self.views) + 1}.{self.network}.{self.parent}")
        made = PersonView(network=self.network, canonical_id=person, name=name, shown_name=name)
        return self.views.setdefault(person, made)

    async def set_display_name(self, person: CanonicalId, display_name: str) -> PersonView:
        """Keep it."""
        self.views[person] = replace(await self.about(person), display_name=display_name)
        return self.views[person]

    async def recent(
        self, person: CanonicalId, limit: int, recipient: EnsName | None = None
    ) -> tuple[SentMessage, ...]:
        """What `sent` says."""
        self._check(person)
        return tuple(each for each in self.sent[person] if recipient in (None, each.recipient))[:limit]

    async def leaving(self, person: CanonicalId) -> Leaving:
        """What `waiting` says."""
        self._check(person)
        return self.waiting.get(person, Leaving())

    async def failed(
        self, person: CanonicalId, limit: int, recipient: EnsName | None = None
    ) -> tuple[FailedMessage, ...]:
        """What `failures` says."""
        self._check(person)
        return tuple(each for each in self.failures[person] if recipient in (None, each.recipient))[:limit]

    async def retry(self, person: CanonicalId, recipient: EnsName | None = None) -> Retried:
        """Failures are gone then."""
        again = await self.failed(person, len(self.failures[person]), recipient)
        self.failures[person] = [each for each in self.failures[person] if each not in again]
        return Retried(len(again), 1 if self.waiting.pop(person, None) else 0)

    async def pause(self, person: CanonicalId, until: int) -> int:
        """Keep the time."""
        self.views[person] = replace(await self.about(person), paused_until=until)
        return until

    async def resume(self, person: CanonicalId) -> int:
        """Forget the time."""
        self.views[person] = replace(await self.about(person), paused_until=None)
        return 0

    async def rules(self, person: CanonicalId) -> MailRules:
        """What `asked` says."""
        self._check(person)
        return MailRules(self.asked.get(person, RecipientRules()))

    async def change_rules(
        self, person: CanonicalId, change: Callable[[RecipientRules], RecipientRules]
    ) -> RecipientRules:
        """Keep them."""
        self.asked[person] = change((await self.rules(person)).rules)
        return self.asked[person]

    async def block(self, person: CanonicalId, name: EnsName) -> None:
        """Onto the block list."""
        await self.change_rules(person, lambda rules: blocking(rules, name))

    async def unblock(self, person: CanonicalId, name: EnsName) -> bool:
        """Off it."""
        was = name in await self.blocked(person)
        await self.change_rules(person, lambda rules: replace(rules, block=rules.block - {name}))
        return was

    async def blocked(self, person: CanonicalId) -> tuple[EnsName, ...]:
        """The block list."""
        return tuple(sorted((await self.rules(person)).rules.block))

    async def report(self, person: CanonicalId, name: EnsName, *, block: bool = False) -> SpamReported:
        """Onto `reports` when a message of that name was received."""
        self._check(person)
        found = (person, name) in self.received
        if found:
            self.reports.append((person, name))
        if block:
            await self.block(person, name)
        return SpamReported(found, verified=found, passed_on=found)

    async def export(self, person: CanonicalId) -> FileContent:
        """The names."""
        view = await self.about(person)
        return FileContent("dm3-gateway.json", "application/json", json.dumps({"name": view.name}).encode())

    async def delete(self, person: CanonicalId) -> Removed:
        """Nobody comes back."""
        self._check(person)
        if self.views.pop(person, None) is None:
            raise NotFound(person)
        self.deleted.add(person)
        failures, sent = self.failures.pop(person, []), self.sent.pop(person, [])
        return Removed(failed=len(failures), statuses=len(sent), links=0, waiting=0)

    def _check(self, person: CanonicalId) -> None:
        if self.fault is not None:
            raise self.fault
        if person in self.deleted:
            raise PersonDeleted
