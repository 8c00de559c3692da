"""Log-in, pick-up and acknowledgement in the shapes of the reference."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.auth import sign_challenge
from gateway.dm3.data_uri import data_uri
from gateway.dm3.envelope import parse_envelope
from gateway.dm3.keys import signing_pair
from gateway.dm3.postmark import open_postmark, verify_postmark
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.store import Store
from gateway.store.mailbox import PickUp
from tests.integration.relay.clients import get, submit_text, token_of
from tests.integration.relay.envelopes import keys_of
from tests.support.house import House, running_house


async def acknowledge(house: House, name: str, token: str, *pairs: tuple[str, str], slash: str = "/") -> Any:
    return await house.http.post(
        f"{house.url}/ds/delivery/messages/{name}/syncAcknowledgements{slash}",
        json={"acknowledgements": [{"contactAddress": contact, "messageHash": digest} for contact, digest in pairs]},
        headers={"authorization": f"Bearer {token}"},
    )


# --- small routes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/ds"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_hello(house: House, prefix: str, slash: str) -> None:
    answer = await get(house, f"{prefix}/hello{slash}")
    assert (answer.status_code, answer.text) == (200, "Hello DM3")


async def test_the_delivery_service_profile_is_what_ens_says(house: House) -> None:
    answer = await get(house, "/ds/delivery-service-profile")
    assert answer.json() == house.gateway.service_profile.to_json()
    assert await house.profiles.delivery_service(house.gateway.service_name) == house.gateway.service_profile


async def test_profiles_of_known_and_unknown_names(house: House, alice: Dm3Client) -> None:
    assert (await get(house, f"/ds/profile/{alice.name}")).json() == alice.signed_profile().to_json()
    assert (await get(house, "/ds/profile/nobody.eth")).status_code == 404
    assert (await get(house, "/ds/profile/no%20name")).status_code == 400


# --- log-in ---------------------------------------------------------------------------------------------------------


@pytest.mark.weakness(5)
@pytest.mark.attack(6)
async def test_a_challenge_is_good_for_one_log_in(house: House, alice: Dm3Client) -> None:
    """Fifty parallel uses of one challenge give one token."""
    challenge = (await get(house, f"/ds/auth/{alice.name}")).json()
    body = {"challenge": challenge, "signature": sign_challenge(keys_of(house, "alice").signing, challenge)}
    url = f"{house.url}/ds/auth/{alice.name}"
    answers = await asyncio.gather(*(house.http.post(url, json=body) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    assert {answer.text for answer in answers if answer.status_code == 400} == {'{"error":"Signature invalid"}'}


@pytest.mark.weakness(5)
@pytest.mark.attack(6)
async def test_a_challenge_is_bound_to_its_name(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    challenge = (await get(house, f"/ds/auth/{bob.name}")).json()
    signature = sign_challenge(keys_of(house, "alice").signing, challenge)
    answer = await house.http.post(
        f"{house.url}/ds/auth/{alice.name}", json={"challenge": challenge, "signature": signature}
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "Signature invalid"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"challenge": 1, "signature": "x"}',
        b'{"challenge": "x", "signature": "x"}',
        b'{"challenge": "x", "signature": null}',
        b'{"challenge": "' + b"x" * 10_000 + b'", "signature": "x"}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_log_in_that_is_none(house: House, alice: Dm3Client, body: bytes) -> None:
    answer = await house.http.post(f"{house.url}/ds/auth/{alice.name}", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


async def test_a_signature_by_another_key_is_refused(house: House, alice: Dm3Client) -> None:
    challenge = (await get(house, f"/ds/auth/{alice.name}")).json()
    answer = await house.http.post(
        f"{house.url}/ds/auth/{alice.name}",
        json={"challenge": challenge, "signature": sign_challenge(keys_of(house, "mallory").signing, challenge)},
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "Signature invalid"})


@pytest.mark.weakness(1)
@pytest.mark.attack(1)
async def test_a_public_profile_is_no_key_to_a_mailbox(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """Whatever is done with a published profile, there is no token without the signing key."""
    digest = await submit_text(house, alice, bob, "secret")
    answer = await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=bob.signed_profile().to_json())
    assert (answer.status_code, answer.json()) == (200, "registered")
    for token in (None, answer.json()):
        assert (await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)).status_code == 401
        assert (await acknowledge(house, bob.name, token or "none", ("alice.eth", digest))).status_code == 401
    assert len(await bob.fetch()) == 1


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic eDp4", "Bearer " + "A" * 43])
async def test_without_a_token_there_is_nothing(house: House, bob: Dm3Client, header: str) -> None:
    answer = await house.http.get(
        f"{house.url}/ds/delivery/messages/incoming/{bob.name}", headers={"authorization": header}
    )
    assert answer.status_code == 401


async def test_whoever_is_turned_away_too_often_waits_and_others_do_not(house: House, bob: Dm3Client) -> None:
    """A messenger with the wrong keys asks again for as long as it is told 401; a good token is not counted."""
    token = await token_of(house, bob, "bob")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    statuses = [(await get(house, path, "wrong")).status_code for _ in range(70)]
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
    assert (await acknowledge(house, bob.name, "wrong")).status_code == 429
    for _ in range(70):
        assert (await get(house, path, token)).status_code == 200


async def test_a_token_opens_its_own_mailbox_only(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    token = await token_of(house, alice, "alice")
    assert (await get(house, f"/ds/delivery/messages/incoming/{alice.name}", token)).status_code == 200
    assert (await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)).status_code == 401
    assert (await get(house, "/ds/delivery/messages/incoming/nobody.eth", token)).status_code == 401
    assert (await acknowledge(house, bob.name, token)).status_code == 401


async def test_a_token_works_for_every_name_of_its_owner(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """Mailboxes are kept by address: mail to an alias arrives although the ENS name is set, and the other way."""
    alias = await house.native("alias.eth", "bob")
    await submit_text(house, alice, alias, "to the alias")
    await submit_text(house, alice, bob, "to the name")
    token = await token_of(house, bob, "bob")
    for name in (bob.name, alias.name):
        waiting = (await get(house, f"/ds/delivery/messages/incoming/{name}", token)).json()
        assert len(waiting) == 2


async def test_a_token_ends_after_an_hour(tmp_path: Path) -> None:
    shift = 0
    async with running_house(tmp_path / "house", working=False, clock=lambda: now_ms() + shift) as house:
        alice = await house.native("alice.eth", "alice")
        token = await token_of(house, alice, "alice")
        path = f"/ds/delivery/messages/incoming/{alice.name}"
        shift = 59 * 60_000
        assert (await get(house, path, token)).status_code == 200
        shift = 61 * 60_000
        assert (await get(house, path, token)).status_code == 401


@pytest.mark.attack(6)
async def test_a_challenge_ends_after_five_minutes(tmp_path: Path) -> None:
    shift = 0
    async with running_house(tmp_path / "house", working=False, clock=lambda: now_ms() + shift) as house:
        alice = await house.native("alice.eth", "alice")
        challenge = (await get(house, f"/ds/auth/{alice.name}")).json()
        shift = 6 * 60_000
        answer = await house.http.post(
            f"{house.url}/ds/auth/{alice.name}",
            json={"challenge": challenge, "signature": sign_challenge(keys_of(house, "alice").signing, challenge)},
        )
        assert answer.status_code == 400


# --- pick-up --------------------------------------------------------------------------------------------------------


async def test_an_envelope_is_handed_out_in_the_reference_s_form(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    before = now_ms()
    digest = await submit_text(house, alice, bob, "hello")
    token = await token_of(house, bob, "bob")
    (body,) = (await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)).json()
    assert body["metadata"]["deliveryInformation"] == {"to": "bob.eth", "from": "alice.eth"}
    assert body["metadata"]["messageHash"] == digest
    assert body["metadata"]["encryptedMessageHash"] == digest
    envelope = parse_envelope(body)
    postmark = open_postmark(keys_of(house, "bob").encryption, body["postmark"])
    assert verify_postmark(postmark, envelope, house.gateway.service_profile.public_signing_key)
    assert before <= postmark.incoming_timestamp <= now_ms()
    assert postmark.information is not None
    assert postmark.information.from_ == "alice.eth"


async def test_newest_first_and_by_contact(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    carol = await house.native("carol.eth", "carol")
    first = await submit_text(house, alice, bob, "1")
    second = await submit_text(house, carol, bob, "2", account="carol")
    third = await submit_text(house, alice, bob, "3")
    token = await token_of(house, bob, "bob")

    async def hashes(path: str) -> list[str]:
        return [each["metadata"]["messageHash"] for each in (await get(house, path, token)).json()]

    assert await hashes(f"/ds/delivery/messages/incoming/{bob.name}/") == [third, second, first]
    assert await hashes(f"/ds/delivery/messages/{bob.name}/contact/alice.eth") == [third, first]
    assert await hashes(f"/ds/delivery/messages/{bob.name}/contact/carol.eth") == [second]
    assert await hashes(f"/ds/delivery/messages/{bob.name}/contact/nobody.eth") == []


async def test_mail_that_expired_is_not_handed_out(tmp_path: Path) -> None:
    shift = 0
    async with running_house(tmp_path / "house", working=False, clock=lambda: now_ms() + shift) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        await submit_text(house, alice, bob, "old")
        shift = 31 * 24 * 3600 * 1000
        assert await bob.fetch() == []


# --- acknowledgement ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
async def test_an_acknowledgement_deletes_that_envelope(
    house: House, alice: Dm3Client, bob: Dm3Client, slash: str
) -> None:
    first = await submit_text(house, alice, bob, "1")
    await submit_text(house, alice, bob, "2")
    token = await token_of(house, bob, "bob")
    answer = await acknowledge(house, bob.name, token, ("alice.eth", first), slash=slash)
    assert answer.status_code == 200
    (left,) = await bob.fetch()
    assert left.message.text == "2"


async def test_every_hash_with_every_contact_deletes_only_what_fits(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    """The messenger acknowledges all hashes for each contact; a pair that is not there is no error."""
    first = await submit_text(house, alice, bob, "1")
    token = await token_of(house, bob, "bob")
    assert (await acknowledge(house, bob.name, token, ("carol.eth", first))).status_code == 200
    assert len(await bob.fetch()) == 1
    pairs = (("alice.eth", "0x" + "00" * 32), ("carol.eth", first), ("alice.eth", first))
    assert (await acknowledge(house, bob.name, token, *pairs)).status_code == 200
    assert await bob.fetch() == []


async def test_a_contact_that_is_no_name_does_not_hold_up_the_others(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    digest = await submit_text(house, alice, bob, "1")
    token = await token_of(house, bob, "bob")
    pairs = (("a b", digest), ("", digest), ("x" * 300, digest), ("ALICE.eth", digest.upper().replace("0X", "0x")))
    assert (await acknowledge(house, bob.name, token, *pairs)).status_code == 200
    assert await bob.fetch() == []


async def test_an_acknowledgement_reaches_the_own_mailbox_only(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    digest = await submit_text(house, alice, bob, "1")
    token = await token_of(house, alice, "alice")
    assert (await acknowledge(house, alice.name, token, ("alice.eth", digest))).status_code == 200
    assert len(await bob.fetch()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"acknowledgements": {}}',
        b'{"acknowledgements": [1]}',
        b'{"acknowledgements": [{"contactAddress": "alice.eth"}]}',
        b'{"acknowledgements": [{"contactAddress": 1, "messageHash": "0x00"}]}',
    ],
    ids=repr,
)
async def test_a_body_that_is_no_acknowledgement(house: House, bob: Dm3Client, body: bytes) -> None:
    token = await token_of(house, bob, "bob")
    answer = await house.http.post(
        f"{house.url}/ds/delivery/messages/{bob.name}/syncAcknowledgements",
        content=body,
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


async def test_what_was_accepted_survives_a_restart(tmp_path: Path) -> None:
    async with running_house(tmp_path / "house", working=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        digest = await submit_text(house, alice, bob, "1")
        await house.gateway.close()
        async with await Store.open(house.settings.store.url) as store:
            (waiting,) = await store.read(PickUp(bob.address, now_ms(), 10))
        assert waiting.message_hash == digest


# --- whose mailbox --------------------------------------------------------------------------------------------------


async def rotate(house: House, client: Dm3Client, account: str) -> None:
    """Publish a new signing key for the client's name; the old signed profile stays public for ever."""
    old = client.signed_profile().profile
    profile = UserProfile(old.public_encryption_key, signing_pair().public, old.delivery_services)
    signed = sign_profile(profile, house.chain.accounts[account].key)
    uri = data_uri(signed.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, client.name, "network.dm3.profile", uri)


