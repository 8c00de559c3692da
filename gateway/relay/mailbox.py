"""A recipient's mailbox as clients of our own interface use it: pages, waiting, acknowledgement, message requests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final

import structlog

from gateway.dm3.sender_rules import MAX_LISTED, RecipientRules
from gateway.errors import LimitExceeded, NotFound
from gateway.ids import EnsName, EnvelopeId
from gateway.lifecycle import Clock
from gateway.relay.accounts import Accounts
from gateway.relay.arrivals import Arrivals
from gateway.relay.sessions import Sessions
from gateway.store import Store
from gateway.store.mailbox import AcknowledgeIds, Folder, GetEnvelope, PickUp, StoredEnvelope
from gateway.store.requests import AdmitSender, RefuseSender, RequestsBySender, WaitingSender
from gateway.store.sessions import Session

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS: Final = 2.0
"""Mail that another node took is seen after this time at the latest."""
ADMITTED_AT_ONCE: Final = 100
"""Envelopes of a stranger that move to the inbox in one transaction."""


class Mailbox:
    """Reads and changes what waits for the owner of a session."""

    def __init__(
        self, *, store: Store, sessions: Sessions, accounts: Accounts, arrivals: Arrivals, clock: Clock
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._accounts = accounts
        self._arrivals = arrivals
        self._clock = clock

    async def page(
        self,
        session: Session,
        after: int,
        limit: int,
        folder: Folder = Folder.INBOX,
        sender: EnsName | None = None,
    ) -> list[StoredEnvelope]:
        """At most `limit` envelopes (or 8 MiB of them) after the cursor."""
        names = await self._sessions.readable_names(session)
        return await self._store.read(
            PickUp(session.address, self._clock(), limit, after, sender=sender, names=names, folder=folder)
        )

    async def wait(
        self, session: Session, after: int, limit: int, seconds: float, sender: EnsName | None = None
    ) -> list[StoredEnvelope]:
        """As `page` of the inbox, but when there is nothing yet wait for it, at most `seconds`."""
        deadline = time.monotonic() + seconds
        with self._arrivals.waiting(session.address) as arrived:
            while True:
                arrived.clear()
                found = await self.page(session, after, limit, sender=sender)
                left = deadline - time.monotonic()
                if found or left <= 0 or self._arrivals.closed:
                    return found
                try:
                    async with asyncio.timeout(min(left, self._look_again)):
                        await arrived.wait()
                except TimeoutError:
                    continue

    @property
    def _look_again(self) -> float:
        """An SQLite store has one node, which hears of everything."""
        return LOOK_AGAIN_SECONDS if self._store.dialect == "postgresql" else float("inf")

    async def acknowledge(self, session: Session, ids: tuple[EnvelopeId, ...]) -> int:
        """Delete these envelopes; how many there were. Ids of others and unknown ones are ignored."""
        names = await self._sessions.readable_names(session)
        return await self._store.commit(AcknowledgeIds(session.address, ids, names))

    async def requests(self, session: Session, limit: int) -> list[WaitingSender]:
        """Strangers whose mail waits to be let in, the newest first."""
        names = await self._sessions.readable_names(session)
        return await self._store.read(RequestsBySender(session.address, names, limit))

    async def accept(self, session: Session, sender: EnsName) -> int:
        """Let a sender in for good: they go to the allow list, and what waits from them to the inbox."""
        await self._accounts.change_rules(session.address, lambda rules: _allowing(rules, sender))
        names = await self._sessions.readable_names(session)
        admit = AdmitSender(session.address, sender, names, ADMITTED_AT_ONCE)
        count = 0
        while moved := await self._store.commit(admit):
            for envelope in moved:
                self._arrivals.announce(envelope)
            count += len(moved)
        return count

    async def refuse(self, session: Session, sender: EnsName) -> int:
        """Delete what waits from a stranger; they may write again."""
        names = await self._sessions.readable_names(session)
        return await self._store.commit(RefuseSender(session.address, sender, names))

    async def block(self, session: Session, sender: EnsName) -> int:
        """Never again: the sender goes to the block list, and what waits from them is deleted."""
        await self._accounts.change_rules(session.address, lambda rules: _blocking(rules, sender))
        return await self.refuse(session, sender)

    async def envelope(self, session: Session, id: EnvelopeId) -> StoredEnvelope:
        """One envelope that waits for this owner; NotFound when it is not there."""
        found = await self._store.read(GetEnvelope(id))
        names = await self._sessions.readable_names(session)
        if found is None or found.recipient != session.address or found.recipient_name not in names:
            raise NotFound("there is no such envelope")
        return found


def _allowing(rules: RecipientRules, sender: EnsName) -> RecipientRules:
    _check_room(rules.allow, sender)
    return replace(rules, allow=rules.allow | {sender}, block=rules.block - {sender})


def _blocking(rules: RecipientRules, sender: EnsName) -> RecipientRules:
    _check_room(rules.block, sender)
    return replace(rules, block=rules.block | {sender}, allow=rules.allow - {sender})


def _check_room(names: frozenset[EnsName], sender: EnsName) -> None:
    if sender not in names and len(names) >= MAX_LISTED:
        raise LimitExceeded(f"a list has at most {MAX_LISTED} names")
