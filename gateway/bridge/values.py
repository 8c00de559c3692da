"""An adapter's own values, in the store."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ids import Network
from gateway.lifecycle import Clock
from gateway.sdk.values import Value
from gateway.store import Store
from gateway.store.values import PutFirst, PutValue, StoredValue, ValueOf, ValuesOf


class StoredValues:
    """Implements `gateway.sdk.Values` for one adapter."""

    def __init__(self, network: Network, store: Store, clock: Clock) -> None:
        self._network = network
        self._store = store
        self._clock = clock

    async def put(self, *values: Value) -> None:
        """Write all in one transaction."""
        now = self._clock()
        await self._store.commit_all(*(PutValue(self._network, each.kind, each.key, each.text, now) for each in values))

    async def claim(self, value: Value) -> str:
        """Write unless there is one; what stands there now."""
        stored = StoredValue(value.kind, value.key, value.text or "")
        return await self._store.commit(PutFirst(self._network, stored, self._clock()))

    async def get(self, kind: str, key: str) -> str | None:
        """The text, or None."""
        return await self._store.look_up(ValueOf(self._network, kind, key))

    async def find(self, kind: str, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[Value]:
        """Texts whose keys begin with ``prefix``."""
        found = await self._store.read(ValuesOf(self._network, kind, prefix, after, limit))
        return [Value(each.kind, each.key, each.value) for each in found]
