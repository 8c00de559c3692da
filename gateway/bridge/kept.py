"""Messages that failed, as they are kept so that their writer can ask for another try."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from gateway.bridge.jobs import OutboundJob, encode_outbound
from gateway.store.failed import Failure, KeepFailed
from gateway.store.op import Op

MAX_KEPT: Final = 1_000_000
"""Bytes of a message that is kept; who wrote a larger one sends it again from where it is."""


def kept_for_retry(work: OutboundJob, reason: str, now: int) -> tuple[Op[Any], ...]:
    """What is committed with the failure of a message.

    Nothing for what nobody wrote by hand, and for what is too large. Without envelopes: keys may have changed until it
    is tried again.
    """
    if work.native_id is None or work.automatic or _size(work) > MAX_KEPT:
        return ()
    payload = encode_outbound(replace(work, sealed={}))
    if len(payload) > MAX_KEPT:
        return ()
    failure = Failure(work.network, work.sender, work.recipient, work.native_id, reason, now)
    return (KeepFailed(failure, payload),)


def _size(work: OutboundJob) -> int:
    return len(work.text) + sum(len(each.data) for each in work.attachments)
