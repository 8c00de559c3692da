"""A process that takes envelopes and tells on standard output which were acknowledged, until it is killed.

Run as ``python -m tests.integration.store.writer URL FIRST``: envelopes are numbered from FIRST. One line per
acknowledgement, written without a buffer after the commit, as an answer on a socket would be.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

import structlog

from gateway.store import Store
from gateway.store.mailbox import AcceptEnvelope
from tests.integration.store.values import envelope, job, lane

SUBMITTERS = 32


async def submit(store: Store, numbers: itertools.count[int]) -> None:
    while True:
        number = next(numbers)
        sent = envelope(number, body=os.urandom(3000))
        await store.commit(AcceptEnvelope(sent, job(number, lane=lane(number % 20), envelope=sent.id)))
        os.write(1, f"{number}\n".encode())


async def main(url: str, first: int) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    numbers = itertools.count(first)
    async with await Store.open(url) as store:
        await asyncio.gather(*(submit(store, numbers) for _ in range(SUBMITTERS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
