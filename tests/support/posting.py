"""Prepared HTTP requests posted at a rate, each until it is answered 200: senders that do not give up."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

CONNECTIONS: Final = 24
PAUSE_SECONDS: Final = 0.1
"""Before a connection is tried again, or a request that was not taken."""
HEAD: Final = b"\r\n\r\n"


class Posting:
    """Requests by number; ``due`` lets more of them go out, ``run`` posts them until cancelled."""

    def __init__(self, host: str, requests: Sequence[bytes]) -> None:
        """`host` has the port, as a Host header."""
        name, _, port = host.partition(":")
        self._address = (name, int(port))
        self._requests = requests
        self._waiting: deque[int] = deque()
        self._more = asyncio.Condition()
        self.begun = 0
        """So many requests were let go."""
        self.answered: set[int] = set()
        """Those that were answered 200."""
        self.refused: Counter[str] = Counter()
        """Other answers, by their status line."""

    @property
    def done(self) -> bool:
        """True when all that was let go was answered 200."""
        return len(self.answered) == self.begun

    async def due(self, number: int) -> None:
        """Let the next so many requests go."""
        until = min(self.begun + number, len(self._requests))
        assert until - self.begun == number, "too few requests were prepared"
        async with self._more:
            self._waiting.extend(range(self.begun, until))
            self.begun = until
            self._more.notify(number)

    async def run(self) -> None:
        """Post, over several connections."""
        async with asyncio.TaskGroup() as connections:
            for _ in range(CONNECTIONS):
                connections.create_task(self._work())

    async def _work(self) -> None:
        while True:
            async with self._more:
                await self._more.wait_for(lambda: bool(self._waiting))
                number = self._waiting.popleft()
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError:
                self._waiting.appendleft(number)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            try:
                await self._talk(reader, writer, number)
            finally:
                writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        """Post over one connection while it holds and there is something to post."""
        while True:
            try:
                status = await self._post(reader, writer, self._requests[number])
            except (OSError, EOFError):
                self._waiting.appendleft(number)
                await asyncio.sleep(PAUSE_SECONDS)
                return
            if status.split(b" ", 2)[1] == b"200":
                self.answered.add(number)
            else:
                self.refused[status.decode()] += 1
                self._waiting.append(number)
                await asyncio.sleep(PAUSE_SECONDS)
            if not self._waiting:
                return
            number = self._waiting.popleft()

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
        writer.write(request)
        head = await reader.readuntil(HEAD)
        status, *headers = head.split(b"\r\n")
        length = next(int(each.partition(b":")[2]) for each in headers if each.lower().startswith(b"content-length"))
        await reader.readexactly(length)
        return status
