"""The keyring: new identities, rotation with its grace time, shredding, swapped rows, and silence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.custody.keyring import IdentityKeys, Keyring
from gateway.custody.seed import MasterSeed
from gateway.dm3.encryption import decrypt, encrypt
from gateway.dm3.eth import address_of
from gateway.dm3.profile import parse_signed_profile, verify_profile
from gateway.errors import CustodyError, DecryptionFailed
from gateway.ids import CanonicalId, EnsName, IdentityId, Network
from gateway.store.identities import Identity, NewIdentity

SEED = MasterSeed(b"canary-seed-canary-seed-canary-!")
SERVICES = (EnsName("ds.gw.eth"), EnsName("ds.backup.eth"))
TTL = 30 * 86_400_000
NOW = 1_727_000_000_123
MATRIX = Network("matrix")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(SEED, delivery_services=SERVICES, max_ttl_ms=TTL)


def stored(draft: NewIdentity, number: int = 1) -> Identity:
    """The row that the store makes of a draft."""
    return Identity(
        id=IdentityId(number),
        network=draft.network,
        canonical_id=draft.canonical_id,
        name=draft.name,
        address=draft.address,
        level=draft.level,
        epoch=draft.epoch,
        sealed_salt=draft.sealed_salt,
        display_name=draft.display_name,
        created_at=draft.created_at,
        rotated_at=None,
    )


def person(keyring: Keyring, local: str = "alice", number: int = 1) -> Identity:
    canonical = CanonicalId(f"@{local}:example.org")
    name = EnsName(f"{local}.example.org.matrix.gw.eth")
    return stored(keyring.new_identity(MATRIX, canonical, name, now_ms=NOW, display_name=local.title()), number)


def rotated(keyring: Keyring, identity: Identity, at: int) -> Identity:
    rotation = keyring.rotation(identity)
    return replace(identity, epoch=rotation.epoch, address=rotation.address, rotated_at=at)


def test_a_draft_has_all_that_the_store_wants(keyring: Keyring) -> None:
    draft = keyring.new_identity(MATRIX, CanonicalId("@a:b"), EnsName("a.b.matrix.gw.eth"), now_ms=NOW)
    assert (draft.level, draft.epoch, draft.created_at, draft.display_name) == ("bridged", 0, NOW, "")
    assert draft.address.startswith("0x")
    assert len(draft.address) == 42
    assert len(draft.sealed_salt) == 1 + 24 + 32 + 16


def test_keys_belong_together(keyring: Keyring) -> None:
    identity = person(keyring)
    keys = keyring.keys(identity)
    profile = keys.signed_profile.profile
    assert keys.address == identity.address == address_of(keys.eth_key)
    assert profile.public_encryption_key == keys.profile_keys.encryption.public
    assert profile.public_signing_key == keys.profile_keys.signing.public
    assert profile.delivery_services == SERVICES
    assert verify_profile(parse_signed_profile(keys.signed_profile.to_text()), identity.address)


def test_keys_come_back_after_a_restart(keyring: Keyring) -> None:
    identity = person(keyring)
    again = Keyring(MasterSeed(SEED.secret), delivery_services=SERVICES, max_ttl_ms=TTL)
    assert again.keys(identity) == keyring.keys(identity)


def test_two_drafts_for_one_person_have_nothing_in_common(keyring: Keyring) -> None:
    first, second = keyring.keys(person(keyring)), keyring.keys(person(keyring))
    assert first.address != second.address
    assert first.profile_keys != second.profile_keys


def test_a_second_look_does_no_work(keyring: Keyring) -> None:
    identity = person(keyring)
    assert keyring.keys(identity) is keyring.keys(identity)


def test_the_cache_is_bounded() -> None:
    keyring = Keyring(SEED, delivery_services=SERVICES, max_ttl_ms=TTL, cached_identities=2)
    people = [person(keyring, name) for name in ("a", "b", "c")]
    first = keyring.keys(people[0])
    for identity in people:
        keyring.keys(identity)
    again = keyring.keys(people[0])
    assert again == first
    assert again is not first


def test_rotation_changes_address_and_keys(keyring: Keyring) -> None:
    identity = person(keyring)
    new = rotated(keyring, identity, NOW)
    before, after = keyring.keys(identity), keyring.keys(new)
    assert new.epoch == 1
    assert before.address != after.address
    assert before.profile_keys.encryption != after.profile_keys.encryption
    assert before.profile_keys.signing != after.profile_keys.signing
    assert before.eth_key != after.eth_key


def test_old_mail_opens_until_the_longest_ttl_has_passed(keyring: Keyring) -> None:
    identity = person(keyring)
    sealed = encrypt(keyring.keys(identity).profile_keys.encryption.public, "old mail")
    new = rotated(keyring, identity, NOW)
    in_time = keyring.decryption_keys(new, NOW + TTL - 1)
    assert len(in_time) == 2
    assert in_time[0] == keyring.keys(new).profile_keys.encryption
    assert decrypt(in_time[1], sealed) == "old mail"
    too_late = keyring.decryption_keys(new, NOW + TTL)
    assert too_late == in_time[:1]
    with pytest.raises(DecryptionFailed):
        decrypt(too_late[0], sealed)


def test_without_rotation_there_is_one_key(keyring: Keyring) -> None:
    identity = person(keyring)
    assert keyring.decryption_keys(identity, NOW) == (keyring.keys(identity).profile_keys.encryption,)


def test_only_the_epoch_before_opens(keyring: Keyring) -> None:
    first = person(keyring)
    third = rotated(keyring, rotated(keyring, first, NOW), NOW + 1)
    keys = keyring.decryption_keys(third, NOW + 2)
    assert len(keys) == 2
    assert keyring.keys(first).profile_keys.encryption not in keys


def test_a_shredded_identity_has_no_keys_even_from_memory(keyring: Keyring) -> None:
    identity = person(keyring)
    keyring.keys(identity)
    shredded = replace(identity, sealed_salt=None)
    for use in (keyring.keys, keyring.rotation, lambda row: keyring.decryption_keys(row, NOW)):
        with pytest.raises(CustodyError, match="gone for ever"):
            use(shredded)


def test_forget_drops_one_person_only(keyring: Keyring) -> None:
    alice, bob = person(keyring, "alice"), person(keyring, "bob")
    kept, dropped = keyring.keys(bob), keyring.keys(alice)
    keyring.keys(rotated(keyring, alice, NOW))
    keyring.forget(alice.network, alice.canonical_id)
    assert keyring.keys(bob) is kept
    assert keyring.keys(alice) is not dropped
    assert keyring.keys(alice) == dropped


def test_swapped_salts_do_not_open(keyring: Keyring) -> None:
    alice, bob = person(keyring, "alice"), person(keyring, "bob")
    with pytest.raises(CustodyError):
        keyring.keys(replace(alice, sealed_salt=bob.sealed_salt))
    with pytest.raises(CustodyError):
        keyring.keys(replace(alice, canonical_id=bob.canonical_id))
    with pytest.raises(CustodyError):
        keyring.keys(replace(alice, network=Network("xmpp")))


def test_another_epoch_or_address_in_the_row_is_noticed(keyring: Keyring) -> None:
    identity = person(keyring)
    with pytest.raises(CustodyError, match="address"):
        keyring.keys(replace(identity, epoch=1))
    with pytest.raises(CustodyError, match="address"):
        keyring.keys(replace(identity, address=person(keyring, "bob").address))


def test_another_seed_is_noticed(keyring: Keyring) -> None:
    other = Keyring(MasterSeed(b"\x01" * 32), delivery_services=SERVICES, max_ttl_ms=TTL)
    with pytest.raises(CustodyError, match="another seed"):
        other.keys(person(keyring))


@pytest.mark.parametrize("salt", [b"", b"\x01", b"\x02" + bytes(72), bytes(200)])
def test_damaged_salts_are_noticed(keyring: Keyring, salt: bytes) -> None:
    with pytest.raises(CustodyError):
        keyring.keys(replace(person(keyring), sealed_salt=salt))


def test_many_threads_agree(keyring: Keyring) -> None:
    people = [person(keyring, f"person{number}", number) for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [keyring.keys(identity).address for identity in people], range(8)))
    assert rounds == [[identity.address for identity in people]] * 8


def test_no_secret_in_any_repr_or_error(keyring: Keyring) -> None:
    identity = person(keyring)
    keys: IdentityKeys = keyring.keys(identity)
    shown = f"{keyring!r} {keys!r} {identity!r}"
    with pytest.raises(CustodyError) as caught:
        keyring.keys(replace(identity, epoch=3))
    shown += str(caught.value)
    assert "canary" not in shown
    for secret in (keys.eth_key, keys.profile_keys.encryption.private, keys.profile_keys.signing.private):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