@pytest.mark.weakness(4)
async def test_an_old_key_opens_nothing_through_another_name(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """Row 2: a stranger's name can point at anybody's address and carry anybody's old profile; that is no proof."""
    await submit_text(house, alice, bob, "secret")
    await rotate(house, bob, "bob")
    stolen = keys_of(house, "bob").signing
    await asyncio.to_thread(house.chain.ens.register, EnsName("evil.eth"))
    await asyncio.to_thread(house.chain.ens.set_addr, EnsName("evil.eth"), bob.address)
    old = data_uri(bob.signed_profile().to_text())
    await asyncio.to_thread(house.chain.ens.set_text, EnsName("evil.eth"), "network.dm3.profile", old)
    challenge = (await get(house, "/ds/auth/evil.eth")).json()
    answer = await house.http.post(
        f"{house.url}/ds/auth/evil.eth", json={"challenge": challenge, "signature": sign_challenge(stolen, challenge)}
    )
    token = answer.json()
    await house.gateway.directory.user(bob.name, fresh=True)
    assert (await get(house, "/ds/delivery/messages/incoming/evil.eth", token)).json() == []
    assert (await get(house, f"/ds/delivery/messages/incoming/{bob.name}", token)).status_code == 401
    (stored,) = await house.gateway.store.read(PickUp(bob.address, now_ms(), 10))
    await acknowledge(house, "evil.eth", token, ("alice.eth", stored.message_hash))
    assert len(await house.gateway.store.read(PickUp(bob.address, now_ms(), 10))) == 1


@pytest.mark.weakness(4)
async def test_a_session_ends_when_its_key_is_rotated(house: House, bob: Dm3Client) -> None:
    token = await token_of(house, bob, "bob")
    path = f"/ds/delivery/messages/incoming/{bob.name}"
    assert (await get(house, path, token)).status_code == 200
    await rotate(house, bob, "bob")
    await house.gateway.directory.user(bob.name, fresh=True)
    assert (await get(house, path, token)).status_code == 401
