"""A change of a name, as the audit log and the receivers of webhooks are told in its own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dm3.canonical import Json, stringify
from gateway.ids import EnsName
from gateway.store.audit import Audit, AuditEntry
from gateway.store.op import Op
from gateway.subnames.events import EventType, NameEvent, webhook_jobs

GATEWAY: Final = "gateway"
"""Actor of what happens by itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to ``name``, issued under ``parent``, at ``at`` (ms).

    ``actor`` is an address, ``key:<id>``, ``operator`` or ``gateway``; ``detail`` holds no secrets.
    """

    type: EventType
    name: EnsName
    parent: EnsName
    actor: str
    at: int
    detail: Mapping[str, Json] = field(default_factory=dict)

    def told(self) -> tuple[Op[Any], ...]:
        """What is committed together with the change."""
        entry = AuditEntry(self.at, self.actor, self.type, self.name, stringify(dict(self.detail)))
        return (Audit(entry), webhook_jobs(self.parent, NameEvent(self.type, self.name, self.at, self.detail)))
