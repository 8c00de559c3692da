"""Mailbox and lanes against a model in plain dictionaries, by random sequences of operations and crashes (SQLite).

A crash is what a killed process leaves: the files as they are at that moment, opened by a new one. The old one goes on
for a while with files that nobody looks at any more.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.errors import LeaseLost, MailboxFull
from gateway.ids import EnsName, EnvelopeId, LaneKey
from gateway.store import Store
from gateway.store.lanes import (
    DropJob,
    Enqueue,
    ExtendLease,
    FinishJob,
    HoldJob,
    JobState,
    LaneJobs,
    LaneLease,
    LeaseLanes,
    ReleaseLane,
    RetryJob,
    ReviveJob,
    SweepLanes,
)
from gateway.store.mailbox import (
    AcceptEnvelope,
    Acknowledge,
    AcknowledgeIds,
    CountMailbox,
    DropEnvelope,
    EmptyMailbox,
    ExpireEnvelopes,
    Folder,
    PickUp,
    StoredEnvelope,
)
from gateway.store.op import Op
from gateway.store.requests import AdmitSender, RefuseSender
from gateway.store.usage import UNVERIFIED, Quota, Usage
from tests.integration.store.recount import kept, recounted
from tests.integration.store.values import (
    ALICE,
    BOB,
    BOB_ADDRESS,
    NOW,
    Sql,
    address,
    encrypted_hash,
    envelope,
    job,
    lane,
    message_hash,
)
from tests.support.long import HOURS

EXAMPLES, LONG_EXAMPLES = 100, 5_000
"""Of 50 steps each: a quarter of a second of CPU for one, so 200 would take the best part of a minute."""
LEASE_MS = 100
ENVELOPES = st.integers(0, 7)
LANES = st.integers(0, 2).map(lane)
HASHES = st.sampled_from([message_hash, encrypted_hash])
DELAYS = st.integers(1, 150)
NAME = EnsName("bob.eth")
HOLDERS = (address("alice"), UNVERIFIED)
QUOTAS = st.sampled_from([None, Quota(Usage(4, 45), Usage(3, 30)), Quota(Usage(6, 1000), Usage(2, 1000))])


def sent(number: int, expires_at: int) -> StoredEnvelope:
    """Envelope ``number``: sender, holder, folder and size go by the number, the end does not."""
    return envelope(
        number,
        sender=(ALICE, BOB)[number % 2],
        body=f"body of {number}".encode() + b"." * (number % 3 * 4),
        expires_at=expires_at,
        recipient_name=NAME,
        holder=HOLDERS[number % 3 % 2],
        folder=Folder.REQUESTS if number in (2, 3, 6) else Folder.INBOX,
    )


@dataclass
class ModelJob:
    number: int
    state: JobState = JobState.READY
    attempts: int = 0


@dataclass
class ModelLane:
    jobs: list[ModelJob] = field(default_factory=list)
    due: int | None = None
    lease: LaneLease | None = None
    token: int = 0

    def ready(self) -> list[int]:
        return [queued.number for queued in self.jobs if queued.state is JobState.READY]

    def set_due(self, due: int) -> None:
        self.due = due if self.ready() else None

    def held_by(self, lease: LaneLease, now: int) -> bool:
        return self.lease is not None and self.lease.token == lease.token and self.lease.lease_until > now


class Model(RuleBasedStateMachine):
    """Every rule does the same to the store and to the model and compares what they answer."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        shutil.copy(self.template, self.folder / "gateway.db")
        self.runner = asyncio.Runner()
        self.store = self.runner.run(self.opened())
        self.lives = 1
        self.now = NOW
        self.mailbox: dict[int, StoredEnvelope] = {}
        """In the order in which a reader sees them."""
        self.seen: dict[EnvelopeId, int] = {}
        self.lanes: dict[LaneKey, ModelLane] = {}
        self.leases: list[LaneLease] = []

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def opened(self) -> Coroutine[Any, Any, Store]:
        return Store.open(f"sqlite:///{self.folder / 'gateway.db'}")

    def left_behind(self) -> Path:
        """A copy of the files as they are now; the log last, as whatever is added to it meanwhile comes at its end."""
        self.lives += 1
        folder = self.folder.with_name(f"{self.folder.name}-{self.lives}")
        folder.mkdir()
        for name in ("gateway.db", "gateway.db-wal"):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, folder / name)
        return folder

    def live_on(self, folder: Path) -> None:
        """The old process is gone, a new one opens what it left."""
        self.runner.run(self.store.close())
        shutil.rmtree(self.folder)
        self.folder = folder
        self.store = self.runner.run(self.opened())

    def commit(self, op: Op[Any]) -> Any:
        return self.runner.run(self.store.commit(op))

    def commit_fenced(self, lease: LaneLease, op: Op[Any]) -> tuple[bool, Any]:
        """Commit a fenced step; whether the lease was good, which must be what the model says."""
        good = self.lanes[lease.lane].held_by(lease, self.now)
        try:
            result = self.commit(op)
        except LeaseLost:
            assert not good
            return False, None
        assert good
        return True, result

    def lease_and_job(self, data: st.DataObject) -> tuple[LaneLease, ModelJob]:
        lease = data.draw(st.sampled_from(self.leases))
        jobs = self.lanes[lease.lane].jobs
        return lease, data.draw(st.sampled_from(jobs)) if jobs else ModelJob(0)

    @initialize()
    def nothing_yet(self) -> None:
        assert self.runner.run(self.store.read(CountMailbox(BOB_ADDRESS))) == 0

    @rule(step=st.integers(1, 200))
    def time_passes(self, step: int) -> None:
        self.now += step

    @rule(number=ENVELOPES, which=st.none() | LANES, life=st.integers(1, 600), quota=QUOTAS, wait=st.none() | DELAYS)
    def accept(self, number: int, which: LaneKey | None, life: int, quota: Quota | None, wait: int | None) -> None:
        new = sent(number, self.now + life)
        due = None if wait is None else self.now + wait
        queued = None if which is None else job(lane=which, created_at=self.now, due=due)
        expected = self.taken(number, new, quota)
        try:
            assert self.commit(AcceptEnvelope(new, queued, quota)) is expected
        except MailboxFull:
            assert expected is None
        if expected and which is not None:
            [(number,)] = self.runner.run(self.store.read(Sql("SELECT max(id) FROM jobs")))
            self.add_job(which, number, due)

    @rule(numbers=st.lists(ENVELOPES, min_size=2, max_size=6), life=st.integers(1, 600), quota=QUOTAS)
    def accept_together(self, numbers: list[int], life: int, quota: Quota | None) -> None:
        """In one transaction, as one by one."""
        new = [sent(number, self.now + life) for number in numbers]

        async def submit() -> list[Any]:
            ops = (self.store.commit(AcceptEnvelope(each, None, quota)) for each in new)
            return await asyncio.gather(*ops, return_exceptions=True)

        answers = self.runner.run(submit())
        expected = [self.taken(number, each, quota) for number, each in zip(numbers, new, strict=True)]
        assert [None if isinstance(answer, MailboxFull) else answer for answer in answers] == expected

    def taken(self, number: int, new: StoredEnvelope, quota: Quota | None) -> bool | None:
        """Whether the model takes it: False for a repeat, None when there is no room."""
        if new.id in self.seen:
            return False
        more = Usage(1, new.size)
        if quota is not None:
            held = [each for each in self.mailbox.values() if each.holder == new.holder]
            if not (_sum(self.mailbox.values()) + more).fits(quota.mailbox):
                return None
            if not (_sum(held) + more).fits(quota.of(new.holder)):
                return None
        self.seen[new.id] = new.expires_at
        self.mailbox[number] = new
        return True

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.runner.run(self.opened())

    @rule()
    def crash(self) -> None:
        """Everything that was answered is there; leases are held until their time, their tokens do not come again."""
        self.live_on(self.left_behind())

    @rule(numbers=st.lists(ENVELOPES, min_size=1, max_size=4, unique=True), which=LANES, turns=st.integers(0, 4))
    def crash_while_accepting(self, numbers: list[int], which: LaneKey, turns: int) -> None:
        """What was acknowledged is there with its job; of the rest all that came before what is there, and no half."""
        new = [sent(number, self.now + 400) for number in numbers]
        queued = job(lane=which, created_at=self.now)

        async def submit() -> tuple[int, Path]:
            tasks = [asyncio.ensure_future(self.store.commit(AcceptEnvelope(each, queued))) for each in new]
            for _ in range(turns):
                # Each turn lets the writer come as far as it comes: nothing, a flush, or its answers.
                await asyncio.wait(tasks, timeout=0.0005)
            acknowledged = sum(task.done() for task in tasks)
            folder = self.left_behind()
            await asyncio.gather(*tasks)
            return acknowledged, folder

        acknowledged, folder = self.runner.run(submit())
        self.live_on(folder)
        rows = self.runner.run(self.store.read(Sql("SELECT id, until FROM seen")))
        there = dict(rows)
        fresh = [(number, each) for number, each in zip(numbers, new, strict=True) if each.id not in self.seen]
        kept = [number for number, each in fresh if each.id in there]
        assert kept == [number for number, _ in fresh][: len(kept)]
        assert all(each.id in there for each in new[:acknowledged])
        jobs = self.runner.run(self.store.read(Sql("SELECT id FROM jobs ORDER BY id DESC")))
        for number, (job_number,) in zip(kept, reversed(jobs[: len(kept)]), strict=True):
            assert self.taken(number, dict(fresh)[number], None) is True
            self.add_job(which, job_number, None)
        # Whoever has no answer sends again: so it goes on from the same state, whenever the crash came.
        for number, each in fresh[len(kept) :]:
            assert self.commit(AcceptEnvelope(each, queued)) is self.taken(number, each, None) is True
            [(job_number,)] = self.runner.run(self.store.read(Sql("SELECT max(id) FROM jobs")))
            self.add_job(which, job_number, None)

    @rule(which=LANES, wait=st.none() | DELAYS)
    def enqueue(self, which: LaneKey, wait: int | None) -> None:
        due = None if wait is None else self.now + wait
        self.add_job(which, self.commit(Enqueue(job(lane=which, created_at=self.now, due=due))), due)

    def add_job(self, which: LaneKey, number: int, due: int | None) -> None:
        queue = self.lanes.setdefault(which, ModelLane())
        queue.jobs.append(ModelJob(number))
        if queue.due is None:
            queue.due = self.now if due is None else due

    @rule(numbers=st.lists(ENVELOPES, max_size=4), by=HASHES, right=st.booleans())
    def acknowledge(self, numbers: list[int], by: Any, right: bool) -> None:
        senders = (ALICE, BOB) if right else (BOB, ALICE)
        pairs = tuple((senders[number % 2], by(number)) for number in numbers)
        expected = {number for number in numbers if number in self.mailbox} if right else set()
        assert self.commit(Acknowledge(BOB_ADDRESS, pairs)) == len(expected)
        for number in expected:
            del self.mailbox[number]

    @rule(numbers=st.lists(ENVELOPES, max_size=4), named=st.booleans())
    def acknowledge_ids(self, numbers: list[int], named: bool) -> None:
        ids = tuple(envelope(number).id for number in numbers)
        assert self.commit(AcknowledgeIds(address("somebody else"), ids)) == 0
        expected = {number for number in numbers if number in self.mailbox}
        assert self.commit(AcknowledgeIds(BOB_ADDRESS, ids, (NAME,) if named else None)) == len(expected)
        for number in expected:
            del self.mailbox[number]

    @rule(number=ENVELOPES)
    def drop_envelope(self, number: int) -> None:
        assert self.commit(DropEnvelope(envelope(number).id)) is (self.mailbox.pop(number, None) is not None)

    @rule(sender=st.sampled_from([ALICE, BOB]), limit=st.integers(1, 3))
    def admit(self, sender: EnsName, limit: int) -> None:
        """What is let in goes to the end of the inbox."""
        moving = self.requests_of(sender)[:limit]
        moved = self.commit(AdmitSender(BOB_ADDRESS, sender, (NAME,), limit))
        assert [each.id for each in moved] == [self.mailbox[number].id for number in moving]
        for number in moving:
            self.mailbox[number] = replace(self.mailbox.pop(number), folder=Folder.INBOX)

    @rule(sender=st.sampled_from([ALICE, BOB]))
    def refuse(self, sender: EnsName) -> None:
        gone = self.requests_of(sender)
        assert self.commit(RefuseSender(BOB_ADDRESS, sender, (NAME,))) == len(gone)
        for number in gone:
            del self.mailbox[number]

    def requests_of(self, sender: EnsName) -> list[int]:
        return [
            number for number, each in self.mailbox.items() if each.folder is Folder.REQUESTS and each.sender == sender
        ]

    @precondition(lambda self: len(self.mailbox) > 3)
    @rule()
    def empty(self) -> None:
        assert self.commit(EmptyMailbox(BOB_ADDRESS, 100)) == len(self.mailbox)
        self.mailbox = {}

    @rule()
    def expire(self) -> None:
        expired = {number for number, each in self.mailbox.items() if each.expires_at <= self.now}
        assert self.commit(ExpireEnvelopes(self.now, 100)) == len(expired)
        self.mailbox = {number: each for number, each in self.mailbox.items() if number not in expired}
        self.seen = {id_: until for id_, until in self.seen.items() if until > self.now}

    @rule(limit=st.integers(1, 3), owner=st.sampled_from(["w1", "w2"]))
    def lease(self, limit: int, owner: str) -> None:
        free = {
            which: queue.due
            for which, queue in self.lanes.items()
            if queue.due is not None
            and queue.due <= self.now
            and (queue.lease is None or queue.lease.lease_until <= self.now)
        }
        got = self.commit(LeaseLanes(owner, self.now, LEASE_MS, limit))
        assert len(got) == min(limit, len(free))
        assert [free[lease.lane] for lease in got] == sorted(free.values())[: len(got)]
        for lease in got:
            queue = self.lanes[lease.lane]
            queue.token += 1
            queue.lease = lease
            assert lease == LaneLease(lease.lane, owner, self.now + LEASE_MS, queue.token)
            self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        lease, queued = self.lease_and_job(data)
        good, finished = self.commit_fenced(lease, FinishJob(lease, queued.number, self.now))
        if good:
            queue = self.lanes[lease.lane]
            queue.jobs = [other for other in queue.jobs if other != queued]
            queue.set_due(self.now)
            assert (finished.next and finished.next.id) == next(iter(queue.ready()), None)
            if not queue.ready():
                queue.lease = None

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), delay=DELAYS)
    def retry(self, data: st.DataObject, delay: int) -> None:
        lease, queued = self.lease_and_job(data)
        good, _ = self.commit_fenced(lease, RetryJob(lease, queued.number, self.now, delay, "r"))
        if good:
            queued.attempts += 1
            self.lanes[lease.lane].set_due(self.now + delay)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        lease, queued = self.lease_and_job(data)
        good, _ = self.commit_fenced(lease, HoldJob(lease, queued.number, self.now, "r"))
        if good:
            queued.state = JobState.HOLD
            queued.attempts += 1
            self.lanes[lease.lane].set_due(self.now)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        good, work = self.commit_fenced(lease, ReleaseLane(lease, self.now))
        if good:
            queue = self.lanes[lease.lane]
            queue.lease = None
            assert work is (queue.due is not None and queue.due <= self.now)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        good, extended = self.commit_fenced(lease, ExtendLease(lease, self.now, LEASE_MS))
        if good:
            assert extended == replace(lease, lease_until=self.now + LEASE_MS)
            self.lanes[lease.lane].lease = extended

    @rule(data=st.data())
    def revive_or_drop(self, data: st.DataObject) -> None:
        known = [(queue, queued) for queue in self.lanes.values() for queued in queue.jobs]
        if not known:
            assert self.commit(ReviveJob(1)) is self.commit(DropJob(1)) is False
            return
        queue, queued = data.draw(st.sampled_from(known))
        if data.draw(st.booleans()):
            assert self.commit(ReviveJob(queued.number)) is True
            queued.state, queued.attempts, queue.due = JobState.READY, 0, 0
        else:
            assert self.commit(DropJob(queued.number)) is True
            queue.jobs.remove(queued)
            queue.due = queue.due if queue.ready() else None

    @rule()
    def sweep(self) -> None:
        idle = [
            which
            for which, queue in self.lanes.items()
            if not queue.jobs and (queue.lease is None or queue.lease.lease_until <= self.now)
        ]
        assert self.commit(SweepLanes(self.now, 100)) == len(idle)
        for which in idle:
            del self.lanes[which]
        self.leases = [lease for lease in self.leases if lease.lane in self.lanes]

    @invariant()
    def mailboxes_are_equal(self) -> None:
        for folder in Folder:
            stored = self.runner.run(self.store.read(PickUp(BOB_ADDRESS, self.now, 100, folder=folder)))
            # Taken in the order of arrival, which a dictionary keeps.
            assert [found.body for found in stored] == [
                each.body for each in self.mailbox.values() if each.folder is folder and each.expires_at > self.now
            ]

    @invariant()
    def counts_are_those_of_a_recount(self) -> None:
        counts = self.runner.run(kept(self.store))
        assert counts == self.runner.run(recounted(self.store))
        assert counts.get((BOB_ADDRESS, "all", ""), Usage()) == _sum(self.mailbox.values())

    @invariant()
    def lanes_are_equal(self) -> None:
        rows = self.runner.run(self.store.read(Sql("SELECT name, due, token FROM lanes")))
        assert {name: (due, token) for name, due, token in rows} == {
            which: (queue.due, queue.token) for which, queue in self.lanes.items()
        }
        for which, queue in self.lanes.items():
            jobs = self.runner.run(self.store.read(LaneJobs(which, 100)))
            assert [(queued.id, queued.attempts) for queued in jobs] == [
                (queued.number, queued.attempts) for queued in queue.jobs if queued.state is JobState.READY
            ]


def _sum(envelopes: Iterable[StoredEnvelope]) -> Usage:
    sizes = [each.size for each in envelopes]
    return Usage(len(sizes), sum(sizes))


@pytest.mark.timeout(HOURS)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_store_does_what_the_model_does(migrated_sqlite: Path, pytestconfig: pytest.Config) -> None:
    Model.template = migrated_sqlite
    examples = LONG_EXAMPLES if pytestconfig.getoption("--long") else EXAMPLES
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
