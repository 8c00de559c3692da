"""The end of a link when the person behind it is deleted here: nobody could read what comes to the name."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.errors import NameChanged, NotFound
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store.links import UnlinkName
from gateway.subnames.changes import GATEWAY, Change
from gateway.subnames.events import EventType
from gateway.subnames.orders import DM3_PROFILE
from gateway.subnames.registrar import Registrar

TRIES: Final = 5


class Departure:
    """Takes the profile of keys that are to be deleted out of a claimed name; the name stays its owner's."""

    def __init__(self, registrar: Registrar, clock: Clock) -> None:
        self._registrar = registrar
        self._clock = clock

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
        now = self._clock()
        try:
            row = await self._registrar.named(name)
        except NotFound:
            return
        texts = {key: value for key, value in row.texts.items() if key != DM3_PROFILE}
        parent = self._registrar.policy_of(name).parent
        change = Change(EventType.UNLINKED, name, parent, GATEWAY, now)
        await self._registrar.replace(replace(row, texts=texts, updated_at=now), change, UnlinkName(name))
