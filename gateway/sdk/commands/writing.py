"""Writing answers: times, amounts, and text of strangers that must not change how the rest is shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

MAX_LITERAL: Final = 300
_LAST_MS: Final = 253_402_300_799_000
"""The end of the year 9999, where calendars of programs end."""


def literal(text: str) -> str:
    """Somebody's text in back-ticks: on one line, bounded, and without what is not seen."""
    cut = text[:MAX_LITERAL]
    kept = "".join(each if unicodedata.category(each)[0] != "C" or each == "\u200d" else " " for each in cut)
    return f"`{' '.join(kept.replace('`', chr(39)).split()) or ' '}`"


def time_of(at: int) -> str:
    """Milliseconds since the epoch as people read them: ``2026-11-28 14:05 UTC``."""
    moment = datetime.fromtimestamp(min(max(at, 0), _LAST_MS) / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def ether(wei: int) -> str:
    """Wei as ether, without zeros that say nothing."""
    whole, rest = divmod(wei, 10**18)
    return f"{whole}{f'.{rest:018}'.rstrip('0').rstrip('.')} ETH"


def number_of(count: int, thing: str, things: str | None = None) -> str:
    """``1 message``, ``2 messages``."""
    return f"{count} {thing if count == 1 else things or thing + 's'}"


def list_of(lines: Iterable[str]) -> str:
    """One line each."""
    return "\n".join(f"- {line}" for line in lines)


def names_of(names: Iterable[str]) -> str:
    """Names one after another, or that there are none."""
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nobody"
