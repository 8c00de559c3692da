"""Telling the story: each step with its time and what was checked, and whether all of them held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from rich.console import Console
from rich.markup import escape

T = TypeVar("T")

PATIENCE_SECONDS: Final = 30.0
LOOK_EVERY_SECONDS: Final = 0.05


class StepFailed(Exception):
    """A check of the story did not hold."""


class Teller:
    """Prints one line per step; the first step that fails ends the story."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self.steps = 0

    def chapter(self, title: str) -> None:
        """A heading."""
        self._console.print(f"\n[bold]{escape(title)}[/bold]")

    def remark(self, sentence: str) -> None:
        """A line that tells of no step."""
        self._console.print(f"  {sentence}", style="dim", markup=False)

    async def step(self, sentence: str, work: Callable[[], Awaitable[tuple[T, str]]]) -> T:
        """Run `work`, which returns its result and what it found out; raises StepFailed when it raises."""
        begun = time.monotonic()
        try:
            result, proof = await work()
        except Exception as error:
            detail = str(error) or type(error).__name__
            self._console.print(f"  [red]failed[/red]  {escape(sentence)}\n          {escape(detail)}")
            raise StepFailed(sentence) from error
        self.steps += 1
        milliseconds = (time.monotonic() - begun) * 1000
        self._console.print(f"  [green]ok[/green] [dim]{milliseconds:7.0f} ms[/dim]  {escape(sentence)}")
        if proof:
            self._console.print(f"                 [dim]{escape(proof)}[/dim]")
        return result

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return time.monotonic() - self._started


def check(holds: bool, sentence: str) -> None:
    """Raise StepFailed with `sentence` unless `holds`."""
    if not holds:
        raise StepFailed(sentence)


async def until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` finds, looking again until it does; StepFailed when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := await look()) is None:
        check(time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return found
