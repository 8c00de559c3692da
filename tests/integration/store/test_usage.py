"""Counts of mailboxes, quotas, and the order that the counts give to those who write at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import LimitExceeded, MailboxFull
from gateway.ids import EnsName, EnvelopeId
from gateway.store import Store
from gateway.store.lanes import Enqueue, FinishJob, LaneJobs, LeaseLanes, ReleaseLane
from gateway.store.mailbox import (
    AcceptEnvelope,
    Acknowledge,
    AcknowledgeIds,
    CountMailbox,
    DropEnvelope,
    EmptyMailbox,
    ExpireEnvelopes,
    Folder,
    GetEnvelope,
    PickUp,
    StoredEnvelope,
)
from gateway.store.op import Op
from gateway.store.requests import AdmitSender, RefuseSender
from gateway.store.usage import UNVERIFIED, HasRoom, MailboxNames, MailboxUsage, Quota, Usage
from tests.integration.store.recount import assert_counted, kept
from tests.integration.store.values import (
    ALICE,
    BOB,
    BOB_ADDRESS,
    DAY,
    NOW,
    Refuse,
    Sql,
    address,
    encrypted_hash,
    envelope,
    job,
    lane,
    message_hash,
)

CAROL_ADDRESS = address("carol")
HOME, WORK = EnsName("bob.eth"), EnsName("work.bob.eth")
HOLDERS = (address("alice"), address("dora"), UNVERIFIED)
ROOMY = Quota(Usage(1_000, 1_000_000), Usage(1_000, 1_000_000))


def various(number: int) -> StoredEnvelope:
    """Envelopes of every kind: two recipients, two names, three holders, two folders, sizes, ends."""
    return envelope(
        number,
        recipient=BOB_ADDRESS if number % 4 else CAROL_ADDRESS,
        sender=(ALICE, BOB)[number % 2],
        body=b"x" * (number * 7 % 50),
        expires_at=NOW + DAY * (1 + number % 3),
        recipient_name=(HOME, WORK)[number % 5 % 2],
        holder=HOLDERS[number % 3],
        folder=Folder.REQUESTS if number % 3 == 2 else Folder.INBOX,
    )


async def fill(store: Store, number: int = 60) -> None:
    taken = await asyncio.gather(*(store.commit(AcceptEnvelope(various(n), quota=ROOMY)) for n in range(number)))
    assert taken == [True] * number


async def expired(store: Store) -> None:
    while await store.commit(ExpireEnvelopes(NOW + 2 * DAY, 7)):
        await assert_counted(store)


async def emptied(store: Store) -> None:
    while await store.commit(EmptyMailbox(BOB_ADDRESS, 7)) == 7:
        await assert_counted(store)


async def submitted_again(store: Store) -> None:
    for number in range(0, 60, 3):
        assert await store.commit(AcceptEnvelope(replace(various(number), body=b"y" * 500))) is False


async def rolled_back(store: Store) -> None:
    broken = AcceptEnvelope(various(100)), DropEnvelope(various(1).id), Refuse(LimitExceeded())
    with pytest.raises(LimitExceeded):
        await store.commit_all(*broken)


PAIRS = tuple((sender, message_hash(number)) for sender in (ALICE, BOB) for number in range(40))

WAYS: dict[str, tuple[Any, bool]] = {
    "acknowledged by message": (Acknowledge(BOB_ADDRESS, PAIRS), True),
    "acknowledged by ciphertext": (Acknowledge(BOB_ADDRESS, ((ALICE, encrypted_hash(2)),)), True),
    "acknowledged for one name": (Acknowledge(BOB_ADDRESS, PAIRS, (WORK,)), True),
    "acknowledged by id": (AcknowledgeIds(BOB_ADDRESS, tuple(various(n).id for n in range(0, 60, 2))), True),
    "acknowledged by id for one name": (AcknowledgeIds(BOB_ADDRESS, (various(5).id, various(6).id), (HOME,)), True),
    "acknowledged by ids of others": (AcknowledgeIds(CAROL_ADDRESS, (various(1).id, EnvelopeId("0" * 64))), False),
    "dropped": (DropEnvelope(various(7).id), True),
    "admitted": (AdmitSender(BOB_ADDRESS, ALICE, (HOME, WORK), 100), False),
    "refused": (RefuseSender(BOB_ADDRESS, BOB, (HOME, WORK)), True),
    "expired": (expired, True),
    "emptied": (emptied, True),
    "submitted again": (submitted_again, False),
    "rolled back": (rolled_back, False),
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_counts_are_those_of_a_recount(store: Store, way: str) -> None:
    """However envelopes come and go."""
    await fill(store)
    await assert_counted(store)
    before = await kept(store)
    op, changes = WAYS[way]
    await (op(store) if callable(op) else store.commit(op))
    await assert_counted(store)
    assert (await kept(store) != before) is changes


async def test_nothing_is_counted_where_nothing_waits(store: Store) -> None:
    await fill(store)
    for recipient in (BOB_ADDRESS, CAROL_ADDRESS):
        assert await store.read(MailboxUsage(recipient)) != Usage()
        await store.commit(EmptyMailbox(recipient, 1000))
        assert await store.read(MailboxUsage(recipient)) == Usage()
    assert await store.read(Sql("SELECT * FROM mailbox_usage")) == []


async def test_names_are_told_by_how_much_waits_for_them(store: Store) -> None:
    for number, name in enumerate([WORK, HOME, HOME, EnsName("a.eth"), EnsName("b.eth")]):
        await store.commit(AcceptEnvelope(envelope(number, recipient_name=name)))
    assert await store.read(MailboxNames(BOB_ADDRESS, 3)) == [HOME, "a.eth", "b.eth"]
    assert await store.read(MailboxNames(CAROL_ADDRESS, 3)) == []


# --- quotas ---------------------------------------------------------------------------------------------------------


def small(messages: int = 10, size: int = 10_000, *, sender: int = 1_000, sender_size: int = 1_000_000) -> Quota:
    return Quota(Usage(messages, size), Usage(sender, sender_size))


async def accept(store: Store, *ops: AcceptEnvelope) -> list[object]:
    """What each is answered, committed together: True, False, or the class of its refusal."""
    answers = await asyncio.gather(*map(store.commit, ops), return_exceptions=True)
    return [type(answer) if isinstance(answer, Exception) else answer for answer in answers]


def verified(number: object, *, holder: str = HOLDERS[0], body: bytes = b"x" * 10, **changes: Any) -> StoredEnvelope:
    return envelope(number, holder=holder, body=body, **changes)


@pytest.mark.weakness(15)
@pytest.mark.attack(35)
async def test_a_full_mailbox_refuses_its_own_envelopes_only(store: Store) -> None:
    """Twenty to a mailbox with room for ten, among twenty to another, in whatever batches they are committed."""
    quota = small(10)
    ops = [
        AcceptEnvelope(verified(n, recipient=(BOB_ADDRESS, CAROL_ADDRESS)[n % 2]), quota=quota if n % 2 == 0 else ROOMY)
        for n in range(40)
    ]
    answers: list[object] = []
    for op in ops[:2]:  # the first alone, the rest as they come
        answers += await accept(store, op)
    answers += await accept(store, *ops[2:])
    assert answers[1::2] == [True] * 20
    if store.dialect == "sqlite":
        assert answers[::2] == [True] * 10 + [MailboxFull] * 10
    assert set(answers[::2]) == {True, MailboxFull}
    assert await store.read(CountMailbox(CAROL_ADDRESS)) == 20
    await assert_counted(store)


async def test_within_one_transaction_the_limit_is_exact(store: Store) -> None:
    """Those that come first fill it; one that is too large leaves its room to a smaller one behind it."""
    sizes = [40, 70, 30, 31, 30]
    ops = [AcceptEnvelope(verified(n, body=b"x" * size), quota=small(10, 100)) for n, size in enumerate(sizes)]
    answers = await store.commit(Together(tuple(ops)))
    assert [answer is True for answer in answers] == [True, False, True, False, True]
    assert await store.read(MailboxUsage(BOB_ADDRESS)) == Usage(3, 100)


class Together:
    """Operations in one call of `apply_many`, whatever else waits."""

    def __init__(self, ops: tuple[AcceptEnvelope, ...]) -> None:
        self.ops = ops

    def apply(self, conn: Any) -> list[Any]:
        return list(AcceptEnvelope.apply_many(conn, self.ops))


@pytest.mark.parametrize(
    ("quota", "holder"),
    [
        (small(2), HOLDERS[0]),
        (small(10, 25), HOLDERS[0]),
        (small(10, sender=2), HOLDERS[0]),
        (small(10, sender_size=25), HOLDERS[0]),
        (small(4), UNVERIFIED),
        (small(10, 50), UNVERIFIED),
    ],
    ids=["messages", "bytes", "messages of a sender", "bytes of a sender", "unverified", "unverified bytes"],
)
async def test_every_limit_holds_and_gives_room_again(store: Store, quota: Quota, holder: str) -> None:
    """Two fit; the third is refused, may come again under the same id, and is taken when there is room."""
    ops = [AcceptEnvelope(verified(n, holder=holder), job(str(n)), quota) for n in range(3)]
    assert [await accept(store, op) for op in ops] == [[True], [True], [MailboxFull]]
    assert await accept(store, ops[2]) == [MailboxFull]
    assert await store.read(GetEnvelope(ops[2].envelope.id)) is None
    assert await store.read(Sql("SELECT count(*) FROM jobs")) == [(2,)]
    await store.commit(DropEnvelope(ops[0].envelope.id))
    assert await accept(store, ops[2]) == [True]
    assert await accept(store, ops[2]) == [False]
    await assert_counted(store)


async def test_a_repeat_is_a_repeat_however_full_it_is(store: Store) -> None:
    """The sender of an envelope that was taken must not be told that it was not."""
    quota = small(1)
    first = AcceptEnvelope(verified(1), quota=quota)
    assert await accept(store, first, first) == [True, False]
    assert await accept(store, AcceptEnvelope(verified(2), quota=quota)) == [MailboxFull]
    assert await accept(store, first) == [False]
    await store.commit(DropEnvelope(first.envelope.id))
    await accept(store, AcceptEnvelope(verified(3), quota=quota))
    assert await accept(store, first) == [False], "also when it was fetched, and others filled the mailbox since"


async def test_a_refusal_is_one_however_often_it_is_asked_at_once(store: Store) -> None:
    """A sender in a hurry submits twice: neither copy is there, so neither may be answered as taken."""
    quota = small(1)
    assert await accept(store, AcceptEnvelope(verified(1), quota=quota)) == [True]
    copies = [AcceptEnvelope(verified(2), quota=quota)] * 6
    assert await accept(store, *copies) == [MailboxFull] * 6
    answers = await store.commit(Together(tuple(copies)))
    assert [type(answer) for answer in answers] == [MailboxFull] * 6
    assert await store.read(CountMailbox(BOB_ADDRESS)) == 1


@pytest.mark.weakness(3)
@pytest.mark.attack(35)
async def test_verified_senders_have_room_that_strangers_cannot_take(store: Store) -> None:
    """All who were not verified share half of the mailbox; each verified sender has a share of their own."""
    quota = small(10, sender=3)

    async def taken(holder: str, *numbers: int) -> int:
        return (await accept(store, *(AcceptEnvelope(verified(n, holder=holder), quota=quota) for n in numbers))).count(
            True
        )

    for number in range(100, 140):
        await taken(UNVERIFIED, number)
    assert await store.read(MailboxUsage(BOB_ADDRESS)) == Usage(5, 50)
    for n, holder in enumerate(HOLDERS[:2]):
        for number in range(n * 10, n * 10 + 5):
            await taken(holder, number)
    counts = {key[2]: usage.messages for key, usage in (await kept(store)).items() if key[1] == "holder"}
    assert counts == {UNVERIFIED: 5, HOLDERS[0]: 3, HOLDERS[1]: 2}, "the second of them met the limit of the whole"
    assert await store.read(Sql("SELECT count(*) FROM envelopes WHERE holder = ''")) == [(5,)], "nothing was pushed out"


@pytest.mark.attack(35)
async def test_names_that_strangers_point_at_a_mailbox_take_no_room_of_others(store: Store) -> None:
    quota = small(3)
    evil = [verified(n, recipient_name=EnsName("evil.eth"), holder=f"0x{n:040x}") for n in range(4)]
    assert await accept(store, *(AcceptEnvelope(each, quota=quota) for each in evil)) == [True] * 3 + [MailboxFull]

    async def has_room(name: EnsName) -> bool:
        return await store.read(HasRoom(BOB_ADDRESS, name, HOLDERS[0], 10, quota))

    assert not await has_room(EnsName("evil.eth"))
    for n in range(10, 13):
        assert await has_room(verified(n).recipient_name)
        assert await accept(store, AcceptEnvelope(verified(n), quota=quota)) == [True]
    assert not await has_room(verified(0).recipient_name)
    await assert_counted(store)


async def test_a_unit_with_an_envelope_that_has_no_room_is_not_done_at_all(store: Store) -> None:
    full = AcceptEnvelope(verified(2), quota=small(1))
    await accept(store, AcceptEnvelope(verified(1)))
    with pytest.raises(MailboxFull):
        await store.commit_all(Enqueue(job("beside")), full)
    assert await store.read(Sql("SELECT count(*) FROM jobs")) == [(0,)]
    assert await store.commit(replace(full, quota=None)) is True, "its id is free"


async def test_a_limit_that_was_lowered_pushes_nothing_out(store: Store) -> None:
    await accept(store, *(AcceptEnvelope(verified(n), quota=small(10)) for n in range(5)))
    assert await accept(store, AcceptEnvelope(verified(9), quota=small(2))) == [MailboxFull]
    assert await store.read(CountMailbox(BOB_ADDRESS)) == 5


# --- several at once ------------------------------------------------------------------------------------------------


@pytest.fixture
async def nodes(store_url: str) -> AsyncIterator[tuple[Store, Store]]:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        yield one, two


async def test_two_nodes_count_what_they_take_and_give_back(nodes: tuple[Store, Store]) -> None:
    """Everything at once, on rows that come and go: no change is lost, and no node waits for the other in a circle."""

    async def work(worker: int) -> None:
        store = nodes[worker % 2]
        for turn in range(12):
            number = worker * 100 + turn
            ops: list[Op[Any]] = [AcceptEnvelope(various(number)), AcceptEnvelope(various(number + 50))]
            await store.commit_all(*(ops if turn % 2 else reversed(ops)))
            await store.commit(AcknowledgeIds(various(number).recipient, (various(number).id,)))
            if turn % 4 == 0:
                await store.commit(EmptyMailbox(CAROL_ADDRESS, 5))
            if turn % 3 == 0:
                await store.commit(DropEnvelope(various(number + 50).id))

    await asyncio.gather(*map(work, range(8)))
    await assert_counted(nodes[0])


@pytest.mark.attack(35)
async def test_a_quota_is_exact_on_two_nodes(nodes: tuple[Store, Store]) -> None:
    """Nobody can pass a limit by submitting to all nodes at the same moment."""
    quota = small(10)
    sent = [AcceptEnvelope(verified(n), quota=quota) for n in range(80)]
    answers = await asyncio.gather(*(nodes[n % 2].commit(op) for n, op in enumerate(sent)), return_exceptions=True)
    assert answers.count(True) == 10
    assert {type(answer) for answer in answers} == {bool, MailboxFull}
    assert await nodes[0].read(MailboxUsage(BOB_ADDRESS)) == Usage(10, 100)
    await assert_counted(nodes[0])


async def test_mixed_traffic_of_two_nodes_does_not_meet_in_circles(nodes: tuple[Store, Store]) -> None:
    """A deadlock costs a second and breaks a batch up into single transactions: there must be none.

    Envelopes with and without jobs come to twenty mailboxes, workers complete jobs and drop their envelopes, people
    acknowledge, all at once.
    """
    people = [address(n) for n in range(20)]

    async def relay(number: int) -> None:
        store = nodes[number % 2]
        for turn in range(15):
            recipient = people[(number * 7 + turn * 3) % 20]
            sent = envelope((number, turn), recipient=recipient)
            in_lane = job(lane=lane(recipient), envelope=sent.id) if turn % 2 else None
            await store.commit(AcceptEnvelope(sent, in_lane, ROOMY))
            if in_lane is None:
                earlier = envelope(
                    (number, max(turn - 2, 0)), recipient=people[(number * 7 + max(turn - 2, 0) * 3) % 20]
                )
                await store.commit(AcknowledgeIds(earlier.recipient, (earlier.id,)))

    async def work(number: int) -> None:
        store = nodes[number % 2]
        for _ in range(25):
            for lease in await store.commit(LeaseLanes(f"worker {number}", NOW, 60_000, 3)):
                released = False
                for queued in await store.read(LaneJobs(lease.lane, 5)):
                    assert queued.envelope is not None
                    finished, _ = await store.commit_all(
                        FinishJob(lease, queued.id, NOW), DropEnvelope(EnvelopeId(queued.envelope))
                    )
                    released = finished.released
                if not released:
                    await store.commit(ReleaseLane(lease, NOW))

    with capture_logs() as logs:
        await asyncio.gather(*map(relay, range(32)), *map(work, range(4)))
    assert [entry for entry in logs if entry["event"] == "store.batch_split"] == []
    await assert_counted(nodes[0])


def slowly(store: Store) -> tuple[Op[Any], ...]:
    """Holds a transaction open for a moment between its insert and its commit."""
    return (Sql("SELECT pg_sleep(0.004)"),) if store.dialect == "postgresql" else ()


async def test_a_cursor_never_passes_an_envelope_that_comes_later(nodes: tuple[Store, Store]) -> None:
    """Eight writers on two nodes, in every kind of transaction, and readers that page on while they commit.

    Numbers are given at the insert and become visible at the commit. Whoever writes to a mailbox does it behind
    whoever wrote before, or a reader would see the later number first and never the earlier one.
    """
    done = asyncio.Event()
    taken: set[EnvelopeId] = set()

    async def write(writer: int) -> None:
        store = nodes[writer % 2]
        for turn in range(25):
            n = writer * 1000 + turn
            mine, hers = envelope(n), envelope(n + 500, recipient=CAROL_ADDRESS)
            stranger = envelope(n + 700, sender=BOB, folder=Folder.REQUESTS)
            match turn % 5:
                case 0:
                    await store.commit(AcceptEnvelope(mine))
                case 1:
                    await store.commit_all(AcceptEnvelope(mine), *slowly(store))
                case 2:
                    await store.commit_all(AcceptEnvelope(hers), *slowly(store), AcceptEnvelope(mine))
                case 3:
                    await store.commit_all(
                        AcceptEnvelope(mine, job(lane=lane(writer))), *slowly(store), AcceptEnvelope(hers)
                    )
                case _:
                    await store.commit(AcceptEnvelope(stranger))
                    await store.commit_all(AdmitSender(BOB_ADDRESS, BOB, (EnsName(""),), 100), *slowly(store))
                    taken.add(stranger.id)
                    continue
            taken.add(mine.id)

    async def read(store: Store, limit: int, *, and_delete: bool) -> list[EnvelopeId]:
        """With deletions, so that the row of counts vanishes and comes again under the writers' hands."""
        seen: list[EnvelopeId] = []
        after, last_look = 0, False
        while True:
            page = await store.read(PickUp(BOB_ADDRESS, NOW, limit, after))
            if page:
                seen += [each.id for each in page]
                after = page[-1].seq
                if and_delete:
                    await store.commit(AcknowledgeIds(BOB_ADDRESS, tuple(each.id for each in page)))
            elif last_look:
                return seen
            else:
                last_look = done.is_set()
                await asyncio.sleep(0)

    for and_delete in (False, True):
        done.clear()
        taken.clear()
        await nodes[0].commit(Sql("DELETE FROM seen"))
        readers = [
            asyncio.create_task(read(nodes[0], 3, and_delete=and_delete)),
            asyncio.create_task(read(nodes[1], 50, and_delete=False)) if not and_delete else None,
        ]
        await asyncio.gather(*map(write, range(8)))
        done.set()
        for reader in filter(None, readers):
            seen = await reader
            assert len(seen) == len(set(seen)), "none twice"
            assert set(seen) == taken, f"{len(taken - set(seen))} were passed by the cursor"
        for recipient in (BOB_ADDRESS, CAROL_ADDRESS):
            await nodes[0].commit(EmptyMailbox(recipient, 10_000))
        await assert_counted(nodes[0])
