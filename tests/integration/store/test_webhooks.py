"""Receivers of news, and the jobs that tell them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.lanes import LaneJobs
from gateway.store.names import NameNamed, PutName
from gateway.store.webhooks import (
    WEBHOOK,
    AddWebhook,
    DropWebhook,
    News,
    SwitchWebhook,
    TellWebhooks,
    Webhook,
    WebhookOf,
    WebhooksOf,
    webhook_lane,
)
from tests.integration.store.values import NOW, Refuse, name_row

GW, OTHER = EnsName("gw.eth"), EnsName("other.eth")
ALL = Webhook("a", GW, "https://a.example/", (), b"sealed", NOW)
CLAIMS = Webhook("b", GW, "https://b.example/", ("name.claimed",), b"sealed", NOW)
THEIRS = Webhook("c", OTHER, "https://c.example/", (), b"sealed", NOW)
NEWS = (News("name.claimed", b"1"), News("name.released", b"2"))
TELL = TellWebhooks(GW, NEWS, NOW, NOW + 9)


async def payloads(store: Store, webhook: Webhook) -> list[bytes]:
    return [job.payload for job in await store.read(LaneJobs(webhook_lane(webhook.id), 9))]


@pytest.fixture
async def receivers(store: Store) -> None:
    for webhook in (CLAIMS, THEIRS, ALL):
        await store.commit(AddWebhook(webhook))


@pytest.mark.usefixtures("receivers")
async def test_receivers_are_kept_switched_and_dropped(store: Store) -> None:
    assert await store.read(WebhooksOf(GW, 9)) == [ALL, CLAIMS]
    assert await store.read(WebhookOf("c")) == THEIRS
    assert await store.commit(SwitchWebhook(OTHER, "a", NOW)) is False
    assert await store.commit(SwitchWebhook(GW, "a", NOW)) is True
    assert await store.commit(SwitchWebhook(GW, "a", NOW + 1)) is False
    assert await store.read(WebhookOf("a")) == replace(ALL, disabled_at=NOW)
    assert await store.commit(SwitchWebhook(GW, "a", None)) is True
    assert await store.commit(SwitchWebhook(GW, "a", None)) is False
    assert await store.commit(DropWebhook(OTHER, "a")) is False
    assert await store.commit(DropWebhook(GW, "a")) is True
    assert await store.read(WebhookOf("a")) is None


@pytest.mark.usefixtures("receivers")
async def test_news_reach_who_wants_them_in_order(store: Store) -> None:
    assert await store.commit(TELL) == 3
    assert await store.commit(replace(TELL, news=NEWS[1:])) == 1
    assert await payloads(store, ALL) == [b"1", b"2", b"2"]
    assert await payloads(store, CLAIMS) == [b"1"]
    assert await payloads(store, THEIRS) == []
    (job, *_) = await store.read(LaneJobs(webhook_lane("b"), 9))
    assert (job.kind, job.created_at, job.expires_at) == (WEBHOOK, NOW, NOW + 9)
    await store.commit(SwitchWebhook(GW, "a", NOW))
    assert await store.commit(replace(TELL, news=NEWS[1:])) == 0
    assert TELL.wakes(0) is False
    assert TELL.wakes(1) is True


@pytest.mark.usefixtures("receivers")
async def test_news_of_what_did_not_happen_are_not_told(store: Store) -> None:
    row = name_row("bob.gw.eth")
    with pytest.raises(RuntimeError):
        await store.commit_all(PutName(row), TELL, Refuse(RuntimeError("no")))
    assert await store.read(NameNamed(row.name)) is None
    assert await payloads(store, ALL) == []
