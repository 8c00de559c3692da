"""Message requests: what strangers sent, let in or thrown away, and what else is asked of a mailbox as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.mailbox import (
    PAGE_BYTES,
    AcceptEnvelope,
    Acknowledge,
    CountMailbox,
    EmptyMailbox,
    Folder,
    GetEnvelope,
    PickUp,
)
from gateway.store.requests import AdmitSender, RefuseSender, RequestsBySender, WaitingSender
from tests.integration.store.recount import assert_counted
from tests.integration.store.values import (
    ALICE,
    BOB,
    BOB_ADDRESS,
    NOW,
    Sql,
    address,
    envelope,
    message_hash,
)

HOME, EVIL = EnsName("bob.eth"), EnsName("evil.eth")
NAMES = (HOME,)


async def put(store: Store, *numbers: int, **changes: Any) -> None:
    fields = {"recipient_name": HOME, "folder": Folder.REQUESTS} | changes
    for number in numbers:
        assert await store.commit(AcceptEnvelope(envelope(number, **fields)))


async def bodies(store: Store, folder: Folder, after: int = 0) -> list[str]:
    found = await store.read(PickUp(BOB_ADDRESS, NOW, 100, after, folder=folder))
    return [each.body.decode().removeprefix("body of ") for each in found]


def admit(sender: EnsName = ALICE, limit: int = 100) -> AdmitSender:
    return AdmitSender(BOB_ADDRESS, sender, NAMES, limit)


async def test_folders_are_apart(store: Store) -> None:
    await put(store, 1, 2)
    await put(store, 3, folder=Folder.INBOX)
    assert await bodies(store, Folder.INBOX) == ["3"]
    assert await bodies(store, Folder.REQUESTS) == ["1", "2"]
    assert await store.read(CountMailbox(BOB_ADDRESS)) == 3


async def test_one_sender_is_let_in_in_the_order_of_arrival(store: Store) -> None:
    await put(store, 1, 2, 4)
    await put(store, 3, sender=BOB)
    moved = await store.commit(admit())
    assert [each.body for each in moved] == [b"body of 1", b"body of 2", b"body of 4"]
    assert {each.folder for each in moved} == {Folder.INBOX}
    assert await bodies(store, Folder.INBOX) == ["1", "2", "4"]
    assert await bodies(store, Folder.REQUESTS) == ["3"]
    assert await store.commit(admit()) == []
    assert [await store.read(GetEnvelope(each.id)) for each in moved] == moved, "what was told is what is there"


async def test_what_is_let_in_comes_behind_a_cursor_of_the_inbox(store: Store) -> None:
    """A client that has read up to the newest message must see the stranger's older one when it is let in."""
    await put(store, 1)
    await put(store, 2, folder=Folder.INBOX)
    [newest] = await store.read(PickUp(BOB_ADDRESS, NOW, 10))
    await store.commit(admit())
    assert await bodies(store, Folder.INBOX, newest.seq) == ["1"]
    assert await bodies(store, Folder.INBOX) == ["2", "1"]


async def test_letting_in_goes_in_bounded_steps(store: Store) -> None:
    await put(store, *range(7))
    steps = []
    while moved := await store.commit(admit(limit=3)):
        steps.append(len(moved))
    assert steps == [3, 3, 1]
    assert await bodies(store, Folder.INBOX) == [str(number) for number in range(7)]
    half = b"x" * (PAGE_BYTES // 2)
    await put(store, 10, 11, 12, body=half)
    assert [len(await store.commit(admit())) for _ in range(3)] == [2, 1, 0]


async def test_an_envelope_that_moved_is_still_one_that_was_taken(store: Store) -> None:
    await put(store, 1)
    await store.commit(admit())
    assert await store.commit(AcceptEnvelope(envelope(1))) is False
    assert await store.commit(Acknowledge(BOB_ADDRESS, ((ALICE, message_hash(1)),))) == 1
    await assert_counted(store)


async def test_a_damaged_envelope_moves_with_the_others_and_is_not_shown(store: Store) -> None:
    await put(store, 1, 2)
    await store.commit(Sql(f"UPDATE envelopes SET size = size, checksum = body WHERE id = '{envelope(1).id}'"))
    assert [each.body for each in await store.commit(admit())] == [b"body of 2"]
    assert await store.read(Sql("SELECT count(*) FROM envelopes WHERE folder = 'inbox'")) == [(2,)]


@pytest.mark.parametrize("what", [admit(), RefuseSender(BOB_ADDRESS, ALICE, NAMES)])
async def test_what_was_written_to_other_names_and_mailboxes_stays(store: Store, what: Any) -> None:
    await put(store, 1, recipient_name=EVIL)
    await put(store, 2, recipient=address("carol"))
    await put(store, 3, folder=Folder.INBOX)
    assert await store.commit(what) in ([], 0)
    assert await store.read(Sql("SELECT count(*) FROM envelopes WHERE folder = 'requests'")) == [(2,)]
    assert await bodies(store, Folder.INBOX) == ["3"], "what was let in before is not thrown away with the requests"


async def test_a_refused_sender_s_mail_is_gone(store: Store) -> None:
    await put(store, 1, 2)
    await put(store, 3, sender=BOB)
    assert await store.commit(RefuseSender(BOB_ADDRESS, ALICE, NAMES)) == 2
    assert await bodies(store, Folder.REQUESTS) == ["3"]
    await assert_counted(store)


async def test_strangers_are_listed_with_those_who_wrote_last_first(store: Store) -> None:
    await put(store, 1, 2, received_at=NOW + 5)
    await put(store, 3, sender=BOB, received_at=NOW)
    await put(store, 4, recipient_name=EVIL)
    await put(store, 5, sender=EnsName("friend.eth"), folder=Folder.INBOX)
    await put(store, 6, sender=BOB, received_at=NOW - 5)
    expected = [WaitingSender(BOB, True, 2, NOW - 5), WaitingSender(ALICE, True, 2, NOW + 5)]
    assert await store.read(RequestsBySender(BOB_ADDRESS, NAMES, 10)) == expected
    assert await store.read(RequestsBySender(BOB_ADDRESS, NAMES, 1)) == expected[:1]
    assert await store.read(RequestsBySender(BOB_ADDRESS, (), 10)) == []


async def test_a_mailbox_is_emptied_in_bounded_steps_with_all_folders(store: Store) -> None:
    await put(store, *range(5))
    await put(store, *range(5, 10), folder=Folder.INBOX, recipient_name=EVIL)
    await put(store, 10, recipient=address("carol"))
    assert [await store.commit(EmptyMailbox(BOB_ADDRESS, 4)) for _ in range(4)] == [4, 4, 2, 0]
    assert await store.read(Sql("SELECT recipient FROM envelopes")) == [(address("carol"),)]
    await assert_counted(store)
