"""News for the writer of a message about how far it came."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.bridge import wording
from gateway.bridge.jobs import OutboundJob, ReportJob, report_job, trace_of_outbound
from gateway.ids import NativeId
from gateway.sdk.delivery import DeliveryState, StatusReport
from gateway.store.identities import Identity
from gateway.store.lanes import Enqueue
from gateway.traces import TraceId

REPORT_LIFE_MS: Final = 5 * 24 * 3600 * 1000
"""Milliseconds for which a report is tried."""


def news_of(
    work: OutboundJob, native_id: NativeId, sender: Identity, state: DeliveryState, reason: str
) -> StatusReport:
    """What `sender` is told; `native_id` is that of the message."""
    return StatusReport(
        native_id=native_id,
        sender=sender.canonical_id,
        recipient=work.recipient,
        state=state,
        reason=reason,
        automatic=work.automatic,
    )


def report_of(work: OutboundJob, news: StatusReport, now: int) -> Enqueue:
    """The job that tells it through the sender's network, for news that must not get lost."""
    told = ReportJob(work.network, quotable(news, trace_of_outbound(work)), trace_of_outbound(work))
    return Enqueue(report_job(told, now=now, expires_at=now + REPORT_LIFE_MS))


def quotable(news: StatusReport, trace: TraceId) -> StatusReport:
    """A failure with the trace that its reader may quote to the operator."""
    if news.state is not DeliveryState.FAILED:
        return news
    return replace(news, reason=wording.with_trace(news.reason, trace))
