"""A human's client that encrypts: nio's, whose sessions are none of the bridge's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from nio import AsyncClient, AsyncClientConfig, Event, RoomSendResponse
from nio.crypto import DeviceStore, GroupSessionStore, OlmDevice, SessionStore

from gateway.demo.matrix_user import MatrixUser
from gateway.operations.dm3_client import Dm3Client
from tests.integration.matrix.worlds import PASSWORD, MatrixWorld
from tests.support.waiting import until

Json = dict[str, Any]
ENCRYPTED = {"algorithm": "m.megolm.v1.aes-sha2"}


class Memory:
    """A store that forgets.

    nio's own are bound to one database at a time for the whole process, and the bridge uses them in another thread.
    """

    def __init__(self, user_id: str, device_id: str, *_rest: str) -> None:
        self._ignored: set[tuple[str, str]] = set()

    def load_account(self) -> None: ...

    def load_sessions(self) -> SessionStore:
        return SessionStore()

    def load_inbound_group_sessions(self) -> GroupSessionStore:
        return GroupSessionStore()

    def load_device_keys(self) -> DeviceStore:
        return DeviceStore()

    def load_encrypted_rooms(self) -> set[str]:
        return set()

    def load_outgoing_key_requests(self) -> Json:
        return {}

    def save_account(self, account: object) -> None: ...

    def save_session(self, key: str, session: object) -> None: ...

    def save_inbound_group_session(self, session: object) -> None: ...

    def save_device_keys(self, keys: object) -> None: ...

    def save_encrypted_rooms(self, rooms: object) -> None: ...

    def add_outgoing_key_request(self, request: object) -> None: ...

    def ignore_devices(self, devices: list[OlmDevice]) -> None:
        self._ignored.update((device.user_id, device.id) for device in devices)

    def is_device_ignored(self, device: OlmDevice) -> bool:
        return (device.user_id, device.id) in self._ignored

    def is_device_verified(self, device: OlmDevice) -> bool:
        return False

    def is_device_blacklisted(self, device: OlmDevice) -> bool:
        return False


class Human:
    """A client with keys of its own, and beside it one that sees what the homeserver sees."""

    def __init__(self, url: str, seen: MatrixUser) -> None:
        config = AsyncClientConfig(max_timeouts=3, max_limit_exceeded=3, store=Memory)
        self.seen = seen
        self.client = client = AsyncClient(url, seen.user_id, store_path="none", config=config)
        self.heard: list[Event] = []
        """Events of others, in clear where that was possible."""
        client.add_event_callback(self._hear, Event)
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        await self.client.login(PASSWORD)
        await self.client.sync()
        await self.client.keys_upload()
        self._loop = asyncio.create_task(self.client.sync_forever(timeout=2000, full_state=True))
        return self

    async def stop(self) -> None:
        assert self._loop is not None
        self._loop.cancel()
        await asyncio.gather(self._loop, return_exceptions=True)
        await self.client.close()

    async def _hear(self, room: Any, event: Event) -> None:
        if event.sender != self.seen.user_id:
            event.source["room_id"] = room.room_id
            self.heard.append(event)

    async def chat(self, world: MatrixWorld, native: Dm3Client, *, encrypted: bool = True) -> str:
        """A room with a ghost, which is there, as this client sees it too."""
        state = [{"type": "m.room.encryption", "state_key": "", "content": ENCRYPTED}] if encrypted else []
        ghost = world.ghost(native)
        room = await self.seen.create_room(
            invite=[ghost], is_direct=True, preset="trusted_private_chat", initial_state=state
        )
        await self.knows(room, ghost)
        return room

    async def knows(self, room: str, user: str) -> None:
        """Return when this client has seen that somebody is in a room."""

        async def look() -> bool | None:
            found = self.client.rooms.get(room)
            return (found is not None and user in found.users and not found.users[user].invited) or None

        await until(look)

    async def send(self, room: str, content: Json, kind: str = "m.room.message") -> str:
        """Encrypt for everybody there; the event's id."""
        answer = await self.client.room_send(room, kind, content, ignore_unverified_devices=True)
        assert isinstance(answer, RoomSendResponse), answer
        event: str = answer.event_id
        return event

    async def say(self, room: str, text: str, **more: Any) -> str:
        return await self.send(room, {"msgtype": "m.text", "body": text, **more})

    async def hear(self, wanted: Callable[[Json], object], seconds: float = 60) -> Event:
        """The first event that is wanted, in clear."""

        async def look() -> Event | None:
            for event in self.heard:
                try:
                    if wanted(event.source["content"]):
                        return event
                except KeyError:
                    continue
            return None

        try:
            return await until(look, seconds)
        except TimeoutError:
            raise TimeoutError([event.source for event in self.heard[-5:]]) from None

    async def raw(self, room: str, event: str) -> Json:
        """As the homeserver has it."""
        return await self.seen.event(room, event)
