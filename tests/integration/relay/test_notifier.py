"""When somebody is told, minute by minute on a clock of the test's own, on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.dm3.canonical import JsonObject
from gateway.errors import InvalidInput
from gateway.ids import EnsName, NativeId
from gateway.relay.notify.news import News
from gateway.relay.notify.notifier import LIFE_MS, NOTIFY_JOB, Notifier, NotifyPolicy
from gateway.relay.notify.offered import Gone, Offered, Told
from gateway.sdk.delivery import Delivered, Rejected, Retry
from gateway.store import Store
from gateway.store.channels import ChannelKind, PutChannel, SetNotify, SubscriberAt, SwitchChannel
from gateway.store.jobs import Enqueue, Job, destination_of
from gateway.store.lanes import JobState, LaneJobs, QueueList
from gateway.store.mailbox import AcceptEnvelope, AcknowledgeIds, Folder, StoredEnvelope
from gateway.work.results import Done, Later, Result
from tests.integration.store.values import ALICE, BOB, BOB_ADDRESS, DAY, NOW, address, envelope, job
from tests.support.accounts import Registered
from tests.support.lanes import drain

EMAIL, PUSH = ChannelKind.EMAIL, ChannelKind.PUSH
SECOND, MINUTE = 1000, 60_000
DELAY, INTERVAL = MINUTE, 5 * MINUTE
CAROL = EnsName("carol.eth")


@dataclass
class ScriptedWay:
    """A way of telling that keeps what it was to tell, and answers by a script."""

    kind: ChannelKind
    script: list[Told] = field(default_factory=list)
    told: list[News] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    """What happens while somebody is told the first time."""

    def published(self) -> JsonObject:
        return {}

    def check(self, recipient: str) -> None:
        """Everybody can be told."""

    async def tell(self, recipient: str, news: News, key: str) -> Told:
        self.keys.append(key)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        answer = self.script.pop(0) if self.script else Delivered(NativeId(key))
        if isinstance(answer, Delivered):
            self.told.append(news)
        return answer

    @property
    def senders(self) -> list[str]:
        """Of whom there was news."""
        return [news.sender for news in self.told]


@dataclass
class Desk:
    """A notifier, and the time."""

    store: Store
    mail: ScriptedWay
    push: ScriptedWay
    now: int = NOW
    counted: int = 0
    notifier: Notifier = field(init=False)

    def __post_init__(self) -> None:
        self.notifier = self.with_ways(self.mail, self.push)

    def with_ways(self, *ways: ScriptedWay) -> Notifier:
        return Notifier(
            store=self.store,
            offered=Offered(*ways),
            policy=NotifyPolicy(DELAY, INTERVAL),
            service=EnsName("ds.gw.eth"),
            clock=lambda: self.now,
            count=self._count,
        )

    def _count(self) -> None:
        self.counted += 1

    async def arrives(self, number: object, **changes: Any) -> StoredEnvelope:
        """An envelope comes, as the relay takes it."""
        came = replace(envelope(number, received_at=self.now), recipient_name=BOB, **changes)
        await self.store.commit(AcceptEnvelope(came, await self.notifier.job_for(came)))
        return came

    async def picked_up(self, *envelopes: StoredEnvelope) -> None:
        await self.store.commit(AcknowledgeIds(BOB_ADDRESS, tuple(each.id for each in envelopes)))

    async def work(self, at: int | None = None) -> list[Result]:
        """Do what is due at a time after NOW (ms)."""
        if at is not None:
            self.now = NOW + at
        return await drain(self.store, {NOTIFY_JOB: self.notifier}, self.now)

    async def queue(self) -> Sequence[Job]:
        return await self.store.read(QueueList(JobState.READY, 1000))


@pytest.fixture
async def desk(store: Store) -> Desk:
    """Bob wants mail."""
    await store.commit(Registered(BOB_ADDRESS, BOB, notify=True))
    await store.commit(PutChannel(BOB_ADDRESS, EMAIL, "bob@example.org", True, NOW))
    return Desk(store, ScriptedWay(EMAIL), ScriptedWay(PUSH))


async def add_push(desk: Desk) -> None:
    await desk.store.commit(PutChannel(BOB_ADDRESS, PUSH, "{}", True, NOW))


# --- who is told, and when ------------------------------------------------------------------------------------------


async def test_after_the_delay_and_not_before(desk: Desk) -> None:
    await desk.arrives(1)
    assert await desk.work(DELAY - 1) == []
    await desk.work(DELAY)
    assert desk.mail.told == [News(recipient=BOB, sender=ALICE, verified=True, service=EnsName("ds.gw.eth"))]
    assert desk.counted == 1
    assert await desk.queue() == []


async def test_what_comes_while_somebody_is_told_is_news_again(desk: Desk) -> None:
    async def another_comes() -> None:
        desk.now += SECOND
        await desk.arrives(2, sender=CAROL)
        desk.now += SECOND

    desk.mail.meanwhile = another_comes
    await desk.arrives(1)
    await desk.work(DELAY)
    await desk.work(DELAY + INTERVAL + MINUTE)
    assert desk.mail.senders == [ALICE, CAROL]


async def test_the_job_stands_in_a_lane_of_the_person(desk: Desk) -> None:
    came = envelope(1)
    job = await desk.notifier.job_for(came)
    assert job is not None
    assert (job.kind, job.due_at, job.created_at) == ("notify", NOW + DELAY, NOW)
    assert destination_of(job.lane) == "notify"
    assert BOB_ADDRESS not in job.lane
    other = await desk.notifier.job_for(envelope(2))
    assert other is not None
    assert other.lane == job.lane


@pytest.mark.weakness(6)
async def test_who_picks_up_in_time_is_not_told(desk: Desk) -> None:
    await desk.picked_up(await desk.arrives(1))
    assert await desk.work(DELAY) == [Done()]
    assert desk.mail.keys == []
    assert desk.counted == 0


@pytest.mark.weakness(6)
async def test_a_message_that_came_later_has_its_own_time(desk: Desk) -> None:
    """Somebody is connected and picks up every message after some seconds: nothing is ever sent."""
    for minute in range(0, 10 * MINUTE, 20 * SECOND):
        desk.now = NOW + minute
        came = await desk.arrives(minute)
        await desk.work()
        desk.now += 10 * SECOND
        await desk.work()
        await desk.picked_up(came)
    await desk.work(20 * MINUTE)
    assert desk.mail.keys == []
    assert await desk.queue() == []


async def test_the_news_is_about_what_waits(desk: Desk) -> None:
    first = await desk.arrives(1)
    desk.now += 50 * SECOND
    await desk.arrives(2, sender=CAROL)
    await desk.picked_up(first)
    await desk.work(DELAY)
    assert desk.mail.senders == []
    await desk.work(DELAY + 50 * SECOND)
    assert desk.mail.senders == [CAROL]


async def test_a_burst_is_told_once(desk: Desk) -> None:
    for n in range(20):
        await desk.arrives(n)
        desk.now += SECOND
    await desk.work(DELAY)
    await desk.work(DELAY + 30 * SECOND)
    await desk.work(DELAY + INTERVAL)
    assert desk.mail.senders == [ALICE]
    assert desk.counted == 1
    assert await desk.queue() == []


async def test_not_more_often_than_the_interval_but_not_forgotten_either(desk: Desk) -> None:
    await desk.arrives(1)
    await desk.work(DELAY)
    desk.now += 10 * SECOND
    await desk.arrives(2, sender=CAROL)
    await desk.work(2 * DELAY + 10 * SECOND)
    await desk.work(DELAY + INTERVAL - 1)
    assert desk.mail.senders == [ALICE]
    await desk.work(DELAY + INTERVAL)
    assert desk.mail.senders == [ALICE, CAROL]
    assert desk.counted == 2


async def test_what_is_picked_up_within_the_interval_is_not_told(desk: Desk) -> None:
    await desk.arrives(1)
    await desk.work(DELAY)
    desk.now += 10 * SECOND
    second = await desk.arrives(2)
    await desk.work(2 * DELAY + 10 * SECOND)
    await desk.picked_up(second)
    await desk.work(DELAY + INTERVAL)
    assert desk.mail.senders == [ALICE]
    assert await desk.queue() == []


async def test_a_sender_who_was_not_checked_is_told_so(desk: Desk) -> None:
    await desk.arrives(1, verified=False)
    await desk.work(DELAY)
    assert [news.verified for news in desk.mail.told] == [False]


async def test_a_mark_of_a_clock_that_was_wrong_silences_nobody(desk: Desk) -> None:
    await desk.arrives(1)
    await desk.work(365 * DAY)
    assert desk.mail.senders == []
    desk.now = NOW + 365 * DAY
    await desk.arrives(2, expires_at=NOW + 400 * DAY)
    await desk.work(365 * DAY + DELAY)
    assert desk.counted == 1
    desk.now = NOW
    await desk.arrives(3)
    await desk.work(DELAY)
    assert desk.counted == 2


# --- who is not -----------------------------------------------------------------------------------------------------


async def test_no_job_for_whom_nothing_is_switched_on(desk: Desk) -> None:
    assert await desk.notifier.job_for(envelope(1, recipient=address("carol"))) is None
    await desk.store.commit(SwitchChannel(BOB_ADDRESS, EMAIL, False))
    assert await desk.notifier.job_for(envelope(1)) is None
    await desk.store.commit(SwitchChannel(BOB_ADDRESS, EMAIL, True))
    assert await desk.notifier.job_for(envelope(1)) is not None
    await desk.store.commit(SetNotify(BOB_ADDRESS, False))
    assert await desk.notifier.job_for(envelope(1)) is None


async def test_no_job_for_a_message_request(desk: Desk) -> None:
    assert await desk.notifier.job_for(replace(envelope(1), folder=Folder.REQUESTS)) is None


async def test_no_job_and_no_look_where_nothing_is_offered(desk: Desk) -> None:
    assert await desk.with_ways(desk.push).job_for(envelope(1)) is None
    nothing = desk.with_ways()
    await desk.store.close()
    assert await nothing.job_for(envelope(1)) is None


async def test_who_switches_off_within_the_delay_is_not_told(desk: Desk) -> None:
    await desk.arrives(1)
    await desk.store.commit(SetNotify(BOB_ADDRESS, False))
    assert await desk.work(DELAY) == [Done()]
    assert desk.mail.keys == []


async def test_a_way_that_is_not_offered_any_more_is_not_used(desk: Desk) -> None:
    await desk.arrives(1)
    desk.notifier = desk.with_ways(desk.push)
    assert await desk.work(DELAY) == [Done()]
    assert desk.mail.keys == []


async def test_an_envelope_that_was_taken_before_makes_no_second_job(desk: Desk) -> None:
    await desk.arrives(1)
    await desk.arrives(1)
    assert len(await desk.queue()) == 1


# --- faults ---------------------------------------------------------------------------------------------------------


async def test_a_temporary_fault_is_tried_again_with_the_same_key(desk: Desk) -> None:
    desk.mail.script = [Retry("not now"), Retry("not now", 90.0)]
    await desk.arrives(1)
    results = await desk.work(DELAY)
    assert results[-1] == Later("not now")
    results = await desk.work(DELAY + 2 * SECOND)
    assert results == [Later("not now", 90_000)]
    assert await desk.work(DELAY + 90 * SECOND) == []
    await desk.work(DELAY + 92 * SECOND)
    assert desk.mail.senders == [ALICE]
    assert len(set(desk.mail.keys)) == 1
    assert desk.counted == 1


async def test_a_refusal_is_final_and_not_asked_for_at_every_message(desk: Desk) -> None:
    desk.mail.script = [Rejected("no such mailbox")]
    await desk.arrives(1)
    await desk.work(DELAY)
    assert await desk.queue() == []
    await desk.arrives(2)
    await desk.work(2 * DELAY)
    assert len(desk.mail.keys) == 1
    assert desk.counted == 0
    await desk.work(DELAY + INTERVAL)
    assert len(desk.mail.keys) == 2
    assert desk.counted == 1


async def test_a_browser_that_is_gone_is_forgotten(desk: Desk) -> None:
    await add_push(desk)
    desk.push.script = [Gone()]
    await desk.arrives(1)
    await desk.work(DELAY)
    subscriber = await desk.store.read(SubscriberAt(BOB_ADDRESS))
    assert [channel.kind for channel in subscriber.channels] == [EMAIL]
    assert desk.mail.senders == [ALICE]
    assert await desk.queue() == []


async def test_a_browser_that_subscribed_anew_meanwhile_is_kept(desk: Desk) -> None:
    await add_push(desk)

    @dataclass
    class Resubscribing(ScriptedWay):
        async def tell(self, recipient: str, news: News, key: str) -> Told:
            await desk.store.commit(PutChannel(BOB_ADDRESS, PUSH, '{"new":1}', True, NOW))
            return Gone()

    desk.notifier = desk.with_ways(desk.mail, Resubscribing(PUSH))
    await desk.arrives(1)
    await desk.work(DELAY)
    kept = (await desk.store.read(SubscriberAt(BOB_ADDRESS))).channel(PUSH)
    assert kept is not None
    assert (kept.recipient, kept.notified_at) == ('{"new":1}', 0)


async def test_a_push_service_that_is_down_holds_up_no_mail(desk: Desk) -> None:
    await add_push(desk)
    desk.push.script = [Retry("down", 3600.0)]
    await desk.arrives(1)
    await desk.work(DELAY)
    assert (desk.mail.senders, desk.push.senders) == ([ALICE], [])
    desk.now = NOW + DELAY + INTERVAL
    await desk.arrives(2, sender=CAROL)
    await desk.work(2 * DELAY + INTERVAL)
    assert (desk.mail.senders, desk.push.senders) == ([ALICE, CAROL], [])
    await desk.work(2 * 3600 * SECOND)
    assert desk.push.senders == [ALICE]
    assert desk.mail.senders == [ALICE, CAROL]
    assert desk.counted == 3
    assert await desk.queue() == []


async def test_a_notification_that_comes_a_day_late_is_given_up(desk: Desk) -> None:
    desk.mail.script = [Retry("down", 2 * LIFE_MS / 1000)]
    await desk.arrives(1)
    await desk.work(DELAY)
    await desk.work(DELAY + 3 * LIFE_MS)
    assert desk.mail.senders == []
    assert await desk.queue() == []


async def test_a_damaged_job_is_an_error_of_its_own(desk: Desk) -> None:
    number = await desk.store.commit(Enqueue(replace(job(b"{}"), kind=NOTIFY_JOB)))
    [damaged] = await desk.store.read(LaneJobs(job().lane, 1))
    assert damaged.id == number
    with pytest.raises(InvalidInput, match="notify job"):
        await desk.notifier.handle(damaged, _unused)


async def _unused(_payload: bytes) -> None:
    raise AssertionError
