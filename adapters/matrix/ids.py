"""Matrix ids of our own: ghosts of ENS names, the bot, and the voices of rooms that speak as one."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final, NewType

from gateway.sdk import CanonicalId, EnsName, InvalidInput, UnknownName
from gateway.sdk.addresses import Alias, matrix_localpart, name_from_matrix_localpart

RoomId = NewType("RoomId", str)
EventId = NewType("EventId", str)
Mxid = CanonicalId
"""A user id; it is the canonical id of a person of this network as it is."""

GHOST_PREFIX: Final = "dm3_"
VOICE_PREFIX: Final = "dm3room_"
_VOICE: Final = re.compile(VOICE_PREFIX + r"[a-z2-7]{26}")
_ROOM_ID: Final = re.compile(r"![^\x00-\x20\x7f]{1,254}")
_EVENT_ID: Final = re.compile(r"\$[^\x00-\x20\x7f]{1,254}")
_MXID: Final = re.compile(r"@[\x21-\x39\x3b-\x7e]{0,253}:[A-Za-z0-9.:\[\]-]{1,253}")
MAX_BYTES: Final = 255


def room_id(text: object) -> RoomId | None:
    """A room id, None for anything else; since room version 12 it holds no server name, so it is never split."""
    return RoomId(text) if isinstance(text, str) and _ROOM_ID.fullmatch(text) and _short(text) else None


def event_id(text: object) -> EventId | None:
    """An event id, None for anything else."""
    return EventId(text) if isinstance(text, str) and _EVENT_ID.fullmatch(text) and _short(text) else None


def mxid(text: object) -> Mxid | None:
    """A user id, None for anything else."""
    return Mxid(text) if isinstance(text, str) and _MXID.fullmatch(text) and _short(text) else None


def _short(text: str) -> bool:
    try:
        return len(text.encode()) <= MAX_BYTES
    except UnicodeEncodeError:
        # Half a character, which JSON may hold; no store could keep such an id.
        return False


@dataclass(frozen=True, slots=True)
class Ids:
    """Who is who on one homeserver; ghost and name are exact inverses (see `gateway.sdk.addresses`)."""

    server_name: str
    bot_localpart: str

    @property
    def bot(self) -> Mxid:
        """The bot: the application service's own user."""
        return Mxid(f"@{self.bot_localpart}:{self.server_name}")

    def ghost(self, name: EnsName) -> tuple[Mxid, bool]:
        """The ghost of a name, and whether its id is a digest that must be kept as an alias."""
        local = matrix_localpart(name, server_name=self.server_name, prefix=GHOST_PREFIX)
        return Mxid(f"@{local.text}:{self.server_name}"), local.digest

    def voice(self, room: RoomId) -> CanonicalId:
        """The id by which a room of several people speaks to an ENS name as one."""
        digest = base64.b32encode(hashlib.sha256(room.encode()).digest()).decode().lower()[:26]
        return CanonicalId(f"@{VOICE_PREFIX}{digest}:{self.server_name}")

    def is_voice(self, user: str) -> bool:
        """Whether this is the id of a room."""
        return _VOICE.fullmatch(self._local(user) or "") is not None

    def is_ours(self, user: str) -> bool:
        """Whether an id lies in the application service's namespaces: a ghost, a room's voice, or the bot."""
        local = self._local(user)
        return local is not None and (local == self.bot_localpart or local.startswith((GHOST_PREFIX, VOICE_PREFIX)))

    def is_ghost(self, user: str) -> bool:
        """Whether an id has the form of a ghost's; whether it stands for a name is another question."""
        return (self._local(user) or "").startswith(GHOST_PREFIX)

    def named_by(self, user: str) -> EnsName | Alias:
        """The name that a ghost stands for, or its digest; UnknownName for every id that no name is written as."""
        local = self._local(user)
        if local is None:
            raise UnknownName("not a ghost of this server")
        try:
            return name_from_matrix_localpart(local, server_name=self.server_name, prefix=GHOST_PREFIX)
        except InvalidInput as error:
            raise UnknownName(error.detail) from None

    def _local(self, user: str) -> str | None:
        local, colon, server = user[1:].partition(":")
        return local if user[:1] == "@" and colon and server == self.server_name else None
