"""Bridged people from first message to deletion: keys, rows, and what is left of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.dm3.encryption import decrypt, encrypt
from gateway.dm3.profile import verify_profile
from gateway.errors import CustodyError, DecryptionFailed
from gateway.ids import EnsName, Network
from gateway.store import Store
from gateway.store.identities import Identity, IdentityNamed, IssueIdentity, RotateIdentity, ShredIdentity
from tests.integration.custody.conftest import TTL_MS

EMAIL, NOW = Network("email"), 1_727_000_000_000
BOB_NAME = EnsName("bob.example.org.email.gw.eth")


async def issue(store: Store, identities: Identities, who: str = "Bob@Example.ORG") -> Identity:
    return await store.commit(IssueIdentity(identities.draft(EMAIL, who, now_ms=NOW)))


async def test_a_stored_identity_opens_its_keys_again(store: Store, keyring: Keyring, identities: Identities) -> None:
    issued = await issue(store, identities)
    found = await store.read(IdentityNamed(BOB_NAME))
    assert found == issued
    keys = keyring.keys(issued)
    assert keys.address == issued.address
    assert verify_profile(keys.signed_profile, issued.address)
    assert keys.signed_profile.profile.delivery_services == ("ds.gw.eth",)


async def test_a_second_draft_for_the_same_person_loses(store: Store, keyring: Keyring, identities: Identities) -> None:
    """Two nodes meet somebody at the same time: both end up with the keys of the row that was first."""
    first = await issue(store, identities)
    again = await issue(store, identities, "bob@example.org")
    assert again == first
    assert keyring.keys(again).address == first.address


async def test_the_database_alone_gives_no_key(store: Store, identities: Identities) -> None:
    issued = await issue(store, identities)
    stranger = Keyring(MasterSeed(bytes(32)), delivery_services=(), max_ttl_ms=TTL_MS)
    with pytest.raises(CustodyError):
        stranger.keys(issued)


@pytest.mark.attack(52)
async def test_a_salt_moved_to_another_row_does_not_open(
    store: Store, keyring: Keyring, identities: Identities
) -> None:
    """Sealed salts are bound to their person."""
    bob, ann = await issue(store, identities), await issue(store, identities, "ann@example.org")
    with pytest.raises(CustodyError):
        keyring.keys(replace(bob, sealed_salt=ann.sealed_salt))


async def test_rotation_changes_keys_and_still_opens_old_mail_for_a_while(
    store: Store, keyring: Keyring, identities: Identities
) -> None:
    before = await issue(store, identities)
    old = keyring.keys(before)
    letter = encrypt(old.profile_keys.encryption.public, "written before")
    rotation = keyring.rotation(before)
    await store.commit(RotateIdentity(before.id, rotation.epoch, rotation.address, NOW))
    after = await store.read(IdentityNamed(BOB_NAME))
    assert after is not None
    assert keyring.keys(after).address == rotation.address != before.address
    current, previous = keyring.decryption_keys(after, NOW + TTL_MS - 1)
    assert decrypt(previous, letter) == "written before"
    with pytest.raises(DecryptionFailed):
        decrypt(current, letter)
    assert len(keyring.decryption_keys(after, NOW + TTL_MS)) == 1


async def test_a_shredded_identity_is_gone_for_ever(store: Store, keyring: Keyring, identities: Identities) -> None:
    issued = await issue(store, identities)
    keyring.keys(issued)
    await store.commit(ShredIdentity(issued.id, NOW, "tombstone"))
    keyring.forget(issued.network, issued.canonical_id)
    assert await store.read(IdentityNamed(BOB_NAME)) is None
    with pytest.raises(CustodyError):
        keyring.keys(replace(issued, sealed_salt=None))
