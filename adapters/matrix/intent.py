"""What one user of ours does on the homeserver: the only code that speaks the client-server API."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp

from adapters.matrix.client import Homeserver, checked, path
from adapters.matrix.crypto import SEALED, SealingHomeserver
from adapters.matrix.errors import HomeserverDown, HomeserverRefused
from adapters.matrix.ids import EventId, Mxid, RoomId, event_id, room_id
from gateway.sdk import FileContent

if TYPE_CHECKING:
    from adapters.matrix.ghost_client import GhostClient

PAGE: Final = 20
"""Events of one page of history. Each may have 64 KiB, and bring its edit and its thread's last: that is one answer."""
MAX_PAGES: Final = 25


class Intent:
    """A ghost or the bot at work. Every method raises HomeserverDown or HomeserverRefused."""

    def __init__(self, homeserver: Homeserver, user: Mxid) -> None:
        self.user = user
        self._homeserver = homeserver
        self._crypto = homeserver.crypto if isinstance(homeserver, SealingHomeserver) else None

    @cached_property
    def _client(self) -> GhostClient:
        """nio's client, for what is not done all the time; to make one takes as long as to send a message."""
        return self._homeserver.client(self.user)

    async def register(self) -> None:
        """Make the user on the homeserver unless it is there."""
        body = {
            "type": "m.login.application_service",
            "username": self.user[1:].partition(":")[0],
            "inhibit_login": True,
        }
        try:
            await self._homeserver.call("POST", path("register"), body)
        except HomeserverRefused as refusal:
            if refusal.errcode != "M_USER_IN_USE":
                # The registration does not fit: that is for the operator to mend, and no message's fault.
                raise HomeserverDown(f"the homeserver does not let us have {self.user}: {refusal.errcode}") from None

    async def show(self, display_name: str) -> None:
        """Set the display name."""
        await checked(self._client.set_displayname(display_name))

    async def show_picture(self, mxc: str) -> None:
        """Set the avatar; "" removes it."""
        await checked(self._client.set_avatar(mxc))

    async def create_room(self, body: Mapping[str, Any]) -> RoomId:
        """Make a room; raw, because nio has no parameter for what version 12 brought."""
        return _room(await self._call("POST", path("createRoom"), body))

    async def room_at(self, alias: str) -> RoomId | None:
        """The room of an alias, or None."""
        try:
            return _room(await self._call("GET", path("directory", "room", alias)))
        except HomeserverRefused as refusal:
            if refusal.status == 404:
                return None
            raise

    async def join(self, room: RoomId) -> None:
        """Accept an invitation; nothing when in the room already."""
        if self._crypto is not None:
            await self._crypto.prepare(self.user)
        await checked(self._client.join(room))

    async def leave(self, room: RoomId, *, forget: bool = True) -> None:
        """Leave a room or decline an invitation, whether or not there is one."""
        try:
            await checked(self._client.room_leave(room))
            if forget:
                await checked(self._client.room_forget(room))
        except HomeserverRefused as refusal:
            if refusal.status not in (400, 403, 404):
                raise

    async def invite(self, room: RoomId, user: Mxid) -> None:
        """Ask somebody in; nothing when they are there or asked already."""
        try:
            await checked(self._client.room_invite(room, user))
        except HomeserverRefused as refusal:
            if refusal.status != 403 or (await self.membership(room, user)) not in ("join", "invite"):
                raise

    async def membership(self, room: RoomId, user: Mxid) -> str:
        """``join``, ``invite``, ``leave``, ``ban``; "" when there is nothing."""
        return str((await self.state(room, "m.room.member", user)).get("membership", ""))

    async def state(self, room: RoomId, kind: str, key: str = "") -> Mapping[str, Any]:
        """Content of a piece of state, empty when there is none or we may not see it."""
        try:
            return await self._call("GET", path("rooms", room, "state", kind, key))
        except HomeserverRefused as refusal:
            if refusal.status in (403, 404):
                return {}
            raise

    async def set_state(self, room: RoomId, kind: str, content: Mapping[str, Any], key: str = "") -> bool:
        """Set a piece of state; False when the room does not let us."""
        try:
            await checked(self._client.room_put_state(room, kind, dict(content), key))
        except HomeserverRefused as refusal:
            if refusal.status == 403:
                return False
            raise
        return True

    async def joined(self, room: RoomId) -> Mapping[str, str]:
        """Who is in a room, with their display names, "" where there is none."""
        answer = await self._call("GET", path("rooms", room, "joined_members"))
        members = answer.get("joined")
        if not isinstance(members, dict):
            raise HomeserverDown("joined_members without joined")
        return {
            user: str(data.get("display_name") or "") if isinstance(data, dict) else ""
            for user, data in members.items()
        }

    async def writer(self, room: RoomId, event: EventId) -> str | None:
        """Who wrote an event of this room, None when it is not there or we may not see it."""
        try:
            return str((await self._call("GET", path("rooms", room, "event", event))).get("sender"))
        except HomeserverRefused as refusal:
            if refusal.status in (403, 404):
                return None
            raise

    async def send(
        self,
        room: RoomId,
        kind: str,
        content: Mapping[str, Any],
        txn: str,
        *,
        at: int | None = None,
        file: FileContent | None = None,
    ) -> EventId:
        """Send an event; the same ``txn`` gives the same event as long as the homeserver runs.

        ``at``: milliseconds since the epoch that clients show it with. ``file`` is uploaded and stands in the content.
        In an encrypted room both are encrypted.
        """
        kind, content = await self._sealed(room, kind, content, file)
        # Past nio, whose checks of answers take longer than ours of the whole message.
        query = None if at is None else {"ts": str(at)}
        answer = await self._call("PUT", path("rooms", room, "send", kind, txn), content, query)
        own = event_id(answer.get("event_id"))
        if own is None:
            raise HomeserverDown("an answer without event_id")
        return own

    async def redact(self, room: RoomId, event: EventId, txn: str, reason: str | None = None) -> EventId:
        """Take an event back."""
        response = await checked(self._client.room_redact(room, event, reason, txn))
        return EventId(str(response.event_id))

    async def read(self, room: RoomId, event: EventId) -> None:
        """Say that the user has seen an event."""
        await self._call("POST", path("rooms", room, "receipt", "m.read", event), {})

    async def upload(self, file: FileContent) -> str:
        """Put a file into the homeserver's store, in clear; its ``mxc`` address."""
        content = io.BytesIO(file.data)
        response = await checked(
            self._client.upload(content, content_type=file.media_type, filename=file.name, filesize=len(file.data))
        )
        return str(response.content_uri)

    async def _sealed(
        self, room: RoomId, kind: str, content: Mapping[str, Any], file: FileContent | None
    ) -> tuple[str, Mapping[str, Any]]:
        """Type and content as they are sent, with the address of the file."""
        crypto = self._crypto
        if crypto is None or kind not in SEALED or not await crypto.is_encrypted(room, self.user):
            return kind, content if file is None else {**content, "url": await self.upload(file)}
        if file is not None:
            data, keys = await crypto.locked(file.data)
            # Nobody but the readers learns what it is.
            mxc = await self.upload(FileContent("", "application/octet-stream", data))
            content = {key: value for key, value in content.items() if key != "url"} | {"file": {**keys, "url": mxc}}
        return "m.room.encrypted", await crypto.seal(room, self.user, kind, content)

    @asynccontextmanager
    async def download(self, server: str, media: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open answer with a file, by the authenticated interface (1.11)."""
        async with self._homeserver.file(_media(server, media)) as response:
            yield response

    @asynccontextmanager
    async def download_linked(self, server: str, media: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `download`, for whoever has a link; see `Homeserver.linked_file`."""
        async with self._homeserver.linked_file(_media(server, media)) as response:
            yield response

    async def history(self, room: RoomId, until: EventId | None = None) -> list[Mapping[str, Any]]:
        """Events of a room from the newest back to ``until``, which is not among them; at most 500."""
        found: list[Mapping[str, Any]] = []
        query = {"dir": "b", "limit": str(PAGE)}
        for _ in range(MAX_PAGES):
            answer = await self._call("GET", path("rooms", room, "messages"), query=query)
            page = answer.get("chunk")
            for event in page if isinstance(page, list) else ():
                if until is not None and isinstance(event, dict) and event.get("event_id") == until:
                    return found
                found.append(event)
            end = answer.get("end")
            if not isinstance(end, str) or not page:
                break
            query = {**query, "from": end}
        return found

    async def sent_with(self, room: RoomId, key: str, value: str) -> list[tuple[EventId, Mapping[str, Any]]]:
        """Our own events, with their contents, which have ``value`` under ``key``; oldest first, as `history` goes.

        Their times say nothing of when they were sent: what waited is shown with the time at which it was written.
        """
        events: list[tuple[EventId, Mapping[str, Any]]] = []
        for event in await self.history(room):
            own, content = event_id(event.get("event_id")), event.get("content")
            if own and event.get("sender") == self.user and isinstance(content, dict) and content.get(key) == value:
                events.append((own, content))
        return events[::-1]

    async def account_data(self, kind: str) -> Mapping[str, Any]:
        """The user's own account data of a kind, empty when there is none."""
        try:
            return await self._call("GET", path("user", self.user, "account_data", kind))
        except HomeserverRefused as refusal:
            if refusal.status == 404:
                return {}
            raise

    async def set_account_data(self, kind: str, content: Mapping[str, Any]) -> None:
        """Replace it."""
        await self._call("PUT", path("user", self.user, "account_data", kind), content)

    async def _call(
        self, method: str, where: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        return await self._homeserver.call(method, where, body, user=self.user, query=query)


def _room(answer: Mapping[str, Any]) -> RoomId:
    room = room_id(answer.get("room_id"))
    if room is None:
        raise HomeserverDown("an answer without room_id")
    return room


def _media(server: str, media: str) -> str:
    return f"/_matrix/client/v1/media/download/{quote(server, safe='')}/{quote(media, safe='')}"
