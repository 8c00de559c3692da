"""ENS names as the homeserver's clients look for them: queries for users, third-party networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.matrix.client import path
from adapters.matrix.errors import HomeserverRefused
from adapters.matrix.ids import Mxid
from adapters.matrix.registration import PROTOCOL
from adapters.matrix.settings import Permission
from adapters.matrix.world import World
from gateway.sdk import EnsName, InvalidInput, UnknownName
from gateway.sdk.addresses import normalise

NAME: Final = "name"
"""The only field by which people are found."""


class Directory:
    """Answers from ENS; nothing is made on the way."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def user_exists(self, user: str) -> bool:
        """Whether a ghost stands for a name with a DM3 profile. Raises Unavailable when the chain cannot tell.

        Somebody of this very homeserver is written to directly: their name gets a ghost by a message from them only.
        """
        if user == self._world.ids.bot:
            return True
        try:
            name = await self._world.ghosts.named_by(Mxid(user))
            return not self._is_local(name) and await self._writable(name)
        except UnknownName:
            return False

    async def person_exists(self, user: str) -> bool:
        """Whether this is a human of our homeserver who may use the gateway. Raises Unavailable."""
        ids, settings = self._world.ids, self._world.settings
        if ids.is_ours(user) or not user.endswith(f":{ids.server_name}") or self._world.is_ignored(user):
            return False
        if settings.permission_of(user) < Permission.USER:
            return False
        try:
            await self._world.homeserver.call("GET", path("profile", user))
        except HomeserverRefused:
            return False
        return True

    def protocol(self, name: str) -> Mapping[str, Any] | None:
        """What the network ``dm3`` is, for clients that show a field to search in."""
        if name != PROTOCOL:
            return None
        parent = self._world.ctx.parent
        return {
            "user_fields": [NAME],
            "location_fields": [],
            "icon": "",
            "field_types": {NAME: {"regexp": r"[^\s.]+(\.[^\s.]+)+", "placeholder": "name.eth"}},
            "instances": [{"desc": f"DM3 ({parent})", "network_id": PROTOCOL, "fields": {}, "icon": ""}],
        }

    async def find_users(self, protocol: str, fields: Mapping[str, str]) -> Sequence[Mapping[str, Any]] | None:
        """The ghost of a name that somebody typed; None for another network."""
        if protocol != PROTOCOL:
            return None
        try:
            name = normalise(fields.get(NAME, "").strip())
        except InvalidInput:
            return []
        if self._is_local(name):
            person = await self._world.ctx.person_named(name)
            return [] if person is None else [_user(Mxid(person.canonical_id), name)]
        return [_user(await self._world.ghosts.user_of(name), name)] if await self._writable(name) else []

    async def users_behind(self, user: str) -> Sequence[Mapping[str, Any]]:
        """The name that a ghost stands for."""
        try:
            return [_user(Mxid(user), await self._world.ghosts.named_by(Mxid(user)))]
        except UnknownName:
            return []

    def _is_local(self, name: EnsName) -> bool:
        ctx = self._world.ctx
        return name.endswith(f".{ctx.network}.{ctx.parent}")

    async def _writable(self, name: EnsName) -> bool:
        try:
            await self._world.ctx.check_recipient(name)
        except (UnknownName, InvalidInput):
            return False
        return True


def _user(user: Mxid, name: EnsName) -> Mapping[str, Any]:
    return {"userid": user, "protocol": PROTOCOL, "fields": {NAME: name}}
