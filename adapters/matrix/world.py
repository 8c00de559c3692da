"""What the parts of the adapter share while it is open."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass

from adapters.matrix.client import Homeserver
from adapters.matrix.faces import Faces
from adapters.matrix.ghosts import Ghosts
from adapters.matrix.ids import Ids
from adapters.matrix.intent import Intent
from adapters.matrix.media import Files
from adapters.matrix.portals import Portals
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import AdapterContext, Rate


@dataclass(frozen=True, slots=True)
class World:
    """One homeserver, and our side of it."""

    settings: MatrixSettings
    ctx: AdapterContext
    ids: Ids
    homeserver: Homeserver
    ghosts: Ghosts
    portals: Portals
    faces: Faces
    files: Files
    rate: Rate
    """Of messages, by person."""
    chats: Rate
    """Of conversations that somebody begins, by person."""

    @property
    def bot(self) -> Intent:
        """The application service's own user."""
        return Intent(self.homeserver, self.ids.bot)

    def is_ignored(self, user: str) -> bool:
        """Whether somebody is the ghost of another bridge, whom nobody bridges again."""
        return any(re.fullmatch(pattern, user) for pattern in self.settings.ignored_users)


def per_hour(count: int) -> Rate:
    """At most so many of each asker in an hour on average, and so many at once."""
    # A clock that counts minutes as if they were seconds: what is per minute is per hour then.
    return Rate(count, clock=lambda: time.monotonic() / 60)


def txn(*parts: str) -> str:
    """A transaction id that is the same for the same thing, of any length."""
    return "dm3-" + hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:40]
