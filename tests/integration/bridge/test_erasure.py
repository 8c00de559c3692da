"""Whoever is deleted is in no column of no table any more: not their id, not their name, not what they wrote or got."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.bridge import erasing, leaving
from gateway.bridge.jobs import event_job, notice_job
from gateway.dm3.message import MessageType
from gateway.ids import CanonicalId, EnsName, NativeId
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import DeliveryState, Outgoing, Person, Retry
from gateway.sdk.attachments import file_attachment
from gateway.sdk.events import NativeEvent
from gateway.sdk.values import Value
from gateway.store import Store
from gateway.store.erasure import mentions
from gateway.store.identities import IdentityNamed
from gateway.store.jobs import Enqueue, JobState
from gateway.store.queue import AddHeld, QueueList
from gateway.store.schema import metadata
from gateway.work import results
from tests.integration.bridge.scripted import BOB, BOB_NAME, ScriptedService, person_at
from tests.integration.store.values import Sql
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

PERSON = CanonicalId(BOB)
ALSO = CanonicalId("x" + BOB)
"""Somebody else, whose id ends in the same way."""


@pytest.fixture
async def house(store_url: str, tmp_path: Path, paper: PaperAdapter) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", adapters={paper.name: paper}, store_url=store_url) as running:
        yield running


async def where(store: Store, *needles: str) -> list[str]:
    """Every table in which one of these stands in any column, as text, in hexadecimal, or inside bytes."""
    found = []
    for table in metadata.tables:
        for row in await store.read(Sql(f"SELECT * FROM {table}")):
            for value in row:
                text = bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                found += [f"{table}: {needle}" for needle in needles if mentions(text, needle)]
                found += [f"{table}: {needle} in hex" for needle in needles if needle.encode().hex() in text]
    return found


async def fill(house: House, paper: PaperAdapter, native: Dm3Client, away: EnsName) -> None:
    """Traces of every kind, of bob and of somebody whose id holds his."""
    store = house.gateway.store
    for person in (BOB, ALSO):
        await paper.write(person, native.name, "from bob to native", f"n1 {person}")
    received = await mail_of(native)
    for person in (BOB, ALSO):
        await paper.write(person, EnsName("nobody.eth"), "in vain", f"n2 {person}")
    await paper.wait_report(DeliveryState.FAILED)
    for person in (BOB, ALSO):
        await paper.write(person, away, "waits to leave", f"n3 {person}")
    paper.script.extend([Retry("later")] * 9)
    assert received
    await native.send(BOB_NAME, "waits for bob", kind=MessageType.NEW)
    await paper.wait_tries(1)
    bob = await store.read(IdentityNamed(BOB_NAME))
    assert bob is not None
    times = {"now": now_ms(), "expires_at": now_ms() + 10**9}
    await store.commit(Enqueue(notice_job(bob, "a code 12345", **times)))
    await paper.ctx.values.put(
        Value("room", f"{BOB} native.eth", "{}"),
        Value("desk", "!room", BOB),
        Value("sent", "1", f'{{"person": "{BOB}", "tries": 1}}'),
        Value("room", f"{ALSO} native.eth", "{}"),
        Value("everybody", "", f'["{BOB}", "{ALSO}"]'),
    )
    await paper.ctx.take((NativeEvent("a room", "e0", b"of others"),))
    raw = event_job(paper.name, [NativeEvent("a room", "e1", f'raw event of "{BOB}"'.encode())], **times)
    await store.commit(AddHeld(raw, "cannot be read"))


@pytest.mark.attack(54)
async def test_nothing_is_left_of_somebody_but_a_digest(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (3600,) * 6)
    monkeypatch.setattr(erasing, "SECOND_LOOK_MS", 200)
    store, native = house.gateway.store, await house.native("native.eth")
    service = ScriptedService(answers=[(503, "")] * 9)
    async with service.at(house.chain, "away.eth") as name:
        carol = await person_at(house, name)
        await fill(house, paper, native, carol.name)
        await service.wait_taken(2)
        before = await where(store, BOB, BOB_NAME)
        tables = {each.partition(":")[0] for each in before}
        assert tables >= {
            "identities", "jobs", "lanes", "envelopes", "statuses", "failed_messages", "message_links",
            "adapter_values",
        }  # fmt: skip
        exported = json.loads((await paper.ctx.people.export(PERSON)).data)
        assert [each["text"] for each in exported["failedMessages"]] == ["in vain"]
        assert [each["text"] for each in exported["waitingToLeave"]] == ["waits to leave"]
        assert [(each["from"], each["messages"]) for each in exported["waitingForYou"]] == [(native.name, 1)]
        assert sorted(each["kind"] for each in exported["rememberedByYourNetwork"]) == ["desk", "room", "sent"]
        assert exported["complete"] is True
        assert not mentions(json.dumps(exported), ALSO)
        removed = await paper.ctx.people.delete(PERSON)
        assert (removed.failed, removed.links) == (1, 1)

        async def second_look_is_over() -> bool | None:
            return not [j for j in await store.read(QueueList(JobState.READY, 100)) if j.kind == erasing.ERASE] or None

        await until(second_look_is_over)
    left = await where(store, BOB, BOB_NAME, "waits for bob", "a code 12345", "raw event")
    assert set(left) == {f"adapter_values: {BOB}"}, "a list of everybody belongs to the others, too"
    values = await store.read(Sql("SELECT kind, key FROM adapter_values ORDER BY kind"))
    assert values == [("everybody", ""), ("room", f"{ALSO} native.eth")]
    assert len(await store.read(Sql("SELECT digest FROM tombstones"))) == 1
    assert {each.partition(":")[0] for each in await where(store, ALSO)} >= {"identities", "adapter_values"}


async def test_what_waits_is_taken_along_but_for_what_nobody_can_read(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few at a time: each may have megabytes of files, of which the names are told."""
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (3600,) * 6)
    store, number = house.gateway.store, 3 * leaving.AT_ONCE
    service = ScriptedService(answers=[(503, "")] * 9)
    async with service.at(house.chain, "away.eth") as name:
        away = await person_at(house, name)
        file = file_attachment("a.txt", "text/plain", b"content of the file")
        for each in range(number):
            written = Outgoing(
                sender=Person(PERSON),
                recipient=away.name,
                native_id=NativeId(f"n{each}"),
                sent_at=1,
                text=str(each),
                attachments=(file,),
            )
            await paper.ctx.submit(written)
        await service.wait_taken(1)

        async def exported() -> dict[str, Any]:
            document: dict[str, Any] = json.loads((await paper.ctx.people.export(PERSON)).data)
            return document

        document = await exported()
        assert [each["text"] for each in document["waitingToLeave"]] == [str(each) for each in range(number)]
        assert {tuple(each["files"]) for each in document["waitingToLeave"]} == {("a.txt",)}
        assert document["complete"] is True
        assert "content of the file" not in json.dumps(document)
        newest = "SELECT max(id) FROM jobs WHERE kind = 'outbound'"
        payload = "X'7B7D'" if store.dialect == "sqlite" else r"'\x7b7d'::bytea"
        await store.commit(Sql(f"UPDATE jobs SET payload = {payload} WHERE id = ({newest})"))
        document = await exported()
        assert len(document["waitingToLeave"]) == number - 1
        assert document["complete"] is False
