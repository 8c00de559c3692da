"""Names of thousands of characters at every door that takes one: refused at their length, never normalised."""

from __future__ import annotations

import threading

import pytest

from gateway.dm3.canonical import stringify
from gateway.dm3.encryption import encrypt
from gateway.dm3.envelope import envelope_to_json
from gateway.ens import names
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.clients import logged_in, submit_text
from tests.integration.relay.envelopes import sealed
from tests.support.house import House, rpc
from tests.support.routes import AnyValue, operations

LONG = ("\u0301ß" * 2_000, "\U0001f469\u200d" * 2_000, "a." * 2_000)


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked into, character by character."""
    seen: list[str] = []
    real = names._normalise.__wrapped__

    def watched(name: str) -> EnsName:
        seen.append(name)
        return real(name)

    monkeypatch.setattr(names, "_normalise", watched)
    return seen


@pytest.mark.attack(31)
async def test_no_door_normalises_a_name_that_is_too_long(
    house: House, alice: Dm3Client, bob: Dm3Client, normalised: list[str], subtests: pytest.Subtests
) -> None:
    api = await logged_in(house, alice, "alice")
    headers = {"authorization": f"Bearer {api.token}"}
    doors = [each for each in await operations(house) if "{" in each.template]
    assert len(doors) >= 8
    for long in LONG:
        for door in doors:
            last = door.template.rpartition("{")[2].partition("}")[0]
            path = door.path(AnyValue({last: long}))
            with subtests.test(f"{door.method} {door.template}"):
                answer = await house.http.request(door.method, house.url + path, headers=headers)
                assert answer.status_code in (400, 401, 404)
                assert set(answer.json()) - {"detail"} == {"error"}
        envelope = envelope_to_json(sealed(house, alice, bob))
        metadata = envelope["metadata"]
        assert isinstance(metadata, dict)
        information = stringify({"to": long, "from": long})
        metadata["deliveryInformation"] = encrypt(house.gateway.service_profile.public_encryption_key, information)
        body = {"acknowledgements": [{"contactAddress": long, "messageHash": "0x00"}]}
        acknowledging = f"{house.url}/ds/delivery/messages/{alice.name}/syncAcknowledgements"
        answers = [
            await rpc(house, "dm3_getProfileExtension", long),
            await rpc(house, "dm3_submitMessage", envelope),
            await api.put("account/rules", {"block": [long]}),
            await api.get("mailbox", sender=long),
            await house.http.post(acknowledging, json=body, headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 200]
    assert max(map(len, normalised)) <= names.MAX_NAME_BYTES


@pytest.mark.attack(31)
async def test_many_names_outside_ascii_are_not_normalised_on_the_event_loop(
    house: House, alice: Dm3Client, bob: Dm3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a millisecond, and a body has room for thousands."""
    api = await logged_in(house, bob, "bob")
    digest = await submit_text(house, alice, bob, "hello")
    on_loop: list[str] = []
    real = names._normalise.__wrapped__

    def watched(name: str) -> EnsName:
        if not name.isascii() and threading.current_thread() is threading.main_thread():
            on_loop.append(name)
        return real(name)

    monkeypatch.setattr(names, "_normalise", watched)
    greek = [f"ξένος{number}.eth" for number in range(300)]
    acknowledged = [{"contactAddress": name, "messageHash": digest} for name in (*greek, "Alice.eth")]
    url = f"{house.url}/ds/delivery/messages/{bob.name}/syncAcknowledgements"
    headers = {"authorization": f"Bearer {api.token}"}
    answer = await house.http.post(url, json={"acknowledgements": acknowledged}, headers=headers)
    assert answer.status_code == 200
    assert await bob.fetch() == []
    assert (await api.put("account/rules", {"block": greek})).status_code == 200
    assert on_loop == []
