"""The job that empties a closed mailbox: again after a moment, because mail that was let in before may still come."""

from __future__ import annotations

import hashlib
from typing import Final

from gateway.ids import EthAddress
from gateway.store import Store
from gateway.store.accounts import AccountOf
from gateway.store.jobs import Job, NewJob, lane_key
from gateway.store.mailbox import EmptyMailbox
from gateway.work.results import Checkpoint, Done, Result

EMPTY_MAILBOX: Final = "empty-mailbox"
"""Kind of the job, and destination of its lane."""
AGAIN_MS: Final = 15_000
"""Longer than other nodes remember that a mailbox is open, and a submission takes from there to its commit."""
LIFE_MS: Final = 7 * 24 * 3600 * 1000
ROWS_AT_ONCE: Final = 500


def empty_mailbox_job(address: EthAddress, now: int) -> NewJob:
    """To be committed with the end of the account, so that a node that dies leaves no mail behind."""
    lane = lane_key(EMPTY_MAILBOX, hashlib.sha256(address.encode()).hexdigest()[:32])
    return NewJob(lane, EMPTY_MAILBOX, address.encode(), now, now + LIFE_MS, due_at=now + AGAIN_MS)


async def empty_mailbox(store: Store, address: EthAddress) -> None:
    """Delete all mail of a recipient, in steps that hold nobody up."""
    while await store.commit(EmptyMailbox(address, ROWS_AT_ONCE)) == ROWS_AT_ONCE:
        pass


class Emptying:
    """Handles EMPTY_MAILBOX jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Empty once more, unless its owner has registered again: that mail is wanted."""
        address = EthAddress(job.payload.decode())
        if (await self._store.read(AccountOf(address))).closed:
            await empty_mailbox(self._store, address)
        return Done()

    async def expire(self, job: Job) -> Done:
        """Mail has its own time."""
        return Done()
