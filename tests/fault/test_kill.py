"""kill -9 of the gateway at the worst moments: what was acknowledged arrives all the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import aiosmtplib
import pytest

from gateway.demo.mail import BOB, send_mail
from gateway.dm3.message import MessageType
from gateway.errors import GatewayError
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.jobs import JobState
from gateway.store.queue import QueueList
from tests.support.process import EMAIL_DOMAIN, GatewayProcess, gateway_process
from tests.support.waiting import mail_of, until

BOB_NAME = EnsName("bob.mail.example.email.gw.eth")
KILLS = 6
TAKE_OVER = 30.0
"""Seconds: a dead node's lanes are free again after 12."""


@pytest.fixture
def moments() -> random.Random:
    return random.Random(20260)


async def mail(gateway: GatewayProcess, number: int) -> bool:
    """True when the gateway said 250."""
    try:
        await send_mail(
            host="127.0.0.1",
            port=gateway.smtp_port,
            sender=BOB,
            recipient=f"native.eth@{EMAIL_DOMAIN}",
            subject="",
            text=f"number {number}.",
            message_id=f"<{number}@mail.example>",
        )
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True


async def waiting_jobs(gateway: GatewayProcess) -> int:
    async with await Store.open(gateway.settings.store.url) as store:
        return len(await store.read(QueueList(JobState.READY, 1000)))


async def test_mail_that_was_answered_250_survives_a_kill_before_delivery(tmp_path: Path) -> None:
    """The process dies the moment after it said 250, again and again."""
    async with gateway_process(tmp_path / "node") as gateway:
        await gateway.start()
        found_waiting = 0
        for number in range(KILLS):
            assert await mail(gateway, number), gateway.log()
            await gateway.kill()
            found_waiting += await waiting_jobs(gateway)
            await gateway.start()
        received = await mail_of(gateway.native, KILLS, seconds=TAKE_OVER)
        numbers = Counter((each.message.text or "").partition(".")[0] for each in received)
        assert numbers == {f"number {number}": 1 for number in range(KILLS)}, "each once"
        assert found_waiting > 0, "no kill hit the time between 250 and delivery: the test showed nothing"


async def test_under_load_nothing_acknowledged_is_lost(tmp_path: Path, moments: random.Random) -> None:
    """Clients keep mailing while the process is killed at random moments; unacknowledged mail is sent again."""
    async with gateway_process(tmp_path / "node") as gateway:
        await gateway.start()
        acknowledged: set[int] = set()
        numbers = iter(range(10_000))
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                number = next(numbers)
                while not await mail(gateway, number):  # noqa: ASYNC110 - as a mail client would
                    await asyncio.sleep(0.05)
                acknowledged.add(number)

        clients = [asyncio.create_task(client()) for _ in range(4)]
        for kill in range(1, 4):

            async def some_more(wanted: int = 8 * kill) -> bool | None:
                return len(acknowledged) >= wanted or None

            await until(some_more, 60)
            await asyncio.sleep(moments.uniform(0, 0.5))
            await gateway.kill()
            await gateway.start()
        done.set()
        await asyncio.gather(*clients)
        texts: Counter[str] = Counter()

        async def all_there() -> bool | None:
            # A pick-up ends at some megabytes: what was acknowledged makes room for the next.
            received = await gateway.native.fetch()
            texts.update((each.message.text or "").partition(".")[0] for each in received)
            await gateway.native.acknowledge(*received)
            return len(texts) >= len(acknowledged) or None

        await until(all_there, 2 * TAKE_OVER)
        assert texts == {f"number {number}": 1 for number in acknowledged}
        assert len(acknowledged) > 20


async def test_an_envelope_that_was_answered_ok_survives_a_kill(tmp_path: Path) -> None:
    """The other way: after the relay's 200 the reply reaches the mailbox; a kill may repeat it, never lose it."""
    async with gateway_process(tmp_path / "node") as gateway:
        await gateway.start()
        assert await mail(gateway, 0)
        await mail_of(gateway.native)
        for number in range(KILLS):
            await gateway.native.send(BOB_NAME, f"reply {number}.")
            await gateway.kill()
            await gateway.start()

        async def look() -> Counter[str] | None:
            bodies = [each.get_body(("plain",)) for each in await gateway.mail.messages(BOB)]
            found = Counter(body.get_content().partition(".")[0] for body in bodies if body is not None)
            return found if len(found) == KILLS else None

        found = await until(look, 2 * TAKE_OVER)
        assert set(found) == {f"reply {number}" for number in range(KILLS)}
        assert found.total() - KILLS <= KILLS, "at most one repeat for each kill"
        ids = {each["Message-ID"] for each in await gateway.mail.messages(BOB)}
        assert len(ids) == KILLS, "a repeat has the same Message-ID"


async def test_a_submission_without_an_answer_can_be_repeated(tmp_path: Path) -> None:
    """Whoever got no answer sends the same envelope again: it is there once."""
    async with gateway_process(tmp_path / "node") as gateway:
        await gateway.start()
        assert await mail(gateway, 0)
        await gateway.native.acknowledge(*await mail_of(gateway.native))
        submission = asyncio.create_task(gateway.native.send(EnsName("native.eth"), "to myself"))
        await asyncio.sleep(0)
        await gateway.kill()
        answered = True
        try:
            await submission
        except GatewayError:
            answered = False
        await gateway.start()
        if not answered:
            await gateway.native.send(EnsName("native.eth"), "to myself")
        received = await mail_of(gateway.native)
        assert {each.message.text for each in received} == {"to myself"}


async def test_sigterm_ends_cleanly(tmp_path: Path) -> None:
    """Exit code 0, the last word in the log, and everything still there at the next start."""
    async with gateway_process(tmp_path / "node") as gateway:
        await gateway.start()
        assert await mail(gateway, 0)
        assert await gateway.stop() == 0, gateway.log()
        assert "gateway.stopped" in gateway.log()
        assert "Traceback" not in gateway.log()
        await gateway.start()
        (received,) = await mail_of(gateway.native, seconds=TAKE_OVER)
        assert received.message.type is MessageType.NEW
