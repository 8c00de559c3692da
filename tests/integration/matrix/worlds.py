"""A gateway with the Matrix adapter, a Synapse that knows it, and people on both sides."""

from __future__ import annotations

import itertools
import json
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.portals import Portal, Portals
from adapters.matrix.settings import MatrixSettings
from gateway.bridge.values import StoredValues
from gateway.demo.chain.running import RunningChain
from gateway.demo.matrix_user import MatrixUser
from gateway.demo.synapse import Synapse
from gateway.ids import CanonicalId, EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.store.jobs import Job, JobState
from gateway.store.queue import QueueList
from gateway.web.server import HttpServer, listen
from tests.support.house import running_house
from tests.support.natives import WITHOUT_RATES, Natives
from tests.support.synapse import synapse_server
from tests.support.waiting import until

SERVER = "localhost"
PASSWORD = "a password"
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class MatrixWorld(Natives):
    """One gateway, one homeserver."""

    synapse: Synapse
    adapter: MatrixAdapter
    hs_token: str
    bound: socket.socket | None = None

    async def person(self, name: str = "") -> MatrixUser:
        """A human of this homeserver."""
        return await self.synapse.register(name or f"person{next(_numbers)}", PASSWORD)

    def ghost(self, client: Dm3Client) -> str:
        """The Matrix user who stands for a native client."""
        return f"@dm3_{client.name}:{self.synapse.server_name}"

    def name_of(self, person: MatrixUser) -> EnsName:
        """The sub-name of a human."""
        local, _, server = person.user_id[1:].partition(":")
        return EnsName(f"{local}.{server}.matrix.gw.eth")

    async def chat(self, person: MatrixUser, client: Dm3Client) -> str:
        """A room of a human and a ghost, which is there and has said what the room is bridged to."""
        room = await person.create_room(invite=[self.ghost(client)], is_direct=True, preset="trusted_private_chat")
        await person.wait_event(lambda event: event["room_id"] == room and event["type"] == "uk.half-shot.bridge")
        return room

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """A request as the homeserver makes it; the body is sent as JSON, bytes as they are."""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        given = headers or {"authorization": f"Bearer {self.hs_token}"}
        url = f"{self.house.url}/_matrix/app/v1{path}"
        return await self.house.http.request(method, url, content=content, headers=given, timeout=30)

    async def serve_again(self, port: int) -> HttpServer:
        """Listen on the same port as before."""
        self.bound = listen("127.0.0.1", port)
        server = HttpServer(self.house.gateway.app, self.bound)
        await server.start()
        return server

    async def portal(self, person: MatrixUser, client: Dm3Client) -> Portal | None:
        """What the gateway knows of a conversation."""
        return await self.portals().of(CanonicalId(person.user_id), client.name)

    def portals(self) -> Portals:
        """What the gateway keeps of all conversations."""
        return Portals(StoredValues(self.adapter.name, self.house.gateway.store, now_ms))

    async def gone(self, person: MatrixUser, client: Dm3Client) -> None:
        """Return when the gateway has seen that the person ended the conversation."""

        async def look() -> bool | None:
            portal = await self.portal(person, client)
            return (portal is not None and portal.closed) or None

        await until(look)

    async def held(self) -> list[Job]:
        """Events that were set aside."""
        return list(await self.house.gateway.store.read(QueueList(state=JobState.HOLD, limit=1000)))


@asynccontextmanager
async def matrix_world(
    folder: Path,
    *,
    chain: RunningChain | None = None,
    settings: Mapping[str, Any] | None = None,
    start: bool = True,
    **synapse_options: Any,
) -> AsyncIterator[MatrixWorld]:
    """``settings`` are further keys of ``[adapters.matrix]``; ``start`` False leaves Synapse for the test to start."""
    async with AsyncExitStack() as stack:
        synapse = await stack.enter_async_context(synapse_server(folder / "synapse", start=False, **synapse_options))
        tokens = {name: secrets.token_hex(32) for name in ("as", "hs")}
        for name, token in tokens.items():
            (folder / f"{name}.token").write_text(token)
        table = MatrixSettings(
            homeserver_url=synapse.url,
            server_name=synapse.server_name,
            as_token_file=folder / "as.token",
            hs_token_file=folder / "hs.token",
            **(settings or {}),
        )
        adapter = MatrixAdapter(table)
        house = await stack.enter_async_context(
            running_house(folder / "house", adapters={adapter.name: adapter}, chain=chain, overrides=WITHOUT_RATES)
        )
        file = folder / "registration.yaml"
        file.write_text(MatrixAdapter.registration(table, house.url))
        synapse.registrations.append(file)
        if start:
            await synapse.start()
        world = MatrixWorld(house=house, synapse=synapse, adapter=adapter, hs_token=tokens["hs"])
        yield world
        if world.bound is not None:
            await world.house.server.stop()
            world.bound.close()
