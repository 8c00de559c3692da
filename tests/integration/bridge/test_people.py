"""What bridged people decide by commands, over the real store, relay and bridge."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.bridge.jobs import JobKind, inbound_lane
from gateway.dm3.canonical import parse_object
from gateway.dm3.message import MessageType
from gateway.dm3.spam_report import SpamReport
from gateway.ens.names import namehash
from gateway.errors import NotFound, PersonDeleted, RemoteRefused, UnknownName
from gateway.ids import CanonicalId, EnsName, EthAddress
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.spam_reports import REPORT_SPAM
from gateway.sdk import DeliveryState, FileContent, Person, PersonService
from gateway.sdk.commands import Answer, Commands
from gateway.store.accounts import AccountOf
from gateway.store.failed import KeptMessages
from gateway.store.identities import Identity, IdentityNamed
from gateway.store.jobs import Job, JobState
from gateway.store.lanes import LaneJobs
from gateway.store.links import LinkIdentity
from gateway.store.mailbox import CountMailbox
from gateway.store.names import NameNamed, NameRow
from gateway.store.ownership import TakeName
from gateway.store.queue import QueueList
from gateway.work import results
from tests.integration.bridge.scripted import (
    BOB,
    BOB_NAME,
    ScriptedService,
    person_at,
    read_by_carol,
    refusal,
)
from tests.integration.store.values import Sql
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

PERSON = CanonicalId(BOB)
HOUR = 3_600_000


@pytest.fixture
def people(house: House, paper: PaperAdapter) -> PersonService:
    return paper.ctx.people


async def typed(paper: PaperAdapter, line: str) -> Answer:
    """What somebody gets who types a line."""

    async def chat(person: Person, name: EnsName) -> str:
        return f"chat with {name}"

    ctx = paper.ctx
    commands = Commands(ctx.people, chat, parent=ctx.parent, public_url=ctx.public_url, now_ms=ctx.now_ms)
    return await commands.run(Person(PERSON), line)


async def bob_of(house: House) -> Identity:
    found = await house.gateway.store.read(IdentityNamed(BOB_NAME))
    assert found is not None
    return found


async def waits(house: House, sender: EnsName, reason: str) -> Job:
    """Mail of a sender for bob, once it waits for this reason."""
    lane = inbound_lane(await bob_of(house), sender)

    async def look() -> Job | None:
        jobs = await house.gateway.store.read(LaneJobs(lane, 1))
        return jobs[0] if jobs and reason in jobs[0].reason else None

    return await until(look)


def by_hand(paper: PaperAdapter) -> list[str]:
    """Texts that people wrote to bob."""
    return [each.text for each in paper.delivered if not each.automatic]


async def written(paper: PaperAdapter, number: int) -> list[str]:
    """The same once there are so many."""

    async def look() -> list[str] | None:
        return by_hand(paper) if len(by_hand(paper)) >= number else None

    return await until(look)


# --- another try ----------------------------------------------------------------------------------------------------


async def test_what_failed_is_tried_again_in_its_order(
    house: House, paper: PaperAdapter, people: PersonService
) -> None:
    service = ScriptedService(answers=[(403, refusal(-32010))] * 3)
    async with service.at(house.chain, "moody.eth") as name:
        carol = await person_at(house, name)
        for number in range(3):
            await paper.write(BOB, carol.name, f"text {number}", f"n{number}")
        await paper.write(BOB, carol.name, "an auto-reply", "auto", automatic=True)
        await service.wait_taken(4)

        async def all_known() -> bool | None:
            return len(await people.recent(PERSON, 10)) == 4 or None

        await until(all_known)
        failed = await people.failed(PERSON, 10)
        assert [each.native_id for each in failed] == ["n2", "n1", "n0"]
        assert "1 message" not in (await typed(paper, "status")).text
        assert "3 messages failed" in (await typed(paper, "status")).text
        answer = await typed(paper, f"retry {carol.name}")
        assert answer.text == "3 messages on the way again."
        await service.wait_taken(7)
        texts = [read_by_carol(house, envelope).text or "" for envelope in service.taken[4:]]
        assert [text.partition("\n")[0] for text in texts] == ["text 0", "text 1", "text 2"]

        async def arrived() -> bool | None:
            recent = await people.recent(PERSON, 10)
            return {each.state for each in recent} == {DeliveryState.SENT} or None

        await until(arrived)
        assert await people.failed(PERSON, 10) == ()
        assert (await typed(paper, "retry")).text.startswith("There is nothing")


async def test_what_waits_after_a_failure_is_tried_at_once(
    house: House, paper: PaperAdapter, people: PersonService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (3600,) * 6)
    service = ScriptedService(answers=[(503, "")])
    async with service.at(house.chain, "away.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "first", "n0")
        await service.wait_taken(1)

        async def waiting() -> bool | None:
            return bool((await people.leaving(PERSON)).reason) or None

        await until(waiting)
        await paper.write(BOB, carol.name, "second", "n1")
        assert "2 messages wait" in (await typed(paper, "status")).text
        assert (await people.retry(PERSON, EnsName("somebody.eth"))).conversations == 0
        assert (await people.retry(PERSON)).conversations == 1
        await service.wait_taken(3)
        texts = [(read_by_carol(house, each).text or "").partition("\n")[0] for each in service.taken]
        assert texts == ["first", "first", "second"]
        assert service.taken[0] == service.taken[1], "a doubtful envelope is repeated as it was"


async def test_what_is_too_large_or_sealed_is_not_kept(
    house: House, paper: PaperAdapter, people: PersonService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bridge.kept.MAX_KEPT", 5_000)
    service = ScriptedService(answers=[(403, refusal(-32010))] * 2)
    async with service.at(house.chain, "moody.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "x" * 6_000, "large")
        await paper.write(BOB, carol.name, "small", "small")

        async def both() -> bool | None:
            return len(await people.recent(PERSON, 10)) == 2 or None

        await until(both)
        assert [each.native_id for each in await people.failed(PERSON, 10)] == ["small"]
        kept = await house.gateway.store.read(KeptMessages(paper.name, BOB_NAME, None, 0, 99, 9))
        assert b"envelope" not in kept[0].payload


# --- pauses ---------------------------------------------------------------------------------------------------------


async def test_a_pause_holds_messages_but_no_receipts(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await paper.write(BOB, native.name, "hello", "n1")
    (hello,) = await mail_of(native)
    assert "until" in (await typed(paper, "pause 1h")).text
    assert "paused until" in (await typed(paper, "whoami")).text
    await native.send(BOB_NAME, "", kind=MessageType.READ_OPENED, reference=hello.message_hash, attachments=())
    await paper.wait_report(DeliveryState.OPENED)
    assert "opened" in (await typed(paper, "status")).text
    for text in ("one", "two"):
        await native.send(BOB_NAME, text)
    held = await waits(house, native.name, "paused")
    assert held.attempts == 0, "a pause is no failure"
    assert by_hand(paper) == []
    assert "1 conversation" in (await typed(paper, "resume")).text
    assert await written(paper, 2) == ["one", "two"]
    assert "paused" not in (await typed(paper, "whoami")).text


async def test_a_pause_ends_by_itself(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    people = paper.ctx.people
    until_then = await people.pause(PERSON, now_ms() + 700)
    await native.send(BOB_NAME, "later")
    assert await written(paper, 1) == ["later"]
    assert now_ms() >= until_then
    longest = await people.pause(PERSON, now_ms() + 1000 * 24 * HOUR)
    assert longest <= now_ms() + house.settings.relay.message_ttl_days * 24 * HOUR


# --- who may write --------------------------------------------------------------------------------------------------


async def test_rules_and_blocks_are_the_relay_s_at_once(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await typed(paper, "name Bob")
    await native.send(BOB_NAME, "before")
    await paper.wait_delivered(1)
    assert "1000000 ETH" in (await typed(paper, "spam balance 1000000")).text
    with pytest.raises(RemoteRefused, match="-32010"):
        await native.send(BOB_NAME, "poor")
    await typed(paper, f"spam allow {native.name}")
    await native.send(BOB_NAME, "allowed")
    await written(paper, 2)
    await typed(paper, f"block {native.name.upper()}")
    with pytest.raises(RemoteRefused, match="-32010"):
        await native.send(BOB_NAME, "blocked")
    assert native.name in (await typed(paper, "block")).text
    await typed(paper, f"unblock {native.name}")
    await typed(paper, "spam off")
    await native.send(BOB_NAME, "again")
    assert await written(paper, 3) == ["before", "allowed", "again"]


async def test_strangers_wait_until_they_are_let_in(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await typed(paper, "spam requests on")
    for text in ("one", "two"):
        await native.send(BOB_NAME, text)
    await waits(house, native.name, "not let this sender in")
    (told,) = await paper.wait_delivered(1)
    assert (told.sender, told.automatic) == (house.gateway.service_name, True)
    assert f"spam allow {native.name}" in told.text
    assert f"`{native.name}`: 2 messages" in (await typed(paper, "spam")).text
    await typed(paper, f"spam allow {native.name}")
    assert await written(paper, 2) == ["one", "two"]
    other = await house.native("other.eth", "carol")
    await paper.write(BOB, other.name, "I begin", "n1")
    await mail_of(other)
    await other.send(BOB_NAME, "an answer")
    assert (await written(paper, 3))[2] == "an answer"


async def test_a_block_takes_what_waits_with_it(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await typed(paper, "spam requests on")
    await native.send(BOB_NAME, "buy this")
    await waits(house, native.name, "not let this sender in")
    await typed(paper, f"block {native.name}")
    address = (await bob_of(house)).address

    async def gone() -> bool | None:
        return await house.gateway.store.read(CountMailbox(address)) == 0 or None

    await until(gone)
    assert by_hand(paper) == []


async def test_a_report_reaches_who_takes_reports(tmp_path: Path) -> None:
    paper = PaperAdapter()
    overrides = {"DM3_GATEWAY__RELAY__STAKE__REPORT_URL": "http://127.0.0.1:9/reports"}
    async with running_house(tmp_path / "house", adapters={paper.name: paper}, overrides=overrides) as house:
        native = await house.native("native.eth")
        nothing = await typed(paper, f"report {native.name}")
        assert nothing.text.startswith("You have no message")
        await typed(paper, "name Bob")
        await native.send(BOB_NAME, "buy this")
        await paper.wait_delivered(1)

        async def linked() -> Answer | None:
            answer = await typed(paper, f"report {native.name} block")
            return answer if "is reported" in answer.text else None

        assert "nothing from" in (await until(linked)).text
        jobs = await house.gateway.store.read(QueueList(JobState.READY, 10))
        (job,) = [each for each in jobs if each.kind == REPORT_SPAM]
        report = SpamReport.from_json(parse_object(job.payload, max_bytes=4096, max_depth=1))
        assert (report.reporter, report.sender) == (BOB_NAME, native.name)
        assert report.sender_address == native.address
        assert await paper.ctx.people.blocked(PERSON) == (native.name,)


async def test_nobody_takes_reports_here(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await typed(paper, "name Bob")
    await native.send(BOB_NAME, "buy this")
    await paper.wait_delivered(1)

    async def known() -> bool | None:
        return (await paper.ctx.people.report(PERSON, native.name)).found or None

    await until(known)
    assert "takes no reports" in (await typed(paper, f"report {native.name}")).text
    assert await paper.ctx.people.blocked(PERSON) == ()


# --- names, and leaving ---------------------------------------------------------------------------------------------


async def test_a_chosen_name_stays_whatever_the_network_tells(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    assert BOB_NAME in (await typed(paper, "whoami")).text
    assert (await paper.ctx.people.about(PERSON)).since is None
    await typed(paper, "name  Bob the\tBuilder ")
    await paper.write(BOB, native.name, "hello", "n1")
    view = await paper.ctx.people.about(PERSON)
    assert (view.name, view.display_name) == (BOB_NAME, "Bob the Builder")
    await typed(paper, "name -")
    await paper.write(BOB, native.name, "hello", "n2")
    assert (await paper.ctx.people.about(PERSON)).display_name == "Bob"


async def test_deleting_is_final(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    people, store = paper.ctx.people, house.gateway.store
    await paper.write(BOB, native.name, "hello", "n1")
    await mail_of(native)
    await paper.write(BOB, EnsName("nobody.eth"), "in vain", "n2")
    await paper.wait_report(DeliveryState.FAILED)
    await typed(paper, f"block {native.name}")
    before = await bob_of(house)
    assert before.sealed_salt is not None
    exported = await typed(paper, "export")
    assert isinstance(exported.file, FileContent)
    document = json.loads(exported.file.data)
    assert (document["identity"]["name"], document["rules"]) == (BOB_NAME, {"block": [native.name]})
    assert [each["with"] for each in document["messages"]] == [native.name]
    assert [each["recipient"] for each in document["failedMessages"]] == ["nobody.eth"]
    salt = before.sealed_salt
    for secret in (salt.hex(), base64.b64encode(salt).decode(), "salt", "Salt", "rivate"):
        assert secret not in exported.file.data.decode()

    asked = await typed(paper, "delete-me native.eth")
    assert asked.confirm == f"delete-me {BOB_NAME}"
    assert (await bob_of(house)).sealed_salt is not None
    assert "for good" in (await typed(paper, asked.confirm)).text
    assert await store.read(IdentityNamed(BOB_NAME)) is None
    with pytest.raises((RemoteRefused, UnknownName)):
        await native.send(BOB_NAME, "are you there?")
    with pytest.raises(PersonDeleted):
        await paper.write(BOB, native.name, "it is me", "n3")
    with pytest.raises(PersonDeleted):
        await people.set_display_name(PERSON, "Bob")
    assert "deleted" in (await typed(paper, "whoami")).text
    for table in ("failed_messages", "statuses", "message_links"):
        assert await store.read(Sql(f"SELECT * FROM {table}")) == [], table
    assert (await store.read(AccountOf(before.address))).account is None
    with pytest.raises(NotFound):
        await people.delete(CanonicalId("stranger@example.org"))


async def test_a_name_of_a_wallet_does_not_lead_to_deleted_keys(house: House, paper: PaperAdapter) -> None:
    store, name, owner = house.gateway.store, EnsName("bob.gw.eth"), EthAddress("0x" + "11" * 20)
    await paper.ctx.people.set_display_name(PERSON, "Bob")
    bob = await bob_of(house)
    row = NameRow(name, namehash(name), owner, b"\x11" * 20, {}, {}, None, 1, 1)
    await store.commit(TakeName(replace(row, texts={"network.dm3.profile": "data:,x", "url": "https://x"}), 0))
    await store.commit(LinkIdentity(bob.id, bob.epoch, name, "0xsigned", 1))
    assert "Others see: `bob.gw.eth`" in (await typed(paper, "whoami")).text
    assert (await typed(paper, "level")).text.startswith("You are owned")
    await paper.ctx.people.delete(PERSON)
    left = await store.read(NameNamed(name))
    assert left is not None
    assert (left.owner, left.texts, left.sequence) == (owner, {"url": "https://x"}, 1)


async def test_what_waits_goes_with_the_person(
    house: House, paper: PaperAdapter, native: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "BACK_OFF_SECONDS", (3600,) * 6)
    store, service = house.gateway.store, ScriptedService(answers=[(503, "")] * 9)
    await paper.ctx.people.pause(PERSON, now_ms() + HOUR)
    async with service.at(house.chain, "away.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "never", "n1")
        await native.send(BOB_NAME, "hello")
        await waits(house, native.name, "paused")
        await service.wait_taken(1)
        removed = await paper.ctx.people.delete(PERSON)
        assert removed.waiting == 1

        async def nothing_left() -> bool | None:
            left = await store.read(QueueList(JobState.READY, 10))
            return not [each for each in left if each.kind in (JobKind.INBOUND, JobKind.OUTBOUND)] or None

        await until(nothing_left)
    assert by_hand(paper) == []
