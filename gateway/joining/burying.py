"""Deleting a person where no node runs: by a command of the operator's, or in a backup that is brought back."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.bridge.leaving import leave
from gateway.ids import EnsName
from gateway.lifecycle import Clock, now_ms
from gateway.store import Store
from gateway.store.identities import Identity
from gateway.subnames.departure import Departure


async def bury(
    store: Store, person: Identity, tombstone: str, *, parents: Iterable[EnsName], clock: Clock = now_ms
) -> int:
    """Delete keys, account and traces of a person; how many rows went. Raises NameChanged, Unavailable.

    `parents` are the names that names are issued under. What a network's adapter remembers goes when a node does the
    job that this leaves.
    """
    departure = Departure(store, parents, clock)
    erased, _ = await leave(store, person, tombstone, now=clock(), end_link=departure.end_link)
    return sum(erased.rows.values())
