"""What `dm3-gateway doctor` looks at: findings, each with what was found and how it is put right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, runtime_checkable

import structlog

from gateway.errors import GatewayError

log = structlog.get_logger(__name__)


class State(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    """It works, and not as well as it could."""
    FAIL = "fail"
    """Something does not work, or will not for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check and its result."""

    check: str
    """What it is about, the same in every version: lower case, ``mx`` or ``dkim.dm3-rsa``."""
    state: State
    found: str
    """One sentence without a full stop."""
    fix: str = ""
    """What to do; "" when there is nothing to do."""
    lines: tuple[str, ...] = ()
    """To be copied as they are: lines of a zone file, a file's text. Also where all is well, so that one has them."""


def good(check: str, found: str, *lines: str) -> Finding:
    """All is well."""
    return Finding(check=check, state=State.OK, found=found, lines=lines)


def poor(check: str, found: str, fix: str, *lines: str) -> Finding:
    """It works."""
    return Finding(check=check, state=State.WARN, found=found, fix=fix, lines=lines)


def bad(check: str, found: str, fix: str, *lines: str) -> Finding:
    """It does not."""
    return Finding(check=check, state=State.FAIL, found=found, fix=fix, lines=lines)


Check: TypeAlias = Callable[[], Awaitable[Sequence[Finding]]]


async def all_at_once(checks: Mapping[str, Check], seconds: float) -> tuple[Finding, ...]:
    """The findings of all checks in their order; each has so long, and one that raises has failed under its name."""
    found = await asyncio.gather(*(_bounded(name, check, seconds) for name, check in checks.items()))
    return tuple(finding for findings in found for finding in findings)


async def _bounded(name: str, check: Check, seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return [bad(name, f"the check took over {seconds:.0f} seconds", "look at the network, and try again")]
    except GatewayError as error:
        return [bad(name, error.detail or error.sentence, "put that right, and try again")]
    except Exception as error:
        log.exception("doctor.failed", check=name)
        return [bad(name, f"the check broke off: {type(error).__name__}", "this is a fault of ours, please report it")]


@runtime_checkable
class Examines(Protocol):
    """Can look whether the world around it is as it needs it; an ability of the class, the gateway need not run."""

    @classmethod
    async def examine(cls, settings: Any, public_url: str) -> Sequence[Finding]:
        """All checks, from a `Settings` value, within ten seconds.

        Raises nothing for what it finds; changes nothing, and sends nothing to anybody but look-ups.
        """
