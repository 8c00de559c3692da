"""Ids of messages of ours: those of deliveries are signed for whom they went to, so that only real bounces count."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from gateway.sdk import CanonicalId, EnsName

OWN_IDS: Final = "dm3-"
"""How the ids of messages of ours begin."""
KEY_DIGITS: Final = 40
"""Of a delivery's key."""
MAC_DIGITS: Final = 16
PURPOSE: Final = "xmpp ids"
"""Of the key."""
_SIGNED: Final = re.compile(
    rf"({OWN_IDS}([0-9a-f]{{1,{KEY_DIGITS}}})([0-9a-f]{{{MAC_DIGITS}}}))(?:-[0-9]{{1,4}})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class OwnIds:
    """Makes and checks ids; the same on every node and at every attempt."""

    key: bytes = field(repr=False)

    def of(self, delivery: str, sender: EnsName, person: CanonicalId, part: int = 0) -> str:
        """The id of one part of what ``sender`` wrote to somebody; ``delivery`` is its key (`Delivery.key`)."""
        digits = delivery[:KEY_DIGITS]
        whole = f"{OWN_IDS}{digits}{self._mac(digits, sender, person)}"
        return f"{whole}-{part}" if part else whole

    def first_part(self, id: str, sender: EnsName, person: CanonicalId) -> str | None:
        """The id of the first part of what this id is a part of; None when ``sender`` sent nothing such to them."""
        found = _SIGNED.fullmatch(id)
        if found is None:
            return None
        whole, digits, mac = found.groups()
        return whole if hmac.compare_digest(mac, self._mac(digits, sender, person)) else None

    def _mac(self, digits: str, sender: EnsName, person: CanonicalId) -> str:
        text = "\n".join((digits, sender, person))
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()[:MAC_DIGITS]
