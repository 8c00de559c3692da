"""Push over socket.io: what clients of the reference use, and what strangers may not do with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.dm3.envelope import canonical_envelope, envelope_to_json, parse_envelope
from gateway.operations.dm3_client import Dm3Client
from gateway.relay import push as push_module
from gateway.relay.push import SOCKETS_PER_ACCOUNT
from gateway.relay.socket_guard import POLICY, SOCKETS_PER_ASKER, SocketGuard
from tests.integration.relay.clients import connected, logged_in, submit, token_of
from tests.integration.relay.envelopes import sealed
from tests.support.house import House, running_house
from tests.support.waiting import until


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Unlike its neighbours', this one works: pushes are sent by a task beside the requests."""
    async with running_house(tmp_path / "house") as running:
        yield running


@pytest.fixture
async def token(house: House, bob: Dm3Client) -> str:
    return await token_of(house, bob, "bob")


def handshake(name: str, token: str) -> str:
    """The packet with which a client logs in."""
    return "40" + json.dumps({"account": {"ensName": name}, "token": token})


@asynccontextmanager
async def raw(house: House) -> AsyncIterator[ClientConnection]:
    """A websocket without a client library, after the server's first packet."""
    address = house.url.replace("http:", "ws:") + "/socket.io/?EIO=4&transport=websocket"
    async with connect(address, proxy=None) as socket:
        assert str(await socket.recv()).startswith("0{")
        yield socket


