"""Commands that were begun and not finished: a value of bounded size, which whoever runs commands keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_SESSIONS: Final = 500
MAX_EACH: Final = 5
"""Of one bare address: whoever begins many loses their own oldest ones and nobody else's."""
LASTS_MS: Final = 900_000


@dataclass(frozen=True, slots=True)
class Session:
    """One command of one client (XEP-0050, section 3.3)."""

    id: str
    """Not to be guessed."""
    owner: str
    """Bare address of the person."""
    client: str
    """Resource of the client that began it."""
    command: str
    begun_at: int
    """Milliseconds since the epoch."""
    confirm: str = ""
    """The line that is carried out once the person has confirmed it; empty while arguments are asked for."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Those that are open, the oldest first."""

    open: tuple[Session, ...] = ()

    def find(self, id: str, owner: str, client: str, now_ms: int) -> Session | None:
        """The session, when it is this client's and not too old."""
        return next(
            (
                each
                for each in self.open
                if (each.id, each.owner, each.client) == (id, owner, client) and now_ms - each.begun_at < LASTS_MS
            ),
            None,
        )

    def having(self, session: Session) -> Sessions:
        """With one more, or another in its place; without the oldest where there are too many."""
        others = tuple(each for each in self.open if each.id != session.id)
        own = [each for each in others if each.owner == session.owner]
        surplus = {each.id for each in own[: max(0, len(own) - MAX_EACH + 1)]}
        kept = tuple(each for each in others if each.id not in surplus)
        return Sessions((*kept, session)[-MAX_SESSIONS:])

    def without(self, id: str) -> Sessions:
        """Without the one of this id."""
        return Sessions(tuple(each for each in self.open if each.id != id))
