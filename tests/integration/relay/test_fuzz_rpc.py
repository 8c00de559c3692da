"""Whatever comes to a door of the relay, its protocol answers, and an honest client is served afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from gateway import errors
from gateway.dm3.envelope import envelope_to_json
from gateway.errors import GatewayError, ParseError, TooLarge
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.jsonrpc import MAX_PARAMS
from gateway.relay.service import RPC_PATHS
from gateway.relay.socket_guard import POLICY
from tests.fuzz.wild_json import NAMES, TEXTS, VALUES, bent, written
from tests.integration.relay.clients import connected, submit, token_of
from tests.integration.relay.doors import Tokens, path_of, tokens_of
from tests.integration.relay.envelopes import sealed
from tests.integration.relay.test_bad_json import LIMITS
from tests.integration.relay.test_push import handshake, raw
from tests.support.house import House, running_house
from tests.support.routes import AnyValue, Operation, operations

METHODS = ("dm3_submitMessage", "dm3_getDeliveryServiceProperties", "dm3_getProfileExtension", "dm3_forward")
OUTCOMES = {
    (error.code, error.status)
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, GatewayError) and error.status < 500
}
"""Code and HTTP status, as each error that does not blame us has them."""


PARAMETERS = (
    "name",
    "address",
    "account",
    "id",
    "key",
    "number",
    "job",
    "path",
    "network",
    "person",
    "sender",
    "data",
    "channel",
)


def many(examples: int) -> Callable[[Any], Any]:
    """How many examples; a whole gateway is one fixture for all of them."""
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, suppress_health_check=unhealthy)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """It works, pushes, and has no limits on how often somebody may ask."""
    async with running_house(tmp_path / "house", overrides=LIMITS) as running:
        yield running


@pytest.fixture
async def serves_on(house: House, alice: Dm3Client, bob: Dm3Client) -> AsyncIterator[None]:
    """In the end somebody writes to somebody, who hears of it by push and picks it up."""
    with structlog.testing.capture_logs() as logs:
        yield
    assert [each for each in logs if each["log_level"] in ("error", "critical")] == []
    async with connected(house, bob.name, await token_of(house, bob, "bob")) as socket:
        await submit(house, alice, bob, "after all that")
        await socket.wait_pushed(1)
    assert [each.message.text for each in await bob.fetch()][-1:] == ["after all that"]


# --- JSON-RPC -------------------------------------------------------------------------------------------------------

IDS = st.none() | st.integers() | st.text(max_size=20) | VALUES
PARAMS = (
    st.lists(VALUES, max_size=3)
    | VALUES
    | st.just([0] * (MAX_PARAMS + 1))
    | st.lists(st.sampled_from(NAMES), max_size=2)
)
CALLS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | VALUES, "method": st.sampled_from(METHODS) | VALUES, "params": PARAMS, "id": IDS},
    optional={"extra": VALUES},
)


def bodies(template: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Calls: made up, bent from a right one, several at once, or no call at all."""
    right = [template, {**template, "params": [json.dumps(template["params"][0])]}]
    envelope = bent(template["params"][0])
    values = st.one_of(
        CALLS,
        CALLS,
        bent(template),
        envelope.map(lambda value: {**template, "params": [value]}),
        envelope.map(lambda value: {**template, "params": [json.dumps(value)]}),
        st.lists(CALLS | st.sampled_from(right), max_size=3),
        VALUES,
    )
    return values.flatmap(written)


def expected(body: bytes) -> set[int]:
    """Codes by JSON-RPC 2.0, section 5.1, as far as a second parser can tell; nothing where several will do."""
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return {ParseError.code, TooLarge.code}
    if not isinstance(value, dict):
        return {-32600, ParseError.code}
    if not isinstance(value.get("method"), str) or not isinstance(value.get("params", []), list):
        return {-32600, ParseError.code}
    return {-32601, -32600, ParseError.code} if value["method"] not in METHODS else set()


