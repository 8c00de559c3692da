"""Who writes to whom in a job: read only where an operator asks for names."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway.bridge.jobs import JobKind, decode_outbound
from gateway.errors import InvalidInput
from gateway.ids import EnsName, NativeId, Network
from gateway.store import Store
from gateway.store.overview import EnvelopeNumbered, JobSeen, PayloadOf

MOST_BYTES: Final = 2_000_000
"""Of a payload that is read for the names in it; a larger one has a whole film beside them."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Both ends of a message; ``native_id`` is its id in the network that it came from."""

    sender: EnsName | None = None
    recipient: EnsName | None = None
    network: Network | None = None
    native_id: NativeId | None = None


async def parties_of(store: Store, job: JobSeen) -> Parties:
    """What the job says; nothing is known of jobs that are no messages, or too large to be looked into."""
    if job.envelope is not None:
        envelope = await store.read(EnvelopeNumbered(job.envelope))
        return Parties() if envelope is None else Parties(envelope.sender, envelope.recipient_name)
    if job.kind != JobKind.OUTBOUND:
        return Parties(recipient=job.person)
    payload = await store.read(PayloadOf(job.id, MOST_BYTES))
    if payload is None:
        return Parties(sender=job.person)
    try:
        work = await asyncio.to_thread(decode_outbound, payload)
    except InvalidInput:
        return Parties(sender=job.person)
    return Parties(work.sender, work.recipient, work.network, work.native_id)
