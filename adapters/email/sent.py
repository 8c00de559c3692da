"""What is remembered of each mail on its way: to whom, for whom, since when, and how often it was tried.

A mail is told apart by the first half of its message's hash, which is what its return path says of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

from adapters.email.returnpath import DAY_MS, DAYS_VALID
from gateway.sdk import CanonicalId, EnsName, NativeId, Value, Values

KIND: Final = "sent"
DAYS_KIND: Final = "sent-day"
"""The same keys by the day of the first try, for forgetting them."""
GIVE_UP_MS: Final = 5 * DAY_MS
"""Time of tries, as RFC 5321 section 4.5.4.1 asks for."""
_FIRST_PAUSES: Final = (60, 5 * 60, 15 * 60, 3600)
_HOURLY: Final = 12
"""So many tries are an hour apart at most; the later ones four."""
_JITTER: Final = 0.1
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class SentMail:
    """One mail."""

    person: CanonicalId
    name: EnsName
    """Who wrote it."""
    message_id: NativeId
    first_try: int
    """Milliseconds since the epoch."""
    tries: int = 0
    """How many failed."""

    def given_up(self, now_ms: int) -> bool:
        """Whether there was time enough."""
        return now_ms >= self.first_try + GIVE_UP_MS


def pause_after(tries: int) -> int:
    """Seconds between one failed try and the next, when so many failed before it."""
    if tries < len(_FIRST_PAUSES):
        return _FIRST_PAUSES[tries]
    return 3600 if tries < _HOURLY else 4 * 3600


class SentMails:
    """Mails of the last days, on disk."""

    def __init__(self, values: Values, now_ms: Callable[[], int]) -> None:
        self._values = values
        self._now_ms = now_ms

    async def find(self, key: str) -> SentMail | None:
        """By the beginning of the message's hash."""
        text = await self._values.get(KIND, key)
        return None if text is None else SentMail(**json.loads(text))

    async def begin(self, key: str, mail: SentMail) -> SentMail:
        """Write a mail down before its first try; at later ones, what was written then."""
        known = await self.find(key)
        if known is not None and known.person == mail.person:
            return known
        await self._values.put(_value(key, mail), Value(DAYS_KIND, _day_key(mail, key), ""))
        return mail

    async def failed(self, key: str, mail: SentMail) -> float:
        """Count a failed try; seconds until the next one."""
        await self._values.put(_value(key, replace(mail, tries=mail.tries + 1)))
        return pause_after(mail.tries) * random.uniform(1, 1 + _JITTER)  # noqa: S311 - jitter, not a secret

    async def forget_old(self) -> int:
        """Forget mails whose return path is too old; how many."""
        forgotten = 0
        oldest = self._now_ms() // DAY_MS - DAYS_VALID - 1
        while True:
            rows = await self._values.find(DAYS_KIND, limit=_AT_ONCE)
            old = [row for row in rows if int(row.key.partition(".")[0]) < oldest]
            if not old:
                return forgotten
            await self._values.put(
                *(Value(KIND, row.key.partition(".")[2], None) for row in old),
                *(Value(DAYS_KIND, row.key, None) for row in old),
            )
            forgotten += len(old)


def _value(key: str, mail: SentMail) -> Value:
    return Value(KIND, key, json.dumps(asdict(mail)))


def _day_key(mail: SentMail, key: str) -> str:
    return f"{mail.first_try // DAY_MS:06d}.{key}"