async def answers(house: House, path: str, body: bytes) -> None:
    """JSON-RPC 2.0, whatever was sent."""
    answer = await house.http.post(house.url + path, content=body, headers={"content-type": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found["jsonrpc"] == "2.0"
    assert "id" in found
    codes = expected(body)
    if answer.status_code == 200:
        assert set(found) == {"jsonrpc", "id", "result"}
        assert not codes
        return
    assert set(found) == {"jsonrpc", "id", "error"}
    error = found["error"]
    assert (error["code"], answer.status_code) in OUTCOMES
    assert error["message"]
    assert not codes or error["code"] in codes


@pytest.fixture
def calls(house: House, alice: Dm3Client, bob: Dm3Client) -> st.SearchStrategy[bytes]:
    """Around an envelope that would be taken."""
    content = envelope_to_json(sealed(house, alice, bob))
    return bodies({"jsonrpc": "2.0", "id": 1, "method": METHODS[0], "params": [content]})


@pytest.mark.attack(29)
@pytest.mark.usefixtures("serves_on")
@many(1_500)
@given(data=st.data(), path=st.sampled_from(RPC_PATHS))
async def test_json_rpc_is_answered_in_its_own_words(
    house: House, calls: st.SearchStrategy[bytes], data: st.DataObject, path: str
) -> None:
    await answers(house, path, data.draw(calls))


@pytest.mark.long
@pytest.mark.usefixtures("serves_on")
@many(5_000)
@given(data=st.data(), path=st.sampled_from(RPC_PATHS))
async def test_json_rpc_for_long(house: House, calls: st.SearchStrategy[bytes], data: st.DataObject, path: str) -> None:
    await answers(house, path, data.draw(calls))


# --- everything else over HTTP --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Doors:
    """All operations of the gateway, and who may enter."""

    all: list[Operation]
    tokens: Tokens


@pytest.fixture
async def doors(house: House, alice: Dm3Client) -> Doors:
    return Doors(await operations(house), await tokens_of(house, alice))


SEGMENTS = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode()) | st.sampled_from(
    ["..", "%2e%2e", "%00", "%ff"]
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "after", "wait", "name", "page", "parent", "q", "folder", "x"]), TEXTS, max_size=3
)


async def enters(house: House, doors: Doors, data: st.DataObject) -> None:
    """A door with wild names in its path, a wild query, and a body that may be bent from what it takes."""
    door = data.draw(st.sampled_from(doors.all))
    wild = data.draw(st.booleans())
    path = door.path(AnyValue(dict.fromkeys(PARAMETERS, data.draw(SEGMENTS)))) if wild else path_of(door)
    token = data.draw(st.sampled_from([doors.tokens.of(door), "x", "\u00ff"]))
    query = {
        key: value.encode("utf-8", "replace").decode() for key, value in data.draw(QUERIES).items() if key != "wait"
    }
    headers = [(b"authorization", f"Bearer {token}".encode("latin-1")), (b"content-type", b"application/json")]
    answer = await house.http.request(
        door.method,
        house.url + path,
        params=query,
        content=data.draw(VALUES.flatmap(written)) if door.takes_body else None,
        headers=headers,
        follow_redirects=False,
    )
    assert answer.status_code < 500, (door, answer.text)
    assert len(answer.content) < 2**20
    if answer.status_code >= 400 and door.template.startswith(("/api", "/ds")):
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json(), dict)


@pytest.mark.attack(29)
@pytest.mark.usefixtures("serves_on")
@many(800)
@given(data=st.data())
async def test_no_request_is_answered_with_a_fault_of_ours(house: House, doors: Doors, data: st.DataObject) -> None:
    await enters(house, doors, data)


@pytest.mark.long
@pytest.mark.usefixtures("serves_on")
@many(10_000)
@given(data=st.data())
async def test_requests_for_long(house: House, doors: Doors, data: st.DataObject) -> None:
    await enters(house, doors, data)


# --- the socket -----------------------------------------------------------------------------------------------------

EVENTS = st.lists(st.sampled_from(["submitMessage", "connect", "disconnect", "message"]) | VALUES, max_size=4)
PREFIXES = st.sampled_from(
    ["42", "420", "40", "41", "43", "430", "44", "45", "451-", "46", "2", "3", "1", "5", "6", "b", "4", "42/x,", ""]
)
PACKETS = st.tuples(PREFIXES, (EVENTS | VALUES).flatmap(written)).map(lambda two: two[0].encode() + two[1])


async def says(house: House, name: str, token: str, packets: list[bytes | str]) -> None:
    """Whatever is said, the server hears all of it, or closes in its own words."""
    async with raw(house) as socket:
        with suppress(ConnectionClosed):
            if token:
                await socket.send(handshake(name, token))
            for packet in packets:
                await socket.send(packet)
            # Answered behind everything that was said before.
            await socket.close()
        assert socket.close_code in (POLICY, 1000, 1005, 1009), socket.close_code


def _text_or_bytes(packet: bytes, binary: bool) -> bytes | str:
    return packet if binary else packet.decode("utf-8", "replace")


SAID = st.lists(st.builds(_text_or_bytes, PACKETS, st.sampled_from([False, False, False, True])), max_size=5)


@pytest.mark.attack(30)
@pytest.mark.usefixtures("serves_on")
@many(250)
@given(packets=SAID, known=st.booleans())
async def test_a_socket_takes_anything(house: House, token: str, packets: list[bytes | str], known: bool) -> None:
    await says(house, "bob.eth", token if known else "", packets)


@pytest.mark.long
@pytest.mark.usefixtures("serves_on")
@many(3_000)
@given(packets=SAID, known=st.booleans())
async def test_a_socket_for_long(house: House, token: str, packets: list[bytes | str], known: bool) -> None:
    await says(house, "bob.eth", token if known else "", packets)


@pytest.fixture
async def token(house: House, bob: Dm3Client) -> str:
    return await token_of(house, bob, "bob")
