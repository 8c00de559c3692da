"""A gateway in memory: enough of one to run an adapter alone, with the promises of the real one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import structlog
from structlog.typing import FilteringBoundLogger

from gateway.errors import GatewayError, UnknownName
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.sdk.context import BridgedPerson, Submitted
from gateway.sdk.delivery import Outgoing
from gateway.sdk.events import NativeEvent
from gateway.sdk.portrait import Portrait
from gateway.sdk.testing.people import MemoryPeople
from gateway.sdk.values import Value


@dataclass
class MemoryValues:
    """`gateway.sdk.Values` in a dictionary."""

    texts: dict[tuple[str, str], str] = field(default_factory=dict)

    async def put(self, *values: Value) -> None:
        """Write all."""
        for each in values:
            if each.text is None:
                self.texts.pop((each.kind, each.key), None)
            else:
                self.texts[each.kind, each.key] = each.text

    async def claim(self, value: Value) -> str:
        """Write unless there is one."""
        return self.texts.setdefault((value.kind, value.key), value.text or "")

    async def get(self, kind: str, key: str) -> str | None:
        """The text, or None."""
        return self.texts.get((kind, key))

    async def find(self, kind: str, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[Value]:
        """Texts whose keys begin with ``prefix``."""
        keys = sorted(key for kind_, key in self.texts if kind_ == kind and key.startswith(prefix) and key > after)
        return [Value(kind, key, self.texts[kind, key]) for key in keys[:limit]]


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
    events: list[NativeEvent] = field(default_factory=list)
    """What was taken by `take`, without repeats, in order; nobody hands it back to the adapter."""
    portraits: dict[EnsName, Portrait] = field(default_factory=dict)
    values: MemoryValues = field(default_factory=MemoryValues)
    issued: dict[CanonicalId, BridgedPerson] = field(default_factory=dict)
    """Who was given a name."""
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def service_name(self) -> EnsName:
        """The gateway's own name."""
        return EnsName(f"ds.{self.parent}")

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger with the adapter's name bound."""
        logger: FilteringBoundLogger = structlog.get_logger("adapter").bind(adapter=self.network)
        return logger

    def now_ms(self) -> int:
        """Wall clock in milliseconds."""
        return time.time_ns() // 1_000_000

    async def submit(self, outgoing: Outgoing) -> Submitted:
        """Take one message; the same native id and fingerprint for the same recipient is a repeat."""
        (submitted,) = await self.submit_all((outgoing,))
        return submitted

    async def submit_all(self, outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        """Take all or, when a fault is set, none."""
        if self.fault is not None:
            raise self.fault
        return tuple(self._take(each) for each in outgoing)

    def _take(self, outgoing: Outgoing) -> Submitted:
        person = self._issue(outgoing)
        key = (outgoing.native_id, outgoing.fingerprint, outgoing.recipient)
        repeat = any((each.native_id, each.fingerprint, each.recipient) == key for each in self.taken)
        if not repeat:
            self.taken.append(outgoing)
        return Submitted(person.name, repeat)

    def _issue(self, outgoing: Outgoing) -> BridgedPerson:
        sender = outgoing.sender
        known = self.issued.get(sender.canonical_id)
        if known is None:
            name = EnsName(f"p{len(self.issued) + 1}.{self.network}.{self.parent}")
            known = BridgedPerson(self.network, sender.canonical_id, name, sender.display_name)
        self.issued[sender.canonical_id] = replace(known, display_name=sender.display_name or known.display_name)
        return self.issued[sender.canonical_id]

    async def take(self, events: Sequence[NativeEvent]) -> int:
        """Take all or, when a fault is set, none."""
        if self.fault is not None:
            raise self.fault
        new = 0
        for event in events:
            if not event.key or all(event.key != each.key for each in self.events):
                self.events.append(event)
                new += 1
        return new

    @cached_property
    def people(self) -> MemoryPeople:
        """What people of this network know and decide about themselves."""
        return MemoryPeople(network=self.network, parent=self.parent)

    async def hold(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it: there is one node."""
        await work()

    def secret(self, purpose: str) -> bytes:
        """The same for the same purpose."""
        return hashlib.sha256(f"{self.network} {purpose}".encode()).digest()

    async def portrait(self, name: EnsName) -> Portrait:
        """What `portraits` says."""
        return self.portraits.get(name, Portrait())

    async def check_recipient(self, name: EnsName) -> None:
        """Known names pass, others raise UnknownName."""
        if self.fault is not None:
            raise self.fault
        if name not in self.known_names:
            raise UnknownName(name)

    async def person(self, canonical_id: CanonicalId) -> BridgedPerson | None:
        """Who was issued a name."""
        return self.issued.get(canonical_id)

    async def person_named(self, name: EnsName) -> BridgedPerson | None:
        """Whose name this is."""
        return next((each for each in self.issued.values() if each.name == name), None)

    async def native_id_of(self, message_hash: MessageHash) -> NativeId | None:
        """What `native_ids` says."""
        return self.native_ids.get(message_hash)

    async def put_alias(self, alias: str, target: str) -> None:
        """Remember an alias."""
        self.aliases[alias] = target

    async def alias_target(self, alias: str) -> str | None:
        """What an alias stands for."""
        return self.aliases.get(alias)
