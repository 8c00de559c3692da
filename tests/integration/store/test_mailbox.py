"""The mailbox: acceptance once, paging, acknowledgement, expiry, damage."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway.errors import DamagedRow
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.lanes import LaneJobs
from gateway.store.mailbox import (
    AcceptEnvelope,
    Acknowledge,
    CountMailbox,
    DamagedEnvelopes,
    DropEnvelope,
    ExpireEnvelopes,
    GetEnvelope,
    PickUp,
)
from tests.integration.store.values import (
    ALICE,
    BOB,
    DAY,
    NOW,
    Sql,
    address,
    encrypted_hash,
    envelope,
    job,
    lane,
    message_hash,
)

RECIPIENT = address("bob")


async def put(store: Store, *numbers: object, sender: EnsName = ALICE) -> None:
    for number in numbers:
        assert await store.commit(AcceptEnvelope(envelope(number, sender=sender)))


async def bodies(store: Store, **changes: object) -> list[bytes]:
    query = replace(PickUp(RECIPIENT, NOW, limit=100), **changes)  # type: ignore[arg-type]
    return [stored.body for stored in await store.read(query)]


async def test_what_was_taken_is_returned_unchanged(store: Store) -> None:
    sent = envelope(1, body=bytes(range(256)) * 100)
    assert await store.commit(AcceptEnvelope(sent)) is True
    [picked] = await store.read(PickUp(RECIPIENT, NOW, limit=10))
    assert picked == replace(sent, seq=picked.seq)
    assert picked.seq > 0
    assert await store.read(GetEnvelope(sent.id)) == picked


async def test_empty_and_absent(store: Store) -> None:
    assert await bodies(store) == []
    assert await store.read(CountMailbox(RECIPIENT)) == 0
    assert await store.read(GetEnvelope(envelope(1).id)) is None
    assert await store.commit(DropEnvelope(envelope(1).id)) is False


async def test_an_empty_body_is_a_body(store: Store) -> None:
    await store.commit(AcceptEnvelope(envelope(1, body=b"")))
    assert await bodies(store) == [b""]


async def test_envelope_and_job_come_together(store: Store) -> None:
    sent = envelope(1)
    assert await store.commit(AcceptEnvelope(sent, job("go", envelope=sent.id)))
    [queued] = await store.read(LaneJobs(lane(), 10))
    assert (queued.envelope, queued.payload) == (sent.id, b"go")


async def test_a_repeat_does_nothing(store: Store) -> None:
    first = AcceptEnvelope(envelope(1), job("once"))
    repeat = AcceptEnvelope(envelope(1, body=b"other"), job("twice", lane=lane("other")))
    assert [await store.commit(first), await store.commit(repeat)] == [True, False]
    assert await bodies(store) == [b"body of 1"]
    assert len(await store.read(LaneJobs(lane(), 10))) == 1
    assert await store.read(LaneJobs(lane("other"), 10)) == []


@pytest.mark.weakness(7)
@pytest.mark.attack(4)
async def test_repeats_at_the_same_time_give_one_row(store: Store) -> None:
    taken = await asyncio.gather(*(store.commit(AcceptEnvelope(envelope(n % 7), job(n))) for n in range(70)))
    assert sum(taken) == 7
    assert await store.read(CountMailbox(RECIPIENT)) == 7
    assert len(await store.read(LaneJobs(lane(), 100))) == 7


async def test_the_first_of_equal_submissions_wins_within_a_batch(store: Store) -> None:
    ops = [AcceptEnvelope(envelope(1, body=str(n).encode())) for n in range(5)]
    assert await asyncio.gather(*(store.commit(op) for op in ops)) == [True, False, False, False, False]
    assert await bodies(store) == [b"0"]


@pytest.mark.attack(4)
@pytest.mark.parametrize("gone_by", ["acknowledged", "dropped"])
async def test_a_repeat_is_recognised_after_the_envelope_is_gone(store: Store, gone_by: str) -> None:
    await put(store, 1)
    if gone_by == "acknowledged":
        assert await store.commit(Acknowledge(RECIPIENT, ((ALICE, message_hash(1)),))) == 1
    else:
        assert await store.commit(DropEnvelope(envelope(1).id)) is True
    assert await store.commit(AcceptEnvelope(envelope(1), job())) is False
    assert await bodies(store) == []
    assert await store.read(LaneJobs(lane(), 10)) == []


async def test_the_memory_of_an_id_ends_with_its_expiry(store: Store) -> None:
    await put(store, 1)
    await store.commit(DropEnvelope(envelope(1).id))
    end = envelope(1).expires_at
    await store.commit(ExpireEnvelopes(end - 1, limit=10))
    assert await store.commit(AcceptEnvelope(envelope(1))) is False
    await store.commit(ExpireEnvelopes(end, limit=10))
    assert await store.commit(AcceptEnvelope(envelope(1))) is True


async def test_order_is_that_of_arrival(store: Store) -> None:
    await put(store, *range(20))
    assert await bodies(store) == [f"body of {n}".encode() for n in range(20)]


async def test_pages_show_everything_once(store: Store) -> None:
    await put(store, *range(25))
    seen: list[bytes] = []
    after = 0
    while page := await store.read(PickUp(RECIPIENT, NOW, limit=4, after_seq=after)):
        assert len(page) <= 4
        seen += [stored.body for stored in page]
        after = page[-1].seq
    assert seen == [f"body of {n}".encode() for n in range(25)]


async def test_a_cursor_stays_right_when_what_it_names_is_deleted(store: Store) -> None:
    await put(store, 1, 2)
    last = (await store.read(PickUp(RECIPIENT, NOW, limit=10)))[-1]
    await store.commit(DropEnvelope(last.id))
    await put(store, 3)
    assert await bodies(store, after_seq=last.seq) == [b"body of 3"]


async def test_mailboxes_are_apart(store: Store) -> None:
    await store.commit(AcceptEnvelope(envelope(1, recipient=address("carol"))))
    assert await bodies(store) == []
    assert await store.commit(Acknowledge(RECIPIENT, ((ALICE, message_hash(1)),))) == 0
    assert await store.read(CountMailbox(address("carol"))) == 1


async def test_one_sender(store: Store) -> None:
    await put(store, 1, 3)
    await put(store, 2, sender=BOB)
    assert await bodies(store, sender=ALICE) == [b"body of 1", b"body of 3"]
    assert await bodies(store, sender=BOB) == [b"body of 2"]
    assert await bodies(store, sender=EnsName("nobody.eth")) == []


@pytest.mark.parametrize(("max_bytes", "expected"), [(1, 1), (1000, 1), (1999, 1), (2000, 2), (2999, 2), (10_000, 3)])
async def test_a_page_is_bounded_in_bytes_but_never_empty(store: Store, max_bytes: int, expected: int) -> None:
    for number in range(3):
        await store.commit(AcceptEnvelope(envelope(number, body=b"x" * 1000)))
    assert len(await bodies(store, max_bytes=max_bytes)) == expected


async def test_expired_is_never_shown_and_unexpired_never_removed(store: Store) -> None:
    await store.commit(AcceptEnvelope(envelope("short", expires_at=NOW + 10)))
    await store.commit(AcceptEnvelope(envelope("long", expires_at=NOW + DAY)))
    assert await bodies(store, now=NOW + 9) == [b"body of short", b"body of long"]
    assert await bodies(store, now=NOW + 10) == [b"body of long"]
    assert await store.commit(ExpireEnvelopes(NOW + 9, limit=10)) == 0
    assert await store.commit(ExpireEnvelopes(NOW + 10, limit=10)) == 1
    assert await bodies(store) == [b"body of long"]


async def test_expiry_goes_in_bounded_steps_oldest_first(store: Store) -> None:
    for number in range(10):
        await store.commit(AcceptEnvelope(envelope(number, expires_at=NOW + 100 - number)))
    assert await store.commit(ExpireEnvelopes(NOW + 200, limit=4)) == 4
    assert await bodies(store) == [f"body of {n}".encode() for n in range(6)]
    assert [await store.commit(ExpireEnvelopes(NOW + 200, limit=4)) for _ in range(3)] == [4, 2, 0]


@pytest.mark.parametrize("digest", [message_hash(2), encrypted_hash(2)])
async def test_either_hash_acknowledges(store: Store, digest: str) -> None:
    await put(store, 1, 2, 3)
    assert await store.commit(Acknowledge(RECIPIENT, ((ALICE, digest),))) == 1
    assert await bodies(store) == [b"body of 1", b"body of 3"]


async def test_acknowledging_needs_the_right_sender(store: Store) -> None:
    await put(store, 1)
    assert await store.commit(Acknowledge(RECIPIENT, ((BOB, message_hash(1)),))) == 0
    assert await store.commit(Acknowledge(RECIPIENT, ((BOB, message_hash(2)), (ALICE, message_hash(3))))) == 0
    assert await bodies(store) == [b"body of 1"]


async def test_pairs_do_not_mix(store: Store) -> None:
    await put(store, 1)
    await put(store, 2, sender=BOB)
    crossed = (ALICE, message_hash(2)), (BOB, message_hash(1))
    assert await store.commit(Acknowledge(RECIPIENT, crossed)) == 0


async def test_a_client_that_acknowledges_every_hash_under_every_sender(store: Store) -> None:
    numbers = range(300)
    await asyncio.gather(*(store.commit(AcceptEnvelope(envelope(n))) for n in numbers))
    await put(store, "stays", sender=BOB)
    senders = [EnsName(f"s{n}.eth") for n in range(3)] + [ALICE]
    pairs = tuple((sender, hash_(n)) for sender in senders for n in numbers for hash_ in (message_hash, encrypted_hash))
    assert await store.commit(Acknowledge(RECIPIENT, pairs + pairs)) == 300
    assert await bodies(store) == [b"body of stays"]
    assert await store.commit(Acknowledge(RECIPIENT, pairs)) == 0
    assert await store.commit(Acknowledge(RECIPIENT, ())) == 0


async def test_an_envelope_with_one_hash_for_both(store: Store) -> None:
    """As older clients send them; the index of the second hashes does not know them."""
    assert await store.commit(AcceptEnvelope(replace(envelope(1), encrypted_hash=message_hash(1))))
    await put(store, 2, 3)
    assert await store.commit(Acknowledge(RECIPIENT, ((ALICE, message_hash(1)), (ALICE, encrypted_hash(2))))) == 2
    assert await bodies(store) == [b"body of 3"]


@pytest.mark.weakness(7)
@pytest.mark.parametrize(
    ("condition", "index"),
    [
        (f"message_hash IN ('{message_hash(1)}')", "envelopes_by_message"),
        (f"encrypted_hash IN ('{encrypted_hash(1)}') AND encrypted_hash <> message_hash", "envelopes_by_encrypted"),
    ],
)
async def test_acknowledgement_uses_the_hash_indexes(store: Store, condition: str, index: str) -> None:
    """Flat in the size of the mailbox: neither planner may fall back on walking through the mailbox."""
    await asyncio.gather(*(store.commit(AcceptEnvelope(envelope(n))) for n in range(500)))
    where = f"recipient = '{RECIPIENT}' AND {condition} AND sender = '{ALICE}'"
    statement = f"DELETE FROM envelopes WHERE {where}"
    if store.dialect == "postgresql":
        await store.commit(Sql("ANALYZE envelopes"))
        plan = await store.read(Sql("EXPLAIN " + statement))
    else:
        plan = await store.read(Sql("EXPLAIN QUERY PLAN " + statement))
    assert index in str(plan)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE envelopes SET body = {bytes}",
        "UPDATE envelopes SET checksum = {bytes}",
        "UPDATE envelopes SET recipient = '{other}'",
    ],
)
async def test_a_damaged_row_is_reported_and_not_delivered(store: Store, damage: str) -> None:
    await put(store, 1, 2)
    other = address("carol")
    raw = "'\\x00'::bytea" if store.dialect == "postgresql" else "x'00'"
    await store.commit(Sql(damage.format(bytes=raw, other=other) + f" WHERE id = '{envelope(1).id}'"))
    with capture_logs() as logs:
        shown = await bodies(store) + await bodies(store, recipient=other)
    assert shown == [b"body of 2"]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("envelope.damaged", "error")]
    with pytest.raises(DamagedRow, match="damaged"):
        await store.read(GetEnvelope(envelope(1).id))


async def test_a_page_of_damaged_rows_is_not_the_end(store: Store) -> None:
    """A reader stops at an empty page; what is whole behind the damage must be reached."""
    await put(store, 1, 2, 3)
    for number in (1, 2):
        await store.commit(Sql(f"UPDATE envelopes SET checksum = body WHERE id = '{envelope(number).id}'"))
    for limit in (1, 2, 3):
        assert await bodies(store, limit=limit) == [b"body of 3"]
    await store.commit(Sql("UPDATE envelopes SET checksum = body"))
    assert await bodies(store, limit=1) == []


async def test_verification_walks_through_all_rows(store: Store) -> None:
    await put(store, *range(7))
    raw = "'\\x00'::bytea" if store.dialect == "postgresql" else "x'00'"
    for number in (2, 6):
        await store.commit(Sql(f"UPDATE envelopes SET body = {raw} WHERE id = '{envelope(number).id}'"))
    damaged = []
    after = 0
    while True:
        found, last = await store.read(DamagedEnvelopes(after, limit=3))
        damaged += found
        if last == 0:
            break
        assert last > after
        after = last
    assert damaged == [envelope(2).id, envelope(6).id]


async def test_bodies_stay_out_of_representations() -> None:
    assert "secret" not in repr(AcceptEnvelope(envelope(1, body=b"secret"), job(b"secret")))
