"""What a human does with rooms: makes, enters and leaves them, and reads and writes their state.

Section numbers are those of the Matrix client-server API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.demo.matrix_http import CLIENT, Json, MatrixHttp, path


class MatrixRooms:
    """The part of a MatrixUser that concerns rooms; errors as there."""

    def __init__(self, http: MatrixHttp) -> None:
        self.http = http
        """For calls that have no method here: ``await user.http.call("GET", "/_matrix/client/v3/...")``."""

    async def create_room(
        self,
        *,
        invite: Iterable[str] = (),
        is_direct: bool = False,
        preset: str = "private_chat",
        name: str | None = None,
        **more: Any,
    ) -> str:
        """A new room's id (10.1). `more` are further keys of the request, as ``room_version`` or ``initial_state``.

        The preset of a client that begins a conversation of two is ``trusted_private_chat``.
        """
        body = {"invite": list(invite), "is_direct": is_direct, "preset": preset, **more}
        if name is not None:
            body["name"] = name
        answer = await self.http.call("POST", f"{CLIENT}/createRoom", body)
        return str(answer["room_id"])

    async def join(self, room: str) -> str:
        """Enter by id or alias (10.4.2); the room's id."""
        answer = await self.http.call("POST", f"{CLIENT}/join{path(room)}")
        return str(answer["room_id"])

    async def leave(self, room: str, reason: str | None = None) -> None:
        """Leave, or decline an invitation (10.4.3)."""
        await self._act(room, "leave", reason)

    async def forget(self, room: str) -> None:
        """Give up the history of a room that was left (10.4.3)."""
        await self._act(room, "forget")

    async def invite(self, room: str, user: str, reason: str | None = None) -> None:
        """Ask somebody in (10.4.2)."""
        await self._act(room, "invite", reason, user)

    async def kick(self, room: str, user: str, reason: str | None = None) -> None:
        """Put somebody out, or take an invitation back (10.4.3)."""
        await self._act(room, "kick", reason, user)

    async def ban(self, room: str, user: str, reason: str | None = None) -> None:
        """Put somebody out who cannot come again (10.4.4)."""
        await self._act(room, "ban", reason, user)

    async def unban(self, room: str, user: str) -> None:
        """Let somebody be invited again (10.4.4)."""
        await self._act(room, "unban", user=user)

    async def upgrade_room(self, room: str, version: str) -> str:
        """Replace a room by one of another version, with a tombstone in the old one; the new id (11.33)."""
        answer = await self.http.call("POST", _room(room, "upgrade"), {"new_version": version})
        return str(answer["replacement_room"])

    async def state(self, room: str) -> list[Json]:
        """All current state events (7.5)."""
        events: list[Json] = await self.http.call("GET", _room(room, "state"))
        return events

    async def state_of(self, room: str, kind: str, key: str = "") -> Json:
        """Content of one piece of state (7.5); MatrixFault 404 when there is none."""
        content: Json = await self.http.call("GET", _room(room, "state", kind, key))
        return content

    async def set_state(self, room: str, kind: str, content: Mapping[str, Any], key: str = "") -> str:
        """Write one piece of state (7.6.1); the event's id."""
        answer = await self.http.call("PUT", _room(room, "state", kind, key), content)
        return str(answer["event_id"])

    async def members(self, room: str) -> dict[str, str]:
        """Membership (``join``, ``invite``, ``leave``, ``ban``) of everybody that has one, by Matrix id."""
        members = [event for event in await self.state(room) if event["type"] == "m.room.member"]
        return {event["state_key"]: event["content"]["membership"] for event in members}

    async def messages(self, room: str, limit: int = 100) -> list[Json]:
        """The newest events, newest first, each as the homeserver shows it now (7.5)."""
        query = {"dir": "b", "limit": str(limit)}
        answer = await self.http.call("GET", _room(room, "messages"), query=query)
        events: list[Json] = answer["chunk"]
        return events

    async def event(self, room: str, event_id: str) -> Json:
        """One event as the homeserver shows it now, with its newest edit and without what was redacted (7.5)."""
        found: Json = await self.http.call("GET", _room(room, "event", event_id))
        return found

    async def _act(self, room: str, what: str, reason: str | None = None, user: str | None = None) -> None:
        body = {"user_id": user, "reason": reason}
        given = {key: value for key, value in body.items() if value is not None}
        await self.http.call("POST", _room(room, what), given)


def _room(room: str, *parts: str) -> str:
    return f"{CLIENT}/rooms{path(room, *parts)}"
