"""What the store needs from a database, and the choice between the two we have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection

from gateway.errors import ConfigError

T = TypeVar("T")

Dialect = Literal["sqlite", "postgresql"]

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


class Engine(Protocol):
    """Runs synchronous work in transactions of one database."""

    dialect: Dialect
    flushers: int
    """How many transactions that write are worth having under way at once."""

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction that is committed, durably, before this returns. Errors roll back."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on committed data."""
        ...

    async def check(self) -> None:
        """Raise ``ConfigError`` for a database that would break our promises."""
        ...

    def listen(self, on_work: Callable[[], None]) -> None:
        """From now on call ``on_work`` when another node announces work."""
        ...

    def announce(self) -> None:
        """Tell other nodes soon that there is work."""
        ...

    async def close(self) -> None:
        """Give back all connections."""
        ...


def dialect_of(url: str) -> Dialect:
    """Which database ``url`` means: ``sqlite:///path`` or ``postgresql://user@host/db``; raises ``ConfigError``."""
    if url.startswith(SQLITE) and sqlite_path(url) not in ("", ":memory:"):
        return "sqlite"
    if url.startswith(POSTGRES):
        return "postgresql"
    scheme = url.partition(":")[0]
    raise ConfigError(
        f"store.url must be sqlite:///path or postgresql://user@host/db, not {scheme!r}"
        if scheme != "sqlite"
        else "store.url must name a file, as in sqlite:///gateway.db"
    )


def sqlite_path(url: str) -> str:
    """File of an SQLite URL: relative to the working directory, or absolute when a fourth slash is there."""
    return url.removeprefix(SQLITE)
