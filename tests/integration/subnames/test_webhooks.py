"""Webhooks: signed so that anybody can check it, in order, again until they arrive, and given up at last."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time as wall
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.custody.derive import webhook_sealing_key
from gateway.custody.seed import MasterSeed
from gateway.ens.egress import GuardedClient
from gateway.errors import InvalidInput, LimitExceeded, NotFound
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.store import Store
from gateway.store.audit import AuditPage
from gateway.store.jobs import Job
from gateway.store.lanes import LaneJobs
from gateway.store.names import PutName
from gateway.store.queue import QueueCounts
from gateway.store.webhooks import WEBHOOK, WebhookOf, webhook_lane
from gateway.subnames.events import LIFE_MS, EventType, NameEvent, news_of_import, webhook_jobs
from gateway.subnames.webhooks import MAX_WEBHOOKS, Deliveries, NewWebhook, Webhooks, shown_url, signed_headers
from gateway.work import worker
from gateway.work.results import Done, Hold, Later, Result
from gateway.work.worker import Worker
from tests.integration.ens.servers import Asked, Script, answering, response, scripted, silence
from tests.integration.store.values import NOW, Sql, name_row
from tests.support.waiting import until

GW, OTHER = EnsName("gw.eth"), EnsName("other.eth")
KEY = webhook_sealing_key(MasterSeed(b"\x11" * 32))
CLAIMED = NameEvent(EventType.CLAIMED, EnsName("bób.gw.eth"), NOW, {"owner": "0x" + "ab" * 20})


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_private=True) as opened:
        yield opened


@pytest.fixture
def webhooks(store: Store, client: GuardedClient) -> Webhooks:
    return Webhooks(store=store, clock=lambda: NOW, sealing_key=KEY, client=client)


@pytest.fixture
def deliveries(store: Store, client: GuardedClient) -> Deliveries:
    return Deliveries(store=store, clock=lambda: NOW, sealing_key=KEY, client=client)


async def nothing(_: bytes) -> None:
    """No checkpoint is written."""


async def queued(store: Store, new: NewWebhook, *events: NameEvent) -> list[Job]:
    await store.commit(webhook_jobs(GW, *(events or (CLAIMED,))))
    return await store.read(LaneJobs(webhook_lane(new.webhook.id), 9))


def is_genuine(asked: Asked, secret: str, now: float) -> bool:
    """What a receiver does, written from the specification: no code of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    moment = asked.headers["webhook-timestamp"]
    if abs(now - int(moment)) > 300:
        return False
    content = f"{asked.headers['webhook-id']}.{moment}.".encode() + asked.body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    signatures = [each.split(",", 1) for each in asked.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(given, expected) for version, given in signatures)


async def test_a_receiver_can_check_what_it_gets(store: Store, webhooks: Webhooks, deliveries: Deliveries) -> None:
    async with scripted(answering(response(204))) as receiver:
        new = await webhooks.register(GW, receiver.url("/hook?a=b"), actor="operator")
        (job,) = await queued(store, new)
        assert await deliveries.handle(job, nothing) == Done()
        (asked,) = receiver.asked
    assert (asked.method, asked.path, asked.headers["content-type"]) == ("POST", "/hook?a=b", "application/json")
    assert asked.headers["webhook-id"] == CLAIMED.id
    assert is_genuine(asked, new.secret, NOW / 1000)
    assert not is_genuine(asked, new.secret, NOW / 1000 + 301), "too old"
    assert not is_genuine(replace(asked, body=asked.body + b" "), new.secret, NOW / 1000)
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert not is_genuine(asked, other, NOW / 1000)
    assert json.loads(asked.body) == {
        "type": "name.claimed",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {"name": "bób.gw.eth", "owner": "0x" + "ab" * 20},
    }


