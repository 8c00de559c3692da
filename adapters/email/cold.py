"""Mail to people who never wrote to the sender: how many of them somebody may write to in a day, and the way out."""

from __future__ import annotations

import hashlib
from typing import Final

from adapters.email.returnpath import DAY_MS
from adapters.email.unsubscribe import Unsubscribing, WayOut
from gateway.sdk import AdapterContext, CanonicalId, Delivery, EnsName, Retry, Value

KIND: Final = "cold"
_LATER: Final = 3600.0
_AT_ONCE: Final = 500
_LOOKED_AT: Final = 20
_MAIL_IDS: Final = ("<", "sha256:")
"""How native ids of mail begin, see `parse`."""


class ColdMail:
    """Counts the people that each sender writes to; replies and conversations that are going on are not counted."""

    def __init__(self, ctx: AdapterContext, unsubscribing: Unsubscribing, per_day: int) -> None:
        self._ctx = ctx
        self._unsubscribing = unsubscribing
        self._per_day = per_day

    async def admit(self, delivery: Delivery) -> WayOut | Retry | None:
        """None for somebody who wrote to the sender before; else the way out, or a pause when it was enough today."""
        if delivery.automatic or await self._wrote(delivery.recipient, delivery.sender):
            return None
        if delivery.first and not await self._has_room(delivery.sender, delivery.recipient):
            return Retry(f"{delivery.sender} wrote to many new people today", _LATER)
        return await self._unsubscribing.way_out(delivery.recipient, delivery.sender)

    async def _wrote(self, person: CanonicalId, name: EnsName) -> bool:
        """Whether the person wrote to this name; what we said of a bounce in their name does not count."""
        sent = await self._ctx.people.recent(person, _LOOKED_AT, name)
        return any(each.native_id.startswith(_MAIL_IDS) for each in sent)

    async def _has_room(self, name: EnsName, person: CanonicalId) -> bool:
        values, day = self._ctx.values, f"{self._ctx.now_ms() // DAY_MS:06d}"
        prefix = f"{day} {name} "
        key = prefix + hashlib.sha256(person.encode()).hexdigest()[:32]
        if await values.get(KIND, key) is not None:
            return True
        if len(await values.find(KIND, prefix, limit=self._per_day)) >= self._per_day:
            return False
        await values.put(Value(KIND, key, ""))
        return True

    async def forget_old(self) -> None:
        """Remove the counts of other days, and old links."""
        await self._unsubscribing.forget_old()
        today = self._ctx.now_ms() // DAY_MS
        while True:
            rows = await self._ctx.values.find(KIND, limit=_AT_ONCE)
            old = [row for row in rows if int(row.key[:6]) < today - 1]
            if not old:
                return
            await self._ctx.values.put(*(Value(KIND, row.key, None) for row in old))
