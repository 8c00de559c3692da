"""Codes for a link, and the link between a claimed name and a bridged person."""

from __future__ import annotations

import pytest

from gateway.errors import LimitExceeded, NotFound
from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.identities import IdentityNamed, IssueIdentity, RotateIdentity, ShredIdentity
from gateway.store.links import (
    DropLinkCodes,
    IdentityBearing,
    IdentityOwning,
    LinkCode,
    LinkIdentity,
    MoveIdentity,
    PutLinkCode,
    TryLinkCode,
    UnlinkName,
)
from tests.integration.store.values import EMAIL, NOW, address, identity

BOB = EnsName("bob.gw.eth")
OWNER = address("wallet")
PERSON = identity("ann")
CODE = LinkCode(BOB, EMAIL, PERSON.canonical_id, OWNER, b"right", NOW, NOW + 600_000)


def guess(digest: bytes, *, owner: str = OWNER, now: int = NOW) -> TryLinkCode:
    return TryLinkCode(BOB, owner, digest, now, attempts=3)  # type: ignore[arg-type]


async def test_a_code_works_once(store: Store) -> None:
    await store.commit(PutLinkCode(CODE, 0))
    assert await store.commit(guess(b"right")) == CODE
    assert await store.commit(guess(b"right")) is None


async def test_wrong_guesses_use_it_up(store: Store) -> None:
    await store.commit(PutLinkCode(CODE, 0))
    for _ in range(3):
        assert await store.commit(guess(b"wrong")) is None
    assert await store.commit(guess(b"right")) is None


async def test_it_is_for_who_asked_and_for_its_time(store: Store) -> None:
    await store.commit(PutLinkCode(CODE, 0))
    for _ in range(5):
        assert await store.commit(guess(b"right", owner=address("mallory"))) is None
    assert await store.commit(guess(b"right", now=CODE.expires_at)) is None
    assert await store.commit(guess(b"right")) == CODE


async def test_neither_a_name_nor_a_person_gets_codes_too_often(store: Store) -> None:
    await store.commit(PutLinkCode(CODE, NOW))
    other_person = LinkCode(BOB, EMAIL, identity("cy").canonical_id, OWNER, b"2", NOW + 1, NOW + 9)
    other_name = LinkCode(EnsName("x.gw.eth"), EMAIL, PERSON.canonical_id, OWNER, b"3", NOW + 1, NOW + 9)
    for code in (other_person, other_name):
        with pytest.raises(LimitExceeded):
            await store.commit(PutLinkCode(code, NOW - 1))
        await store.commit(PutLinkCode(code, NOW + 1))
    assert await store.commit(guess(b"right")) is None, "the newer code has taken the place of the first"


async def test_old_codes_are_forgotten(store: Store) -> None:
    await store.commit(PutLinkCode(CODE, 0))
    assert await store.commit(DropLinkCodes(CODE.expires_at - 1, 9)) == 0
    assert await store.commit(DropLinkCodes(CODE.expires_at, 9)) == 1


async def test_a_link_is_found_by_either_name(store: Store) -> None:
    person = await store.commit(IssueIdentity(PERSON))
    assert await store.read(IdentityBearing(person.name)) == person
    assert await store.read(IdentityBearing(BOB)) is None
    linked = await store.commit(LinkIdentity(person.id, person.epoch, BOB, "0xsigned", NOW))
    assert (linked.level, linked.owned_name, linked.owner_signature, linked.linked_at) == (
        "owned",
        BOB,
        "0xsigned",
        NOW,
    )
    for query in (IdentityBearing(BOB), IdentityBearing(person.name), IdentityOwning(BOB), IdentityNamed(person.name)):
        assert await store.read(query) == linked
    assert await store.commit(UnlinkName(BOB)) is True
    assert await store.commit(UnlinkName(BOB)) is False
    assert await store.read(IdentityBearing(BOB)) is None
    assert await store.read(IdentityNamed(person.name)) == person


async def test_a_name_is_one_person_s_and_a_person_has_one(store: Store) -> None:
    ann, cy = [await store.commit(IssueIdentity(identity(who))) for who in ("ann", "cy")]
    await store.commit(LinkIdentity(ann.id, ann.epoch, BOB, "0x1", NOW))
    await store.commit(LinkIdentity(cy.id, cy.epoch, BOB, "0x2", NOW))
    assert await store.read(IdentityNamed(ann.name)) == ann
    await store.commit(LinkIdentity(cy.id, cy.epoch, EnsName("cy.gw.eth"), "0x3", NOW))
    assert await store.read(IdentityOwning(BOB)) is None


async def test_keys_that_change_end_the_link(store: Store) -> None:
    ann = await store.commit(IssueIdentity(PERSON))
    with pytest.raises(NotFound):
        await store.commit(LinkIdentity(ann.id, ann.epoch + 1, BOB, "0x1", NOW))
    await store.commit(LinkIdentity(ann.id, ann.epoch, BOB, "0x1", NOW))
    rotated = await store.commit(RotateIdentity(ann.id, 1, address("next"), NOW))
    assert (rotated.level, rotated.owned_name) == ("bridged", None)
    await store.commit(LinkIdentity(ann.id, 1, BOB, "0x1", NOW))
    await store.commit(ShredIdentity(ann.id, NOW, "tombstone"))
    assert await store.read(IdentityOwning(BOB)) is None
    with pytest.raises(NotFound):
        await store.commit(LinkIdentity(ann.id, 1, BOB, "0x1", NOW))


async def test_a_name_that_moves_is_still_known_to_have_been_theirs(store: Store) -> None:
    ann = await store.commit(IssueIdentity(PERSON))
    assert await store.commit(MoveIdentity(BOB, NOW)) is False
    await store.commit(LinkIdentity(ann.id, ann.epoch, BOB, "0x1", NOW))
    assert await store.commit(MoveIdentity(BOB, NOW + 5)) is True
    moved = await store.read(IdentityOwning(BOB))
    assert moved is not None
    assert (moved.level, moved.owner_signature, moved.linked_at) == ("moved", None, NOW + 5)
