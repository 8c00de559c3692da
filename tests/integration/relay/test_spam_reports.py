"""Reports of spam on their way: to a real receiver, through the queue, past failures of every kind."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import trustme

from gateway.dm3.keys import signing_pair
from gateway.dm3.spam_report import SpamReport, verify_report
from gateway.ens.egress import GuardedClient
from gateway.ids import EnsName, EnvelopeId, EthAddress
from gateway.lifecycle import now_ms
from gateway.relay.spam_reports import LIFE_MS, REPORT_SPAM, SpamReports, spam_report_job
from gateway.store import Store
from gateway.store.jobs import Enqueue, Job, JobState, NewJob, destination_of
from gateway.store.queue import QueueCounts, QueueList
from gateway.work import worker
from gateway.work.results import Done, Hold, Later, Result
from gateway.work.worker import Worker
from tests.integration.ens.servers import Asked, Script, answering, response, scripted, silence
from tests.support.waiting import until

KEY = signing_pair(b"\1" * 32)
REPORT = SpamReport(
    service=EnsName("ds.gw.eth"),
    reporter=EnsName("alice.eth"),
    sender=EnsName("mallory.eth"),
    sender_address=EthAddress("0x" + "66" * 20),
    envelope=EnvelopeId("5e" * 32),
    reported_at=1_800_000_000_000,
)


async def nothing(_: bytes) -> None:
    """No checkpoint is written."""


def running(job: NewJob) -> Job:
    """The job as a worker has it."""
    return Job(1, job.lane, job.kind, job.payload, None, JobState.READY, 0, "", job.created_at, job.expires_at)


async def handled(url: str, job: NewJob | None = None, **options: Any) -> Result:
    async with GuardedClient(**{"allow_private": True, "timeout": 30, **options}) as client:
        reports = SpamReports(client=client, url=url, signing_key=KEY)
        return await reports.handle(running(job or spam_report_job(REPORT)), nothing)


def test_the_job_of_a_report() -> None:
    job = spam_report_job(REPORT)
    assert (job.kind, destination_of(job.lane)) == (REPORT_SPAM, "report-spam")
    assert (job.created_at, job.expires_at) == (REPORT.reported_at, REPORT.reported_at + LIFE_MS)
    assert SpamReport.from_json(json.loads(job.payload)) == REPORT
    assert "mallory" not in job.lane, "names of lanes stand in logs"
    assert spam_report_job(replace(REPORT, reporter=EnsName("bob.eth"))).lane == job.lane
    assert spam_report_job(replace(REPORT, sender_address=EthAddress("0x" + "67" * 20))).lane != job.lane
    assert spam_report_job(REPORT, life_ms=5).expires_at == REPORT.reported_at + 5


@pytest.mark.attack(55)
@pytest.mark.parametrize("status", [200, 202, 204])
async def test_a_receiver_gets_the_signed_report(status: int) -> None:
    async with scripted(answering(response(status))) as receiver:
        assert isinstance(await handled(receiver.url("/reports")), Done)
    (asked,) = receiver.asked
    assert (asked.method, asked.path, asked.headers["content-type"]) == ("POST", "/reports", "application/json")
    value = json.loads(asked.body)
    assert verify_report(value, KEY.public)
    assert SpamReport.from_json(value) == REPORT


@pytest.mark.parametrize(
    ("script", "result"),
    [
        (answering(response(500)), Later),
        (answering(response(503, b"busy")), Later),
        (answering(response(408)), Later),
        (answering(response(429)), Later),
        (answering(b"garbage\r\n\r\n"), Later),
        (silence, Later),
        (answering(response(400)), Hold),
        (answering(response(401)), Hold),
        (answering(response(404)), Hold),
        (answering(response(302, b"", "text/plain", ("Location", "http://127.0.0.1/"))), Hold),
        (answering(response(200, b"x" * 70_000)), Hold),
    ],
)
async def test_what_becomes_of_a_report(script: Script, result: type) -> None:
    """What may pass comes again; what the receiver does not want is for its operator to look at."""
    async with scripted(script) as receiver:
        assert isinstance(await handled(receiver.url(), timeout=0.5 if script is silence else 30), result)


async def test_a_receiver_that_is_down() -> None:
    assert isinstance(await handled("http://127.0.0.1:9/"), Later)


async def test_the_guard_holds_for_reports_too() -> None:
    """A client that must not reach this machine does not, whatever address the operator wrote down."""
    async with scripted(answering(response(200))) as receiver:
        assert isinstance(await handled(receiver.url(), allow_private=False), Hold)
        assert isinstance(await handled(receiver.url(scheme="https"), allow_private=False), Hold)
        assert receiver.connections == 0


async def test_reports_travel_by_tls() -> None:
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    async with scripted(answering(response(200)), tls=theirs) as receiver:
        url = receiver.url(host="localhost", scheme="https")
        assert isinstance(await handled(url, tls=ours), Done)
        assert isinstance(await handled(url, tls=ssl.create_default_context()), Later), "a stranger's certificate"
    assert len(receiver.asked) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"{" * 100,
        b'{"service":{}}',
        b"x" * 10_000,
        b'{"service":"' + b"a" * 5_000 + b'"}',
    ],
)
async def test_a_payload_that_is_no_report_is_set_aside(payload: bytes) -> None:
    async with scripted(answering(response(200))) as receiver:
        result = await handled(receiver.url(), replace(spam_report_job(REPORT), payload=payload))
        assert isinstance(result, Hold)
        assert receiver.asked == []


async def test_nobody_is_told_of_a_report_that_is_given_up() -> None:
    async with GuardedClient() as client:
        reports = SpamReports(client=client, url="https://stake.example", signing_key=KEY)
        assert await reports.expire(running(spam_report_job(REPORT))) == Done()


@pytest.fixture
async def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    async with await Store.open(store_url) as opened:
        yield opened


async def work_until(store: Store, url: str, done: Callable[[], Any]) -> None:
    """A worker that sends reports to ``url``, until what is looked for is there."""
    async with GuardedClient(allow_private=True, timeout=30) as client:
        reports = SpamReports(client=client, url=url, signing_key=KEY)
        working = asyncio.create_task(
            Worker(store=store, handlers={REPORT_SPAM: reports}, owner="node-1", clock=now_ms).run()
        )
        try:
            await until(done)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def test_a_report_is_sent_from_the_queue_until_it_arrives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "back_off_ms", lambda _: 0)
    tries = 0

    async def second_time(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(response(503 if tries == 1 else 200))

    async def empty() -> bool | None:
        return True if not await store.read(QueueCounts()) else None

    await store.commit(Enqueue(spam_report_job(replace(REPORT, reported_at=now_ms()))))
    async with scripted(second_time) as receiver:
        await work_until(store, receiver.url(), empty)
        first, second = (asked.body for asked in receiver.asked)
    assert first == second, "the receiver can tell a repeat"
    assert verify_report(json.loads(second), KEY.public)


async def test_a_report_that_is_refused_waits_for_the_operator(store: Store) -> None:
    async def held() -> list[Job] | None:
        return await store.read(QueueList(JobState.HOLD, 10)) or None

    await store.commit(Enqueue(spam_report_job(replace(REPORT, reported_at=now_ms()))))
    async with scripted(answering(response(403))) as receiver:
        await work_until(store, receiver.url(), held)
    (job,) = await store.read(QueueList(JobState.HOLD, 10))
    assert "403" in job.reason
    assert "mallory" not in job.reason
