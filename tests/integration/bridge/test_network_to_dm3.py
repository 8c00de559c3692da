"""Messages of a foreign network on their way to ENS names."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.bridge.context import REPEAT_MS
from gateway.dm3.message import MessageType
from gateway.errors import InvalidInput, InvalidName, TooLarge, UnknownName
from gateway.ids import CanonicalId, EnsName, NativeId
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import DeliveryState, Outgoing, Person
from gateway.sdk.attachments import file_attachment
from gateway.store.identities import ListIdentities
from gateway.store.once import ExpireOnce
from gateway.store.status import StatusOf
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

BOB = "bob@example.org"
BOB_NAME = EnsName("bob.example.org.paper.gw.eth")


async def test_a_message_arrives_signed_by_the_sender_s_own_name(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    submitted = await paper.write(BOB, native.name, "hello", "n1")
    assert (submitted.sender_name, submitted.repeat) == (BOB_NAME, False)
    (received,) = await mail_of(native)
    assert received.sender == BOB_NAME
    assert received.verified
    assert (received.message.text or "").startswith("hello")
    profile = await house.profiles.user(BOB_NAME)
    assert house.gateway.service_name in profile.profile.delivery_services
    assert await house.ens.address(BOB_NAME) == profile.address


@pytest.mark.attack(59)
async def test_only_the_first_message_says_that_it_is_bridged(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    for number in range(3):
        await paper.write(BOB, native.name, f"text {number}", f"n{number}")
    received = await mail_of(native, 3)
    assert ["not end-to-end" in (each.message.text or "") for each in received] == [True, False, False]
    assert received[1].message.text == "text 1"


async def test_order_holds_within_a_conversation(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    for number in range(25):
        await paper.write(BOB, native.name, f"{number}", f"n{number}")
    received = await mail_of(native, 25)
    texts = [(each.message.text or "").partition("\n")[0] for each in received]
    assert texts == [str(number) for number in range(25)]


async def test_the_same_native_message_is_taken_once(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    results = await asyncio.gather(*(paper.write(BOB, native.name, "hello", "n1") for _ in range(20)))
    assert sorted(result.repeat for result in results) == [False] + [True] * 19
    await paper.write(BOB, native.name, "after", "n2")
    assert len(await mail_of(native, 2)) == 2


async def test_the_same_words_under_an_id_that_comes_again_are_a_repeat_for_an_hour(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    person, store = Person(CanonicalId(BOB)), house.gateway.store
    unique = Outgoing(sender=person, recipient=native.name, native_id=NativeId("2"), sent_at=1, text="hello")
    daily = replace(unique, native_id=NativeId("1"), fingerprint="same words")
    for outgoing in (daily, unique):
        assert [(await paper.ctx.submit(outgoing)).repeat for _ in range(2)] == [False, True]
    await store.commit(ExpireOnce(now_ms() + REPEAT_MS - 60_000, 100))
    assert (await paper.ctx.submit(daily)).repeat
    await store.commit(ExpireOnce(now_ms() + REPEAT_MS, 100))
    assert not (await paper.ctx.submit(daily)).repeat
    assert (await paper.ctx.submit(unique)).repeat
    assert len(await mail_of(native, 3)) == 3


async def test_one_person_has_one_identity(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await asyncio.gather(*(paper.write(BOB, native.name, "x", f"n{number}") for number in range(20)))
    (identity,) = await house.gateway.store.read(ListIdentities(None, 10))
    assert (identity.name, identity.canonical_id, identity.level) == (BOB_NAME, BOB, "bridged")


async def test_a_mail_to_two_names_is_one_transaction(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    other = await house.native("other.eth", "carol")
    person = Person(CanonicalId(BOB))
    good = Outgoing(sender=person, recipient=native.name, native_id=NativeId("n1"), sent_at=1, text="both")
    bad = Outgoing(sender=person, recipient=EnsName("Not Normal"), native_id=NativeId("n1"), sent_at=1, text="both")
    with pytest.raises(InvalidName):
        await paper.ctx.submit_all((good, bad))
    assert await house.gateway.store.read(ListIdentities(None, 10)) == []
    both = (good, Outgoing(sender=person, recipient=other.name, native_id=NativeId("n1"), sent_at=1, text="both"))
    await paper.ctx.submit_all(both)
    assert len(await mail_of(native)) == len(await mail_of(other)) == 1


async def test_replies_refer_to_what_was_answered(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await paper.write(BOB, native.name, "question", "n1")
    (question,) = await mail_of(native)
    answer = await native.send(BOB_NAME, "answer", kind=MessageType.REPLY, reference=question.message_hash)
    (delivery,) = await paper.wait_delivered(1)
    assert delivery.reference is not None
    assert delivery.reference.native_id == "n1"
    await paper.write(BOB, native.name, "thanks", "n2", type=MessageType.REPLY, reference=f"paper-{delivery.key[:16]}")
    (thanks,) = await mail_of(native, kind=MessageType.REPLY)
    assert thanks.message.reference == answer.message_hash


async def test_a_reply_to_something_unknown_is_a_new_message(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    await paper.write(BOB, native.name, "hello", "n1", type=MessageType.REPLY, reference="never-seen")
    (received,) = await mail_of(native)
    assert received.message.reference is None


async def test_a_reaction_to_something_unknown_is_not_sent(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    await paper.write(BOB, native.name, "\U0001f44d", "n1", type=MessageType.REACTION, reference="never-seen")
    await paper.write(BOB, native.name, "after", "n2")
    (received,) = await mail_of(native)
    assert (received.message.text or "").startswith("after")
    assert len(await native.fetch()) == 1


async def test_attachments_arrive_byte_for_byte(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    data = bytes(range(256)) * 2000
    await paper.ctx.submit(
        Outgoing(
            sender=Person(CanonicalId(BOB)),
            recipient=native.name,
            native_id=NativeId("n1"),
            sent_at=1_727_000_000_000,
            text="see file",
            attachments=(file_attachment("a.bin", "application/x-test", data),),
        )
    )
    (received,) = await mail_of(native)
    assert received.message.attachments == (file_attachment("a.bin", "application/x-test", data),)
    assert received.message.timestamp == 1_727_000_000_000


async def test_a_time_from_the_future_is_replaced_by_ours(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    far = paper.ctx.now_ms() + 10 * 365 * 24 * 3600 * 1000
    await paper.write(BOB, native.name, "hello", "n1", sent_at=far)
    (received,) = await mail_of(native)
    assert received.message.timestamp < far - 1_000_000


async def test_the_sender_learns_how_far_the_message_came(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    await paper.write(BOB, native.name, "hello", "n1")
    (received,) = await mail_of(native)
    found = await until(lambda: house.gateway.store.read(StatusOf(paper.name, NativeId("n1"), native.name)))
    assert found.state == DeliveryState.SENT
    for kind, state in (
        (MessageType.READ_RECEIVED, DeliveryState.DELIVERED),
        (MessageType.READ_OPENED, DeliveryState.OPENED),
    ):
        await native.send(BOB_NAME, "", kind=kind, reference=received.message_hash, attachments=())
        report = await paper.wait_report(state)
        assert (report.native_id, report.sender, report.recipient) == ("n1", BOB, native.name)
    assert paper.delivered == [], "a receipt is not shown as a message"


# --- what cannot be sent --------------------------------------------------------------------------------------------


async def test_a_name_without_a_profile_is_reported_as_failed(house: House, paper: PaperAdapter) -> None:
    await paper.write(BOB, EnsName("nobody.eth"), "hello", "n1")
    report = await paper.wait_report(DeliveryState.FAILED)
    assert (report.native_id, report.recipient) == ("n1", "nobody.eth")
    assert "no DM3 profile" in report.reason


async def test_check_recipient_tells_before_anything_is_taken(
    house: House, paper: PaperAdapter, native: Dm3Client
) -> None:
    await paper.ctx.check_recipient(native.name)
    with pytest.raises(UnknownName):
        await paper.ctx.check_recipient(EnsName("nobody.eth"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"text": "\ud800"}, InvalidInput),
        ({"native_id": ""}, InvalidInput),
        ({"native_id": "x" * 5000}, InvalidInput),
        ({"recipient": "Native.ETH"}, InvalidName),
        ({"recipient": ""}, InvalidName),
        ({"text": "x" * 15_000_000}, TooLarge),
        ({"sender": Person(CanonicalId(""))}, InvalidInput),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_can_never_be_sent_is_refused_before_it_is_taken(
    house: House, paper: PaperAdapter, changes: dict[str, object], error: type[Exception]
) -> None:
    fields: dict[str, object] = {
        "sender": Person(CanonicalId(BOB)),
        "recipient": EnsName("native.eth"),
        "native_id": NativeId("n1"),
        "sent_at": 1,
        "text": "hello",
    }
    with pytest.raises(error):
        await paper.ctx.submit(Outgoing(**{**fields, **changes}))  # type: ignore[arg-type]
    assert await house.gateway.store.read(ListIdentities(None, 10)) == []


async def test_when_the_chain_is_down_the_message_waits(
    house: House, paper: PaperAdapter, native: Dm3Client, tmp_path: Path
) -> None:
    """Accepted while nothing can be resolved, delivered by the node that can."""
    blind_paper = PaperAdapter()
    nowhere = {"DM3_GATEWAY__CHAIN__RPC_URLS": '["http://127.0.0.1:9"]'}
    folder = tmp_path / "blind"
    async with running_house(
        folder, adapters={blind_paper.name: blind_paper}, chain=house.chain, overrides=nowhere
    ) as blind:
        await blind_paper.write(BOB, native.name, "hello", "n1")
        counts = await until(lambda: _retried(blind))
        assert counts
        assert blind_paper.reports == []


async def _retried(house: House) -> int | None:
    from gateway.store.jobs import JobState
    from gateway.store.queue import QueueList

    jobs = await house.gateway.store.read(QueueList(JobState.READY, 10))
    return max((job.attempts for job in jobs), default=0) or None


async def test_a_native_id_is_one_sender_s_own(house: House, paper: PaperAdapter, native: Dm3Client) -> None:
    """A mail's Message-ID is chosen by its writer: a stranger who takes somebody's must not make theirs a repeat."""
    first = await paper.write("mallory@example.net", native.name, "first", "same-id")
    second = await paper.write(BOB, native.name, "second", "same-id")
    assert (first.repeat, second.repeat) == (False, False)
    texts = {(each.message.text or "").partition("\n")[0] for each in await mail_of(native, 2)}
    assert texts == {"first", "second"}
