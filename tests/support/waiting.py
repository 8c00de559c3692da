"""Waiting for what must happen, with an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.dm3.message import MessageType
from gateway.operations.dm3_client import Dm3Client, Received

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], seconds: float = 60) -> T:
    """What `look` finds; TimeoutError when it never does."""
    async with asyncio.timeout(seconds):
        while (found := await look()) is None:  # noqa: ASYNC110 - what is looked for has no event
            await asyncio.sleep(0.02)
        return found


async def mail_of(
    client: Dm3Client, number: int = 1, kind: MessageType = MessageType.NEW, seconds: float = 60
) -> list[Received]:
    """What waits for a native client, once there are `number` of a kind."""

    async def look() -> list[Received] | None:
        found = [each for each in await client.fetch() if each.message.type is kind]
        return found if len(found) >= number else None

    return await until(look, seconds)


async def turns_until(task: asyncio.Task[object], turn: float = 0.1) -> float:
    """Seconds until a task is done, counted by turns of the event loop: none pass while this machine stands still."""
    turns = 0
    while not task.done():
        await asyncio.wait({task}, timeout=turn)
        turns += 1
    return turns * turn
