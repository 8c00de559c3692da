"""Requests that come again: one execution, one answer, on any node."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.errors import GatewayError, InvalidInput, KeyReused, NameTaken, RequestUnderWay, Unavailable
from gateway.store import Store
from gateway.subnames import idempotency
from gateway.subnames.idempotency import ABANDONED_MS, KEPT_MS, Answer, Idempotency, key_of, request_digest
from tests.integration.store.values import NOW

ASKED = request_digest("POST", "/names", b"{}")


@dataclass
class Doing:
    """Work that counts how often it was done."""

    answers: list[Answer | Exception] = field(default_factory=lambda: [Answer(201, {"name": "Ω.gw.eth"})])
    times: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> Answer:
        self.times += 1
        self.begun.set()
        await self.go.wait()
        answer = self.answers[min(self.times, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Time:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def answer_of(error: GatewayError) -> Answer:
    return Answer(error.status, {"message": error.sentence})


@pytest.fixture
def once(store: Store, time: Time) -> Idempotency:
    return Idempotency(store=store, clock=time, answer_of=answer_of)


def doing(*answers: Answer | Exception) -> Doing:
    work = Doing(list(answers)) if answers else Doing()
    work.go.set()
    return work


async def test_a_repeat_gets_the_same_answer(once: Idempotency, store: Store, time: Time) -> None:
    work = doing()
    first = await once.run("key:1", '"k"', ASKED, work)
    time.now += KEPT_MS - 1
    again = await once.run("key:1", "k", ASKED, work)
    elsewhere = await Idempotency(store=store, clock=time).run("key:1", "k", ASKED, work)
    assert first == again == elsewhere == Answer(201, {"name": "Ω.gw.eth"})
    assert work.times == 1
    await once.run("key:2", "k", ASKED, work)
    await once.run("key:1", "l", ASKED, work)
    assert work.times == 3
    time.now += 1
    await once.run("key:1", "k", ASKED, work)
    assert work.times == 4, "a day later it is a new request"


async def test_without_a_key_nothing_is_kept(once: Idempotency) -> None:
    work = doing()
    for _ in range(2):
        await once.run("key:1", None, ASKED, work)
    assert work.times == 2


async def test_a_key_is_for_one_request(once: Idempotency) -> None:
    work = doing()
    await once.run("key:1", "k", ASKED, work)
    with pytest.raises(KeyReused) as refusal:
        await once.run("key:1", "k", request_digest("POST", "/names", b"{ }"), work)
    assert refusal.value.status == 422
    assert work.times == 1


async def test_an_answer_outlives_the_node(store_url: str, time: Time) -> None:
    work = doing()
    for _ in range(2):
        async with await Store.open(store_url) as opened:
            assert (await Idempotency(store=opened, clock=time).run("key:1", "k", ASKED, work)).status == 201
    assert work.times == 1


async def test_of_concurrent_ones_one_is_done(store: Store, store_url: str, time: Time) -> None:
    async with await Store.open(store_url) as other:
        await one_of_many(store, other, time)


async def one_of_many(store: Store, other: Store, time: Time) -> None:
    nodes = [Idempotency(store=each, clock=time) for each in (store, other) * 2]
    work = Doing()
    tasks = [asyncio.create_task(node.run("key:1", "k", ASKED, work)) for node in nodes]
    await asyncio.wait_for(work.begun.wait(), 60)
    refused, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    while len(waiting) > 1:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused |= more
    for task in refused:
        error = task.exception()
        assert isinstance(error, RequestUnderWay)
        assert (error.status, error.retry) == (409, True)
    work.go.set()
    assert [await task for task in waiting] == [Answer(201, {"name": "Ω.gw.eth"})]
    assert await nodes[0].run("key:1", "k", ASKED, work) == Answer(201, {"name": "Ω.gw.eth"})
    assert work.times == 1


@pytest.mark.parametrize("passing", [Answer(503, {}), Answer(429, {}), Unavailable("down"), RuntimeError("bug")])
async def test_what_is_no_result_is_not_kept(once: Idempotency, passing: Answer | Exception) -> None:
    work = doing(passing, Answer(200, {"done": True}))
    if isinstance(passing, Answer):
        assert await once.run("key:1", "k", ASKED, work) == passing
    else:
        with pytest.raises(type(passing)):
            await once.run("key:1", "k", ASKED, work)
    assert await once.run("key:1", "k", ASKED, work) == Answer(200, {"done": True})


async def test_a_refusal_is_a_result(once: Idempotency) -> None:
    work = doing(NameTaken("bob.gw.eth is taken"), Answer(201, {}))
    first = await once.run("key:1", "k", ASKED, work)
    assert first == Answer(409, {"message": NameTaken.sentence})
    assert await once.run("key:1", "k", ASKED, work) == first
    assert work.times == 1


async def test_a_caller_who_hangs_up_finds_the_answer_later(once: Idempotency) -> None:
    work = Doing()
    task = asyncio.create_task(once.run("key:1", "k", ASKED, work))
    await asyncio.wait_for(work.begun.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    work.go.set()
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await once.run("key:1", "k", ASKED, work)
            except RequestUnderWay:
                await asyncio.sleep(0.005)
                continue
            break
    assert (answer.status, work.times) == (201, 1)


async def test_what_a_dead_node_began_is_done_by_another(once: Idempotency, store: Store, time: Time) -> None:
    stuck, work = Doing(), doing()
    dead = Idempotency(store=store, clock=time)
    task = asyncio.create_task(dead.run("key:1", "k", ASKED, stuck))
    await asyncio.wait_for(stuck.begun.wait(), 60)
    time.now += ABANDONED_MS - 1
    with pytest.raises(RequestUnderWay):
        await once.run("key:1", "k", ASKED, work)
    time.now += 1
    assert (await once.run("key:1", "k", ASKED, work)).status == 201
    stuck.go.set()
    await task
    assert await once.run("key:1", "k", ASKED, doing()) == Answer(201, {"name": "Ω.gw.eth"})


async def test_work_that_takes_too_long_is_not_begun_again_at_once(
    once: Idempotency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WORK_SECONDS", 0.01)
    work = Doing()
    with pytest.raises(Unavailable):
        await once.run("key:1", "k", ASKED, work)
    with pytest.raises(RequestUnderWay):
        await once.run("key:1", "k", ASKED, work)


def test_keys_as_they_are_written() -> None:
    assert key_of('"8e03978e-40d5"') == key_of(" 8e03978e-40d5 ") == "8e03978e-40d5"
    for wrong in ("", '""', " ", "a b", "Ω", "a" * 256, '"a', 'a"b', "a\\b", "a\n\nb"):
        with pytest.raises(InvalidInput):
            key_of(wrong)


def test_requests_are_told_apart() -> None:
    one = request_digest("POST", "/a", b"b")
    assert len({one, request_digest("POST", "/ab", b""), request_digest("PUT", "/a", b"b")}) == 3
