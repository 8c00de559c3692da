"""Deleting a person where no node runs: by a command of the operator's, or in a backup that is brought back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from gateway.bridge.leaving import leave
from gateway.ids import EnsName
from gateway.lifecycle import Clock, now_ms
from gateway.store import Store
from gateway.store.audit import Audit, AuditEntry
from gateway.store.identities import Identity
from gateway.store.links import UnlinkName
from gateway.store.names import NameNamed
from gateway.store.ownership import ReplaceName
from gateway.subnames.orders import DM3_PROFILE


async def bury(store: Store, person: Identity, tombstone: str, clock: Clock = now_ms) -> int:
    """Delete keys, account and traces of a person; how many rows went. Raises Unavailable.

    What a network's adapter remembers goes when a node does the job that this leaves.
    """
    erased, _ = await leave(store, person, tombstone, now=clock(), end_link=partial(_end_link, store, clock))
    return sum(erased.rows.values())


async def _end_link(store: Store, clock: Clock, name: EnsName) -> None:
    """Take the profile of keys that go out of a claimed name, which stays its owner's."""
    row = await store.read(NameNamed(name))
    if row is None:
        await store.commit(UnlinkName(name))
        return
    texts = {key: value for key, value in row.texts.items() if key != DM3_PROFILE}
    entry = AuditEntry(clock(), "gateway", "name.unlinked", name)
    await store.commit_all(ReplaceName(replace(row, texts=texts, updated_at=clock())), UnlinkName(name), Audit(entry))
