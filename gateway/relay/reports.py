"""Taking reports of spam from recipients, and passing them on as jobs."""

from __future__ import annotations

from gateway.dm3.spam_report import SpamReport
from gateway.ids import EnsName, EnvelopeId, EthAddress
from gateway.lifecycle import Clock
from gateway.relay.spam_reports import LIFE_MS, spam_report_job
from gateway.store import Store
from gateway.store.jobs import Enqueue
from gateway.store.mailbox import StoredEnvelope
from gateway.store.once import Once
from gateway.store.sessions import Session

SCOPE = "spam-report"


class Reports:
    """`enabled` when the operator has named somebody who takes reports."""

    def __init__(self, *, store: Store, service_name: EnsName, enabled: bool, clock: Clock) -> None:
        self._store = store
        self._service_name = service_name
        self._enabled = enabled
        self._clock = clock

    async def report(self, session: Session, envelope: StoredEnvelope) -> bool:
        """Pass on that an envelope is spam, once; returns after the commit of its job.

        False when nobody takes reports, or the sender was not verified and so is nobody's to blame.
        """
        if not envelope.verified:
            return False
        return await self.pass_on(session.name, envelope.sender, EthAddress(envelope.holder), envelope.id)

    async def pass_on(self, reporter: EnsName, sender: EnsName, holder: EthAddress, envelope: EnvelopeId) -> bool:
        """The same for an envelope of a verified sender that may have left the store; `holder` signed it."""
        if not self._enabled:
            return False
        now = self._clock()
        report = SpamReport(
            service=self._service_name,
            reporter=reporter,
            sender=sender,
            sender_address=holder,
            envelope=envelope,
            reported_at=now,
        )
        await self._store.commit(Once(SCOPE, envelope, now + LIFE_MS, (Enqueue(spam_report_job(report)),)))
        return True
