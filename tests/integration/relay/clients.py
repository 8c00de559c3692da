"""Clients of the relay's own interfaces, for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import socketio

from gateway.dm3.auth import sign_challenge
from gateway.dm3.envelope import Dialect, Envelope, canonical_envelope, envelope_hashes
from gateway.operations.dm3_client import Dm3Client
from tests.integration.relay.envelopes import keys_of, sealed
from tests.support.house import House, rpc
from tests.support.waiting import until


async def token_of(house: House, client: Dm3Client, account: str) -> str:
    """A fresh session of a native person."""
    url = f"{house.url}/ds/auth/{client.name}"
    challenge = (await house.http.get(url)).json()
    signature = sign_challenge(keys_of(house, account).signing, challenge)
    answer = await house.http.post(url, json={"challenge": challenge, "signature": signature})
    assert answer.status_code == 200, answer.text
    return str(answer.json())


async def submit(
    house: House, sender: Dm3Client, recipient: Dm3Client, text: str = "hello", account: str = "alice"
) -> Envelope:
    """An envelope that was accepted."""
    envelope = sealed(house, sender, recipient, text=text, account=account)
    answer = await offer(house, envelope)
    assert answer.status_code == 200, answer.text
    return envelope


async def submit_text(house: House, sender: Dm3Client, recipient: Dm3Client, text: str, account: str = "alice") -> str:
    """messageHash of an envelope that was accepted."""
    return envelope_hashes(await submit(house, sender, recipient, text, account))[0]


async def get(house: House, path: str, token: str | None = None) -> httpx2.Response:
    """GET, with or without a session."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await house.http.get(house.url + path, headers=headers)


async def put_rules(house: House, token: str | None, rules: Any) -> httpx2.Response:
    """Replace the rules for senders; ``rules`` are JSON, or the bytes of a body."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    content = {"content": rules} if isinstance(rules, bytes) else {"json": rules}
    return await house.http.put(f"{house.url}/api/v1/account/rules", headers=headers, **content)


async def offer(house: House, envelope: Envelope) -> httpx2.Response:
    """The answer to an envelope, whatever it is."""
    return await rpc(house, "dm3_submitMessage", canonical_envelope(envelope))


@dataclass
class Api:
    """Somebody who is logged in to `/api/v1`."""

    house: House
    token: str

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        """GET below /api/v1."""
        return await self.house.http.get(
            f"{self.house.url}/api/v1/{path}", params=params, headers=self._headers, timeout=90
        )

    async def post(self, path: str, body: Any) -> httpx2.Response:
        """POST JSON below /api/v1."""
        return await self.house.http.post(f"{self.house.url}/api/v1/{path}", json=body, headers=self._headers)

    async def put(self, path: str, body: Any) -> httpx2.Response:
        """PUT JSON below /api/v1."""
        return await self.house.http.put(f"{self.house.url}/api/v1/{path}", json=body, headers=self._headers)

    async def mailbox(self, **params: Any) -> list[dict[str, Any]]:
        """Envelopes of one page."""
        answer = await self.get("mailbox", **params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["envelopes"]
        return found

    async def set_rules(self, **rules: Any) -> None:
        """Replace all rules."""
        answer = await self.put("account/rules", rules)
        assert answer.status_code == 200, answer.text

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


async def logged_in(house: House, client: Dm3Client, account: str) -> Api:
    """A session at our own interface."""
    return Api(house, await token_of(house, client, account))


@dataclass
class Socket:
    """One socket.io session and what was pushed to it."""

    client: socketio.AsyncClient
    pushed: list[dict[str, Any]] = field(default_factory=list)
    authorised: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_pushed(self, number: int) -> list[dict[str, Any]]:
        """All that was pushed, once there are so many."""

        async def look() -> bool | None:
            return len(self.pushed) >= number or None

        await until(look)
        return self.pushed


@asynccontextmanager
async def connected(house: House, name: str, token: str) -> AsyncIterator[Socket]:
    """A socket that was told that it is logged in."""
    client = socketio.AsyncClient(reconnection=False)
    socket = Socket(client)
    client.on("message", socket.pushed.append)
    client.on("authorized", lambda *_: socket.authorised.set())
    auth = {"account": {"ensName": name}, "token": token}
    await client.connect(house.url, auth=auth, transports=["websocket"])
    try:
        async with asyncio.timeout(60):
            await socket.authorised.wait()
        yield socket
    finally:
        await client.disconnect()


def twins(house: House, sender: Dm3Client, recipient: Dm3Client) -> tuple[Envelope, Envelope]:
    """Two envelopes that bear the same messageHash and are different all the same."""
    first, second = (sealed(house, sender, recipient, text="twin", dialect=Dialect.DEVELOP) for _ in range(2))
    assert first.metadata.message_hash == second.metadata.message_hash
    assert first.message != second.message
    return first, second