async def closed_with(socket: ClientConnection, seconds: float = 60) -> int | None:
    """The close code, once the server has closed."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed:
                return socket.close_code


# --- what clients do ------------------------------------------------------------------------------------------------


async def test_what_comes_is_pushed_in_the_form_of_a_pick_up(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str
) -> None:
    async with connected(house, bob.name, token) as socket:
        envelope = await submit(house, alice, bob)
        (pushed,) = await socket.wait_pushed(1)
        assert parse_envelope(pushed).message == envelope.message
        assert pushed["metadata"]["deliveryInformation"] == {"from": "alice.eth", "to": "bob.eth"}
        assert isinstance(pushed["postmark"], str)
    assert len(await bob.fetch()) == 1, "a push is no acknowledgement"


@pytest.mark.parametrize("as_object", [True, False])
async def test_submission_over_the_socket(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str, as_object: bool
) -> None:
    envelope = sealed(house, bob, alice, account="bob")
    content = envelope_to_json(envelope) if as_object else canonical_envelope(envelope)
    async with connected(house, bob.name, token) as socket:
        answer = await socket.client.call("submitMessage", {"envelop": content, "token": token})
        assert answer == {"response": "success"}
    assert [each.message.text for each in await alice.fetch()] == ["hello"]


async def test_what_is_no_submission_gets_an_error_and_keeps_the_socket(
    house: House, bob: Dm3Client, token: str, subtests: pytest.Subtests
) -> None:
    contents: list[Any] = [None, [], {}, "{", "[]"]
    wrong: list[Any] = [None, 1, "x", [], {}, *({"envelop": content} for content in contents)]
    async with connected(house, bob.name, token) as socket:
        for data in wrong:
            with subtests.test(data=data):
                assert set(await socket.client.call("submitMessage", data)) == {"error"}


@pytest.mark.weakness(6)
async def test_every_session_of_an_account_is_served(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str
) -> None:
    alias = await house.native("alias.eth", "bob")
    async with connected(house, bob.name, token) as first:
        async with connected(house, alias.name, await token_of(house, alias, "bob")) as second:
            await submit(house, alice, bob, "1")
            await first.wait_pushed(1)
            await second.wait_pushed(1)
        await submit(house, alice, alias, "2")
        await first.wait_pushed(2)
        assert len(second.pushed) == 1
    assert len(await bob.fetch()) == 2


async def test_only_the_recipient_is_pushed_to(house: House, alice: Dm3Client, bob: Dm3Client, token: str) -> None:
    async with (
        connected(house, bob.name, token) as his,
        connected(house, alice.name, await token_of(house, alice, "alice")) as hers,
    ):
        await submit(house, alice, bob)
        await his.wait_pushed(1)
        assert hers.pushed == []


@pytest.mark.attack(4)
async def test_a_repeat_is_not_pushed_again(house: House, alice: Dm3Client, bob: Dm3Client, token: str) -> None:
    async with connected(house, bob.name, token) as socket:
        envelope = sealed(house, alice, bob)
        for _ in range(3):
            await socket.client.call("submitMessage", {"envelop": envelope_to_json(envelope), "token": token})
        await submit(house, alice, bob, "another")
        assert len(await socket.wait_pushed(2)) == 2


async def test_message_requests_are_pushed_when_their_sender_is_let_in(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str
) -> None:
    api = await logged_in(house, bob, "bob")
    await api.set_rules(messageRequests=True)
    async with connected(house, bob.name, token) as socket:
        await submit(house, alice, bob)
        assert socket.pushed == []
        await api.post("mailbox/requests/alice.eth", {"action": "accept"})
        await socket.wait_pushed(1)


async def test_a_node_that_stops_disconnects_its_clients(house: House, bob: Dm3Client, token: str) -> None:
    async with connected(house, bob.name, token) as socket:
        await house.gateway.hang_up()

        async def look() -> bool | None:
            return not socket.client.connected or None

        await until(look)


# --- who is let in --------------------------------------------------------------------------------------------------


NO_LOG_INS: list[Any] = [
    {},
    {"account": None, "token": "x"},
    {"account": {}, "token": "x"},
    {"account": {"ensName": "bob.eth"}},
    {"account": {"ensName": "bob.eth"}, "token": ""},
    {"account": {"ensName": "bob.eth"}, "token": 1},
    {"account": {"ensName": "bob.eth"}, "token": "A" * 43},
    {"account": {"ensName": "no name"}, "token": "A" * 43},
    {"account": {"ensName": 1}, "token": "A" * 43},
    {"account": {"ensName": "x" * 5000}, "token": "A" * 43},
    {"token": "A" * 43},
]


@pytest.mark.weakness(14)
@pytest.mark.attack(34)
async def test_without_a_session_there_is_no_connection(
    house: House, bob: Dm3Client, subtests: pytest.Subtests
) -> None:
    for auth in NO_LOG_INS:
        with subtests.test(auth=repr(auth)[:60]):
            async with raw(house) as socket:
                await socket.send("40" + json.dumps(auth))
                assert str(await socket.recv()).startswith("44{")
                await socket.send('421["submitMessage",{"envelop":{}}]')
                await socket.send("40" + json.dumps(auth))
                assert str(await socket.recv()).startswith("44{"), "the event is not answered, only the log-in"


@pytest.mark.attack(34)
@pytest.mark.attack(10)
async def test_a_token_of_somebody_else_or_a_challenge_is_none(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str
) -> None:
    challenge = (await house.http.get(f"{house.url}/ds/auth/{alice.name}")).json()
    for name, used in ((alice.name, token), (alice.name, challenge), (alice.name, "registered")):
        client = socketio.AsyncClient(reconnection=False)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(
                house.url, auth={"account": {"ensName": name}, "token": used}, transports=["websocket"]
            )
        await client.disconnect()


async def test_long_polling_is_no_transport_here(house: House) -> None:
    answer = await house.http.get(f"{house.url}/socket.io/?EIO=4&transport=polling")
    assert answer.status_code == 400


# --- what strangers may not do --------------------------------------------------------------------------------------


OUT_OF_ORDER: list[str | bytes] = [
    "",
    "x",
    "5",
    "0{}",
    "4",
    "44{}",
    "45" + "1-" + '["submitMessage",{"_placeholder":true,"num":0}]',
    "46" + "9999999999-" + '["x"]',
    "42" + "[" * 500 + "]" * 500,
    '42["submitMessage",NaN]',
    '42["submitMessage",1e999]',
    '42["submitMessage",{"a":1,"a":2}]',
    '42["submitMessage","\\ud800"]',
    '42{"a"',
    "40[]",
    "40[1]",
    "40" + '{"token":"' + "x" * 20_000 + '"}',
    b"\x00\x01",
    b"b4AAAA",
]


@pytest.mark.attack(33)
@pytest.mark.attack(29)
async def test_packets_that_are_out_of_order_end_the_connection(house: House, subtests: pytest.Subtests) -> None:
    for packet in OUT_OF_ORDER:
        with subtests.test(packet=repr(packet)[:60]):
            async with raw(house) as socket:
                await socket.send(packet)
                assert await closed_with(socket) == POLICY
    assert (await house.http.get(f"{house.url}/healthz")).status_code == 200


@pytest.mark.attack(33)
async def test_a_packet_above_the_bound_ends_the_connection(house: House, bob: Dm3Client, token: str) -> None:
    async with raw(house) as socket:
        await socket.send(handshake(bob.name, token))
        await socket.recv()
        await socket.send('42["submitMessage","' + "x" * 2**20 + '"]')
        assert await closed_with(socket) in (1009, POLICY)


@pytest.mark.attack(33)
async def test_a_flood_of_packets_ends_its_own_connection_only(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str
) -> None:
    async with connected(house, bob.name, token) as socket, raw(house) as flood:
        await flood.send(handshake(bob.name, token))
        with contextlib.suppress(ConnectionClosed):
            for _ in range(5_000):
                await flood.send('42["nothing"]')
        assert await closed_with(flood) == POLICY
        await submit(house, alice, bob)
        assert len(await socket.wait_pushed(1)) == 1


@pytest.mark.attack(33)
async def test_a_flood_of_bytes_ends_its_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = SocketGuard.__init__

    def narrow(self: SocketGuard, app: Any, **bounds: Any) -> None:
        guard(self, app, bytes_per_minute=600_000, **bounds)

    monkeypatch.setattr(SocketGuard, "__init__", narrow)
    async with running_house(tmp_path / "house") as house:
        bob = await house.native("bob.eth", "bob")
        async with raw(house) as flood:
            await flood.send(handshake(bob.name, await token_of(house, bob, "bob")))
            await flood.recv()
            with contextlib.suppress(ConnectionClosed):
                for _ in range(20):
                    await flood.send('42["nothing","' + "x" * 100_000 + '"]')
            assert await closed_with(flood) == POLICY


@pytest.mark.attack(33)
async def test_connections_of_one_address_are_bounded(house: House) -> None:
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(raw(house)) for _ in range(SOCKETS_PER_ASKER)]
        with pytest.raises(InvalidStatus):
            await stack.enter_async_context(raw(house))
        await sockets[0].close()

        async def again() -> ClientConnection | None:
            try:
                return await stack.enter_async_context(raw(house))
            except InvalidStatus:
                return None

        assert await until(again)


@pytest.mark.attack(33)
async def test_sockets_of_one_account_are_bounded(
    house: House, bob: Dm3Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_module, "SOCKETS_PER_ACCOUNT", 2)
    assert SOCKETS_PER_ACCOUNT > 2
    async with connected(house, bob.name, token), connected(house, bob.name, token), raw(house) as socket:
        await socket.send(handshake(bob.name, token))
        assert str(await socket.recv()).startswith("44{")


@pytest.mark.attack(32)
@pytest.mark.attack(33)
async def test_who_does_not_log_in_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = SocketGuard.__init__

    def hasty(self: SocketGuard, app: Any, **bounds: Any) -> None:
        guard(self, app, log_in_seconds=3, **bounds)  # long enough to log in on a busy machine

    monkeypatch.setattr(SocketGuard, "__init__", hasty)
    async with running_house(tmp_path / "house") as house:
        bob = await house.native("bob.eth", "bob")
        token = await token_of(house, bob, "bob")
        async with connected(house, bob.name, token) as socket, raw(house) as silent, raw(house) as chatty:
            await chatty.send('42["nothing"]')
            assert await closed_with(silent) == POLICY
            assert await closed_with(chatty) == POLICY
            assert socket.client.connected, "its own time has passed before theirs"


@pytest.mark.attack(33)
async def test_a_client_that_reads_nothing_is_dropped(
    house: House, alice: Dm3Client, bob: Dm3Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_module, "UNREAD", 3)
    async with raw(house) as deaf, connected(house, bob.name, token) as socket:
        await deaf.send(handshake(bob.name, token))
        await deaf.recv()
        deaf.transport.pause_reading()
        text = "x" * 300_000
        for number in range(60):
            await submit(house, alice, bob, f"{number} {text}")
        await socket.wait_pushed(60)
        deaf.transport.resume_reading()
        assert await closed_with(deaf) is not None
