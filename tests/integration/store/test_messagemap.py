"""The message map and the status of messages."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.ids import NativeId
from gateway.store import Store
from gateway.store.messagemap import ConversationKnown, ForgetMessages, HashesOf, MapMessage, NativeOf
from gateway.store.status import ForgetStatuses, SetStatus, Status, StatusOf
from tests.integration.store.values import EMAIL, MATRIX, NOW, encrypted_hash, link, message_hash


@pytest.mark.parametrize("digest", [message_hash(1), encrypted_hash(1)])
async def test_a_link_is_found_from_both_sides(store: Store, digest: str) -> None:
    assert await store.commit(MapMessage(link(1))) is True
    await store.commit(MapMessage(link(2, outbound=False)))
    assert await store.read(NativeOf(EMAIL, digest)) == [link(1)]
    assert await store.read(HashesOf(EMAIL, link(1).native_id)) == [link(1)]
    assert await store.read(HashesOf(EMAIL, link(2).native_id)) == [link(2, outbound=False)]


async def test_nothing_is_found_for_others(store: Store) -> None:
    await store.commit(MapMessage(link(1)))
    assert await store.read(NativeOf(MATRIX, message_hash(1))) == []
    assert await store.read(HashesOf(MATRIX, link(1).native_id)) == []
    assert await store.read(NativeOf(EMAIL, message_hash(2))) == []


@pytest.mark.parametrize(("before", "after"), [(False, False), (False, True), (True, False)])
async def test_mapping_again_changes_nothing(store: Store, before: bool, after: bool) -> None:
    first = link(1, outbound=before)
    await store.commit(MapMessage(first))
    again = link(1, outbound=after, message_hash=message_hash("other"), created_at=NOW + 1)
    assert await store.commit(MapMessage(again)) is False
    assert await store.commit(MapMessage(replace(first, created_at=NOW + 1))) is False
    assert await store.read(HashesOf(EMAIL, first.native_id)) == [first]
    assert await store.read(NativeOf(EMAIL, message_hash("other"))) == []


async def test_an_id_of_a_network_that_comes_again_means_what_was_written_last(store: Store) -> None:
    await store.commit(MapMessage(link(1)))
    later = link(1, message_hash=message_hash("later"), encrypted_hash=encrypted_hash("later"), created_at=NOW + 1)
    assert await store.commit(MapMessage(later)) is True
    assert await store.read(HashesOf(EMAIL, later.native_id)) == [later]
    assert await store.read(NativeOf(EMAIL, message_hash("later"))) == [later]
    assert await store.read(NativeOf(EMAIL, message_hash(1))) == []


async def test_mapping_at_the_same_time_gives_one_link(store: Store) -> None:
    new = await asyncio.gather(*(store.commit(MapMessage(link(1))) for _ in range(30)))
    assert sum(new) == 1


async def test_one_message_in_several_parts(store: Store) -> None:
    parts = [replace(link(1, part=n), native_id=NativeId(f"$event{n}")) for n in range(3)]
    for part in reversed(parts):
        await store.commit(MapMessage(part))
    assert await store.read(NativeOf(EMAIL, message_hash(1))) == parts
    same_id = [link(2, part=n, message_hash=message_hash(n)) for n in range(3)]
    for part in reversed(same_id):
        await store.commit(MapMessage(part))
    assert await store.read(HashesOf(EMAIL, link(2).native_id)) == same_id


async def test_old_links_are_forgotten_in_bounded_steps(store: Store) -> None:
    for n in range(5):
        await store.commit(MapMessage(link(n, created_at=NOW + n)))
    assert [await store.commit(ForgetMessages(NOW + 4, limit=3)) for _ in range(3)] == [3, 1, 0]
    assert await store.read(HashesOf(EMAIL, link(3).native_id)) == []
    assert len(await store.read(HashesOf(EMAIL, link(4).native_id))) == 1


def status(state: str, at: int, recipient: str = "bob.eth") -> SetStatus:
    return SetStatus(EMAIL, NativeId("<1@x>"), recipient, state, f"because {state}", at)


async def test_status_is_kept_per_recipient(store: Store) -> None:
    assert await store.read(StatusOf(EMAIL, NativeId("<1@x>"), "bob.eth")) is None
    assert await store.commit(status("sent", NOW)) is True
    await store.commit(status("failed", NOW, "ann.eth"))
    assert await store.read(StatusOf(EMAIL, NativeId("<1@x>"), "bob.eth")) == Status("sent", "because sent", NOW)
    assert await store.read(StatusOf(EMAIL, NativeId("<1@x>"), "ann.eth")) == Status("failed", "because failed", NOW)
    assert await store.read(StatusOf(MATRIX, NativeId("<1@x>"), "bob.eth")) is None


async def test_an_older_status_does_not_replace_a_newer_one(store: Store) -> None:
    await store.commit(status("delivered", NOW + 2))
    assert await store.commit(status("sent", NOW + 1)) is False
    assert await store.commit(status("read", NOW + 2)) is True
    assert await store.read(StatusOf(EMAIL, NativeId("<1@x>"), "bob.eth")) == Status("read", "because read", NOW + 2)


async def test_old_statuses_are_forgotten(store: Store) -> None:
    await store.commit(status("sent", NOW, "ann.eth"))
    await store.commit(status("sent", NOW + 1))
    assert await store.commit(ForgetStatuses(NOW + 1)) == 1
    assert await store.read(StatusOf(EMAIL, NativeId("<1@x>"), "ann.eth")) is None
    assert await store.read(StatusOf(EMAIL, NativeId("<1@x>"), "bob.eth")) is not None


async def test_one_mail_to_two_names_is_two_messages(store: Store) -> None:
    first = link(1, conversation="bob|alice.eth")
    second = link(1, conversation="bob|carol.eth", message_hash=message_hash("other"))
    assert await store.commit_all(MapMessage(first), MapMessage(second)) == (True, True)
    assert await store.read(HashesOf(EMAIL, first.native_id, "bob|alice.eth")) == [first]
    assert await store.read(HashesOf(EMAIL, first.native_id, "bob|carol.eth")) == [second]
    assert len(await store.read(HashesOf(EMAIL, first.native_id))) == 2


async def test_a_conversation_is_known_by_its_first_message(store: Store) -> None:
    assert await store.read(ConversationKnown(EMAIL, "bob|alice.eth")) is False
    await store.commit(MapMessage(link(1, conversation="bob|alice.eth")))
    assert await store.read(ConversationKnown(EMAIL, "bob|alice.eth")) is True
    assert await store.read(ConversationKnown(MATRIX, "bob|alice.eth")) is False
    assert await store.read(ConversationKnown(EMAIL, "bob|alice")) is False


async def test_one_native_message_to_several_conversations(store: Store) -> None:
    """A mail to two ENS names: one Message-ID, a DM3 message in each conversation."""
    links = [link("mail", conversation=name, message_hash=message_hash(name)) for name in ("ann", "bob")]
    for each in reversed(links):
        assert await store.commit(MapMessage(each)) is True
    assert await store.read(HashesOf(EMAIL, links[0].native_id)) == links
    assert await store.read(HashesOf(EMAIL, links[0].native_id, "bob")) == [links[1]]
    assert await store.read(HashesOf(EMAIL, links[0].native_id, "carol")) == []


async def test_whether_a_conversation_is_known(store: Store) -> None:
    await store.commit(MapMessage(link(1, conversation="ann")))
    assert await store.read(ConversationKnown(EMAIL, "ann")) is True
    assert await store.read(ConversationKnown(EMAIL, "bob")) is False
    assert await store.read(ConversationKnown(MATRIX, "ann")) is False
