"""The database: that it answers, is of this version, keeps what it is given, has room; and what waits in it."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError, RestoreUnfinished, SchemaMismatch, Unavailable
from gateway.operations.checks.installation import CHECK_SECONDS, Installation
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor
from gateway.store import Store
from gateway.store.condition import Condition, ListLeases, ReadCondition, ReadWaiting
from gateway.store.engine import SQLITE, sqlite_path
from gateway.store.jobs import JobState
from gateway.store.leases import Fence
from gateway.store.queue import QueueCount, QueueCounts
from gateway.store.schema import REVISION

LITTLE: Final = 2 * 10**9
"""Bytes of free disk below which it is time to do something."""
NOTHING: Final = 200 * 10**6
"""Bytes below which mail will be refused soon."""
LONG_MS: Final = 10 * 60 * 1000
"""For which a job may wait before it is worth a warning."""
VERY_LONG_MS: Final = 24 * 3600 * 1000
_SYNCHRONOUS: Final = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}


async def store(house: Installation) -> Sequence[Finding]:
    """All checks of the database; one that cannot be opened is the only finding, besides those of its disk."""
    checks: dict[str, Check] = {
        "disk": lambda: asyncio.to_thread(_disk, house),
        "database": lambda: _database(house),
        "redis": lambda: _redis(house),
    }
    return await all_at_once(checks, CHECK_SECONDS)


async def _database(house: Installation) -> list[Finding]:
    try:
        database = await Store.open(house.settings.store.url)
    except RestoreUnfinished as error:
        return [bad("schema", error.detail, "dm3-gateway restore --replace, with the gateway stopped")]
    except SchemaMismatch as error:
        return [bad("schema", error.detail, "dm3-gateway migrate, with the gateway stopped")]
    except ConfigError as error:
        return [bad("durability", error.detail, "change it in PostgreSQL; the gateway does not start")]
    except Unavailable as error:
        return [bad("reachable", error.detail, "see that the database runs and store.url leads to it")]
    async with database:
        now = database.clock()
        return [
            good("reachable", f"{database.dialect} answers"),
            good("schema", f"its revision is {REVISION}, that of this program"),
            durability(await database.read(ReadCondition())),
            nodes(await database.read(ListLeases(now)), several=database.dialect != "sqlite"),
            held([each for each in await database.read(QueueCounts()) if each.state is JobState.HOLD]),
            waiting(await database.read(ReadWaiting(now)), now),
        ]


def durability(condition: Condition) -> Finding:
    """Whether what was committed stays, whatever happens to the machine. Pure."""
    settings, size = condition.settings, f"{condition.size / 1e6:.1f} MB"
    if "journal_mode" in settings:
        synchronous = _SYNCHRONOUS.get(settings["synchronous"], settings["synchronous"])
        if settings["journal_mode"] != "wal" or synchronous not in ("FULL", "EXTRA"):
            found = f"journal_mode is {settings['journal_mode']}, synchronous {synchronous}"
            return bad("durability", found, "put the file on a disk of this machine: network disks cannot do it")
        return good("durability", f"write-ahead log, flushed at each commit; {size}")
    if settings["fsync"] == "off":
        return bad("durability", "fsync is off: a power cut can destroy the database", "fsync = on in postgresql.conf")
    told = f"{settings['server_encoding']}, synchronous_commit {settings['synchronous_commit']}"
    return good("durability", f"PostgreSQL {settings['server_version']}, {told}; {size}")


def nodes(leases: Sequence[Fence], *, several: bool) -> Finding:
    """Who works on this database. Pure."""
    owners = sorted({each.owner for each in leases})
    what = ", ".join(each.name for each in leases)
    if not owners:
        return good("nodes", "no node holds anything now")
    if len(owners) > 1 and not several:
        fix = "stop one of them, or move to PostgreSQL: SQLite is for one node"
        return bad("nodes", f"more than one node works on this file: {', '.join(owners)}", fix)
    return good("nodes", f"{', '.join(owners)} hold {what}" if len(owners) > 1 else f"{owners[0]} holds {what}")


def held(counts: Sequence[QueueCount]) -> Finding:
    """What was set aside. Pure."""
    if not counts:
        return good("held", "nothing was set aside")
    found = ", ".join(f"{each.jobs} for {each.destination}" for each in counts)
    return poor("held", f"set aside, not delivered: {found}", "dm3-gateway queue list shows why; retry or drop them")


def waiting(ready: Sequence[QueueCount], now: int) -> Finding:
    """What should have been done. Pure; ``now`` in ms."""
    if not ready:
        return good("waiting", "nothing waits")
    oldest = min(ready, key=lambda each: each.oldest_at)
    age = max(0, now - oldest.oldest_at)
    found = f"{sum(each.jobs for each in ready)} wait, the oldest for {timedelta(seconds=age // 1000)}"
    fix = f"see whether {oldest.destination} can be reached, and whether the gateway runs"
    if age >= VERY_LONG_MS:
        return bad("waiting", f"{found}, for {oldest.destination}", fix)
    return poor("waiting", f"{found}, for {oldest.destination}", fix) if age >= LONG_MS else good("waiting", found)


def _disk(house: Installation) -> list[Finding]:
    """The disk of an SQLite file, or, beside PostgreSQL, that of the configuration."""
    url = house.settings.store.url
    path = Path(sqlite_path(url)) if url.startswith(SQLITE) else house.base
    folder = path if path.is_dir() else path.resolve().parent
    if not folder.is_dir():
        return [bad("disk", f"there is no folder {folder}", f"mkdir -m 700 {folder}, or put store.url right")]
    findings = [room(shutil.disk_usage(folder).free, folder)]
    if path.is_file() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        findings.append(bad("file", f"others may read {path}, and with it who writes to whom", f"chmod 600 {path}*"))
    return findings


def room(free: int, folder: Path) -> Finding:
    """What is left of a disk, in bytes. Pure."""
    found = f"{free / 1e9:.1f} GB are free at {folder}"
    fix = "make room: when the disk is full, new mail is refused"
    if free < NOTHING:
        return bad("disk", found, fix)
    return poor("disk", found, fix) if free < LITTLE else good("disk", found)


async def _redis(house: Installation) -> list[Finding]:
    url = house.settings.store.redis_url
    if url is None:
        return []
    try:
        from redis.asyncio import from_url
        from redis.exceptions import RedisError
    except ModuleNotFoundError:
        return [bad("redis", "its library is not installed", "pip install 'dm3-gateway[redis]'")]
    client = from_url(url, socket_timeout=3, socket_connect_timeout=3)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        fix = "see that it runs: until then clients are told of new mail by their own node only"
        return [poor("redis", f"it does not answer: {type(error).__name__}", fix)]
    finally:
        await client.aclose()
    return [good("redis", "it answers: every node tells every client")]
