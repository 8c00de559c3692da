"""Closing an account by a wallet signature: nothing is left of it, and nobody else can do it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.dm3.canonical import Json
from gateway.dm3.envelope import canonical_envelope
from gateway.dm3.eth import address_bytes, checksum, sign_text
from gateway.dm3.siwe import parse_siwe
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.emptying import AGAIN_MS
from gateway.store import Store
from gateway.store.accounts import CLOSED_SCOPE, AccountOf, CloseAccount
from gateway.store.mailbox import AcceptEnvelope, CountMailbox
from gateway.store.schema import metadata
from tests.integration.relay.clients import get, put_rules, submit_text, token_of
from tests.integration.relay.envelopes import keys_of, sealed
from tests.integration.store.values import Sql, envelope
from tests.support.house import House, rpc, running_house
from tests.support.waiting import until

REMOVAL = "/api/v1/account/removal"
UNLIMITED = {"DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_house(tmp_path / "house", working=False, overrides=UNLIMITED) as running:
        yield running


async def text_for(house: House, address: str) -> str:
    answer = await get(house, f"{REMOVAL}/{address}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["message"])


async def remove(house: House, text: str, account: str = "bob", signature: str | None = None) -> Any:
    signed = sign_text(house.chain.accounts[account].key, text) if signature is None else signature
    return await house.http.post(house.url + REMOVAL, json={"message": text, "signature": signed})


async def everything(store: Store) -> str:
    """Every cell of every table, bytes as text, hex and base64."""
    cells: list[str] = []
    for table in metadata.tables:
        for row in await store.read(Sql(f"SELECT * FROM {table}")):
            for cell in row:
                if isinstance(cell, bytes | memoryview):
                    raw = bytes(cell)
                    cells += [raw.decode("latin-1"), raw.hex(), base64.b64encode(raw).decode()]
                else:
                    cells.append(str(cell))
    return "\n".join(cells).lower()


def traces(house: House, person: Dm3Client, account: str) -> dict[str, str]:
    """What must not be found of a person."""
    profile = person.signed_profile().profile
    return {
        "address": person.address[2:],
        "raw address": address_bytes(person.address).decode("latin-1").lower(),
        "name": person.name,
        "encryption key": base64.b64encode(profile.public_encryption_key).decode().lower(),
        "signing key": base64.b64encode(profile.public_signing_key).decode().lower(),
        "raw signing key": keys_of(house, account).signing.public.hex(),
        "signature": person.signed_profile().signature[2:].lower(),
        "alias": "alias.eth",
        "mail address": "bob@example.org",
        "rules": "mallory.eth",
    }


async def settle(house: House, alice: Dm3Client, bob: Dm3Client) -> list[str]:
    """Leave traces of bob in every table that can have them; his tokens."""
    alias = await house.native("alias.eth", "bob")
    carol = await house.native("carol.eth", "carol")
    tokens = [await token_of(house, alias, "bob"), await token_of(house, bob, "bob")]
    answer = await put_rules(
        house, tokens[0], {"messageRequests": True, "allow": [alice.name], "block": ["mallory.eth"]}
    )
    assert answer.status_code == 200
    await submit_text(house, alice, bob, "from a friend")
    await submit_text(house, alice, alias, "to another name")
    await submit_text(house, carol, bob, "from a stranger", account="carol")
    await house.gateway.store.commit(
        Sql(f"INSERT INTO channels VALUES ('{bob.address}', 'EMAIL', 'bob@example.org', TRUE, TRUE, NULL, 0, 0, 0, 0)")
    )
    await get(house, f"/ds/auth/{bob.name}")
    await get(house, f"/ds/auth/{alias.name}")
    return tokens


@pytest.mark.attack(54)
async def test_nothing_is_left_but_a_digest(tmp_path: Path) -> None:
    """Once the job has run that looks for mail which was under way."""
    shift = 0
    async with running_house(tmp_path / "house", overrides=UNLIMITED, clock=lambda: now_ms() + shift) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        tokens = await settle(house, alice, bob)
        store = house.gateway.store
        before = await everything(store)
        looked_for = traces(house, bob, "bob")
        # What is never stored cannot be forgotten; all else must be there, or this test shows nothing.
        assert {what for what, trace in looked_for.items() if trace not in before} <= {"raw address", "raw signing key"}
        for _ in range(2):
            text = await text_for(house, checksum(bob.address))
        answer = await remove(house, text)
        assert (answer.status_code, answer.json()) == (200, {"removed": bob.address})
        await store.commit(AcceptEnvelope(envelope(1, recipient=bob.address, recipient_name=bob.name)))
        shift = AGAIN_MS + 1

        async def look() -> bool | None:
            return await store.read(Sql("SELECT count(*) FROM jobs")) == [(0,)] or None

        await until(look)
        after = await everything(store)
        assert {what for what, trace in looked_for.items() if trace in after} == set()
        assert [scope for scope, *_ in await store.read(Sql("SELECT * FROM once"))] == [CLOSED_SCOPE]
        for token in tokens:
            for path in ("/api/v1/account", "/api/v1/mailbox", f"/ds/delivery/messages/incoming/{bob.name}"):
                assert (await get(house, path, token)).status_code == 401


async def test_whoever_comes_back_at_once_keeps_the_mail_that_comes_then(tmp_path: Path) -> None:
    shift = 0
    async with running_house(tmp_path / "house", overrides=UNLIMITED, clock=lambda: now_ms() + shift) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        await token_of(house, bob, "bob")
        assert (await remove(house, await text_for(house, bob.address))).status_code == 200
        body = bob.signed_profile().to_json()
        assert (await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=body)).status_code == 200
        await submit_text(house, alice, bob, "welcome back")
        shift = AGAIN_MS + 1

        async def look() -> bool | None:
            return await house.gateway.store.read(Sql("SELECT count(*) FROM jobs")) == [(0,)] or None

        await until(look)
        assert len(await bob.fetch()) == 1


async def test_the_mail_of_others_stays(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """What bob wrote is his correspondents' mail."""
    await submit_text(house, bob, alice, "keep this", account="bob")
    await token_of(house, alice, "alice")
    assert (await remove(house, await text_for(house, bob.address))).status_code == 200
    (mail,) = await alice.fetch()
    assert mail.message.text == "keep this"
    assert (await house.gateway.store.read(AccountOf(alice.address))).account is not None


