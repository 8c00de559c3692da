"""Answers to people's messages, receipts and errors: each is kept until the server has read it.

A message is handled once, so its answer must not be lost with the connection over which it went.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import Final

import structlog

from adapters.xmpp.link import Link, LinkDown
from adapters.xmpp.xml import Xml
from gateway.sdk import AdapterContext, Value

log = structlog.get_logger(__name__)

OWED: Final = "owed"
"""Values: answers that were left over when a node stopped."""
MOST: Final = 10_000
"""Answers that are kept; then the oldest are given up."""
GATHER_SECONDS: Final = 0.1
"""One question to the server is for all answers of so long."""
PAGE: Final = 200


class Owed:
    """What people are told about their messages; a repeat does no harm, because it names the message."""

    def __init__(self, link: Link, ctx: AdapterContext) -> None:
        self._link = link
        self._ctx = ctx
        self._open: dict[int, str] = {}
        self._numbers = itertools.count()
        self._settling: asyncio.Task[None] | None = None

    def send(self, answer: Xml) -> None:
        """Send now, and again with the next connection unless the server has read it by then."""
        self._open[next(self._numbers)] = answer
        if len(self._open) > MOST:
            del self._open[next(iter(self._open))]
            log.warning("owed.given_up")
        with suppress(LinkDown):
            self._link.send(answer)
            self._settle()

    async def again(self) -> None:
        """Send what is owed over a new connection, also what an earlier process left. Raises LinkDown, Unavailable."""
        for answer in self._open.values():
            self._link.send(answer)
        self._settle()
        while left := await self._ctx.values.find(OWED, limit=PAGE):
            await self._link.deliver(*(each.text for each in left if each.text is not None))
            await self._ctx.values.put(*(Value(OWED, each.key, None) for each in left))

    async def save(self) -> None:
        """Leave what is owed to the next process; the link is closed. Raises Unavailable."""
        if self._settling is not None:
            self._settling.cancel()
        answers = list(self._open.values())
        if answers:
            log.info("owed.saved", answers=len(answers))
        for start in range(0, len(answers), PAGE):
            numbered = enumerate(answers[start : start + PAGE], start)
            at = self._ctx.now_ms()
            await self._ctx.values.put(*(Value(OWED, f"{at:015} {number:05}", text) for number, text in numbered))
        self._open.clear()

    def _settle(self) -> None:
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settled())

    async def _settled(self) -> None:
        """Forget what the server has read."""
        with suppress(LinkDown):
            while self._open:
                await asyncio.sleep(GATHER_SECONDS)
                sent = list(self._open)
                await self._link.barrier()
                for number in sent:
                    self._open.pop(number, None)
