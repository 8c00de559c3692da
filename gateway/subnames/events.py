"""What happens to names, as receivers of webhooks are told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gateway.dm3.canonical import Json, stringify
from gateway.ids import EnsName
from gateway.store.names import NameRow
from gateway.store.webhooks import News, TellWebhooks
from gateway.subnames.names_file import iso_of

LIFE_MS: Final = 5 * 24 * 3600 * 1000
"""For which a receiver may be away; then it is told no more."""


class EventType(StrEnum):
    """The type of an event, as in its body and in a webhook's list."""

    CLAIMED = "name.claimed"
    SET = "name.set"
    """Made or changed by who runs the parent."""
    CHANGED = "name.changed"
    TRANSFERRED = "name.transferred"
    RENEWED = "name.renewed"
    RELEASED = "name.released"
    EXPIRING = "name.expiring"
    EXPIRED = "name.expired"
    LINKED = "name.linked"
    UNLINKED = "name.unlinked"
    MOVED = "name.moved"
    """Its profile names another delivery service now."""
    LISTED = "name.listed"
    """In the directory, or no longer."""


def _new_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class NameEvent:
    """Something that happened to ``name`` at ``at`` (ms); ``more`` holds further members of ``data``."""

    type: EventType
    name: EnsName
    at: int
    more: Mapping[str, Json] = field(default_factory=dict)
    id: str = field(default_factory=_new_id)
    """The same at every try and for every receiver, so that a repeat is known."""

    def body(self) -> str:
        """What is sent: ``{"data": {"name", ...}, "timestamp", "type"}``, canonical."""
        data: dict[str, Any] = {**self.more, "name": self.name}
        return stringify({"type": self.type.value, "timestamp": iso_of(self.at), "data": data})


def webhook_jobs(parent: EnsName, *events: NameEvent) -> TellWebhooks:
    """The operation that tells receivers of ``parent``, in the order of ``events``, of which there is at least one.

    To be committed together with the change it tells of: then there is news exactly when there is a change.
    """
    now = events[0].at
    news = tuple(News(event.type, stringify({"id": event.id, "body": event.body()}).encode()) for event in events)
    return TellWebhooks(parent, news, now, now + LIFE_MS)


def news_of_import(parent: EnsName) -> Callable[[Sequence[NameRow], Sequence[NameRow]], tuple[TellWebhooks, ...]]:
    """What ``Bulk`` is given as ``tell``: an event for each row that was written."""

    def tell(new: Sequence[NameRow], changed: Sequence[NameRow]) -> tuple[TellWebhooks, ...]:
        kinds = ((EventType.CLAIMED, new), (EventType.CHANGED, changed))
        events = [
            NameEvent(kind, row.name, row.updated_at, {"owner": row.owner}) for kind, rows in kinds for row in rows
        ]
        return (webhook_jobs(parent, *events),) if events else ()

    return tell
