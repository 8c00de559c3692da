"""Keys that their owner replaced: what the relay remembers of ENS never outlives its time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.dm3.auth import sign_challenge
from gateway.dm3.data_uri import data_uri
from gateway.dm3.keys import KeyPair, signing_pair
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ens.memo import MAX_TTL_MS
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.envelopes import keys_of
from tests.support.house import House, running_house


async def rotate(house: House, client: Dm3Client, account: str) -> KeyPair:
    """The new signing key, published by the owner; nobody tells the relay."""
    old, fresh = client.signed_profile().profile, signing_pair()
    signed = sign_profile(
        UserProfile(old.public_encryption_key, fresh.public, old.delivery_services), house.chain.accounts[account].key
    )
    uri = data_uri(signed.to_text())
    await asyncio.to_thread(house.chain.ens.set_text, client.name, "network.dm3.profile", uri)
    return fresh


async def log_in(house: House, client: Dm3Client, key: KeyPair) -> tuple[int, str]:
    """Status and token (or error) of a log-in with this key."""
    url = f"{house.url}/ds/auth/{client.name}"
    challenge = (await house.http.get(url)).json()
    answer = await house.http.post(url, json={"challenge": challenge, "signature": sign_challenge(key, challenge)})
    return answer.status_code, str(answer.json())


async def status_of(house: House, client: Dm3Client, token: str) -> int:
    """Whether a session still opens the mailbox."""
    path = f"/ds/delivery/messages/incoming/{client.name}"
    return (await house.http.get(house.url + path, headers={"authorization": f"Bearer {token}"})).status_code


@pytest.mark.weakness(4)
async def test_a_new_key_logs_in_at_once_and_the_old_one_no_longer(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    """The check that fails with what is remembered is made once more with what the chain says now."""
    old = keys_of(house, "alice").signing
    status, session = await log_in(house, alice, old)
    assert (status, await status_of(house, alice, session)) == (200, 200)
    new = await rotate(house, alice, "alice")
    assert (await log_in(house, alice, new))[0] == 200
    assert await log_in(house, alice, old) == (400, "{'error': 'Signature invalid'}")
    assert await status_of(house, alice, session) == 401, "the session of the old key ends with it"
    assert (await log_in(house, bob, keys_of(house, "bob").signing))[0] == 200


@pytest.mark.weakness(4)
async def test_an_old_key_ends_with_the_time_of_the_answer_when_nobody_uses_the_new_one(tmp_path: Path) -> None:
    shift = 0
    async with running_house(tmp_path / "house", working=False, clock=lambda: now_ms() + shift) as house:
        alice = await house.native("alice.eth", "alice")
        old = keys_of(house, "alice").signing
        _, session = await log_in(house, alice, old)
        new = await rotate(house, alice, "alice")
        assert await status_of(house, alice, session) == 200, "remembered: not every request asks the chain"
        shift = MAX_TTL_MS + 1_000
        assert await status_of(house, alice, session) == 401
        assert (await log_in(house, alice, old))[0] == 400
        assert (await log_in(house, alice, new))[0] == 200
