"""Making a backup beside a running node."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway import __version__
from gateway.custody.derive import fingerprint
from gateway.custody.seed import load_seed
from gateway.errors import ConfigError
from gateway.lifecycle import now_ms
from gateway.operations import age
from gateway.operations.backup_file import FORMAT, PREFIX, Content, Manifest, backups_in, write_backup
from gateway.operations.key_backup import collect_keys
from gateway.operations.tombstone_file import keep_tombstones
from gateway.settings import Settings, shown
from gateway.store import Store
from gateway.store.engine import dialect_of, sqlite_path
from gateway.store.renewal import EnsureLine
from gateway.store.snapshot import Progress, take_snapshot

DATABASE: Final = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
CONFIGURATION, KEYS = "configuration.json", "keys.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted."""

    folder: Path
    recipient: str | None
    """``age1...``; None writes the backup as it is."""
    with_keys: bool = False
    keep: int | None = None
    """How many backups stay in the folder, this one included; None: all."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it."""

    path: Path
    manifest: Manifest
    removed: tuple[Path, ...]


async def make_backup(
    settings: Settings,
    config: Path,
    order: Order,
    scratch: Path,
    progress: Progress,
    clock: Callable[[], int] = now_ms,
) -> Made:
    """Copy the database, and what is needed beside it, into one new file.

    ``scratch`` is a folder of ours on the database's disk; it has to be there until the event loop is closed, because
    threads of a backup that is cancelled work on. What ``progress`` raises ends them; it is told pages, then bytes.
    Raises ConfigError for keys that would lie there unencrypted, a recipient that is none, files that cannot be read or
    written; SchemaMismatch and Unavailable for the database.
    """
    if order.with_keys and order.recipient is None:
        raise ConfigError("--with-keys: keys go into an encrypted backup only; --to names its recipient")
    recipient = None if order.recipient is None else age.recipient_of(order.recipient)
    url, at = settings.store.url, clock()
    seed = await asyncio.to_thread(load_seed, settings.custody.seed_file)
    async with await Store.open(url) as store:
        line = await store.commit(EnsureLine(at))
        await keep_tombstones(store, settings.operation.tombstone_file)
    dialect = dialect_of(url)
    copy = scratch / DATABASE[dialect]
    snapshot = await take_snapshot(url, copy, progress)
    parts: dict[str, Content] = {copy.name: copy, CONFIGURATION: json.dumps(shown(settings), indent=1).encode()}
    if order.with_keys:
        parts[KEYS] = (await asyncio.to_thread(collect_keys, settings, config)).to_json().encode()
    manifest = Manifest(
        format=FORMAT,
        made_at=at,
        version=__version__,
        dialect=dialect,
        revision=snapshot.revision,
        line=f"{line.epoch}.{line.id}",
        parent=settings.ens.parent,
        seed=fingerprint(seed),
        counts=snapshot.counts,
    )
    told = _added_up(progress, 2 * sum(map(_size, parts.values())))
    path = await asyncio.to_thread(write_backup, order.folder, _name(at), manifest, parts, recipient, told)
    removed = () if order.keep is None else tuple(backups_in(order.folder)[: -order.keep])
    for old in removed:
        old.unlink(missing_ok=True)
    return Made(path, manifest, removed)


def near_database(url: str, config: Path) -> Path:
    """Where a copy of the database is as safe as the database: in its folder, or else in that of the configuration."""
    return (Path(sqlite_path(url)) if dialect_of(url) == "sqlite" else config).resolve().parent


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _added_up(progress: Progress, total: int) -> Callable[[int], None]:
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    return told


def _name(at: int) -> str:
    time = datetime.fromtimestamp(at / 1000, UTC)
    return f"{PREFIX}{time:%Y%m%dT%H%M%S}{at % 1000:03}Z-{secrets.token_hex(2)}"
