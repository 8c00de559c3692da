"""A gateway in memory: enough of one to run an adapter alone, with the promises of the real one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import structlog
from structlog.typing import FilteringBoundLogger

from gateway.errors import GatewayError, UnknownName
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.sdk.context import BridgedPerson, Submitted
from gateway.sdk.delivery import Outgoing


@dataclass(kw_only=True)
class MemoryContext:
    """An `AdapterContext` whose store is a few dictionaries; the first label of a sub-name is a running number."""

    network: Network
    parent: EnsName = EnsName("gw.eth")
    public_url: str = "http://127.0.0.1"
    known_names: set[EnsName] = field(default_factory=set)
    """Names that `check_recipient` finds."""
    fault: GatewayError | None = None
    """Raised by `submit`, `submit_all` and `check_recipient` while it is set."""
    taken: list[Outgoing] = field(default_factory=list)
    """What was submitted, without repeats, in order."""
    native_ids: dict[MessageHash, NativeId] = field(default_factory=dict)
    people: dict[CanonicalId, BridgedPerson] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger with the adapter's name bound."""
        logger: FilteringBoundLogger = structlog.get_logger("adapter").bind(adapter=self.network)
        return logger

    def now_ms(self) -> int:
        """Wall clock in milliseconds."""
        return time.time_ns() // 1_000_000

    async def submit(self, outgoing: Outgoing) -> Submitted:
        """Take one message; the same native id for the same recipient is a repeat."""
        (submitted,) = await self.submit_all((outgoing,))
        return submitted

    async def submit_all(self, outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        """Take all or, when a fault is set, none."""
        if self.fault is not None:
            raise self.fault
        return tuple(self._take(each) for each in outgoing)

    def _take(self, outgoing: Outgoing) -> Submitted:
        person = self._issue(outgoing)
        key = (outgoing.native_id, outgoing.recipient)
        repeat = any((each.native_id, each.recipient) == key for each in self.taken)
        if not repeat:
            self.taken.append(outgoing)
        return Submitted(person.name, repeat)

    def _issue(self, outgoing: Outgoing) -> BridgedPerson:
        sender = outgoing.sender
        known = self.people.get(sender.canonical_id)
        if known is None:
            name = EnsName(f"p{len(self.people) + 1}.{self.network}.{self.parent}")
            known = BridgedPerson(self.network, sender.canonical_id, name, sender.display_name)
        self.people[sender.canonical_id] = replace(known, display_name=sender.display_name or known.display_name)
        return self.people[sender.canonical_id]

    async def check_recipient(self, name: EnsName) -> None:
        """Known names pass, others raise UnknownName."""
        if self.fault is not None:
            raise self.fault
        if name not in self.known_names:
            raise UnknownName(name)

    async def person(self, canonical_id: CanonicalId) -> BridgedPerson | None:
        """Who was issued a name."""
        return self.people.get(canonical_id)

    async def person_named(self, name: EnsName) -> BridgedPerson | None:
        """Whose name this is."""
        return next((each for each in self.people.values() if each.name == name), None)

    async def native_id_of(self, message_hash: MessageHash) -> NativeId | None:
        """What `native_ids` says."""
        return self.native_ids.get(message_hash)

    async def put_alias(self, alias: str, target: str) -> None:
        """Remember an alias."""
        self.aliases[alias] = target

    async def alias_target(self, alias: str) -> str | None:
        """What an alias stands for."""
        return self.aliases.get(alias)
