"""What is given out for one use is worth nothing for another: challenges, registrations, nonces, tokens of others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from gateway.dm3.auth import sign_challenge
from gateway.dm3.envelope import envelope_id
from gateway.dm3.eth import sign_text
from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.clients import Api, logged_in, submit, token_of
from tests.integration.relay.envelopes import keys_of
from tests.support.house import House, running_house
from tests.support.routes import AnyValue, Operation, operations

VALUES = {"name": "bob.eth"}
OF_NAMES = ("/api/v1/names", "/api/v1/admin")
"""Doors of the name service: a `{name}` there is a sub-name, and no account."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A door that turns away whoever knocks, however often."""
    unlimited = {"DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0"}
    async with running_house(tmp_path / "house", working=False, overrides=unlimited) as running:
        yield running


async def status(house: House, operation: Operation, token: str, values: Mapping[str, str] = VALUES) -> int:
    """The answer to a request with this token and a body that says nothing."""
    answer = await house.http.request(
        operation.method,
        house.url + operation.path(AnyValue(values)),
        json={} if operation.takes_body else None,
        headers={"authorization": f"Bearer {token}"},
    )
    return answer.status_code


async def removal_text(house: House, client: Dm3Client) -> str:
    """What the client's wallet would sign to close the account."""
    answer = await house.http.get(f"{house.url}/api/v1/account/removal/{client.address}")
    return str(answer.json()["message"])


def nonce_in(text: str) -> str:
    found = re.search(r"^Nonce: (\w+)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


async def impostors(house: House, bob: Dm3Client, alice: Dm3Client) -> dict[str, str]:
    """Everything that bob, or somebody who watches him, ever holds and that is no token in force."""
    url = f"{house.url}/ds/auth/{bob.name}"
    challenge, used = (await house.http.get(url)).json(), (await house.http.get(url)).json()
    signature = sign_challenge(keys_of(house, "bob").signing, used)
    token = (await house.http.post(url, json={"challenge": used, "signature": signature})).json()
    ended = await token_of(house, bob, "bob")
    await house.http.delete(f"{house.url}/api/v1/session", headers={"authorization": f"Bearer {ended}"})
    registration = await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=bob.signed_profile().to_json())
    assert registration.status_code == 200
    envelope = await submit(house, alice, bob)
    return {
        "a challenge": challenge,
        "a challenge that was used": used,
        "a challenge without its prefix": challenge.removeprefix("dm3."),
        "the signature of a log-in": signature.rstrip("="),
        "what registration answers": registration.json(),
        "the nonce of a removal": nonce_in(await removal_text(house, bob)),
        "the id of an envelope": envelope_id(bob.address, envelope),
        "a token that was ended": ended,
        "the digest under which a token is kept": hashlib.sha256(token.encode()).hexdigest(),
        "a token in another case": token.swapcase(),
        "half a token": token[: len(token) // 2],
        "a token with an end": token + "A",
        "the address": bob.address,
    }


@pytest.mark.attack(10)
@pytest.mark.weakness(16)
async def test_nothing_but_a_token_is_a_session_anywhere(
    house: House, alice: Dm3Client, bob: Dm3Client, subtests: pytest.Subtests
) -> None:
    doors = [each for each in await operations(house) if each.needs_session]
    assert len(doors) >= 12, "the description still tells which operations need a session"
    for what, text in (await impostors(house, bob, alice)).items():
        with subtests.test(what):
            answers = {f"{door.method} {door.template}": await status(house, door, text) for door in doors}
            assert {door: answer for door, answer in answers.items() if answer != 401} == {}


@pytest.mark.attack(10)
async def test_a_token_is_of_one_owner_only(
    house: House, alice: Dm3Client, bob: Dm3Client, subtests: pytest.Subtests
) -> None:
    await submit(house, alice, bob)
    others = await token_of(house, alice, "alice")
    known = await operations(house)
    named = [each for each in known if each.needs_session and not each.template.startswith(OF_NAMES)]
    named = [each for each in named if "{name}" in each.template]
    assert len(named) >= 3
    for door in named:
        with subtests.test(door.template):
            assert await status(house, door, others) == 401
            assert await status(house, door, others, VALUES | {"name": "alice.eth"}) in (200, 400)
    assert len(await bob.fetch()) == 1


@pytest.mark.attack(10)
async def test_what_was_given_out_for_one_purpose_does_not_serve_another(house: House, bob: Dm3Client) -> None:
    """A removal's nonce logs nobody in, a log-in's challenge removes nothing, a token is no challenge."""
    token = await token_of(house, bob, "bob")
    text = await removal_text(house, bob)
    url = f"{house.url}/ds/auth/{bob.name}"
    for challenge in (nonce_in(text), token):
        body = {"challenge": challenge, "signature": sign_challenge(keys_of(house, "bob").signing, challenge)}
        assert (await house.http.post(url, json=body)).status_code == 400
    challenge = (await house.http.get(url)).json()
    for nonce in (re.sub(r"[\W_]", "", challenge), re.sub(r"[\W_]", "", token), "0" * 32):
        forged = text.replace(nonce_in(text), nonce)
        signature = sign_text(house.chain.accounts["bob"].key, forged)
        answer = await house.http.post(
            f"{house.url}/api/v1/account/removal", json={"message": forged, "signature": signature}
        )
        assert answer.status_code == 403
    assert (await Api(house, token).get("account")).status_code == 200


@pytest.mark.weakness(16)
async def test_tokens_have_nothing_in_common_with_keys_or_with_each_other(house: House, bob: Dm3Client) -> None:
    """Opaque: 256 bits of the system's random source, not a statement that somebody signed."""
    tokens = [(await logged_in(house, bob, "bob")).token for _ in range(20)]
    assert len(set(tokens)) == 20
    assert {len(token) for token in tokens} == {43}
    assert not any("." in token or token.startswith("ey") for token in tokens), "no JWT"
    prefixes = {token[:4] for token in tokens}
    assert len(prefixes) > 15, "no part of them stays the same"


@pytest.mark.weakness(16)
async def test_a_token_is_revoked_alone_and_all_of_an_account_together(house: House, bob: Dm3Client) -> None:
    first, second = await logged_in(house, bob, "bob"), await logged_in(house, bob, "bob")
    headers = {"authorization": f"Bearer {first.token}"}
    assert (await house.http.delete(f"{house.url}/api/v1/session", headers=headers)).status_code == 204
    assert [(await each.get("account")).status_code for each in (first, second)] == [401, 200]
    text = await removal_text(house, bob)
    body = {"message": text, "signature": sign_text(house.chain.accounts["bob"].key, text)}
    assert (await house.http.post(f"{house.url}/api/v1/account/removal", json=body)).status_code == 200
    assert (await second.get("account")).status_code == 401


@pytest.mark.attack(11)
@pytest.mark.weakness(16)
async def test_what_opens_a_mailbox_is_looked_up_by_its_digest_and_kept_nowhere(house: House, bob: Dm3Client) -> None:
    """A look-up by SHA-256 tells by its time nothing about the secret, and a stolen database opens nothing."""
    token = await token_of(house, bob, "bob")
    challenge = (await house.http.get(f"{house.url}/ds/auth/{bob.name}")).json()
    nonce = nonce_in(await removal_text(house, bob))
    database = b"".join(path.read_bytes() for path in house.config.parent.glob("gateway.db*"))
    for secret in (token, challenge, nonce):
        assert secret.encode() not in database
        assert hashlib.sha256(secret.encode()).digest() in database
