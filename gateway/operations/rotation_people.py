"""New keys for the people of a network: one epoch more for each, with a new address and a new profile.

Mail that was sealed to the keys before is opened with them until the longest life of a message has passed. So nobody is
given keys twice within that time, which would leave mail to the first of three without a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.custody.keyring import BRIDGED, Keyring
from gateway.errors import InvalidInput
from gateway.ids import Network
from gateway.store import Store
from gateway.store.identities import ListIdentities, RotateIdentity

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Changed:
    """How many people got new keys, and how many did not, and why."""

    changed: int
    too_soon: int
    linked: int
    """A wallet signed their profile for a name of its own; new keys need a new signature."""


async def rotate_people(
    store: Store, keyring: Keyring, network: Network, *, now: int, ttl_ms: int, told: Callable[[int], None]
) -> Changed:
    """Go through everybody of a network; may be broken off and repeated. Raises Unavailable, CustodyError."""
    changed = too_soon = linked = after = 0
    while page := await store.read(ListIdentities(network, PAGE, after)):
        after = page[-1].id
        for person in page:
            if person.sealed_salt is None:
                continue
            if person.level != BRIDGED:
                linked += 1
            elif person.rotated_at is not None and person.rotated_at + ttl_ms > now:
                too_soon += 1
            else:
                new = await asyncio.to_thread(keyring.rotation, person)
                try:
                    await store.commit(RotateIdentity(person.id, new.epoch, new.address, now))
                    changed += 1
                except InvalidInput:
                    too_soon += 1
            told(changed)
    return Changed(changed, too_soon, linked)
