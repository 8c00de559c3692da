"""Names whose term ends: reminders through the owner's own network, and release after the time of grace."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from gateway.dm3.canonical import Json
from gateway.errors import GatewayError, NameChanged
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.jobs import Enqueue
from gateway.store.leases import AcquireLease, ReleaseLease
from gateway.store.links import UnlinkName
from gateway.store.names import NameRow, NamesEnding
from gateway.store.op import Op
from gateway.store.ownership import NoteReminder
from gateway.subnames.changes import GATEWAY, Change
from gateway.subnames.events import EventType
from gateway.subnames.linking import NoticeFor
from gateway.subnames.orders import released
from gateway.subnames.policy import DAY_MS, Policy
from gateway.subnames.registrar import Registrar

log = structlog.get_logger(__name__)

PERIOD_SECONDS: Final = 60.0
LEASE: Final = "terms"
LEASE_MS: Final = 120_000
AT_ONCE: Final = 100
LEADS_MS: Final = (30 * DAY_MS, 7 * DAY_MS, DAY_MS, 0)
"""Before the end of the term; the last reminder says that the time of grace has begun."""


class Terms:
    """Reminds and releases, on whichever node holds the lease."""

    def __init__(
        self,
        *,
        store: Store,
        registrar: Registrar,
        notice_for: NoticeFor,
        public_url: str,
        owner: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._notice_for = notice_for
        self._public_url = public_url
        self._owner = owner
        self._clock = clock

    async def run(self) -> None:
        """Look once a minute until cancelled; a round that fails is left to the next."""
        while True:
            try:
                await self.look()
            except GatewayError as error:
                log.warning("terms.interrupted", error=type(error).__name__, detail=error.detail)
            await asyncio.sleep(PERIOD_SECONDS)

    async def look(self) -> int:
        """One round, when no other node is at it; returns how many names were reminded or released."""
        fence = await self._store.commit(AcquireLease(LEASE, self._owner, self._clock(), LEASE_MS))
        if fence is None:
            return 0
        try:
            done = 0
            for policy in self._registrar.policies.values():
                done += await self._release_what_is_over(policy)
                # The last first: who was away for long gets one reminder and not all of them.
                for stage in reversed(range(len(LEADS_MS))):
                    done += await self._remind(policy, stage)
            return done
        finally:
            with contextlib.suppress(GatewayError):
                await self._store.commit(ReleaseLease(fence))

    async def _release_what_is_over(self, policy: Policy) -> int:
        now, done = self._clock(), 0
        over = await self._store.read(NamesEnding(policy.parent, now - policy.grace, len(LEADS_MS) + 1, AT_ONCE))
        for row in over:
            change = Change(EventType.EXPIRED, row.name, policy.parent, GATEWAY, now)
            text = f"The name {row.name} was not renewed. It is no longer yours; nobody else gets it for a while."
            with contextlib.suppress(NameChanged):
                told = await self._told(row, text)
                await self._registrar.replace(released(row, now), change, *told, UnlinkName(row.name))
                done += 1
        return done

    async def _remind(self, policy: Policy, stage: int) -> int:
        now, done = self._clock(), 0
        ending = await self._store.read(NamesEnding(policy.parent, now + LEADS_MS[stage], stage + 1, AT_ONCE))
        for row in ending:
            assert row.expires_at is not None
            detail: dict[str, Json] = {"expires_at": row.expires_at, "reminder": stage + 1}
            change = Change(EventType.EXPIRING, row.name, policy.parent, GATEWAY, now, detail)
            with contextlib.suppress(NameChanged):
                told = await self._told(row, self._reminder(row, policy, now))
                await self._registrar.note(change, NoteReminder(row.name, row.reminded, stage + 1), *told)
                done += 1
        return done

    def _reminder(self, row: NameRow, policy: Policy, now: int) -> str:
        assert row.expires_at is not None
        how = f"Renew it with your wallet: {self._public_url}/names/{row.name}"
        if row.expires_at > now:
            return f"The name {row.name} is yours until {_day(row.expires_at)}. {how}"
        until = _day(row.expires_at + policy.grace)
        return f"The term of the name {row.name} has ended. It still works, and you can renew it, until {until}. {how}"

    async def _told(self, row: NameRow, text: str) -> tuple[Op[Any], ...]:
        """The job that tells whoever the name is linked to; who linked it to nobody has the webhooks and the page."""
        identity = await self._registrar.linked(row.name)
        if identity is None:
            return ()
        now = self._clock()
        return (Enqueue(self._notice_for(identity, text, now=now, expires_at=now + DAY_MS)),)


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%d %B %Y}"
