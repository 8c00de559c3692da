"""Who writes to whom in a job, and by which trace id it stands in the log.

Names are read from payloads for the one, and shown only where an operator asks for them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway import traces
from gateway.bridge.jobs import JobKind, decode_outbound
from gateway.errors import InvalidInput
from gateway.ids import EnsName, NativeId, Network
from gateway.store import Store
from gateway.store.failed import Failure
from gateway.store.overview import EnvelopeNumbered, JobSeen, PayloadOf
from gateway.traces import TraceId

MOST_BYTES: Final = 2_000_000
"""Of a payload that is read for the names in it; a larger one has a whole film beside them."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Both ends of a message; ``native_id`` is its id in the network that it came from."""

    sender: EnsName | None = None
    recipient: EnsName | None = None
    network: Network | None = None
    native_id: NativeId | None = None
    trace: TraceId | None = None
    """Under which the message stands in the log of every node that had to do with it."""


async def parties_of(store: Store, job: JobSeen) -> Parties:
    """What the job says; nothing is known of jobs that are no messages, or too large to be looked into."""
    if job.envelope is not None:
        envelope = await store.read(EnvelopeNumbered(job.envelope))
        if envelope is None:
            return Parties()
        trace = traces.of_envelope(envelope.message_hash)
        return Parties(envelope.sender, envelope.recipient_name, trace=trace)
    if job.kind != JobKind.OUTBOUND:
        return Parties(recipient=job.person)
    payload = await store.read(PayloadOf(job.id, MOST_BYTES))
    if payload is None:
        return Parties(sender=job.person)
    try:
        work = await asyncio.to_thread(decode_outbound, payload)
    except InvalidInput:
        return Parties(sender=job.person)
    if work.native_id is None:
        return Parties(work.sender, work.recipient, work.network)
    ends = work.network, work.sender, work.recipient, work.native_id
    return Parties(work.sender, work.recipient, work.network, work.native_id, traces.of_native(*ends))


def parties_of_failure(failure: Failure) -> Parties:
    """The same of a message that was given up."""
    ends = failure.network, failure.sender, failure.recipient, failure.native_id
    return Parties(failure.sender, failure.recipient, failure.network, failure.native_id, traces.of_native(*ends))
