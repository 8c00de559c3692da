"""The JSON-RPC door: methods, errors, CORS, and whatever a stranger may throw at it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dm3.encryption import SCHEME
from gateway.dm3.message import MessageType
from gateway.operations.dm3_client import Dm3Client
from tests.support.house import House, rpc


async def test_properties_are_a_json_text_inside_the_result(house: House) -> None:
    answer = await rpc(house, "dm3_getDeliveryServiceProperties")
    assert answer.status_code == 200
    properties = json.loads(answer.json()["result"])
    [channel] = properties.pop("notificationChannel")
    assert channel["type"] == "PUSH"
    assert properties == {
        "messageTTL": 30,
        "sizeLimit": 20_000_000,
        "metricsCollectionIntervalInSeconds": 3600,
        "metricsRetentionDurationInSeconds": 604_800,
    }


async def test_the_extension_of_a_native_person(house: House, alice: Dm3Client) -> None:
    answer = await rpc(house, "dm3_getProfileExtension", alice.name)
    extension = json.loads(answer.json()["result"])
    assert extension["notSupportedMessageTypes"] == []
    assert set(extension["supportedMessageTypes"]) == {kind.value for kind in MessageType}
    assert extension["encryptionScheme"] == [SCHEME]
    assert extension["endToEnd"] is True


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ((), 400, -32602),
        ((1,), 400, -32602),
        (("a.eth", "b.eth"), 400, -32602),
        (("not a name",), 400, -32000),
        (("x" * 4000,), 400, -32000),
        (("nobody.eth",), 404, -32001),
    ],
)
async def test_the_extension_of_nobody(house: House, params: tuple[Any, ...], status: int, code: int) -> None:
    answer = await rpc(house, "dm3_getProfileExtension", *params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.weakness(9)
async def test_an_unknown_method(house: House) -> None:
    answer = await rpc(house, "eth_call")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


@pytest.mark.weakness(9)
async def test_a_batch_is_refused_clearly(house: House) -> None:
    answer = await house.http.post(f"{house.url}/rpc", json=[{"method": "x"}, {"method": "y"}])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)
    assert "batch" in answer.json()["error"]["data"]["detail"]


@pytest.mark.weakness(9)
@pytest.mark.parametrize("identifier", [1, "x", 0, 1.5, None])
async def test_the_id_is_echoed(house: House, identifier: Any) -> None:
    assert (await rpc(house, "nothing", identifier=identifier)).json()["id"] == identifier


async def test_browsers_may_call(house: House) -> None:
    preflight = await house.http.options(
        f"{house.url}/ds/rpc",
        headers={
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
METHODS = st.sampled_from(["dm3_submitMessage", "dm3_getProfileExtension", "dm3_getDeliveryServiceProperties"])
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "message": JSON,
        "metadata": JSON
        | st.fixed_dictionaries({}, optional={"deliveryInformation": JSON, "signature": JSON, "messageHash": JSON}),
        "postmark": JSON,
    },
)


@pytest.mark.attack(29)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=METHODS | st.text(max_size=20), params=st.lists(ENVELOPES | ENVELOPES.map(json.dumps) | JSON, max_size=3))
async def test_no_call_is_a_server_error(house: House, method: str, params: list[Any]) -> None:
    answer = await rpc(house, method, *params)
    assert answer.status_code < 500
    assert ("result" in answer.json()) == (answer.status_code == 200)
