"""What is remembered of mail on its way: the table of tries, five days, and the end of memory."""

from __future__ import annotations

from dataclasses import replace

from adapters.email.sent import GIVE_UP_MS, KIND, SentMail, SentMails, pause_after
from gateway.sdk import CanonicalId, EnsName, NativeId
from gateway.sdk.testing.context import MemoryValues

DAY = 24 * 3600 * 1000
MAIL = SentMail(CanonicalId("bob@example.net"), EnsName("alice.eth"), NativeId("<1@gw.example>"), 20_000 * DAY)
KEY = "0x" + "ab" * 16


def test_the_table_of_tries() -> None:
    pauses = [pause_after(tries) for tries in range(40)]
    assert pauses[:5] == [60, 300, 900, 3600, 3600]
    assert set(pauses[4:12]) == {3600}
    assert set(pauses[12:]) == {4 * 3600}


def test_five_days_are_some_thirty_tries() -> None:
    tries, seconds = 0, 0
    while seconds * 1000 < GIVE_UP_MS:
        seconds += pause_after(tries)
        tries += 1
    assert 30 <= tries <= 45
    assert not MAIL.given_up(MAIL.first_try + GIVE_UP_MS - 1)
    assert MAIL.given_up(MAIL.first_try + GIVE_UP_MS)


async def test_later_tries_know_the_first_one() -> None:
    sent = SentMails(MemoryValues(), lambda: MAIL.first_try)
    assert await sent.find(KEY) is None
    assert await sent.begin(KEY, MAIL) == MAIL
    assert 60 <= await sent.failed(KEY, MAIL) <= 66
    later = await sent.begin(KEY, replace(MAIL, first_try=MAIL.first_try + 5 * DAY))
    assert later == replace(MAIL, tries=1)
    assert 300 <= await sent.failed(KEY, later) <= 330


async def test_old_mail_is_forgotten() -> None:
    values = MemoryValues()
    now = MAIL.first_try
    sent = SentMails(values, lambda: now)
    for number in range(700):
        await sent.begin(f"0x{number:032x}", replace(MAIL, first_try=MAIL.first_try - 20 * DAY))
    await sent.begin(KEY, MAIL)
    assert await sent.forget_old() == 700
    assert list(values.texts) == [(KIND, KEY), ("sent-day", f"020000.{KEY}")]
    now += 13 * DAY
    assert await sent.forget_old() == 0
    now += DAY
    assert await sent.forget_old() == 1
    assert values.texts == {}
