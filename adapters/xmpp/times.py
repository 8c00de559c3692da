"""Dates and times as they are written in stanzas (XEP-0082): ``2026-11-28T14:05:00.123Z``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_STAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, where calendars of programs end."""


def read_stamp(text: str) -> int | None:
    """Milliseconds since the epoch; None for what is no time, or one before the epoch."""
    if not _STAMP.fullmatch(text):
        return None
    try:
        at = (datetime.fromisoformat(_to_microseconds(text)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    return at if 0 <= at <= _LAST_MS else None


def stamp(at: int) -> str:
    """Milliseconds since the epoch in UTC."""
    at = min(max(at, 0), _LAST_MS)
    moment = datetime.fromtimestamp(at // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03}Z" if at % 1000 else f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _to_microseconds(text: str) -> str:
    """Digits behind the sixth are more than a datetime holds."""
    return re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text)
