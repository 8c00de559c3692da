"""Bridged identities: issued once, found by every key, rotated and shredded."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import InvalidInput, NotFound, PersonDeleted
from gateway.ids import CanonicalId, EnsName, IdentityId
from gateway.store import Store
from gateway.store.identities import (
    Identity,
    IdentityNamed,
    IdentityOf,
    IssueIdentity,
    ListIdentities,
    RotateIdentity,
    SetDisplayName,
    ShredIdentity,
)
from gateway.store.lanes import Enqueue, LaneJobs
from gateway.store.tombstones import IsBuried
from tests.integration.store.values import EMAIL, MATRIX, NOW, Sql, address, identity, job, lane


async def issue(store: Store, number: object, **changes: object) -> Identity:
    return await store.commit(IssueIdentity(identity(number, **changes)))  # type: ignore[arg-type]


async def test_an_issued_identity_is_found_by_every_key(store: Store) -> None:
    draft = identity("ann")
    issued = await store.commit(IssueIdentity(draft))
    assert issued == Identity(
        id=issued.id,
        network=EMAIL,
        canonical_id=draft.canonical_id,
        name=draft.name,
        address=draft.address,
        level="bridged",
        epoch=0,
        sealed_salt=b"salt of ann",
        display_name="Person ann",
        created_at=NOW,
        rotated_at=None,
    )
    assert await store.read(IdentityOf(EMAIL, draft.canonical_id)) == issued
    assert await store.read(IdentityNamed(draft.name)) == issued


async def test_unknown_people(store: Store) -> None:
    draft = identity("ann")
    await store.commit(IssueIdentity(draft))
    assert await store.read(IdentityOf(MATRIX, draft.canonical_id)) is None
    assert await store.read(IdentityOf(EMAIL, CanonicalId("other@example.org"))) is None
    assert await store.read(IdentityNamed(EnsName("other.eth"))) is None


async def test_the_first_issue_wins(store: Store) -> None:
    first = await issue(store, "ann")
    second = await issue(store, "ann", sealed_salt=b"another", address=address("another"), name=EnsName("x.eth"))
    assert second == first


async def test_one_person_first_seen_by_two_nodes(store_url: str) -> None:
    async with await Store.open(store_url) as one, await Store.open(store_url) as two:
        issued = await asyncio.gather(
            *(
                (one, two)[n % 2].commit(IssueIdentity(identity("ann", sealed_salt=bytes([n]), address=address(n))))
                for n in range(40)
            )
        )
        assert len(set(issued)) == 1
        assert await one.read(IdentityOf(EMAIL, identity("ann").canonical_id)) == issued[0]


@pytest.mark.parametrize("taken", ["name", "address"])
async def test_name_and_address_belong_to_one_person(store: Store, taken: str) -> None:
    ann = await issue(store, "ann")
    with pytest.raises(InvalidInput, match="belongs to another"):
        await issue(store, "ben", **{taken: getattr(ann, taken)})
    assert await store.read(IdentityOf(EMAIL, identity("ben").canonical_id)) is None


async def test_identity_and_first_job_share_a_transaction(store: Store) -> None:
    await issue(store, "ann")
    clash = IssueIdentity(identity("ben", name=identity("ann").name))
    with pytest.raises(InvalidInput):
        await store.commit_all(Enqueue(job()), clash)
    assert await store.read(LaneJobs(lane(), 10)) == []
    issued, number = await store.commit_all(IssueIdentity(identity("ben")), Enqueue(job()))
    assert issued.canonical_id == "ben@example.org"
    assert [queued.id for queued in await store.read(LaneJobs(lane(), 10))] == [number]


async def test_rotation_changes_epoch_and_address(store: Store) -> None:
    ann = await issue(store, "ann")
    rotated = await store.commit(RotateIdentity(ann.id, 1, address("new"), NOW + 5))
    assert (rotated.epoch, rotated.address, rotated.rotated_at) == (1, address("new"), NOW + 5)
    assert rotated.sealed_salt == ann.sealed_salt
    assert await store.read(IdentityNamed(ann.name)) == rotated


async def test_rotation_can_carry_a_new_seal(store: Store) -> None:
    ann = await issue(store, "ann")
    operation = RotateIdentity(ann.id, 1, address("new"), NOW, sealed_salt=b"resealed")
    assert (await store.commit(operation)).sealed_salt == b"resealed"
    assert "resealed" not in repr(operation)


async def test_of_two_rotations_at_once_one_succeeds(store: Store) -> None:
    ann = await issue(store, "ann")
    done = await asyncio.gather(
        *(store.commit(RotateIdentity(ann.id, 1, address(n), NOW)) for n in range(5)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in done) == ["Identity"] + ["InvalidInput"] * 4


@pytest.mark.parametrize("epoch", [0, 2, -1])
async def test_rotation_goes_one_epoch_at_a_time(store: Store, epoch: int) -> None:
    ann = await issue(store, "ann")
    with pytest.raises(InvalidInput, match="epoch 0"):
        await store.commit(RotateIdentity(ann.id, epoch, address("new"), NOW))
    assert await store.read(IdentityOf(EMAIL, ann.canonical_id)) == ann


async def test_rotation_of_nobody_and_onto_a_taken_address(store: Store) -> None:
    ann, ben = await issue(store, "ann"), await issue(store, "ben")
    with pytest.raises(NotFound):
        await store.commit(RotateIdentity(IdentityId(999), 1, address("new"), NOW))
    with pytest.raises(InvalidInput):
        await store.commit(RotateIdentity(ann.id, 1, ben.address, NOW))
    assert await store.read(IdentityOf(EMAIL, ann.canonical_id)) == ann


async def test_shredding_removes_the_row_for_good_and_nobody_is_issued_again(store: Store) -> None:
    ann = await issue(store, "ann", tombstone="digest of ann")
    shred = ShredIdentity(ann.id, NOW + 9, "digest of ann")
    assert await store.commit(shred) is True
    assert await store.commit(shred) is False
    assert await store.read(IdentityNamed(ann.name)) is None
    assert await store.read(IsBuried("digest of ann")) is True
    with pytest.raises(PersonDeleted):
        await issue(store, "ann", tombstone="digest of ann")
    with pytest.raises(NotFound):
        await store.commit(RotateIdentity(ann.id, 1, address("new"), NOW))
    assert await store.commit(SetDisplayName(ann.id, "back again")) is False
    assert await store.read(Sql("SELECT count(*) FROM identities")) == [(0,)]
    ben = await issue(store, "ben", tombstone="digest of ben")
    assert ben.id > ann.id, "numbers are not given twice"


async def test_shredding_nobody(store: Store) -> None:
    assert await store.commit(ShredIdentity(IdentityId(1), NOW, "tombstone")) is False


async def test_display_names(store: Store) -> None:
    ann = await issue(store, "ann")
    assert await store.commit(SetDisplayName(ann.id, "Ann-Kathrin Ω 🎈")) is True
    changed = await store.read(IdentityNamed(ann.name))
    assert changed is not None
    assert changed.display_name == "Ann-Kathrin Ω 🎈"
    assert await store.commit(SetDisplayName(IdentityId(999), "x")) is False


async def test_listing_in_pages_by_network(store: Store) -> None:
    people = [await issue(store, n, network=(EMAIL, MATRIX)[n % 2]) for n in range(7)]
    assert await store.read(ListIdentities(None, 100)) == people
    assert await store.read(ListIdentities(EMAIL, 2)) == [people[0], people[2]]
    assert await store.read(ListIdentities(EMAIL, 2, after=people[2].id)) == [people[4], people[6]]
    assert await store.read(ListIdentities(EMAIL, 2, after=people[6].id)) == []


async def test_a_number_is_not_given_to_a_second_person(store: Store) -> None:
    ann = await issue(store, "ann")
    await store.commit(Sql(f"DELETE FROM identities WHERE id = {ann.id}"))
    assert (await issue(store, "ben")).id > ann.id


async def test_salts_stay_out_of_representations(store: Store) -> None:
    ann = await issue(store, "ann")
    assert "salt of" not in repr(ann) + repr(IssueIdentity(identity("ann")))
