"""Reports of spam on their way to the operator's receiver, who may take it up with the stake contract.

The gateway sends no transaction: who loses a deposit is not for a relay to decide.
"""

from __future__ import annotations

import hashlib
from typing import Final

import structlog

from gateway.dm3.canonical import parse_object, stringify
from gateway.dm3.keys import KeyPair
from gateway.dm3.spam_report import SpamReport, sign_report
from gateway.ens.egress import GuardedClient
from gateway.errors import FetchFailed, FetchRefused, InvalidInput, ParseError, TooLarge
from gateway.store.jobs import Job, NewJob, lane_key
from gateway.work.results import Checkpoint, Done, Hold, Later, Result

REPORT_SPAM: Final = "report-spam"
"""The kind of these jobs, and the destination of their lanes."""
LIFE_MS: Final = 7 * 24 * 3600 * 1000
"""For which a receiver may be away."""
MAX_PAYLOAD: Final = 4096
_LATER_STATUSES: Final = frozenset({408, 425, 429})

log = structlog.get_logger(__name__)


def spam_report_job(report: SpamReport, *, life_ms: int = LIFE_MS) -> NewJob:
    """The job that sends a report; one lane for each sender who is reported, so that reports arrive in order."""
    lane = lane_key(REPORT_SPAM, hashlib.sha256(report.sender_address.encode()).hexdigest()[:32])
    payload = stringify(report.to_json()).encode()
    return NewJob(lane, REPORT_SPAM, payload, report.reported_at, report.reported_at + life_ms)


class SpamReports:
    """Handles REPORT_SPAM jobs: signs each report and POSTs it to ``url``.

    A status of 2xx ends the job; no answer, 5xx and "later" statuses bring it again, and everything else sets it
    aside for the operator, whose receiver it is. The signature is the same at every try.
    """

    def __init__(self, *, client: GuardedClient, url: str, signing_key: KeyPair) -> None:
        self._client = client
        self._url = url
        self._signing_key = signing_key

    async def handle(self, job: Job, checkpoint: Checkpoint) -> Result:
        """Send once."""
        try:
            report = SpamReport.from_json(parse_object(job.payload, max_bytes=MAX_PAYLOAD, max_depth=1))
        except (ParseError, TooLarge, InvalidInput) as error:
            return Hold(f"the report cannot be read: {error.detail}")
        try:
            answer = await self._client.post_json(self._url, sign_report(report, self._signing_key))
        except FetchFailed as error:
            return Later(error.detail)
        except FetchRefused as error:
            return Hold(error.detail)
        if 200 <= answer.status < 300:
            log.info("spam_report.sent", job=job.id, envelope=report.envelope)
            return Done()
        reason = f"the receiver of reports answered with status {answer.status}"
        return Later(reason) if answer.status >= 500 or answer.status in _LATER_STATUSES else Hold(reason)

    async def expire(self, job: Job) -> Done:
        """Nobody waits for news of a report; the log says that it did not arrive."""
        log.warning("spam_report.given_up", job=job.id, reason=job.reason)
        return Done()
