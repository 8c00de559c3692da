"""What everybody may read of the log about a name: what became of it, and nothing of how its parent is run."""

from __future__ import annotations

from typing import Final

from gateway.ids import EnsName
from gateway.store.audit import LatestEntries
from gateway.subnames.events import EventType

IMPORTED: Final = "name.imported"
PUBLIC: Final = (*(each.value for each in EventType), IMPORTED)
"""Actions that are told. Who a name is kept back for is not, and a parent's keys, admins and receivers are not."""


def public_history(name: EnsName, limit: int) -> LatestEntries:
    """The query for what was done to a name, newest first; at most ``limit`` entries."""
    return LatestEntries(name, limit, PUBLIC)
