"""PostgreSQL: a pool for transactions, and one connection of its own on which nodes wake each other."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.errors import ConfigError, Unavailable
from gateway.store.engine import Dialect

log = structlog.get_logger(__name__)

T = TypeVar("T")

POOL: Final = 16
CONNECT_TIMEOUT_S: Final = 10.0
COMMAND_TIMEOUT_S: Final = 30.0
RECONNECT_S: Final = 1.0
CHANNEL: Final = "dm3_work"

SERVER_SETTINGS: Final = {
    "application_name": "dm3-gateway",
    # A node that stands still in a transaction holds its locks: no longer than others can wait and still take over its
    # lanes within 15 s. Its other transactions wait for these locks, and would each hold them for as long in turn: they
    # end before they get them.
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "5s",
    # A queue is empty when the server analyses it, and full a second later. With plans for the empty one every job had
    # the server read all that wait; so plans are made for the tables as they are, and of indexes, which all statements
    # that are in a hurry have. It costs 20 microseconds of the server per job.
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "jit": "off",  # our statements are short; compiling them costs more than running them
}

NO_LIMITS: Final = (
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN"
    " ('lock_timeout', 'statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')"
)
"""Ends every limit of one transaction that the server knows: ours, and those of whoever set up the database."""


class PostgresEngine:
    """Transactions on one PostgreSQL database. The constructor opens nothing."""

    dialect: Dialect = "postgresql"
    flushers = 2

    def __init__(self, url: str) -> None:
        self._url = url
        self._announcer: Announcer | None = None
        self._engine = postgres_engine(url)
        # Same pool; a single statement needs no BEGIN and ROLLBACK around it, which are two more round trips.
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction at READ COMMITTED."""
        async with self._engine.begin() as conn:
            return await conn.run_sync(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``; once more on a new connection when the pooled one turns out to be dead."""
        try:
            return await self._read(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._read(work)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        async with self._reader.connect() as conn:
            return await conn.run_sync(work)

    async def check(self) -> None:
        """Raise ``ConfigError`` for a database that is not UTF-8, or whose commits do not wait for the disk."""

        def settings(conn: Connection) -> dict[str, str]:
            names = "server_encoding", "synchronous_commit", "fsync"
            return {name: conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}

        found = await self.read(settings)
        if found["server_encoding"] != "UTF8":
            raise ConfigError(f"the PostgreSQL database must have encoding UTF8, not {found['server_encoding']}")
        if found["synchronous_commit"] == "off":
            raise ConfigError("PostgreSQL has synchronous_commit = off: what was acknowledged could be lost")
        if found["fsync"] == "off":
            log.warning("store.fsync_off", consequence="a power cut can lose or damage the database")

    def listen(self, on_work: Callable[[], None]) -> None:
        """Listen in the background on a connection of its own."""
        self._announcer = Announcer(self._url, on_work)
        self._announcer.start()

    def announce(self) -> None:
        """Notify in the background."""
        if self._announcer is not None:
            self._announcer.announce()

    async def close(self) -> None:
        """Stop listening, close the pool."""
        if self._announcer is not None:
            await self._announcer.close()
        await self._engine.dispose()


class Announcer:
    """Tells other nodes that there is work, and hears it from them, on one connection that is kept alive.

    NOTIFY inside a transaction serialises all commits of the database; here it is sent after the commit, without
    data, and what is committed while one is being sent shares the next.
    """

    def __init__(self, url: str, on_work: Callable[[], None]) -> None:
        self._url = url
        self._on_work = on_work
        self._pending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect and stay connected in the background."""
        self._task = asyncio.create_task(self._run(), name="store-announcer")

    def announce(self) -> None:
        """Send one notification soon."""
        self._pending.set()

    async def close(self) -> None:
        """Stop and disconnect."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._serve()
            except Exception as error:
                log.warning("store.announcer_lost", reason=type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _serve(self) -> None:
        conn = await connect(self._url)
        try:
            own = conn.get_server_pid()
            conn.add_termination_listener(lambda _conn: self._pending.set())
            await conn.add_listener(CHANNEL, lambda _conn, pid, *_: None if pid == own else self._on_work())
            self._on_work()  # something may have been announced while nobody listened
            while not conn.is_closed():
                await self._pending.wait()
                self._pending.clear()
                await conn.execute(f"NOTIFY {CHANNEL}")
        finally:
            with suppress(Exception):
                await conn.close(timeout=1)


def postgres_engine(url: str, *, patient: bool = False) -> AsyncEngine:
    """An SQLAlchemy engine whose connections asyncpg opens by itself from ``url``; ``patient`` as for ``connect``.

    So everything that libpq's URLs can say works: sslmode, several hosts, target_session_attrs.
    """
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(url, patient=patient),
        isolation_level="READ COMMITTED",
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_recycle=1800,
        hide_parameters=True,
    )


def tls_of(url: str) -> ssl.SSLContext | None:
    """How a server elsewhere is spoken with when the URL does not say: its certificate must hold.

    None where libpq's own rules apply: the URL or the environment has an ``sslmode``, or the server is on this machine.
    """
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    hosts = (asked.get("host") or parts.netloc.rpartition("@")[2]).split(",")
    if "sslmode" in asked or os.environ.get("PGSSLMODE") or all(map(_is_here, hosts)):
        return None
    return ssl.create_default_context()


def _is_here(host: str) -> bool:
    """A path of a socket, nothing, or an address of this machine; with or without a port."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in ("", "localhost") or host.startswith("/")


async def connect(url: str, *, patient: bool = False) -> Any:
    """One asyncpg connection; raises ``Unavailable``, or ``ConfigError`` when the driver is not installed.

    A ``patient`` one waits for each answer as long as it takes; its transactions begin with ``NO_LIMITS``.
    """
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError("store.url names PostgreSQL: install dm3-gateway[postgresql]") from error
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=None if patient else COMMAND_TIMEOUT_S,
            server_settings=SERVER_SETTINGS,
            # asyncpg would go on without TLS, or with anybody's certificate.
            ssl=tls_of(url),
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        # The text of these errors can quote the URL, and with it a password.
        raise Unavailable(f"cannot connect to PostgreSQL: {type(error).__name__}") from None
