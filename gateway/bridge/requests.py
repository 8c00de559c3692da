"""Message requests of bridged people: mail of strangers waits in its lane until they are let in.

Other than a native client, nobody looks through a folder for a bridged person, so the person is told, once for each
stranger, and answers with a command.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final

from gateway.bridge import wording
from gateway.bridge.jobs import conversation, notice_job
from gateway.dm3.sender_rules import RecipientRules
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.allowance import Allowance, WithAllowances
from gateway.store.identities import Identity
from gateway.store.lanes import Enqueue
from gateway.store.messagemap import ConversationKnown
from gateway.store.once import Once, OnceUsed

SCOPE: Final = "message-request"
TOLD_PER_DAY: Final = 20
"""Strangers of whom one person is told in a day: names cost nothing, and each telling is a message."""
DAY_MS: Final = 24 * 3600_000

RulesOf = Callable[[EthAddress], Awaitable[RecipientRules]]
"""What the owner of an address decided about their mail."""


class Standing(Enum):
    """What a bridged person decided about a sender."""

    WELCOME = auto()
    STRANGER = auto()
    """To be let in first."""
    BLOCKED = auto()


class Requests:
    """Judges senders anew at each delivery: a decision counts for what waits already, too."""

    def __init__(self, *, store: Store, rules_of: RulesOf, told_for_ms: int, clock: Clock) -> None:
        """`told_for_ms`: so long a stranger is announced once."""
        self._store = store
        self._rules_of = rules_of
        self._told_for_ms = told_for_ms
        self._clock = clock

    async def standing(self, person: Identity, sender: EnsName, *, verified: bool) -> Standing:
        """How the person stands to a sender. Whom they wrote to themselves is let in.

        An allow list means verified senders only: anybody can write a name into an envelope.
        """
        rules = await self._rules_of(person.address)
        if sender in rules.block:
            return Standing.BLOCKED
        if not rules.public.message_requests or (verified and sender in rules.allow):
            return Standing.WELCOME
        talk = conversation(person.name, sender)
        written = await self._store.look_up(ConversationKnown(person.network, talk, outbound=True))
        return Standing.WELCOME if written else Standing.STRANGER

    async def announce(self, person: Identity, sender: EnsName) -> None:
        """Tell the person once that a stranger wants to write to them."""
        now, key = self._clock(), hashlib.sha256(conversation(person.name, sender).encode()).hexdigest()
        if await self._store.look_up(OnceUsed(SCOPE, key)):
            return
        expires_at = now + self._told_for_ms
        notice = notice_job(person, wording.message_request(sender), now=now, expires_at=expires_at)
        told = Once(SCOPE, key, expires_at, (Enqueue(notice),))
        allowance = Allowance(f"requests:{person.id}", TOLD_PER_DAY, DAY_MS)
        await self._store.commit(WithAllowances((allowance,), now, (told,)))
