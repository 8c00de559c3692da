"""Conversations that are written to at once: each sends its next envelope when the last one was answered 200.

Within a conversation the order is therefore known. What is not answered 200 is sent again, byte for byte, as a sender
does who got no answer or a temporary one.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

HEAD: Final = b"\r\n\r\n"
PAUSE_SECONDS: Final = 0.05, 0.25
ANSWER_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """One HTTP request, and the text of the message in it."""

    text: str
    request: bytes = field(repr=False)


class NoAnswer(Exception):
    """The connection ended before the answer was complete: the request may have been served or not."""


class NoConnection(NoAnswer):
    """Nobody listens: the request went nowhere."""


class HttpLine:
    """One connection to one address, opened when it is needed."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises NoAnswer, or NoConnection."""
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection(*self._address)
            except OSError as error:
                raise NoConnection(type(error).__name__) from error
        reader, writer = self._streams
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(request)
                head = await reader.readuntil(HEAD)
                body = await reader.readexactly(_length(head))
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise NoAnswer(type(error).__name__) from error
        if b"connection: close" in head.lower():
            self.close()
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


@dataclass
class Senders:
    """Everybody who writes."""

    port: int
    """Where they connect."""
    conversations: Sequence[Sequence[Prepared]]
    pause: tuple[float, float] = PAUSE_SECONDS
    """Between these, before the same envelope is sent again."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Texts that were answered 200, with the number of tries."""
    answers: Counter[tuple[int, int]] = field(default_factory=Counter)
    """HTTP status and JSON-RPC error code (0 for none) of all answers."""
    unanswered: int = 0
    """Requests that were sent and had no answer."""
    unconnected: int = 0
    """Tries that found nobody."""
    stopping: bool = False
    """Set it: whoever waits for an answer still gets it, and nobody begins anything new."""

    giving_up: bool = False
    """Set it: what was not answered 200 is not sent again."""

    def refusals(self) -> int:
        """Answers other than 200."""
        return sum(number for (status, _), number in self.answers.items() if status != 200)

    def figures(self) -> str:
        """What was answered, in one line."""
        return f"{dict(self.answers)}, {self.unanswered} without an answer, {self.unconnected} without a connection"

    async def run(self) -> None:
        """Until everything is acknowledged, or until `stopping`."""
        async with asyncio.TaskGroup() as group:
            for each in self.conversations:
                group.create_task(self._write(each))

    async def _write(self, conversation: Sequence[Prepared]) -> None:
        line = HttpLine(self.port)
        try:
            for prepared in conversation:
                if self.stopping:
                    return
                tries = 1
                while not await self._send(line, prepared):
                    tries += 1
                    await asyncio.sleep(random.uniform(*self.pause))
                    if self.giving_up:
                        return
                    line = HttpLine(self.port)
                self.acknowledged[prepared.text] = tries
        finally:
            line.close()

    async def _send(self, line: HttpLine, prepared: Prepared) -> bool:
        try:
            status, body = await line.ask(prepared.request)
        except NoConnection:
            self.unconnected += 1
            return False
        except NoAnswer:
            self.unanswered += 1
            return False
        code = 0
        if status != 200:
            line.close()
            with suppress(ValueError, KeyError, TypeError):
                code = int(json.loads(body)["error"]["code"])
        self.answers[status, code] += 1
        return status == 200


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
