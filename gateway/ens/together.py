"""Several questions at once, none of which goes on when one has failed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def all_of(*questions: Coroutine[Any, Any, A]) -> list[A]:
    """Results in the order of the questions; the first error is raised when all the others have been stopped.

    ``asyncio.gather`` would let them run on, over connections that their caller may be closing.
    """
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """``all_of`` for two results of different types."""
    questions: tuple[Coroutine[Any, Any, Any], ...] = (first, second)
    one, other = await all_of(*questions)
    return one, other
