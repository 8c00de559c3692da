"""Acknowledging over HTTP: as many statements in a full mailbox as in an empty one, and only what was meant is gone."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ids import EnvelopeId
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.store.mailbox import AcceptEnvelope, CountMailbox, StoredEnvelope
from tests.integration.relay.clients import logged_in
from tests.support.house import House
from tests.support.statements import statements

HASHES = [f"0x{number:064x}" for number in range(1_000)]


async def fill(house: House, bob: Dm3Client, numbers: range) -> None:
    """Envelopes of alice in bob's mailbox."""
    now = now_ms()
    mail = (
        StoredEnvelope(
            id=EnvelopeId(f"{number:064x}"),
            recipient=bob.address,
            recipient_name=bob.name,
            sender=house.gateway.service_name,
            verified=True,
            message_hash=HASHES[number],
            encrypted_hash=HASHES[number],
            body=b"{}",
            received_at=now,
            expires_at=now + 86_400_000,
        )
        for number in numbers
    )
    await asyncio.gather(*(house.gateway.store.commit(AcceptEnvelope(each)) for each in mail))


@pytest.mark.weakness(7)
async def test_an_acknowledgement_costs_the_same_in_every_mailbox(house: House, bob: Dm3Client) -> None:
    api = await logged_in(house, bob, "bob")
    senders = [house.gateway.service_name, "eve.eth"]
    counts: list[tuple[int, int]] = []
    left = 0
    for start, end in ((0, 10), (10, 1_000)):
        await fill(house, bob, range(start, end))
        meant = range(start, start + 4)
        body = [{"contactAddress": sender, "messageHash": HASHES[n]} for sender in senders for n in meant]
        with statements() as by_hash:
            answer = await house.http.post(
                f"{house.url}/ds/delivery/messages/{bob.name}/syncAcknowledgements",
                json={"acknowledgements": body},
                headers={"authorization": f"Bearer {api.token}"},
            )
        assert answer.status_code == 200
        with statements() as by_id:
            ids = [f"{n:064x}" for n in range(start + 4, start + 8)]
            assert (await api.post("mailbox/acknowledgements", {"ids": ids})).json() == {"removed": 4}
        left += end - start - 8
        assert await house.gateway.store.read(CountMailbox(bob.address)) == left
        counts.append((len(by_hash), len(by_id)))
    assert counts[0] == counts[1]
    assert max(counts[0]) < 20
