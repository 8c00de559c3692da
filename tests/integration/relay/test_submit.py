"""dm3_submitMessage over real HTTP: what is accepted, what is refused and with which code."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from gateway.dm3.canonical import JsonObject, sha256_hex, stringify
from gateway.dm3.data_uri import data_uri
from gateway.dm3.encryption import encrypt
from gateway.dm3.envelope import Dialect, canonical_envelope, envelope_to_json, parse_envelope
from gateway.dm3.keys import encryption_pair, signing_pair
from gateway.dm3.signing import sign
from gateway.dm3.user_profile import UserProfile, sign_profile
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import rpc as rpc_module
from gateway.relay import submit as submit_module
from gateway.store.mailbox import CountMailbox, PickUp
from tests.integration.relay.envelopes import keys_of, sealed
from tests.support.house import House, rpc, running_house


def assert_refused(answer: Any, status: int, code: int) -> dict[str, Any]:
    """The error object of a refusal, which must be both an HTTP and a JSON-RPC error and echo the id."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status, body
    assert body["id"] == 7
    assert body["error"]["code"] == code
    assert answer.headers["access-control-allow-origin"] == "*"
    return dict(body["error"])


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("as_object", [False, True])
async def test_every_dialect_is_accepted_and_picked_up(
    house: House, alice: Dm3Client, bob: Dm3Client, dialect: Dialect, as_object: bool
) -> None:
    envelope = sealed(house, alice, bob, dialect=dialect)
    param: Any = envelope_to_json(envelope) if as_object else canonical_envelope(envelope)
    answer = await rpc(house, "dm3_submitMessage", param, "a-token-that-nobody-needs")
    assert answer.status_code == 200
    assert answer.json() == {"jsonrpc": "2.0", "id": 7, "result": "OK"}
    (received,) = await bob.fetch()
    assert received.verified
    assert received.message.text == "hello"


@pytest.mark.parametrize("path", ["/rpc", "/ds/rpc", "/ds", "/ds/", "/"])
async def test_every_path_of_the_interfaces_takes_calls(house: House, path: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "dm3_getDeliveryServiceProperties", "params": []}
    answer = await house.http.post(house.url + path, json=call)
    assert answer.status_code == 200
    assert json.loads(answer.json()["result"])["sizeLimit"] == 20_000_000