def test_the_example_of_the_specification() -> None:
    """Secret, id, time, body and signature as the documentation of Standard Webhooks' libraries shows them."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_secret_is_sealed_to_its_row(
    store: Store, webhooks: Webhooks, deliveries: Deliveries, client: GuardedClient
) -> None:
    async with scripted(answering(response(200))) as receiver:
        new = await webhooks.register(GW, receiver.url(), actor="operator")
        secret = base64.b64decode(new.secret.removeprefix("whsec_"))
        rows = repr(await store.read(Sql("SELECT * FROM webhooks"))) + repr(await store.read(AuditPage(0, 9)))
        assert new.secret not in rows
        assert secret not in new.webhook.sealed_secret
        assert new.secret not in repr(new)
        (job,) = await queued(store, new)
        stranger = Deliveries(store=store, clock=lambda: NOW, sealing_key=b"k" * 32, client=client)
        assert isinstance(await stranger.handle(job, nothing), Hold)
        await store.commit(Sql(f"UPDATE webhooks SET url = '{receiver.url('/elsewhere')}'"))
        assert isinstance(await deliveries.handle(job, nothing), Hold), "whoever moved it gets nothing signed"
        assert receiver.asked == []


@pytest.mark.parametrize(
    ("script", "result"),
    [
        (answering(response(200)), Done),
        (answering(response(299)), Done),
        (answering(response(302, b"", "text/plain", ("Location", "http://127.0.0.1/"))), Later),
        (answering(response(400)), Later),
        (answering(response(401)), Later),
        (answering(response(500)), Later),
        (answering(response(200, b"x" * 70_000)), Later),
        (answering(b"garbage\r\n\r\n"), Later),
        (silence, Later),
    ],
)
async def test_what_becomes_of_an_event(
    store: Store,
    webhooks: Webhooks,
    deliveries: Deliveries,
    script: Script,
    result: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.subnames.webhooks.SEND_SECONDS", 2.0 if script is silence else 30.0)
    async with scripted(script) as receiver:
        new = await webhooks.register(GW, receiver.url(), actor="operator")
        (job,) = await queued(store, new)
        assert isinstance(await deliveries.handle(job, nothing), result)
        assert len(receiver.asked) == 1


@pytest.mark.parametrize(
    ("header", "wait"), [("5", 5_000), ("0", 1_000), ("999999", 3_600_000), ("soon", None), ("٣", None), ("-1", None)]
)
async def test_a_receiver_may_ask_for_patience(
    store: Store, webhooks: Webhooks, deliveries: Deliveries, header: str, wait: int | None
) -> None:
    busy = response(429, b"", "text/plain", ("Retry-After", header)).decode().encode("utf-8")
    async with scripted(answering(busy)) as receiver:
        new = await webhooks.register(GW, receiver.url(), actor="operator")
        (job,) = await queued(store, new)
        answer = await deliveries.handle(job, nothing)
    assert isinstance(answer, Later)
    assert answer.after_ms == wait


async def applied(store: Store, result: Result) -> None:
    assert isinstance(result, Done)
    await store.commit_all(*result.ops)


async def test_a_receiver_that_is_gone_or_fails_for_days_is_disabled(
    store: Store, webhooks: Webhooks, deliveries: Deliveries
) -> None:
    async with scripted(answering(response(410))) as receiver:
        gone = await webhooks.register(GW, receiver.url(), actor="operator")
        (job,) = await queued(store, gone)
        await applied(store, await deliveries.handle(job, nothing))
    silent = await webhooks.register(GW, "http://127.0.0.1:9/", actor="operator")
    (job,) = await queued(store, silent)
    assert job.expires_at == NOW + LIFE_MS
    assert await deliveries.expire(job) == Done(), "this gateway may have been away"
    await applied(store, await deliveries.expire(replace(job, attempts=3)))
    for each in (gone, silent):
        found = await store.read(WebhookOf(each.webhook.id))
        assert found is not None
        assert found.disabled_at == NOW
    disabled = [each.entry for each in await store.read(AuditPage(0, 99)) if each.entry.action == "webhook.disabled"]
    assert [(entry.actor, entry.subject) for entry in disabled] == [("gateway", GW)] * 2
    assert await deliveries.handle(job, nothing) == Done(), "what waited is dropped"
    await webhooks.enable(GW, silent.webhook.id, actor="operator")
    assert isinstance(await deliveries.handle(job, nothing), Later)


async def test_addresses_that_are_no_receivers(store: Store, webhooks: Webhooks) -> None:
    for url in (
        "http://gw.example/",
        "ftp://a.example",
        "https://u:p@a.example/",
        "http://10.0.0.1/",
        "x",
        "https://" + "a" * 2000,
    ):
        with pytest.raises(InvalidInput):
            await webhooks.register(GW, url, actor="operator")
    async with GuardedClient() as guarded:
        strict = Webhooks(store=store, clock=lambda: NOW, sealing_key=KEY, client=guarded)
        for url in ("http://127.0.0.1/", "https://127.0.0.1/", "https://10.0.0.1/", "https://a.example:8443/"):
            with pytest.raises(InvalidInput):
                await strict.register(GW, url, actor="operator")
        await strict.register(GW, "https://a.example/hook", actor="operator")
    assert [each.url for each in await webhooks.list(GW)] == ["https://a.example/hook"]


async def test_the_guard_holds_when_it_is_sent(store: Store, webhooks: Webhooks) -> None:
    """A name that leads to this machine by the time of sending."""
    async with scripted(answering(response(200))) as receiver, GuardedClient() as guarded:
        new = await webhooks.register(GW, f"https://localhost:{receiver.port}/", actor="operator")
        (job,) = await queued(store, new)
        strict = Deliveries(store=store, clock=lambda: NOW, sealing_key=KEY, client=guarded)
        assert isinstance(await strict.handle(job, nothing), Later)
        assert receiver.connections == 0


async def test_receivers_belong_to_a_parent(store: Store, webhooks: Webhooks) -> None:
    new = await webhooks.register(GW, "https://a.example/", actor="operator", events=frozenset({EventType.RELEASED}))
    assert await webhooks.list(OTHER) == []
    for refused in (webhooks.remove, webhooks.enable):
        with pytest.raises(NotFound):
            await refused(OTHER, new.webhook.id, actor="operator")
    assert await queued(store, new) == []
    (job,) = await queued(store, new, replace(CLAIMED, type=EventType.RELEASED))
    assert job.kind == WEBHOOK
    await webhooks.remove(GW, new.webhook.id, actor="operator")
    assert await webhooks.list(GW) == []
    actions = [each.entry.action for each in await store.read(AuditPage(0, 9))]
    assert actions == ["webhook.registered", "webhook.removed"]
    for number in range(MAX_WEBHOOKS):
        await webhooks.register(GW, f"https://a.example/{number}", actor="operator")
    with pytest.raises(LimitExceeded):
        await webhooks.register(GW, "https://a.example/", actor="operator")


def test_what_is_printed_of_a_url() -> None:
    assert shown_url("https://a.example/secret?x=y") == "https://a.example/…"
    assert shown_url("https://a.example:8443/") == "https://a.example:8443"


@asynccontextmanager
async def working(store: Store, client: GuardedClient, owner: str = "node-1") -> AsyncIterator[None]:
    deliveries = Deliveries(store=store, clock=now_ms, sealing_key=KEY, client=client)
    task = asyncio.create_task(Worker(store=store, handlers={WEBHOOK: deliveries}, owner=owner, clock=now_ms).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_from_the_change_to_the_receiver_in_order(
    store: Store, webhooks: Webhooks, client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two receivers; one of them fails at first and hears everything in order all the same, once it answers."""
    monkeypatch.setattr(worker, "back_off_ms", lambda _: 0)
    tries = 0

    async def third_time(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(response(503 if tries < 3 else 200))

    def empty() -> Awaitable[bool | None]:
        async def look() -> bool | None:
            return True if not await store.read(QueueCounts()) else None

        return look()

    async with scripted(third_time) as slow, scripted(answering(response(200))) as quick:
        first = await webhooks.register(GW, slow.url(), actor="operator")
        await webhooks.register(GW, quick.url(), actor="operator")
        now = now_ms()
        rows = [name_row(f"n{number}.gw.eth", updated_at=now) for number in range(3)]
        for row in rows:
            await store.commit_all(PutName(row), *news_of_import(GW)([row], []))
        async with working(store, client):
            await until(empty)
    heard: Callable[[list[Asked]], list[Any]] = lambda asked: [json.loads(each.body)["data"]["name"] for each in asked]  # noqa: E731
    names = [row.name for row in rows]
    assert heard(slow.asked) == [names[0], names[0], *names]
    assert heard(quick.asked) == names
    ids = [each.headers["webhook-id"] for each in slow.asked]
    assert len({*ids[:3]}) == 1, "a repeat is known by its id"
    assert len({*ids}) == 3
    assert all(is_genuine(each, first.secret, wall.time()) for each in slow.asked)
    assert not await store.read(LaneJobs(webhook_lane(first.webhook.id), 9))


def test_an_import_without_changes_is_no_news() -> None:
    assert news_of_import(GW)([], []) == ()


async def test_two_nodes_tell_and_send_at_once(
    postgres_store_url: str, client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes lock the lanes of all receivers while workers end jobs in them: nothing is lost or out of order."""
    monkeypatch.setattr(worker, "back_off_ms", lambda _: 0)
    async with (
        await Store.open(postgres_store_url) as one,
        await Store.open(postgres_store_url) as two,
        scripted(answering(response(200))) as receiver,
    ):
        webhooks = Webhooks(store=one, clock=now_ms, sealing_key=KEY, client=client)
        for number in range(3):
            await webhooks.register(GW, receiver.url(f"/{number}"), actor="operator")

        async def change(store: Store, node: str) -> None:
            for number in range(20):
                row = name_row(f"{node}{number}.gw.eth", updated_at=now_ms())
                await store.commit_all(PutName(row), *news_of_import(GW)([row], []))

        async def empty() -> bool | None:
            return True if not await one.read(QueueCounts()) else None

        async with working(one, client, "a"), working(two, client, "b"):
            await asyncio.gather(change(one, "a"), change(two, "b"))
            await until(empty, 60)
        for number in range(3):
            heard = [json.loads(each.body)["data"]["name"] for each in receiver.asked if each.path == f"/{number}"]
            firsts = list(dict.fromkeys(heard))
            for node in "ab":
                assert [name for name in firsts if name.startswith(node)] == [f"{node}{n}.gw.eth" for n in range(20)]
