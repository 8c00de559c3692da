"""One-time codes: how many are sent, how many are guessed, and what the database knows of them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from gateway.custody.derive import notification_code_key
from gateway.custody.seed import MasterSeed
from gateway.errors import InvalidInput, LimitExceeded, NotificationRefused
from gateway.ids import EnsName, EthAddress, NativeId
from gateway.relay.notify.codes import (
    CODE_JOB,
    CODES_PER_ACCOUNT,
    CODES_PER_ADDRESS,
    DAY_MS,
    GUESSES,
    LIFE_MS,
    MINUTE_MS,
    TOO_SOON,
    Codes,
)
from gateway.relay.notify.mail_channel import MailChannel
from gateway.sdk.delivery import Delivered, Outcome, Rejected, Retry
from gateway.sdk.notices import MailNotice
from gateway.store import Store
from gateway.store.channels import ChannelKind, CodeCheck, PutChannel, RemoveChannel, SubscriberAt
from gateway.store.jobs import Enqueue, NewJob, lane_key
from gateway.store.lanes import JobState, QueueList
from gateway.store.op import Op
from gateway.work.results import Done, Later, Result
from tests.integration.store.values import BOB, BOB_ADDRESS, NOW, Sql, address
from tests.support.lanes import drain

EMAIL = ChannelKind.EMAIL
MAIL = "bob@example.org"
KEY = notification_code_key(MasterSeed(b"\x11" * 32))


@dataclass
class Postbox:
    """Takes notices in place of a mail server."""

    script: list[Outcome] = field(default_factory=list)
    notices: list[MailNotice] = field(default_factory=list)

    async def send_notice(self, notice: MailNotice) -> Outcome:
        self.notices.append(notice)
        return self.script.pop(0) if self.script else Delivered(NativeId("<1@gw.example>"))

    @property
    def codes(self) -> list[str]:
        """The codes that were sent, oldest first."""
        found = [re.match(r"Your verification code is (\d{5})\n", notice.text) for notice in self.notices]
        return [match[1] for match in found if match]


@dataclass
class Desk:
    """Codes, and the time."""

    store: Store
    postbox: Postbox = field(default_factory=Postbox)
    now: int = NOW
    codes: Codes = field(init=False)

    def __post_init__(self) -> None:
        channel = MailChannel(self.postbox, EnsName("ds.gw.eth"))
        self.codes = Codes(store=self.store, channel=channel, key=KEY, clock=lambda: self.now)

    async def ask(self, whose: EthAddress = BOB_ADDRESS, recipient: str = MAIL) -> None:
        """The account enters its address."""
        put: Op[None] = PutChannel(whose, EMAIL, recipient, False, self.now)
        await self.codes.ask(whose, BOB, recipient, put)

    async def work(self) -> list[Result]:
        return await drain(self.store, {CODE_JOB: self.codes}, self.now)

    async def code(self) -> str:
        """Ask, and read the mail."""
        await self.ask()
        await self.work()
        return self.postbox.codes[-1]

    async def guess(self, code: str) -> CodeCheck:
        return await self.codes.guess(BOB_ADDRESS, MAIL, code)

    async def verified(self) -> bool:
        channel = (await self.store.read(SubscriberAt(BOB_ADDRESS))).channel(EMAIL)
        return channel is not None and channel.verified


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 100_000:05}"


# --- sending --------------------------------------------------------------------------------------------------------


async def test_the_code_in_the_mail_verifies_the_address(desk: Desk) -> None:
    code = await desk.code()
    assert re.fullmatch(r"\d{5}", code)
    assert desk.postbox.notices[0].recipient == MAIL
    assert desk.postbox.notices[0].subject == "Email Verification"
    assert not await desk.verified()
    assert await desk.guess(code) is CodeCheck.RIGHT
    assert await desk.verified()


@pytest.mark.weakness(13)
async def test_a_code_is_used_once(desk: Desk) -> None:
    code = await desk.code()
    results = await asyncio.gather(*(desk.guess(code) for _ in range(20)))
    assert results.count(CodeCheck.RIGHT) == 1
    assert results.count(CodeCheck.NONE) == 19


@pytest.mark.weakness(13)
@pytest.mark.attack(44)
async def test_no_table_holds_the_code_in_clear(desk: Desk) -> None:
    """Nor anything that it follows from without a key which is not in the database."""
    await desk.ask()
    before = await _everything(desk.store)
    await desk.work()
    code = desk.postbox.codes[0]
    after = await _everything(desk.store)
    # Not as a part of a longer number or digest, which may hold any five digits by chance.
    alone = re.compile(rb"(?<![0-9a-fA-F])%b(?![0-9a-fA-F])" % code.encode())
    assert alone.search(before) is None
    assert alone.search(after) is None
    other = Codes(
        store=desk.store,
        channel=None,
        key=notification_code_key(MasterSeed(b"\x12" * 32)),
        clock=lambda: desk.now,
    )
    assert await other.guess(BOB_ADDRESS, MAIL, code) is CodeCheck.WRONG
    assert await desk.guess(code) is CodeCheck.RIGHT


async def test_codes_differ(desk: Desk) -> None:
    seen = []
    for _ in range(CODES_PER_ADDRESS):
        seen.append(await desk.code())
        desk.now += MINUTE_MS
    assert len(set(seen)) > 1


async def test_a_mail_that_was_not_taken_is_tried_again_with_a_new_code(desk: Desk) -> None:
    desk.postbox.script = [Retry("greylisted")]
    await desk.ask()
    assert await desk.work() == [Later("greylisted")]
    desk.now += 2000
    assert await desk.work() == [Done()]
    lost, code = desk.postbox.codes
    assert len({notice.key for notice in desk.postbox.notices}) == 2
    if lost != code:
        assert await desk.guess(lost) is CodeCheck.WRONG
    assert await desk.guess(code) is CodeCheck.RIGHT


async def test_a_mail_server_that_refuses_ends_it(desk: Desk) -> None:
    desk.postbox.script = [Rejected("no such mailbox")]
    await desk.ask()
    assert await desk.work() == [Done()]
    assert await desk.store.read(QueueList(JobState.READY, 10)) == []


async def test_a_code_that_cannot_be_sent_in_its_time_is_given_up(desk: Desk) -> None:
    desk.postbox.script = [Retry("down", 86_400.0)]
    await desk.ask()
    await desk.work()
    desk.now += DAY_MS + 1
    await desk.work()
    assert len(desk.postbox.notices) == 1
    assert await desk.store.read(QueueList(JobState.READY, 10)) == []


async def test_nothing_is_sent_for_a_channel_that_is_gone_or_leads_elsewhere(desk: Desk) -> None:
    await desk.ask()
    await desk.store.commit(RemoveChannel(BOB_ADDRESS, EMAIL))
    assert await desk.work() == [Done()]
    desk.now += MINUTE_MS
    await desk.ask()
    await desk.store.commit(PutChannel(BOB_ADDRESS, EMAIL, "other@example.org", False, NOW))
    assert await desk.work() == [Done()]
    assert desk.postbox.notices == []


async def test_a_damaged_job_is_an_error_of_its_own(desk: Desk) -> None:
    await desk.store.commit(Enqueue(NewJob(lane_key("notify", "x"), CODE_JOB, b"[]", NOW, NOW + 1000)))
    with pytest.raises(InvalidInput, match="code job"):
        await desk.work()


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.weakness(13)
async def test_one_code_a_minute(desk: Desk) -> None:
    """The reference compares milliseconds with 60 and so waits 60 milliseconds."""
    await desk.ask()
    for later in (0, 61, MINUTE_MS - 1):
        desk.now = NOW + later
        with pytest.raises(NotificationRefused) as caught:
            await desk.ask()
        assert caught.value.detail == TOO_SOON
    desk.now = NOW + MINUTE_MS
    await desk.ask()
    assert len(await desk.work()) == 2


@pytest.mark.weakness(13)
async def test_removing_the_channel_wins_no_code(desk: Desk) -> None:
    await desk.ask()
    await desk.store.commit(RemoveChannel(BOB_ADDRESS, EMAIL))
    with pytest.raises(NotificationRefused):
        await desk.ask()


async def test_a_request_that_is_refused_changes_nothing(desk: Desk) -> None:
    await desk.ask()
    with pytest.raises(NotificationRefused):
        await desk.ask(recipient="other@example.org")
    channel = (await desk.store.read(SubscriberAt(BOB_ADDRESS))).channel(EMAIL)
    assert channel is not None
    assert channel.recipient == MAIL


@pytest.mark.weakness(13)
async def test_an_account_has_so_many_codes_a_day(desk: Desk) -> None:
    for n in range(CODES_PER_ACCOUNT):
        await desk.ask(recipient=f"bob{n}@example.org")
        desk.now += MINUTE_MS
    with pytest.raises(LimitExceeded):
        await desk.ask(recipient="more@example.org")
    desk.now = NOW + DAY_MS
    await desk.ask(recipient="more@example.org")


@pytest.mark.weakness(13)
@pytest.mark.attack(48)
async def test_a_mail_address_gets_so_many_codes_a_day_whoever_asks(desk: Desk) -> None:
    for n in range(CODES_PER_ADDRESS):
        await desk.ask(address(n))
    for n in range(CODES_PER_ADDRESS, CODES_PER_ADDRESS + 10):
        with pytest.raises(LimitExceeded):
            await desk.ask(address(n))
    await desk.work()
    assert len(desk.postbox.notices) == CODES_PER_ADDRESS


async def test_many_requests_at_once_are_one(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        desks = (Desk(one), Desk(two))
        results = await asyncio.gather(*(desks[n % 2].ask() for n in range(30)), return_exceptions=True)
        assert results.count(None) == 1
        assert all(isinstance(each, NotificationRefused | LimitExceeded) for each in results if each is not None)
        await desks[0].work()
        assert len(desks[0].postbox.notices) == 1


@pytest.mark.weakness(13)
async def test_fifty_guesses_at_once_have_five_tries(desk: Desk) -> None:
    code = await desk.code()
    guesses = [f"{(int(code) + 1 + n) % 100_000:05}" for n in range(49)]
    results = await asyncio.gather(*map(desk.guess, guesses))
    assert results.count(CodeCheck.WRONG) == GUESSES
    assert await desk.guess(code) is CodeCheck.NONE
    assert not await desk.verified()


@pytest.mark.weakness(13)
async def test_after_five_wrong_guesses_a_new_code_is_needed(desk: Desk) -> None:
    code = await desk.code()
    for _ in range(GUESSES):
        assert await desk.guess(wrong(code)) is CodeCheck.WRONG
    assert await desk.guess(code) is CodeCheck.NONE
    desk.now += MINUTE_MS
    assert await desk.guess(await desk.code()) is CodeCheck.RIGHT


async def test_a_code_is_good_for_ten_minutes(desk: Desk) -> None:
    code = await desk.code()
    desk.now += LIFE_MS - 1
    assert await desk.guess(wrong(code)) is CodeCheck.WRONG
    assert await desk.guess(code) is CodeCheck.RIGHT


async def test_and_not_longer(desk: Desk) -> None:
    code = await desk.code()
    desk.now += LIFE_MS
    assert await desk.guess(code) is CodeCheck.EXPIRED
    assert not await desk.verified()


@pytest.mark.parametrize("guess", ["", "0", "x" * 10_000, "１２３４５", "12 345", "\0", "00000000000"], ids=repr)
async def test_odd_guesses_are_wrong_guesses(desk: Desk, guess: str) -> None:
    await desk.code()
    assert await desk.guess(guess) is CodeCheck.WRONG


async def test_a_code_is_for_one_account(desk: Desk) -> None:
    code = await desk.code()
    other = address("other")
    await desk.ask(other, "other@example.org")
    await desk.work()
    assert await desk.codes.guess(other, "other@example.org", code) is (
        CodeCheck.RIGHT if desk.postbox.codes[1] == code else CodeCheck.WRONG
    )
    assert await desk.guess(code) is CodeCheck.RIGHT


async def _everything(store: Store) -> bytes:
    """All columns of the tables that codes could be in."""
    rows = [await store.read(Sql(f"SELECT * FROM {table}")) for table in ("channels", "once", "jobs", "lanes")]
    return repr(rows).encode() + b"".join(
        bytes(value) for table in rows for row in table for value in row if isinstance(value, bytes)
    )
