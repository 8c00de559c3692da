"""Where notices about a mail go that we took: to its envelope sender, who need not be the one in From (RFC 3464).

Programs, and gateways like this one, write each mail from an address that tells them which one came back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from adapters.email.dated import DatedValues
from gateway.sdk import CanonicalId, InvalidInput, NativeId, Values
from gateway.sdk.addresses import canonical_email

KIND: Final = "envelope"
DAYS: Final = 30
"""As long as messages wait for their recipients."""


class Envelopes:
    """Envelope senders of mails that were taken, where they are not the address in From."""

    def __init__(self, values: Values, now_ms: Callable[[], int]) -> None:
        self._kept = DatedValues(values, now_ms, KIND, DAYS)
        self._now_ms = now_ms

    async def keep(self, native_id: NativeId, sender: CanonicalId, envelope: str) -> None:
        """Remember an envelope sender, when it is of the domain that the mail was proved to be from.

        Any other one is a third party's, to whom nobody has proved anything: a notice there would be backscatter.
        """
        if envelope != sender and _domain(envelope) == sender.rpartition("@")[2]:
            await self._kept.put(_key(native_id, sender), envelope, self._now_ms())

    async def find(self, native_id: NativeId, sender: CanonicalId) -> str:
        """Where notices about a mail go."""
        return await self._kept.get(_key(native_id, sender)) or sender

    async def forget_old(self) -> int:
        """Forget mails about which nothing will be told any more."""
        return await self._kept.forget_old()


def _domain(address: str) -> str | None:
    try:
        return canonical_email(address).rpartition("@")[2]
    except InvalidInput:
        return None


def _key(native_id: NativeId, sender: CanonicalId) -> str:
    return hashlib.sha256(f"{native_id}\0{sender}".encode("utf-8", "replace")).hexdigest()[:40]