async def test_afterwards_mail_is_refused_until_its_owner_registers_again(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    await token_of(house, bob, "bob")
    assert (await remove(house, await text_for(house, bob.address))).status_code == 200
    envelope = canonical_envelope(sealed(house, alice, bob))
    for method, params in (("dm3_submitMessage", envelope), ("dm3_getProfileExtension", bob.name)):
        answer = await rpc(house, method, params)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32001)
    assert await house.gateway.store.read(CountMailbox(bob.address)) == 0
    body = bob.signed_profile().to_json()
    assert (await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=body)).status_code == 200
    assert (await rpc(house, "dm3_getProfileExtension", bob.name)).status_code == 200
    assert (await rpc(house, "dm3_submitMessage", envelope)).status_code == 200
    assert len(await bob.fetch()) == 1


async def test_a_name_of_the_same_owner_is_closed_with_it(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    alias = await house.native("alias.eth", "bob")
    assert (await remove(house, await text_for(house, bob.address))).status_code == 200
    answer = await rpc(house, "dm3_submitMessage", canonical_envelope(sealed(house, alice, alias)))
    assert answer.json()["error"]["code"] == -32001


async def test_who_never_registered_can_close_the_mailbox_too(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """A profile that names us is enough to get mail here; so it is to want none."""
    await submit_text(house, alice, bob, "unasked")
    assert (await remove(house, await text_for(house, bob.address))).status_code == 200
    assert await house.gateway.store.read(CountMailbox(bob.address)) == 0
    answer = await rpc(house, "dm3_submitMessage", canonical_envelope(sealed(house, alice, bob)))
    assert answer.json()["error"]["code"] == -32001


async def test_a_large_mailbox_is_emptied(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.emptying.ROWS_AT_ONCE", 2)
    for number in range(5):
        await submit_text(house, alice, bob, str(number))
    assert (await remove(house, await text_for(house, bob.address))).status_code == 200
    assert await house.gateway.store.read(CountMailbox(bob.address)) == 0


# --- who may --------------------------------------------------------------------------------------------------------


async def assert_unchanged(house: House, person: Dm3Client) -> None:
    state = await house.gateway.store.read(AccountOf(person.address))
    assert state.account is not None
    assert not state.closed


@pytest.mark.attack(6)
@pytest.mark.attack(7)
async def test_fifty_uses_of_one_text_remove_once(house: House, bob: Dm3Client) -> None:
    await token_of(house, bob, "bob")
    text = await text_for(house, bob.address)
    answers = await asyncio.gather(*(remove(house, text) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 49
    assert {tuple(answer.json()) for answer in answers if answer.status_code == 403} == {("error",)}


@pytest.mark.attack(8)
async def test_a_text_is_not_good_for_the_next_account(house: House, bob: Dm3Client) -> None:
    """Somebody kept the signature and uses it again when bob is back."""
    await token_of(house, bob, "bob")
    text = await text_for(house, bob.address)
    assert (await remove(house, text)).status_code == 200
    await house.http.post(f"{house.url}/ds/profile/{bob.name}", json=bob.signed_profile().to_json())
    assert (await remove(house, text)).status_code == 403
    await assert_unchanged(house, bob)


@pytest.mark.attack(9)
async def test_the_signature_and_the_text_are_of_one_address(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    for person, account in ((alice, "alice"), (bob, "bob")):
        await token_of(house, person, account)
    for_bob = await text_for(house, bob.address)
    swapped = for_bob.replace(checksum(bob.address), checksum(alice.address))
    for text, signer in ((for_bob, "alice"), (swapped, "alice"), (swapped, "bob"), (for_bob, "mallory")):
        answer = await remove(house, text, signer)
        assert (answer.status_code, set(answer.json())) == (403, {"error"})
    await assert_unchanged(house, alice)
    await assert_unchanged(house, bob)
    assert (await remove(house, for_bob)).status_code == 200, "none of these spoilt the text for its owner"
    await assert_unchanged(house, alice)


def field(name: str, value: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        lines = [f"{name}: {value}" if line.startswith(f"{name}: ") else line for line in text.split("\n")]
        return "\n".join(lines)

    return change


@pytest.mark.attack(7)
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda text: "evil.example" + text[text.index(" wants") :], 403),
        (lambda text: text.replace("Remove my account", "Sign me in"), 403),
        (field("URI", "https://evil.example"), 403),
        (field("Chain ID", "1"), 403),
        (field("Nonce", "0" * 32), 403),
        (field("Issued At", "2020-01-01T00:00:00.000Z"), 403),
        (field("Issued At", "2999-01-01T00:00:00.000Z"), 403),
        (field("Expiration Time", "2020-01-01T00:00:00.000Z"), 403),
        (field("Version", "2"), 400),
        (lambda text: text + "\nResources:\n- https://evil.example", 400),
        (lambda text: text.replace("\n", "\r\n"), 400),
    ],
    ids=[
        *("domain", "statement", "uri", "chain", "nonce", "old", "future", "expired"),
        *("version", "resources", "line ends"),
    ],
)
async def test_a_signature_for_something_else_removes_nothing(
    house: House, bob: Dm3Client, change: Callable[[str], str], status: int
) -> None:
    """By bob's own wallet, each time: another site may have got it from him."""
    await token_of(house, bob, "bob")
    text = change(await text_for(house, bob.address))
    answer = await remove(house, text)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    await assert_unchanged(house, bob)


@pytest.mark.attack(10)
async def test_a_challenge_of_a_log_in_is_no_nonce(house: House, bob: Dm3Client) -> None:
    await token_of(house, bob, "bob")
    text = await text_for(house, bob.address)
    # Even when it were given out for the very same text.
    await house.gateway.store.commit(Sql("UPDATE challenges SET purpose = 'login'"))
    assert (await remove(house, text)).status_code == 403
    await assert_unchanged(house, bob)


async def test_a_text_ends_after_ten_minutes(tmp_path: Path) -> None:
    shift = 0
    async with running_house(tmp_path / "house", working=False, clock=lambda: now_ms() + shift) as house:
        bob = await house.native("bob.eth", "bob")
        await token_of(house, bob, "bob")
        texts = [await text_for(house, bob.address) for _ in range(2)]
        shift = 10 * 60_000
        assert (await remove(house, texts[0])).status_code == 403
        shift = 9 * 60_000
        assert (await remove(house, texts[1])).status_code == 200


async def test_the_text_names_site_service_and_person(house: House, bob: Dm3Client) -> None:
    message = parse_siwe(await text_for(house, bob.address))
    assert message.domain == house.url.removeprefix("http://")
    assert message.uri == house.url
    assert message.chain_id == house.chain.chain_id
    assert message.address == bob.address
    assert message.statement is not None
    assert house.gateway.service_name in message.statement
    assert message.expires_at is not None
    assert message.expires_at - message.issued_at == 10 * 60_000
    assert len({parse_siwe(await text_for(house, bob.address)).nonce for _ in range(5)}) == 5


async def test_a_gateway_whose_name_is_not_ascii_can_remove_accounts(tmp_path: Path) -> None:
    """ERC-4361 allows ASCII only in a statement."""
    parent = EnsName("ξένος.eth")
    async with running_house(tmp_path / "house", working=False, parent=parent) as house:
        bob = await house.native("bob.eth", "bob")
        await token_of(house, bob, "bob")
        answer = await remove(house, await text_for(house, bob.address))
        assert (answer.status_code, answer.json()) == (200, {"removed": bob.address})


# --- what is no request ---------------------------------------------------------------------------------------------

OTHER_JSON: list[Json] = [
    None,
    [],
    "text",
    {},
    {"message": "x"},
    {"signature": "0x"},
    {"message": 1, "signature": "0x"},
    {"message": "x", "signature": None},
    {"message": "", "signature": ""},
    {"message": "x", "signature": "0x"},
    {"message": "x" * 5000, "signature": "0x"},
    {"message": {"a": {"b": {"c": 1}}}, "signature": "0x"},
]
BODIES = [*(json.dumps(each).encode() for each in OTHER_JSON), b"", b"{", b"\xff", b"[" * 5000]


@pytest.mark.attack(29)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body)[:40])
async def test_bodies_that_are_no_removal(house: House, body: bytes) -> None:
    answer = await house.http.post(house.url + REMOVAL, content=body)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_a_body_beyond_all_bounds(house: House) -> None:
    answer = await house.http.post(house.url + REMOVAL, content=b'{"message":"' + b"x" * 20_000 + b'"}')
    assert (answer.status_code, set(answer.json())) == (413, {"error"})


@pytest.mark.parametrize("address", ["bob.eth", "0x", "0x" + "g" * 40, "0x" + "1" * 41, "0x" + "aB" * 20, "%00"])
async def test_addresses_that_are_none(house: House, address: str) -> None:
    answer = await get(house, f"{REMOVAL}/{address}")
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_a_signature_that_is_none(house: House, bob: Dm3Client) -> None:
    text = await text_for(house, bob.address)
    for signature in ("", "0x", "0x" + "00" * 65, "0x" + "ff" * 65, "zz"):
        assert (await remove(house, text, signature=signature)).status_code == 403


async def test_closing_does_not_wait_for_somebody_who_is_not_there(house: House) -> None:
    """Whoever closes an address that was never here leaves its digest, and nothing else."""
    nobody = EthAddress("0x" + "12" * 20)
    assert await house.gateway.store.commit(CloseAccount(nobody)) is False
    assert (await house.gateway.store.read(AccountOf(nobody))).closed
