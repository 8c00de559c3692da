"""What is remembered of each mail on its way: to whom, for whom, since when, and how often it was tried.

A mail is told apart by the first half of its message's hash, which is what its return path says of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

from adapters.email.dated import DatedValues
from adapters.email.returnpath import DAY_MS, DAYS_VALID
from gateway.sdk import CanonicalId, EnsName, NativeId, Values

KIND: Final = "sent"
GIVE_UP_MS: Final = 5 * DAY_MS
"""Time of tries, as RFC 5321 section 4.5.4.1 asks for."""
LATE_MS: Final = 4 * 3600 * 1000
"""After this time the sender is told that it takes long."""
_FIRST_PAUSES: Final = (60, 5 * 60, 15 * 60, 3600)
_HOURLY: Final = 12
"""So many tries are an hour apart at most; the later ones four."""
_JITTER: Final = 0.1


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

    warned: bool = False
    """Whether the sender was told that it takes long."""

    def is_late(self, now_ms: int) -> bool:
        """Whether the sender has to be told now."""
        return not self.warned and now_ms >= self.first_try + LATE_MS

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
        self._kept = DatedValues(values, now_ms, KIND, DAYS_VALID + 1)

    async def find(self, key: str) -> SentMail | None:
        """By the beginning of the message's hash."""
        text = await self._kept.get(key)
        return None if text is None else SentMail(**json.loads(text))

    async def begin(self, key: str, mail: SentMail) -> SentMail:
        """Write a mail down before its first try; at later ones, what was written then."""
        known = await self.find(key)
        if known is not None and known.person == mail.person:
            return known
        await self._kept.put(key, json.dumps(asdict(mail)), mail.first_try)
        return mail

    async def failed(self, key: str, mail: SentMail) -> float:
        """Count a failed try; seconds until the next one."""
        await self._kept.replace(key, json.dumps(asdict(replace(mail, tries=mail.tries + 1))))
        return pause_after(mail.tries) * random.uniform(1, 1 + _JITTER)  # noqa: S311 - jitter, not a secret

    async def forget_old(self) -> int:
        """Forget mails whose return path is too old; how many."""
        return await self._kept.forget_old()
