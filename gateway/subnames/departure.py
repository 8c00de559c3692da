"""The end of a link when the person behind it is deleted here: nobody could read what comes to the name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from gateway.errors import NameChanged
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.links import UnlinkName
from gateway.store.names import NameNamed
from gateway.store.ownership import ReplaceName
from gateway.subnames.changes import GATEWAY, Change
from gateway.subnames.events import EventType
from gateway.subnames.labels import nearest_parent
from gateway.subnames.orders import DM3_PROFILE

TRIES: Final = 5


class Departure:
    """Takes the profile of keys that are to be deleted out of a claimed name; the name stays its owner's.

    The log and the receivers of news below the name's parent are told in the same transaction.
    """

    def __init__(
        self,
        store: Store,
        parents: Iterable[EnsName],
        clock: Clock,
        changed: Callable[[EnsName], None] = lambda _: None,
    ) -> None:
        """`parents` are the names that names are issued under; `changed` is told each name after its commit."""
        self._store = store
        self._parents = tuple(parents)
        self._clock = clock
        self._changed = changed

    async def end_link(self, name: EnsName) -> None:
        """End the link of a claimed name; returns after the commit.

        Raises NameChanged when others change the name all the time, and Unavailable.
        """
        for tries in range(1, TRIES + 1):
            try:
                return await self._end(name)
            except NameChanged:
                if tries == TRIES:
                    raise
        return None

    async def _end(self, name: EnsName) -> None:
        row, now = await self._store.read(NameNamed(name)), self._clock()
        if row is None or row.released_at is not None:
            await self._store.commit(UnlinkName(name))
            return
        texts = {key: value for key, value in row.texts.items() if key != DM3_PROFILE}
        # Below a parent that was given up since, names are still to be found, and people still want to be deleted.
        parent = nearest_parent(name, self._parents) or EnsName(name.partition(".")[2])
        change = Change(EventType.UNLINKED, name, parent, GATEWAY, now)
        ended = ReplaceName(replace(row, texts=texts, updated_at=now))
        await self._store.commit_all(ended, UnlinkName(name), *change.told())
        self._changed(name)
