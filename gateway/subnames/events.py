"""What happens to names, as the audit log and those who want to hear of it are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from gateway.dm3.canonical import Json, stringify
from gateway.ids import EnsName
from gateway.store.audit import Audit, AuditEntry
from gateway.store.op import Op

OPERATOR = "operator"
"""Actor of what is done by a command on the machine."""
GATEWAY = "gateway"
"""Actor of what happens by itself."""


class Kind(StrEnum):
    """What happened."""

    CLAIMED = "name.claimed"
    SET = "name.set"
    CHANGED = "name.changed"
    TRANSFERRED = "name.transferred"
    RENEWED = "name.renewed"
    RELEASED = "name.released"
    EXPIRING = "name.expiring"
    EXPIRED = "name.expired"
    LINKED = "name.linked"
    UNLINKED = "name.unlinked"
    MOVED = "name.moved"
    LISTED = "name.listed"


@dataclass(frozen=True, slots=True)
class NameEvent:
    """One event; ``actor`` is an address, ``key:<id>``, ``operator`` or ``gateway``, ``at`` in milliseconds."""

    kind: Kind
    name: EnsName
    parent: EnsName
    actor: str
    at: int
    detail: Mapping[str, Json] = field(default_factory=dict)

    @property
    def logged(self) -> Audit:
        """The entry of the audit log."""
        return Audit(AuditEntry(self.at, self.actor, self.kind, self.name, stringify(dict(self.detail))))


class Announcer(Protocol):
    """Who tells others of events."""

    async def jobs(self, event: NameEvent) -> Sequence[Op[Any]]:
        """What is to be committed together with what happened."""


class Silent:
    """Tells nobody."""

    async def jobs(self, event: NameEvent) -> Sequence[Op[Any]]:
        """Nothing."""
        return ()
