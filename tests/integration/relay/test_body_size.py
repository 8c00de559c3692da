"""Bodies that are too large are refused at every door before they are read: what is taken off the socket is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.operations.dm3_client import Dm3Client
from gateway.relay.service import RPC_PATHS
from gateway.web import server as server_module
from tests.integration.relay.clients import submit
from tests.integration.relay.doors import path_of, tokens_of
from tests.support.house import House, running_house
from tests.support.routes import Operation, operations

SIZE_LIMIT = 20_000
OVERRIDES = {
    "RELAY__SIZE_LIMIT": str(SIZE_LIMIT),
    "RELAY__CALLS_PER_MINUTE": "0",
    "RELAY__LOG_INS_PER_MINUTE": "0",
    "SUBNAMES__LOOKS_PER_MINUTE": "0",
    "SUBNAMES__ORDERS_PER_MINUTE": "0",
}
LARGEST = 1_000_000
"""No door takes more, with this size limit,"""
LARGEST_LIST = 2 * 2**20
"""but those of the administration, where names come by the list."""
LARGEST_CALL = SIZE_LIMIT + SIZE_LIMIT // 4 + 65_536
HUGE = 50_000_000
ONE_READ = 256 * 2**10 + 64 * 2**10
"""What an event loop takes off a socket at once, and what uvicorn holds before it stops reading."""


class Counted:
    """In front of a protocol of uvicorn: bytes taken off a connection, and those of them before its answer began."""

    last: ClassVar[Counted]
    """The newest connection."""
    taken: int = 0
    before_the_answer: int | None = None

    def connection_made(self, transport: Any) -> None:
        Counted.last = self
        write = transport.write

        def watched(data: bytes) -> None:
            if self.before_the_answer is None:
                self.before_the_answer = self.taken
            write(data)

        transport.write = watched
        super().connection_made(transport)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        self.taken += len(data)
        super().data_received(data)  # type: ignore[misc]


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"])
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """A relay for small envelopes that counts."""
    monkeypatch.setattr(server_module, "AutoHTTPProtocol", type("Protocol", (Counted, request.param), {}))
    overrides = {f"DM3_GATEWAY__{key}": value for key, value in OVERRIDES.items()}
    async with running_house(tmp_path / "house", working=False, overrides=overrides) as running:
        yield running


async def answer_to(house: House, head: bytes, piece: bytes = b"", most: int = 0) -> tuple[int, dict[str, Any], int]:
    """Status and error of a request whose body is `piece` again and again, and the bytes of it that were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
    writer.write(head)
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    sent = 0
    async with asyncio.timeout(60):
        while not answer.done() and sent < most:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
            await asyncio.sleep(0)
        lines = (await answer).decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length"))
        body = await reader.readexactly(length)
    writer.close()
    return int(lines[0].split()[1]), json.loads(body), sent


def head_of(door: Operation, token: str, body: str) -> bytes:
    lines = [
        f"{door.method} {path_of(door)} HTTP/1.1",
        "Host: gw.example",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        body,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def largest(door: Operation) -> int:
    if door.template in RPC_PATHS:
        return LARGEST_CALL
    return LARGEST_LIST if door.template.startswith("/api/v1/admin") else LARGEST


def is_too_large(door: Operation, status: int, error: dict[str, Any]) -> bool:
    """A 413 in the door's own form."""
    named = (
        error["error"]["code"] == -32011 if door.template in RPC_PATHS else set(error) <= {"error", "message", "detail"}
    )
    return status == 413 and named


@pytest.mark.attack(28)
async def test_too_large_bodies_are_refused_unread(
    house: House, alice: Dm3Client, bob: Dm3Client, subtests: pytest.Subtests
) -> None:
    tokens = await tokens_of(house, alice)
    doors = [each for each in await operations(house) if each.takes_body]
    assert len(doors) >= 14
    for door in doors:
        limit = largest(door)
        with subtests.test(f"{door.method} {door.template}", body="announced"):
            head = head_of(door, tokens.of(door), f"Content-Length: {HUGE}")
            status, error, _ = await answer_to(house, head)
            assert is_too_large(door, status, error)
            assert Counted.last.taken == len(head)
        with subtests.test(f"{door.method} {door.template}", body="streamed"):
            head = head_of(door, tokens.of(door), "Transfer-Encoding: chunked")
            piece = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
            status, error, sent = await answer_to(house, head, piece, HUGE)
            assert is_too_large(door, status, error)
            assert Counted.last.before_the_answer is not None
            assert Counted.last.before_the_answer <= limit * 1.01 + ONE_READ
            assert sent < HUGE // 2
    await submit(house, alice, bob)


@pytest.mark.attack(28)
async def test_a_size_that_is_no_number_is_refused(house: House, alice: Dm3Client, bob: Dm3Client) -> None:
    for length in ("-1", "1e9", "0x10", "1 1", "9" * 400):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
        writer.write(f"POST /ds/rpc HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        async with asyncio.timeout(60):
            status = (await reader.readline()).split()[1]
        assert status in (b"400", b"413"), length
        writer.close()
    await submit(house, alice, bob)
