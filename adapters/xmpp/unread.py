"""What people have not seen yet: a marker (XEP-0333, section 4.1) is about a message and all before it."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from gateway.sdk import Value, Values

UNREAD: Final = "unread"
"""Values: ids of messages of a contact's, oldest first, by person and name."""
MOST: Final = 100
_LOCKS: Final = 64


class Unread:
    """Kept for each conversation; the oldest are forgotten of somebody whose client sends no markers."""

    def __init__(self, values: Values) -> None:
        self._values = values
        # Deliveries and markers of a conversation come at the same time.
        self._locks = [asyncio.Lock() for _ in range(_LOCKS)]

    async def add(self, talk: str, id: str) -> None:
        """A message was delivered."""
        async with self._lock(talk):
            ids = await self._read(talk)
            if id not in ids:
                await self._write(talk, [*ids, id][-MOST:])

    async def seen(self, talk: str, id: str) -> list[str]:
        """Somebody saw a message; it and those before it that were not seen yet, and the message alone if unknown."""
        async with self._lock(talk):
            ids = await self._read(talk)
            if id not in ids:
                return [id]
            end = ids.index(id) + 1
            await self._write(talk, ids[end:])
            return ids[:end]

    async def _read(self, talk: str) -> list[str]:
        return list(json.loads(await self._values.get(UNREAD, talk) or "[]"))

    async def _write(self, talk: str, ids: list[str]) -> None:
        await self._values.put(Value(UNREAD, talk, json.dumps(ids) if ids else None))

    def _lock(self, talk: str) -> asyncio.Lock:
        return self._locks[hash(talk) % _LOCKS]
