"""Ghosts: the Matrix users that stand for ENS names, made when they are first needed and dressed from ENS."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from adapters.matrix.client import Homeserver
from adapters.matrix.errors import HomeserverRefused
from adapters.matrix.ids import Ids, Mxid
from adapters.matrix.intent import Intent
from gateway.sdk import AdapterContext, EnsName, FileContent, Portrait, Unavailable, UnknownName, Value

log = structlog.get_logger(__name__)

GHOST: Final = "ghost"
"""Values: what a ghost looks like, by name."""
DRESSED_MS: Final = 24 * 3600 * 1000
"""A ghost's profile is compared with ENS again after this time."""
UNDRESSED_MS: Final = 10 * 60 * 1000
"""After a try that failed."""
MAX_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Look:
    """What the homeserver shows of a ghost."""

    display_name: str = ""
    picture: str = ""
    """SHA-256 of the picture, "" for none."""
    compared_at: int = 0


_LOOK: Final = TypeAdapter(Look)


class Ghosts:
    """All ghosts of one homeserver."""

    def __init__(self, ids: Ids, homeserver: Homeserver, ctx: AdapterContext) -> None:
        self._ids = ids
        self._homeserver = homeserver
        self._ctx = ctx
        self._dressed_until: dict[EnsName, int] = {}

    async def of(self, name: EnsName) -> Intent:
        """The ghost of a name, registered, and dressed unless it was lately. Not for the path of a request."""
        intent = self.known(name)
        now = self._ctx.now_ms()
        if now >= self._dressed_until.get(name, 0):
            await self._dress(name, intent, now)
        return intent

    def known(self, name: EnsName) -> Intent:
        """The ghost of a name that was made before."""
        return Intent(self._homeserver, self._ids.ghost(name)[0])

    async def named_by(self, user: Mxid) -> EnsName:
        """The name that a ghost stands for; UnknownName for an id that nobody was given."""
        named = self._ids.named_by(user)
        if isinstance(named, str):
            return named
        target = await self._ctx.alias_target(named.text)
        if target is None:
            raise UnknownName(f"nobody was given {user}")
        return EnsName(target)

    async def user_of(self, name: EnsName) -> Mxid:
        """The id of a ghost that may not exist yet; a digest is kept, so that it can be read back."""
        user, digest = self._ids.ghost(name)
        if digest:
            await self._ctx.put_alias(user[1:].partition(":")[0], name)
        return user

    async def _dress(self, name: EnsName, intent: Intent, now: int) -> None:
        look = _read(await self._ctx.values.get(GHOST, name))
        if look is None:
            await self.user_of(name)
            await intent.register()
        if look is None or now - look.compared_at >= DRESSED_MS:
            until = await self._compare(name, intent, look or Look(), now)
        else:
            until = look.compared_at + DRESSED_MS
        while len(self._dressed_until) >= MAX_KNOWN:
            self._dressed_until.pop(next(iter(self._dressed_until)))
        self._dressed_until[name] = until

    async def _compare(self, name: EnsName, intent: Intent, look: Look, now: int) -> int:
        """Show what ENS says now; until when (ms) that holds. What cannot be had keeps no message back."""
        try:
            portrait = await self._ctx.portrait(name)
        except Unavailable as error:
            log.info("ghost.no_portrait", error=type(error).__name__)
            portrait, failed = Portrait(), True
        else:
            failed = False
        shown = display_name(name, portrait)
        wanted = replace(look, compared_at=now)
        try:
            if shown != look.display_name and not (failed and look.display_name):
                await intent.show(shown)
                wanted = replace(wanted, display_name=shown)
            fingerprint = hashlib.sha256(portrait.picture.data).hexdigest() if portrait.picture is not None else ""
            if fingerprint != look.picture and not failed:
                await intent.show_picture(await self._uploaded(intent, portrait.picture))
                wanted = replace(wanted, picture=fingerprint)
        except HomeserverRefused as refusal:
            log.warning("ghost.not_dressed", errcode=refusal.errcode)
        if failed:
            wanted = replace(wanted, compared_at=now - DRESSED_MS + UNDRESSED_MS)
        await self._ctx.values.put(Value(GHOST, name, _LOOK.dump_json(wanted).decode()))
        return wanted.compared_at + DRESSED_MS

    async def _uploaded(self, intent: Intent, picture: FileContent | None) -> str:
        return "" if picture is None else await intent.upload(picture)


def display_name(name: EnsName, portrait: Portrait) -> str:
    """The name first: what its owner calls themselves proves nothing."""
    return f"{name} ({portrait.display_name})" if portrait.display_name not in ("", name) else f"{name} (DM3)"


def _read(text: str | None) -> Look | None:
    try:
        return None if text is None else _LOOK.validate_json(text)
    except ValidationError:
        return Look()
