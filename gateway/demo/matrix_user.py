"""A human's Matrix client over raw JSON, so that no library stands between a check and the homeserver.

Section numbers are those of the Matrix client-server API.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from gateway.demo.matrix_http import CLIENT, Json, MatrixFault, MatrixHttp, path
from gateway.demo.matrix_rooms import MatrixRooms
from gateway.demo.matrix_sync import Invite, SyncLoop

__all__ = ["Invite", "Json", "MatrixFault", "MatrixUser"]

UPLOAD: Final = "/_matrix/media/v3/upload"
DOWNLOAD: Final = "/_matrix/client/v1/media/download"
SECONDS: Final = 30.0
"""How long something is waited for."""


class MatrixUser(MatrixRooms):
    """One human who is logged in and listens from then on; close it.

    Every method raises MatrixFault when the homeserver refuses and httpx2.TransportError when it does not answer.
    """

    def __init__(self, http: MatrixHttp, user_id: str, device_id: str) -> None:
        super().__init__(http)
        self.user_id = user_id
        self.device_id = device_id
        self.sync = SyncLoop(http)
        """All that was heard: ``sync.events.items``, ``sync.invites.items``, ``sync.passing.items``."""
        self._invites_told: set[int] = set()

    @classmethod
    async def log_in(cls, url: str, user: str, password: str) -> Self:
        """With a password (5.7.1), into a new device; `user` is a local part or a whole Matrix id."""
        http = MatrixHttp(url)
        who = {"type": "m.id.user", "user": user}
        body = {"type": "m.login.password", "identifier": who, "password": password}
        try:
            return cls.from_login(http, await http.call("POST", f"{CLIENT}/login", body))
        except BaseException:
            await http.close()
            raise

    @classmethod
    def from_login(cls, http: MatrixHttp, answer: Mapping[str, Any]) -> Self:
        """From the answer to a login or a registration: ``user_id``, ``access_token`` and ``device_id``."""
        http.token = answer["access_token"]
        user = cls(http, answer["user_id"], answer["device_id"])
        user.sync.start()
        return user

    async def close(self) -> None:
        """Stop listening; the access token stays valid."""
        await self.sync.close()
        await self.http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.close()

    # --- messages ---------------------------------------------------------------------------------------------------

    async def send(self, room: str, kind: str, content: Mapping[str, Any], *, txn: str | None = None) -> str:
        """Send a message event (7.6.2); its id. The same `txn` again is the same event again."""
        url = f"{CLIENT}/rooms{path(room, 'send', kind, txn or uuid.uuid4().hex)}"
        answer = await self.http.call("PUT", url, content)
        return str(answer["event_id"])

    async def say(self, room: str, text: str, **more: Any) -> str:
        """Send a text; its event's id. `more` are further keys of the content, as ``formatted_body``."""
        return await self.send(room, "m.room.message", {"msgtype": "m.text", "body": text, **more})

    async def reply(self, room: str, event: str, text: str) -> str:
        """Answer a message (11.23)."""
        return await self.say(room, text, **{"m.relates_to": {"m.in_reply_to": {"event_id": event}}})

    async def edit(self, room: str, event: str, text: str) -> str:
        """Replace a text of one's own (11.22)."""
        content = {
            "m.new_content": {"msgtype": "m.text", "body": text},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event},
        }
        return await self.say(room, f"* {text}", **content)

    async def react(self, room: str, event: str, key: str) -> str:
        """Annotate a message, with an emoji mostly (11.26)."""
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return await self.send(room, "m.reaction", {"m.relates_to": relation})

    async def redact(self, room: str, event: str, reason: str | None = None) -> str:
        """Take back an event, a reaction too (7.7); the redaction's id."""
        body = {} if reason is None else {"reason": reason}
        url = f"{CLIENT}/rooms{path(room, 'redact', event, uuid.uuid4().hex)}"
        answer = await self.http.call("PUT", url, body)
        return str(answer["event_id"])

    async def set_typing(self, room: str, typing: bool = True, *, seconds: float = 20) -> None:
        """Say that one writes, for so long, or no longer (11.5)."""
        body = {"typing": True, "timeout": int(seconds * 1000)} if typing else {"typing": False}
        await self.http.call("PUT", f"{CLIENT}/rooms{path(room, 'typing', self.user_id)}", body)

    async def receipt(self, room: str, event: str, kind: str = "m.read") -> None:
        """Mark a room as read up to an event, for all to see; ``m.read.private`` for nobody (11.6)."""
        await self.http.call("POST", f"{CLIENT}/rooms{path(room, 'receipt', kind, event)}")

    # --- files ------------------------------------------------------------------------------------------------------

    async def upload(self, content: bytes, mime: str = "application/octet-stream", name: str = "file") -> str:
        """Store a file (11.8); its ``mxc://`` address."""
        answer = await self.http.post_bytes(UPLOAD, content, mime, {"filename": name})
        return str(answer["content_uri"])

    async def download(self, mxc: str) -> bytes:
        """The file at an ``mxc://`` address, by the authenticated way (11.8)."""
        server, _, media = mxc.removeprefix("mxc://").partition("/")
        return await self.http.get_bytes(DOWNLOAD + path(server, media))

    async def send_file(
        self, room: str, content: bytes, mime: str, name: str, *, kind: str = "m.file", caption: str | None = None
    ) -> str:
        """Upload and send; the event's id. `kind` is ``m.file``, ``m.image``, ``m.audio`` or ``m.video``."""
        return await self.send(
            room,
            "m.room.message",
            {
                "msgtype": kind,
                "body": caption or name,
                "filename": name,
                "url": await self.upload(content, mime, name),
                "info": {"mimetype": mime, "size": len(content)},
            },
        )

    # --- the account ------------------------------------------------------------------------------------------------

    async def account_data(self, kind: str, room: str | None = None) -> Json:
        """Data of the account, or of it in one room (11.11); MatrixFault 404 when there is none."""
        content: Json = await self.http.call("GET", self._data(kind, room))
        return content

    async def set_account_data(self, kind: str, content: Mapping[str, Any], room: str | None = None) -> None:
        """Write data of the account, or of it in one room (11.11)."""
        await self.http.call("PUT", self._data(kind, room), content)

    async def profile(self, user: str) -> Json:
        """Somebody's ``displayname`` and ``avatar_url``, where set (11.2)."""
        found: Json = await self.http.call("GET", f"{CLIENT}/profile{path(user)}")
        return found

    async def set_display_name(self, name: str) -> None:
        """One's own name for others to see (11.2)."""
        url = f"{CLIENT}/profile{path(self.user_id, 'displayname')}"
        await self.http.call("PUT", url, {"displayname": name})

    def _data(self, kind: str, room: str | None) -> str:
        of_room = () if room is None else ("rooms", room)
        return f"{CLIENT}/user{path(self.user_id, *of_room, 'account_data', kind)}"

    # --- waiting ----------------------------------------------------------------------------------------------------

    async def wait_event(self, wanted: Callable[[Json], object], seconds: float = SECONDS) -> Json:
        """The first timeline event, of before or to come, of any room, that is `wanted`; it has its ``room_id``.

        `wanted` may go straight to the keys it is about: an event without them is not wanted. TimeoutError when none
        comes, with the last ones that did.
        """
        return await self.sync.events.first(wanted, seconds)

    async def wait_text(self, room: str, text: str, seconds: float = SECONDS) -> Json:
        """The first message in `room` with exactly this body, from anybody."""
        return await self.wait_event(
            lambda event: event["room_id"] == room and event["content"]["body"] == text, seconds
        )

    async def wait_invite(
        self, wanted: Callable[[Invite], object] = lambda invite: True, seconds: float = SECONDS
    ) -> Invite:
        """The first invitation that is `wanted` and was not returned before: room_id, inviter, stripped state."""

        def fresh(invite: Invite) -> bool:
            return id(invite) not in self._invites_told and bool(wanted(invite))

        found = await self.sync.invites.first(fresh, seconds)
        self._invites_told.add(id(found))
        return found

    async def wait_ephemeral(self, wanted: Callable[[Json], object], seconds: float = SECONDS) -> Json:
        """The first m.receipt or m.typing (with ``room_id``) or m.presence that is `wanted`, like ``wait_event``."""
        return await self.sync.passing.first(wanted, seconds)

    async def wait_receipt(self, room: str, event: str, user: str, seconds: float = SECONDS) -> Json:
        """The receipt (``{"ts": milliseconds}``) by which `user` has read `event` (11.6)."""

        def read(passing: Json) -> bool:
            return passing["room_id"] == room and user in passing["content"][event]["m.read"]

        found = await self.wait_ephemeral(read, seconds)
        receipt: Json = found["content"][event]["m.read"][user]
        return receipt
