"""Receivers of news about names, and the jobs by which the news reaches them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from gateway.ids import EnsName, LaneKey
from gateway.store.jobs import NewJob, insert_jobs, lane_key
from gateway.store.schema import webhooks

WEBHOOK: Final = "webhook"
"""The kind of the jobs, and the destination of their lanes."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where news of the names below ``parent`` goes; no ``events`` are all of them."""

    id: str
    parent: EnsName
    url: str
    events: tuple[str, ...]
    sealed_secret: bytes = field(repr=False)
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True)
class News:
    """One event: its type, and the payload of the job that tells it."""

    type: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddWebhook:
    """Write down a new receiver."""

    webhook: Webhook

    def apply(self, conn: Connection) -> None:
        """Insert; ids are random, so nobody has this one."""
        new = self.webhook
        conn.execute(
            webhooks.insert().values(
                id=new.id,
                parent=new.parent,
                url=new.url,
                events=" ".join(new.events),
                sealed_secret=new.sealed_secret,
                created_at=new.created_at,
            )
        )


@dataclass(frozen=True, slots=True)
class DropWebhook:
    """Forget a receiver of ``parent``; True when there was one. Its jobs find nobody and end."""

    parent: EnsName
    id: str

    def apply(self, conn: Connection) -> bool:
        """Delete one row."""
        return conn.execute(delete(webhooks).where(*_of(self.parent, self.id))).rowcount > 0


@dataclass(frozen=True, slots=True)
class SwitchWebhook:
    """Tell a receiver no more (``disabled_at``), or again (None); True when that changed something."""

    parent: EnsName
    id: str
    disabled_at: int | None

    def apply(self, conn: Connection) -> bool:
        """Update one row."""
        off = webhooks.c.disabled_at
        other = off.is_not(None) if self.disabled_at is None else off.is_(None)
        switched = update(webhooks).where(*_of(self.parent, self.id), other).values(disabled_at=self.disabled_at)
        return conn.execute(switched).rowcount > 0


@dataclass(frozen=True, slots=True)
class WebhookOf:
    """The receiver with this id, or None."""

    id: str

    def run(self, conn: Connection) -> Webhook | None:
        """Look up by the key."""
        row = conn.execute(select(webhooks).where(webhooks.c.id == self.id)).first()
        return None if row is None else _webhook_of(row)


@dataclass(frozen=True, slots=True)
class WebhooksOf:
    """Receivers of a parent by their ids, disabled ones too; at most ``limit``."""

    parent: EnsName
    limit: int

    def run(self, conn: Connection) -> list[Webhook]:
        """Read by the index of parents."""
        page = select(webhooks).where(webhooks.c.parent == self.parent).order_by(webhooks.c.id).limit(self.limit)
        return [_webhook_of(row) for row in conn.execute(page)]


@dataclass(frozen=True, slots=True)
class TellWebhooks:
    """Enqueue ``news`` for every receiver of ``parent`` that wants it, in its lane; returns the number of jobs.

    To be committed together with the change it tells of.
    """

    parent: EnsName
    news: tuple[News, ...]
    now: int
    expires_at: int

    def wakes(self, result: int) -> bool:
        """Jobs are work."""
        return result > 0

    def apply(self, conn: Connection) -> int:
        """Look who listens; then insert."""
        listening = select(webhooks).where(webhooks.c.parent == self.parent, webhooks.c.disabled_at.is_(None))
        receivers = [_webhook_of(row) for row in conn.execute(listening.order_by(webhooks.c.id))]
        jobs = [
            NewJob(webhook_lane(receiver.id), WEBHOOK, each.payload, self.now, self.expires_at)
            for receiver in receivers
            for each in self.news
            if not receiver.events or each.type in receiver.events
        ]
        if jobs:
            insert_jobs(conn, jobs)
        return len(jobs)


def webhook_lane(id: str) -> LaneKey:
    """One lane for each receiver, so that it hears things in their order."""
    return lane_key(WEBHOOK, id)


def _of(parent: EnsName, id: str) -> tuple[Any, Any]:
    return webhooks.c.id == id, webhooks.c.parent == parent


def _webhook_of(row: Any) -> Webhook:
    fields = dict(row._mapping)
    return Webhook(**{**fields, "events": tuple(row.events.split())})