async def test_extra_metadata_is_kept_for_the_recipient(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """DM3-MTP allows further metadata fields; they are part of what the sender signs."""
    envelope = envelope_to_json(sealed(house, alice, bob))
    metadata = _metadata(envelope)
    metadata.pop("signature")
    metadata["x-priority"] = {"level": 1}
    metadata["signature"] = sign(keys_of(house, "alice").signing, stringify(metadata))
    answer = await rpc(house, "dm3_submitMessage", {**envelope, "metadata": metadata})
    assert answer.status_code == 200
    (waiting,) = (await _incoming(house, bob)).json()
    assert waiting["metadata"]["x-priority"] == {"level": 1}


async def test_postmarks_to_one_recipient_share_an_ephemeral_key_and_nothing_else(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    for reader, writer, account in ((bob, alice, "alice"), (bob, alice, "alice"), (alice, bob, "bob")):
        text = canonical_envelope(sealed(house, writer, reader, account=account))
        assert (await rpc(house, "dm3_submitMessage", text)).status_code == 200
    first, second = [json.loads(each["postmark"]) for each in (await _incoming(house, bob)).json()]
    (other,) = [json.loads(each["postmark"]) for each in (await _incoming(house, alice)).json()]
    assert first["ephemPublicKey"] == second["ephemPublicKey"] != other["ephemPublicKey"]
    assert first["nonce"] != second["nonce"]
    assert all(each.verified for each in [*await bob.fetch(), *await alice.fetch()])


@pytest.mark.weakness(7)
@pytest.mark.attack(4)
async def test_the_same_envelope_a_hundred_times_is_answered_each_time_and_kept_once(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    text = canonical_envelope(sealed(house, alice, bob))
    answers = await asyncio.gather(*(rpc(house, "dm3_submitMessage", text) for _ in range(100)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert await house.gateway.store.read(CountMailbox(bob.address)) == 1
    assert len(await bob.fetch()) == 1


@pytest.mark.attack(4)
async def test_an_envelope_that_was_acknowledged_does_not_come_back(
    house: House, alice: Dm3Client, bob: Dm3Client
) -> None:
    text = canonical_envelope(sealed(house, alice, bob))
    await rpc(house, "dm3_submitMessage", text)
    (received,) = await bob.fetch()
    await bob.acknowledge(received)
    assert (await rpc(house, "dm3_submitMessage", text)).status_code == 200
    assert await bob.fetch() == []


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [(), (None,), (1,), ([],), (True,)],
    ids=repr,
)
async def test_params_that_hold_no_envelope(house: House, params: tuple[Any, ...]) -> None:
    assert_refused(await rpc(house, "dm3_submitMessage", *params), 400, -32602)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{" * 100, '{"a":1,"a":2}', '{"message":"\\ud800"}'])
async def test_an_envelope_that_is_no_json_object(house: House, text: str) -> None:
    error = assert_refused(await rpc(house, "dm3_submitMessage", text), 400, -32700)
    assert "{{" not in json.dumps(error), "the input is not repeated"


@pytest.mark.parametrize(
    "envelope",
    [
        {},
        {"message": "x"},
        {"message": "x", "metadata": {}},
        {"message": 1, "metadata": {"deliveryInformation": "x"}},
        {"message": "x", "metadata": []},
        {"message": "x", "metadata": {"deliveryInformation": 5}},
        {"message": "x", "metadata": {"deliveryInformation": "not sealed"}},
        {"message": "x", "metadata": {"deliveryInformation": {"to": "bob.eth", "from": "alice.eth"}}},
        {"message": "x", "metadata": {"deliveryInformation": "{}", "signature": 1}},
        {"message": "x", "metadata": {"deliveryInformation": "{}", "messageHash": "0x1"}},
    ],
    ids=lambda envelope: json.dumps(envelope)[:60],
)
async def test_an_object_that_is_no_envelope(house: House, envelope: dict[str, Any]) -> None:
    assert_refused(await rpc(house, "dm3_submitMessage", envelope), 400, -32000)


async def test_delivery_information_for_another_service(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    envelope = sealed(house, alice, bob, service_key=encryption_pair().public)
    assert_refused(await rpc(house, "dm3_submitMessage", canonical_envelope(envelope)), 400, -32000)


@pytest.mark.parametrize(
    "clear", ["", "[]", '{"to":1,"from":"alice.eth"}', '{"from":"alice.eth"}', '{"to":"a b.eth","from":"alice.eth"}']
)
async def test_delivery_information_that_says_nothing(
    house: House, alice: Dm3Client, bob: Dm3Client, clear: str
) -> None:
    envelope = envelope_to_json(sealed(house, alice, bob))
    metadata = _metadata(envelope)
    metadata["deliveryInformation"] = encrypt(house.gateway.service_profile.public_encryption_key, clear)
    assert_refused(await rpc(house, "dm3_submitMessage", {**envelope, "metadata": metadata}), 400, -32000)


async def test_a_recipient_without_a_profile(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    envelope = sealed(house, alice, bob, to=EnsName("nobody.eth"))
    assert_refused(await rpc(house, "dm3_submitMessage", canonical_envelope(envelope)), 404, -32001)


async def test_a_recipient_of_another_service(house: House, alice: Dm3Client) -> None:
    elsewhere = await house.native("carol.eth", "carol", service=EnsName("ds.other.eth"))
    envelope = sealed(house, alice, elsewhere)
    error = assert_refused(await rpc(house, "dm3_submitMessage", canonical_envelope(envelope)), 404, -32001)
    assert "carol.eth" in error["data"]["detail"]


@pytest.mark.attack(3)
async def test_a_forged_sender(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """The name says alice, the signature is somebody else's."""
    envelope = sealed(house, alice, bob, signing=signing_pair())
    assert_refused(await rpc(house, "dm3_submitMessage", canonical_envelope(envelope)), 401, -32003)
    assert await bob.fetch() == []


async def test_a_sender_without_a_profile(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    envelope = sealed(house, alice, bob, from_=EnsName("nobody.eth"))
    assert_refused(await rpc(house, "dm3_submitMessage", canonical_envelope(envelope)), 401, -32003)


async def test_an_unsigned_envelope(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    envelope = envelope_to_json(sealed(house, alice, bob))
    metadata = {key: value for key, value in _metadata(envelope).items() if key != "signature"}
    assert_refused(await rpc(house, "dm3_submitMessage", {**envelope, "metadata": metadata}), 401, -32003)


async def test_any_change_of_the_metadata_breaks_the_signature(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    envelope = envelope_to_json(sealed(house, alice, bob))
    for key, value in (("version", "v2"), ("messageHash", sha256_hex("other")), ("extra", 1)):
        metadata = {**_metadata(envelope), key: value}
        assert_refused(await rpc(house, "dm3_submitMessage", {**envelope, "metadata": metadata}), 401, -32003)


async def test_unverified_senders_can_be_allowed(tmp_path: Any) -> None:
    allow = {"DM3_GATEWAY__RELAY__REQUIRE_VERIFIED_SENDER": "false"}
    async with running_house(tmp_path / "lenient", overrides=allow, working=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        envelope = sealed(house, alice, bob, signing=signing_pair())
        assert (await rpc(house, "dm3_submitMessage", canonical_envelope(envelope))).status_code == 200
        assert len(await bob.fetch()) == 1


async def test_an_unverified_sender_is_stored_in_normal_form(tmp_path: Any) -> None:
    """Else mail from Alice.ETH could be neither listed by contact nor acknowledged as from alice.eth."""
    allow = {"DM3_GATEWAY__RELAY__REQUIRE_VERIFIED_SENDER": "false"}
    async with running_house(tmp_path / "lenient", overrides=allow, working=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        nobody = sealed(house, alice, bob, from_=EnsName("NoBody.ETH"))
        assert (await rpc(house, "dm3_submitMessage", canonical_envelope(nobody))).status_code == 200
        (stored,) = await house.gateway.store.read(PickUp(bob.address, now_ms(), 10))
        assert (stored.sender, stored.verified) == ("nobody.eth", False)
        for name in ("no body", "x" * 300, "a..eth", "\u0430\u200bpple.eth/"):
            envelope = sealed(house, alice, bob, from_=EnsName(name))
            assert_refused(await rpc(house, "dm3_submitMessage", canonical_envelope(envelope)), 400, -32000)


@pytest.mark.attack(28)
async def test_an_envelope_over_the_limit(tmp_path: Any) -> None:
    """Refused at the size, before anything is opened."""
    small = {"DM3_GATEWAY__RELAY__SIZE_LIMIT": "20000"}
    async with running_house(tmp_path / "small", overrides=small, working=False) as house:
        alice, bob = await house.native("alice.eth", "alice"), await house.native("bob.eth", "bob")
        large = canonical_envelope(sealed(house, alice, bob, text="x" * 20_000))
        assert_refused(await rpc(house, "dm3_submitMessage", large), 413, -32011)
        fitting = canonical_envelope(sealed(house, alice, bob, text="x" * 2_000))
        assert (await rpc(house, "dm3_submitMessage", fitting)).status_code == 200
        body = b'{"jsonrpc":"2.0","method":"x","params":["' + b"y" * 200_000 + b'"]}'
        answer = await house.http.post(f"{house.url}/ds/rpc", content=body)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == -32011


async def test_a_large_envelope_does_not_hold_up_the_event_loop(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that reads the whole envelope is done by other threads; for a small one the loop does it itself."""
    by: dict[str, set[int]] = {}

    def watched(module: Any, name: str) -> None:
        work = getattr(module, name)

        def observed(*args: Any, **kwargs: Any) -> Any:
            by.setdefault(name, set()).add(threading.get_ident())
            return work(*args, **kwargs)

        monkeypatch.setattr(module, name, observed)

    watched(rpc_module, "parse_call")
    for name in ("parse_envelope", "canonical_envelope", "verify_envelope", "make_postmark", "envelope_id"):
        watched(submit_module, name)
    small, large = (canonical_envelope(sealed(house, alice, bob, text="x" * size)) for size in (10, 200_000))
    assert (await rpc(house, "dm3_submitMessage", small)).status_code == 200
    assert (len(by), set.union(*by.values())) == (6, {threading.get_ident()})
    by.clear()
    assert (await rpc(house, "dm3_submitMessage", large)).status_code == 200
    assert len(by) == 6
    assert threading.get_ident() not in set.union(*by.values())
    assert [len(each.message.text or "") for each in await bob.fetch()] == [10, 200_000]


async def test_when_the_chain_is_down_the_sender_is_asked_to_come_again(
    house: House, alice: Dm3Client, bob: Dm3Client, tmp_path: Any
) -> None:
    text = canonical_envelope(sealed(house, alice, bob))
    nowhere = {"DM3_GATEWAY__CHAIN__RPC_URLS": '["http://127.0.0.1:9"]'}
    async with running_house(tmp_path / "blind", chain=house.chain, overrides=nowhere, working=False) as blind:
        envelope = parse_envelope(text)
        service = blind.gateway.service_profile.public_encryption_key
        again = sealed(house, alice, bob, service_key=service)
        assert envelope.message != again.message
        error = assert_refused(await rpc(blind, "dm3_submitMessage", canonical_envelope(again)), 503, -32002)
        assert error["data"]["retry"] is True


@pytest.mark.weakness(4)
@pytest.mark.attack(37)
async def test_a_rotated_key_is_honoured_at_once(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    """Row 37: the cached profile fails the check, so the chain is asked again."""
    await rpc(house, "dm3_submitMessage", canonical_envelope(sealed(house, alice, bob)))
    fresh = signing_pair()
    old = alice.signed_profile().profile
    profile = UserProfile(old.public_encryption_key, fresh.public, old.delivery_services)
    signed = sign_profile(profile, house.chain.accounts["alice"].key)
    await asyncio.to_thread(house.chain.ens.set_text, alice.name, "network.dm3.profile", data_uri(signed.to_text()))
    answer = await rpc(house, "dm3_submitMessage", canonical_envelope(sealed(house, alice, bob, signing=fresh)))
    assert answer.status_code == 200, answer.text
    stale = await rpc(house, "dm3_submitMessage", canonical_envelope(sealed(house, alice, bob, text="old key")))
    assert_refused(stale, 401, -32003)


def _metadata(envelope: JsonObject) -> JsonObject:
    metadata = envelope["metadata"]
    assert isinstance(metadata, dict)
    return dict(metadata)


async def _incoming(house: House, client: Dm3Client) -> Any:
    await client.log_in()
    return await house.http.get(
        f"{house.url}/ds/delivery/messages/incoming/{client.name}",
        headers={"authorization": f"Bearer {client._token}"},
    )
