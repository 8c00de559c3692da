"""What a foreign messenger asks before it writes, JSON-RPC by the letter, and what its browser checks."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from gateway.dm3.message import MessageType
from gateway.operations.dm3_client import Dm3Client
from tests.interop.messenger import SIZE_LIMIT, Messenger, Messengers
from tests.support.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROPERTIES: Final = "dm3_getDeliveryServiceProperties"
ORIGIN: Final = {"origin": "https://messenger.example"}


# --- properties and profile extension -------------------------------------------------------------------------------


async def test_the_properties_are_json_in_the_result(house: House, messengers: Messengers) -> None:
    """Without a log-in, without an id, and as a string that messengers parse."""
    found = await messengers.ask("properties", url=f"{house.url}/ds")
    assert (found["sizeLimit"], found["messageTTL"]) == (SIZE_LIMIT, 30)


@pytest.mark.weakness(11)
async def test_the_properties_hold_no_secrets(house: House, messengers: Messengers) -> None:
    found = await messengers.ask("properties", url=f"{house.url}/ds")
    assert set(found) == {
        "messageTTL",
        "sizeLimit",
        "notificationChannel",
        "metricsCollectionIntervalInSeconds",
        "metricsRetentionDurationInSeconds",
    }
    public: dict[str, set[str]] = {"EMAIL": set(), "PUSH": {"publicVapidKey"}}
    for channel in found["notificationChannel"]:
        assert set(channel["config"]) <= public[channel["type"]]


@pytest.mark.parametrize("text", ["short", "x" * 50_000])
async def test_a_messenger_s_check_of_the_size_lets_its_message_go(
    messengers: Messengers, alice: Messenger, bob: Messenger, text: str
) -> None:
    """It compares a number with the text of the properties; without an answer it would refuse to send anything."""
    sealed = await alice.seal(bob.name, text)
    assert sealed["size"] > len(text)
    assert await messengers.ask("tooLarge", url=sealed["url"], size=sealed["size"]) is False
    assert await messengers.ask("tooLarge", url="http://127.0.0.1:9", size=sealed["size"]) is True


@pytest.mark.weakness(10)
async def test_the_extension_names_every_type_as_taken(messengers: Messengers, alice: Messenger) -> None:
    found = await messengers.ask("extensionOf", name=alice.name)
    assert found["notSupportedMessageTypes"] == []
    assert set(found["supportedMessageTypes"]) == {kind.value for kind in MessageType}
    assert found["encryptionScheme"] == found["encryptionAlgorithm"] == ["x25519-chacha20-poly1305"]


async def test_the_extension_tells_that_a_messenger_s_mail_is_end_to_end(
    messengers: Messengers, alice: Messenger, house: House
) -> None:
    python = await house.native("python.eth")
    for name in (alice.name, python.name):
        assert (await messengers.ask("extensionOf", name=name))["endToEnd"] is True


# --- JSON-RPC -------------------------------------------------------------------------------------------------------


@pytest.mark.weakness(9)
@pytest.mark.parametrize("identifier", [1, 0, -5, 1.5, "seven", "", None])
async def test_the_id_of_a_call_is_in_its_answer(alice: Messenger, identifier: Any) -> None:
    answer = await alice.post(alice.service_url, PROPERTIES, id=identifier)
    assert (answer["status"], answer["data"]["jsonrpc"], answer["data"]["id"]) == (200, "2.0", identifier)
    assert "error" not in answer["data"]


@pytest.mark.weakness(9)
@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ({"method": "dm3_unheard"}, 404, -32601),
        ({"method": "dm3_submitMessage", "params": []}, 400, -32602),
        ({"method": "dm3_submitMessage", "params": ["no envelope"]}, 400, -32700),
        ({"method": "dm3_submitMessage", "params": [{"message": "x"}]}, 400, -32000),
        ({"method": "dm3_submitMessage", "params": {"envelope": "x"}}, 400, -32600),
        ({"method": "dm3_getProfileExtension", "params": ["nobody.eth"]}, 404, -32001),
        ({"params": []}, 400, -32600),
    ],
    ids=json.dumps,
)
async def test_an_error_is_an_error_for_both_kinds_of_clients(
    alice: Messenger, call: dict[str, Any], status: int, code: int
) -> None:
    """Messengers look at the HTTP status only, clients of the specification at the error object."""
    answer = await alice.request("POST", f"{alice.service_url}/rpc", data={"jsonrpc": "2.0", "id": "seven", **call})
    error = answer["data"]["error"]
    assert (answer["status"], error["code"]) == (status, code)
    assert isinstance(error["message"], str)
    assert error["message"]
    assert "result" not in answer["data"]


@pytest.mark.weakness(9)
async def test_a_batch_is_refused_in_words(alice: Messenger) -> None:
    calls = [{"jsonrpc": "2.0", "id": number, "method": PROPERTIES, "params": []} for number in range(2)]
    answer = await alice.request("POST", f"{alice.service_url}/rpc", data=calls)
    assert (answer["status"], answer["data"]["error"]["code"]) == (400, -32600)
    assert "batch" in answer["data"]["error"]["data"]["detail"]


# --- what a browser asks first --------------------------------------------------------------------------------------

CALLS: Final = (
    ("POST", "/rpc", "content-type"),
    ("POST", "/rpc", "authorization,content-type"),
    ("GET", "/auth/{name}", None),
    ("POST", "/auth/{name}", "content-type"),
    ("GET", "/profile/{name}", None),
    ("POST", "/profile/{name}", "content-type"),
    ("GET", "/delivery/messages/incoming/{name}/", "authorization"),
    ("POST", "/delivery/messages/{name}/syncAcknowledgements/", "authorization,content-type"),
    ("GET", "/notifications/global/{name}", "authorization"),
    ("DELETE", "/notifications/channel/EMAIL/{name}", "authorization"),
)
"""Method, path and unusual headers of what a messenger asks for from another origin."""


@pytest.mark.parametrize(("method", "path", "headers"), CALLS)
async def test_a_browser_is_allowed_every_call_of_a_messenger(
    alice: Messenger, method: str, path: str, headers: str | None
) -> None:
    """The preflight of the Fetch standard: asked without a token, answered 2xx with method and headers allowed."""
    asked = {**ORIGIN, "access-control-request-method": method}
    if headers is not None:
        asked["access-control-request-headers"] = headers
    answer = await alice.request("OPTIONS", alice.service_url + path.format(name=alice.name), headers=asked)
    assert 200 <= answer["status"] < 300
    allowed = answer["headers"]
    assert allowed["access-control-allow-origin"] == "*"
    assert method in {each.strip() for each in allowed["access-control-allow-methods"].split(",")}
    known = {each.strip().lower() for each in allowed.get("access-control-allow-headers", "").split(",")}
    assert set((headers or "").split(",")) - {""} <= known


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/rpc", {"method": PROPERTIES}, 200),
        ("POST", "/rpc", {"method": "dm3_submitMessage", "params": ["x"]}, 400),
        ("GET", "/profile/nobody.eth", None, 404),
        ("POST", "/auth/{name}", {"signature": "x", "challenge": "x"}, 400),
        ("GET", "/delivery/messages/incoming/{name}/", None, 401),
    ],
)
async def test_a_browser_shows_every_answer_to_the_messenger(
    alice: Messenger, method: str, path: str, body: Any, status: int
) -> None:
    """A 401 or a reason that the browser holds back is none: the messenger would never log in again."""
    url = alice.service_url + path.format(name=alice.name)
    answer = await alice.request(method, url, headers=ORIGIN, data=body)
    assert answer["status"] == status
    assert answer["headers"]["access-control-allow-origin"] == "*", "once: browsers refuse a list"


async def test_the_same_service_answers_without_its_prefix(house: House, alice: Messenger, bob: Messenger) -> None:
    """DM3-MTP names no path; a client may take the host's root for the service."""
    sealed = await alice.seal(bob.name, "to the root")
    for url in (house.url, f"{house.url}/ds"):
        answer = await alice.post(url, "dm3_submitMessage", json.dumps(sealed["envelope"]))
        assert answer["status"] == 200
    assert len(await bob.fetch()) == 1


async def test_our_python_client_and_a_messenger_see_one_service(house: House, messengers: Messengers) -> None:
    python: Dm3Client = await house.native("python.eth")
    assert await messengers.ask("profileOf", name=python.name) == python.signed_profile().to_json()
