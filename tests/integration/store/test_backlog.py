"""What waits of a person and for one, pauses, and lanes that are woken without being reordered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.ids import EnsName, NativeId
from gateway.store import Store
from gateway.store.accounts import AccountOf, PutAccount
from gateway.store.backlog import Backlog, BacklogOf, LanesOf, NewestWaiting, SendersTo, WaitingFrom, WakeLanes
from gateway.store.identities import (
    IdentityNamed,
    IssueIdentity,
    RotateIdentity,
    SetDisplayName,
    SetPause,
    ShredIdentity,
)
from gateway.store.lanes import Enqueue, LaneJobs, LaneLease, LeaseLanes, ReleaseLane, RetryJob
from gateway.store.mailbox import AcceptEnvelope
from gateway.store.messagemap import LinksOfPerson, MapMessage, NewestReceived
from gateway.store.status import SetStatus, StatusesOfSender
from gateway.store.usage import UNVERIFIED
from tests.integration.store.values import (
    ALICE,
    BOB,
    BOB_ADDRESS,
    EMAIL,
    MATRIX,
    NOW,
    address,
    envelope,
    identity,
    job,
    lane,
    link,
)

ANN = EnsName("ann.example.org.email.gw.eth")
HOUR = 3_600_000


async def back_off(store: Store, *, counts: bool = True) -> LaneLease:
    """The first lane that is due has to wait for an hour."""
    [lease] = await store.commit(LeaseLanes("w", NOW, 1000, 1))
    [first] = await store.read(LaneJobs(lease.lane, 1))
    await store.commit_all(RetryJob(lease, first.id, NOW, HOUR, "not now", counts=counts), ReleaseLane(lease, NOW))
    return lease


async def test_lanes_of_a_person_are_known_and_woken(store: Store) -> None:
    for number in range(3):
        await store.commit(Enqueue(replace(job(number), person=ANN)))
    await store.commit(Enqueue(job("of nobody", lane=lane("other"), created_at=NOW + 9)))
    await store.commit(Enqueue(replace(job("of ben", lane=lane("ben"), created_at=NOW + 9), person=BOB)))
    assert await store.read(LanesOf(ANN, NOW, 10)) == [], "nothing waits for a later time"
    assert await store.read(BacklogOf(ANN)) == Backlog(3, NOW, "")
    await back_off(store)
    assert await store.read(BacklogOf(ANN)) == Backlog(3, NOW, "not now")
    assert await store.read(LanesOf(ANN, NOW, 10)) == [lane()]
    assert await store.commit(LeaseLanes("w", NOW, 1000, 9)) == []
    assert await store.commit(WakeLanes((lane(), lane("unknown")), NOW)) == 1
    assert await store.commit(WakeLanes((lane(),), NOW)) == 0, "it is due already"
    [lease] = await store.commit(LeaseLanes("w", NOW, 1000, 9))
    assert [each.payload for each in await store.read(LaneJobs(lease.lane, 9))] == [b"0", b"1", b"2"]
    assert await store.read(BacklogOf(EnsName("nobody.eth"))) == Backlog(0, None, "")


async def test_waiting_that_is_no_failure_is_not_counted(store: Store) -> None:
    await store.commit(Enqueue(job("x")))
    await back_off(store, counts=False)
    [waiting] = await store.read(LaneJobs(lane(), 1))
    assert (waiting.attempts, waiting.reason) == (0, "not now")


async def test_many_lanes_are_woken_together(store: Store) -> None:
    names = tuple(lane(number) for number in range(450))
    await store.commit_all(*(Enqueue(job(lane=name, due=NOW + HOUR)) for name in names))
    assert await store.commit(WakeLanes(names, NOW)) == 450


async def test_who_waits_for_a_recipient(store: Store) -> None:
    for number, sender, holder in ((1, ALICE, address("a")), (2, BOB, UNVERIFIED), (3, ALICE, address("b"))):
        await store.commit(AcceptEnvelope(envelope(number, sender=sender, holder=holder, received_at=NOW + number)))
    assert await store.read(SendersTo(BOB_ADDRESS, 10)) == [
        WaitingFrom(ALICE, 2, NOW + 1),
        WaitingFrom(BOB, 1, NOW + 2),
    ]
    assert len(await store.read(SendersTo(BOB_ADDRESS, 1))) == 1
    newest = await store.read(NewestWaiting(BOB_ADDRESS, ALICE))
    assert newest is not None
    assert (newest.envelope, newest.holder) == (envelope(3).id, address("b"))
    assert await store.read(NewestWaiting(BOB_ADDRESS, EnsName("eve.eth"))) is None


async def test_a_pause_and_a_chosen_name_go_with_the_salt(store: Store) -> None:
    ann = await store.commit(IssueIdentity(identity("ann")))
    assert (ann.paused_until, ann.display_name_chosen) == (None, False)
    assert await store.commit(SetPause(ann.id, NOW + HOUR)) is True
    assert await store.commit(SetDisplayName(ann.id, "Ann", chosen=True)) is True
    found = await store.read(IdentityNamed(ann.name))
    assert found is not None
    assert (found.paused_until, found.display_name, found.display_name_chosen) == (NOW + HOUR, "Ann", True)
    await store.commit(ShredIdentity(ann.id, NOW, "tombstone"))
    assert await store.read(IdentityNamed(ann.name)) is None
    assert await store.commit(SetPause(ann.id, None)) is False


async def test_rules_follow_an_identity_to_its_next_address(store: Store) -> None:
    ann = await store.commit(IssueIdentity(identity("ann")))
    await store.commit(PutAccount(ann.address, ann.name, "{}", NOW))
    await store.commit(RotateIdentity(ann.id, 1, address("next"), NOW))
    assert (await store.read(AccountOf(ann.address))).account is None
    moved = (await store.read(AccountOf(address("next")))).account
    assert moved is not None
    assert moved.name == ann.name


def status(number: int, recipient: EnsName = ALICE, *, sender: str = ANN) -> SetStatus:
    return SetStatus(EMAIL, NativeId(f"n{number}"), recipient, "sent", "", NOW + number, sender)


async def test_statuses_by_sender(store: Store) -> None:
    for number in range(5):
        await store.commit(status(number, BOB if number == 3 else ALICE))
    await store.commit(status(9, sender=BOB))
    found = await store.read(StatusesOfSender(EMAIL, ANN, 3))
    assert [(each.native_id, each.recipient, each.at) for each in found] == [
        ("n4", ALICE, NOW + 4),
        ("n3", BOB, NOW + 3),
        ("n2", ALICE, NOW + 2),
    ]
    assert [each.native_id for each in await store.read(StatusesOfSender(EMAIL, ANN, 9, BOB))] == ["n3"]
    await store.commit(SetStatus(EMAIL, NativeId("n0"), ALICE, "opened", "", NOW + 50))
    assert (await store.read(StatusesOfSender(EMAIL, ANN, 1)))[0].state == "opened", "a sender is not forgotten"


async def test_links_of_a_person(store: Store) -> None:
    talks = (f"{ANN}|alice.eth", f"{ANN}|bob.eth", f"x{ANN}|alice.eth", f"{ANN}x|alice.eth", f"{ANN}\x7c")
    for number, talk in enumerate(talks):
        await store.commit(MapMessage(link(number, conversation=talk, created_at=NOW + number)))
    await store.commit(MapMessage(link(7, network=MATRIX, conversation=talks[0])))
    found = await store.read(LinksOfPerson(EMAIL, ANN, 10))
    assert [each.conversation for each in found] == [talks[4], talks[1], talks[0]]
    assert len(await store.read(LinksOfPerson(EMAIL, ANN, 2))) == 2
    assert len(await store.read(LinksOfPerson(MATRIX, ANN, 10))) == 1


async def test_the_newest_message_that_came(store: Store) -> None:
    talk = f"{ANN}|alice.eth"
    theirs: dict[str, Any] = {"conversation": talk, "outbound": False, "holder": address("a")}
    for number in (1, 3, 2):
        await store.commit(MapMessage(link(number, created_at=NOW + number, envelope=envelope(number).id, **theirs)))
    await store.commit(MapMessage(link(4, created_at=NOW + 4, **theirs)))
    await store.commit(MapMessage(link(5, created_at=NOW + 5, conversation=talk)))
    newest = await store.read(NewestReceived(EMAIL, talk))
    assert newest is not None
    assert (newest.envelope, newest.holder) == (envelope(3).id, address("a"))
    assert await store.read(NewestReceived(EMAIL, f"{ANN}|bob.eth")) is None
