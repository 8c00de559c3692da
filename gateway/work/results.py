"""What a handler says about a job, and when a failed one comes again."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.store.jobs import Job
from gateway.store.op import Op

BACK_OFF_SECONDS: Final = (1, 5, 30, 120, 600, 3600)
"""Pause after the first, second, ... failed try; the last one repeats until the message expires."""
JITTER: Final = 0.2
MAX_REASON: Final = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class Done:
    """The job is over, well or badly; `ops` are committed together with its removal."""

    ops: tuple[Op[Any], ...] = ()
    after: Callable[[], Awaitable[None]] | None = None
    """Run once after the commit; what it raises is logged."""
    delivered: bool = False
    """Whether a message is where it belongs now."""


@dataclass(frozen=True, slots=True)
class Later:
    """The job stays first in its lane and is tried again."""

    reason: str
    after_ms: int | None = None
    """Milliseconds that somebody asked us to wait; None for the usual back-off."""
    counts: bool = True
    """Whether this was a try that failed; the pauses after failures grow with their number."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The job can never succeed as it is: its sender is told, an operator must look at it, and the lane goes on."""

    reason: str


Result = Done | Later | Hold

Checkpoint = Callable[[bytes], Awaitable[None]]
"""Writes a new payload for the running job before something is tried that must be repeated the same."""


class Handler(Protocol):
    """Does one kind of job."""

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Try once. Raising counts as `Later`, and as `Hold` after too many times."""

    async def expire(self, job: Job) -> Done:
        """The job is given up, because its time is over or because it is set aside: tell whoever must know.

        `job.reason` says why the last try failed. What it raises keeps a job whose time is over, and leaves one that
        is set aside untold.
        """


def back_off_ms(attempts: int) -> int:
    """Milliseconds to wait after `attempts` failed tries before this one, with jitter."""
    seconds = BACK_OFF_SECONDS[min(attempts, len(BACK_OFF_SECONDS) - 1)]
    return int(seconds * 1000 * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - jitter, not a secret


def clean_reason(text: str) -> str:
    """A reason in the form that every database keeps: bounded, in one line, no control characters or surrogates."""
    cut = text[:MAX_REASON]
    kept = "".join(" " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each for each in cut)
    return " ".join(kept.split())
