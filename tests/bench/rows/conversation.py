"""What a message of a Matrix user costs the gateway on its way into the mailbox of an ENS name, with a real Synapse."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx2

from adapters.matrix.adapter import MatrixAdapter
from adapters.matrix.settings import MatrixSettings
from gateway.demo.matrix_user import Json, MatrixUser
from gateway.demo.synapse import MISSING, Synapse, find_synapse
from gateway.dm3.eth import parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.operations.dm3_client import Dm3Client
from gateway.settings import validate_section
from gateway.store.engine import sqlite_path
from tests.bench.machine import children, cpu_seconds
from tests.bench.matrix import SERVER_NAME, adapter_table
from tests.bench.processes import Server, serving
from tests.bench.results import Figure
from tests.bench.scale import Scale
from tests.bench.world import SERVICE, World, founded

CPU_MS: Final = 8.0
MEMORY: Final = Path("/dev/shm")
"""Synapse waits for the disk at every event; its figures are not ours."""
ARRIVE_SECONDS: Final = 120.0
STATUS: Final = "com.beeper.message_send_status"
TEXT: Final = "A message of about the length that people write when they have something to say."


@dataclass(slots=True)
class Costs:
    """CPU and wall-clock seconds per message of each round."""

    gateway: list[float] = field(default_factory=list)
    homeserver: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """One portal: its person writes message after message, as quickly as Synapse takes them.

    A round ends when every envelope is in the mailbox, every message has its status and the queue is empty.
    At the end comes a burst; it is not timed, but everything must arrive once and in order. Without Synapse there are
    no figures.
    """
    if find_synapse() is None:
        print(MISSING, file=sys.stderr)
        return []
    costs = Costs()
    async with _homeserver() as synapse:
        table, _ = adapter_table(folder, synapse.url)
        async with founded(folder, senders=0, recipients=1, adapters={"matrix": table}) as world:
            settings = validate_section(MatrixSettings, table, where="adapters.matrix", base=folder)
            registration = folder / "registration.yaml"
            registration.write_text(MatrixAdapter.registration(settings, world.url), encoding="utf-8")
            synapse.registrations.append(registration)
            others = children()
            await synapse.start()
            (pid,) = children() - others
            async with serving(world.config, world.url) as server:
                talk = await Talk.begun(world, synapse)
                await talk.say(scale.messages)
                for _ in range(scale.rounds):
                    await _round(costs, talk, scale.messages, server, pid)
                await talk.burst(scale.messages)
                talk.close()
    row = "Matrix message to a mailbox"
    return [
        Figure(row, "CPU per message", "ms", tuple(1e3 * each for each in costs.gateway), CPU_MS),
        Figure(row, "CPU of Synapse", "ms", tuple(1e3 * each for each in costs.homeserver)),
        Figure(row, "time per message", "ms", tuple(1e3 * each for each in costs.wall), note="most of it is Synapse"),
    ]


async def _round(costs: Costs, talk: Talk, messages: int, server: Server, synapse: int) -> None:
    started, ours, theirs = time.perf_counter(), server.cpu_seconds(), cpu_seconds(synapse)
    await talk.say(messages)
    costs.gateway.append((server.cpu_seconds() - ours) / messages)
    costs.homeserver.append((cpu_seconds(synapse) - theirs) / messages)
    costs.wall.append((time.perf_counter() - started) / messages)


class Talk:
    """A person of the homeserver, the native client to whom they write, and the gateway's file to look into."""

    def __init__(self, world: World, person: MatrixUser, room: str) -> None:
        self._world = world
        self._person = person
        self._room = room
        self._sent = 0
        self._conn = sqlite3.connect(sqlite_path(world.settings.store.url), isolation_level=None, timeout=10)

    @classmethod
    async def begun(cls, world: World, synapse: Synapse) -> Talk:
        """Return when the ghost is in the room."""
        person = await synapse.register("alice", "a password")
        (recipient,) = world.recipients
        ghost = f"@dm3_{recipient.name}:{SERVER_NAME}"
        room = await person.create_room(invite=[ghost], is_direct=True, preset="trusted_private_chat")
        await person.wait_event(
            lambda event: (
                event["room_id"] == room
                and event["type"] == "m.room.member"
                and event["state_key"] == ghost
                and event["content"]["membership"] == "join"
            ),
            ARRIVE_SECONDS,
        )
        return cls(world, person, room)

    async def say(self, messages: int) -> None:
        """One after the other; return when all is done that comes of them."""
        await self._arrived([await self._say() for _ in range(messages)])

    async def burst(self, messages: int) -> None:
        """All at once; RuntimeError unless what arrives is what Synapse put into the room, in its order."""
        await self._arrived(await asyncio.gather(*(self._say() for _ in range(messages))))
        # Newest first. What the ghost says there is no message.
        events = await self._person.messages(self._room, 4 * self._sent)
        written = [
            event["content"]["body"]
            for event in reversed(events)
            if event["type"] == "m.room.message" and event["sender"] == self._person.user_id
        ]
        heard = await self._heard()
        if [text[: len(word)] for text, word in zip(heard, written, strict=True)] != written:
            raise RuntimeError(f"{len(written)} messages did not arrive in the order of the room")

    async def _say(self) -> str:
        self._sent += 1
        return await self._person.say(self._room, f"{self._sent}: {TEXT}")

    async def _arrived(self, events: Sequence[str]) -> None:
        for event in events:
            await self._person.wait_event(partial(_is_status_of, event), ARRIVE_SECONDS)
        async with asyncio.timeout(ARRIVE_SECONDS):
            while self._number("envelopes") < self._sent or self._number("jobs"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        if (found := self._number("envelopes")) != self._sent:
            raise RuntimeError(f"{found} envelopes are in the mailbox where {self._sent} messages were sent")

    def _number(self, table: str) -> int:
        return int(self._conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    async def _heard(self) -> list[str]:
        """Texts of the mailbox, in its order, decrypted and checked."""
        chain, world = self._world.settings.chain, self._world
        (recipient,) = world.recipients
        client = GuardedClient(allow_private=True)
        reader = Chain(chain.rpc_urls, chain.chain_id)
        try:
            profiles = Profiles(Ens(reader, parse_address(chain.ens_registry), client), client)
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
                native = Dm3Client(
                    name=recipient.name, wallet=recipient.wallet, profiles=profiles, http=http, service=SERVICE
                )
                return [each.message.text or "" for each in await native.fetch()]
        finally:
            await reader.close()
            await client.close()

    def close(self) -> None:
        """Close the file; the homeserver closes its person."""
        self._conn.close()


def _is_status_of(about: str, event: Json) -> bool:
    content = event["content"]
    return bool(
        event["type"] == STATUS and content["m.relates_to"]["event_id"] == about and content["status"] == "SUCCESS"
    )


@asynccontextmanager
async def _homeserver() -> AsyncIterator[Synapse]:
    """A Synapse that is ready to be started."""
    memory = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="bench-synapse-", dir=memory))
    synapse = Synapse(folder, server_name=SERVER_NAME)
    try:
        synapse.prepare()
        yield synapse
    finally:
        await synapse.close()
        shutil.rmtree(folder)
