"""What `dm3-gateway doctor` looks at: findings, each with what was found and how it is put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable


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


@runtime_checkable
class Examines(Protocol):
    """Can look whether the world around it is as it needs it; an ability of the class, the gateway need not run."""

    @classmethod
    async def examine(cls, settings: Any, public_url: str) -> Sequence[Finding]:
        """All checks, from a `Settings` value, within ten seconds.

        Raises nothing for what it finds; changes nothing, and sends nothing to anybody but look-ups.
        """
