"""What we remember of each mail for the next one of its thread: its subject and what it answered.

A mail that answers one of these belongs to a thread that we know. Each is remembered for the person whom it came from
or went to: anybody may write a mail with a Message-ID that they saw, and what they say in it would go out in the answer
to somebody else. Subjects are what people wrote, so they are encrypted in the database, as messages are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.email.messageid import writable_message_id
from gateway.sdk import CanonicalId, NativeId, Value, Values

KIND: Final = "thread"
DAYS_KIND: Final = "thread day"
PURPOSE: Final = "subjects of threads"
DAYS_KEPT: Final = 180
MAX_REFERENCES: Final = 20
"""Ids in References, ours included: the first one, which names the thread, and the last ones."""
MAX_LOOKED_AT: Final = 5
"""Ids that a mail says it answers; honest ones are known at the first or never."""
DAY_MS: Final = 24 * 3600 * 1000
_AT_ONCE: Final = 500
_NONCE: Final = 12


@dataclass(frozen=True, slots=True)
class ThreadMail:
    """One mail of a thread."""

    message_id: NativeId
    subject: str = field(default="", repr=False)
    references: tuple[NativeId, ...] = ()
    """What came before it, the oldest first."""

    @property
    def references_of_answer(self) -> tuple[NativeId, ...]:
        """References of a mail that answers this one (RFC 5322, section 3.6.4)."""
        ids = [*self.references, self.message_id]
        known = tuple(dict.fromkeys(each for each in ids if writable_message_id(each) is not None))
        return known if len(known) <= MAX_REFERENCES else (known[0], *known[1 - MAX_REFERENCES :])


class Threads:
    """Mails of the last half year, on disk."""

    def __init__(self, values: Values, secret: bytes, now_ms: Callable[[], int]) -> None:
        self._values = values
        self._cipher = AESGCM(secret)
        self._now_ms = now_ms

    async def find(self, person: CanonicalId, message_ids: Sequence[NativeId]) -> ThreadMail | None:
        """The first of these mails that we know, among those from this person and to them."""
        for message_id in message_ids[:MAX_LOOKED_AT]:
            text = await self._values.get(KIND, _key(person, message_id))
            if text is not None:
                return self._opened(person, message_id, text)
        return None

    async def remember(self, person: CanonicalId, mail: ThreadMail) -> None:
        """Write a mail down that is from a person, and proved to be, or to them; what was known of it is replaced."""
        key = _key(person, mail.message_id)
        day = f"{self._now_ms() // DAY_MS:06d}.{key}"
        await self._values.put(Value(KIND, key, self._sealed(person, mail)), Value(DAYS_KIND, day, ""))

    async def forget_old(self) -> int:
        """Forget mails whose time is over; how many."""
        forgotten = 0
        oldest = self._now_ms() // DAY_MS - DAYS_KEPT
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

    def _sealed(self, person: CanonicalId, mail: ThreadMail) -> str:
        nonce = os.urandom(_NONCE)
        content = json.dumps({"subject": mail.subject, "references": mail.references}).encode()
        sealed = self._cipher.encrypt(nonce, content, _which(person, mail.message_id))
        return base64.b64encode(nonce + sealed).decode()

    def _opened(self, person: CanonicalId, message_id: NativeId, text: str) -> ThreadMail:
        raw = base64.b64decode(text)
        try:
            value = json.loads(self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _which(person, message_id)))
        except InvalidTag:
            # Written under another seed: known, and no more.
            return ThreadMail(message_id)
        return ThreadMail(message_id, value["subject"], tuple(map(NativeId, value["references"])))


def _key(person: CanonicalId, message_id: NativeId) -> str:
    return hashlib.sha256(_which(person, message_id)).hexdigest()[:40]


def _which(person: CanonicalId, message_id: NativeId) -> bytes:
    return f"{person}\0{message_id}".encode("utf-8", "replace")
