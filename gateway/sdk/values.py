"""What an adapter remembers for itself: texts under a kind and a key, on disk, seen by every node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Value:
    """One text; None in its place removes what is there."""

    kind: str
    key: str
    text: str | None = field(repr=False)


class Values(Protocol):
    """The adapter's own table; nobody else reads it."""

    async def put(self, *values: Value) -> None:
        """Write all or, when that fails, none; on disk when this returns. Raises Unavailable."""

    async def claim(self, value: Value) -> str:
        """Write a text unless there is one; the text that stands there now, whoever wrote it."""

    async def get(self, kind: str, key: str) -> str | None:
        """The text, or None."""

    async def find(self, kind: str, prefix: str = "", *, after: str = "", limit: int = 1000) -> Sequence[Value]:
        """Texts whose keys begin with ``prefix``, by key, after the key ``after``."""
