"""Reports of spam: what the operator's stake contract is told about a sender."""

from __future__ import annotations

from typing import Protocol

from gateway.store.mailbox import StoredEnvelope
from gateway.store.sessions import Session


class Reports(Protocol):
    """Takes reports."""

    async def report(self, session: Session, envelope: StoredEnvelope) -> bool:
        """Pass a report on; False when the operator has named nobody who takes them."""
