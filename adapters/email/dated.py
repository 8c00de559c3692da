"""Values that are forgotten after some days: beside each stands a second one, by whose key the old ones are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from adapters.email.returnpath import DAY_MS
from gateway.sdk import Value, Values

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class DatedValues:
    """Texts of one kind."""

    values: Values
    now_ms: Callable[[], int]
    kind: str
    days: int
    """For how long each is kept, from the day that is given with it."""

    async def get(self, key: str) -> str | None:
        """The text, or None."""
        return await self.values.get(self.kind, key)

    async def put(self, key: str, text: str, at_ms: int) -> None:
        """Write a text of a time; a later text under the same key is forgotten with the first."""
        day = f"{at_ms // DAY_MS:06d}.{key}"
        await self.values.put(Value(self.kind, key, text), Value(f"{self.kind}-day", day, ""))

    async def replace(self, key: str, text: str) -> None:
        """Write another text in the place of one that is there."""
        await self.values.put(Value(self.kind, key, text))

    async def forget_old(self) -> int:
        """Remove what is too old; how many texts."""
        forgotten = 0
        oldest = self.now_ms() // DAY_MS - self.days
        while True:
            rows = await self.values.find(f"{self.kind}-day", limit=_AT_ONCE)
            old = [row for row in rows if int(row.key.partition(".")[0]) < oldest]
            if not old:
                return forgotten
            await self.values.put(
                *(Value(self.kind, row.key.partition(".")[2], None) for row in old),
                *(Value(row.kind, row.key, None) for row in old),
            )
            forgotten += len(old)
