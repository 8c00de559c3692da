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
from gateway.operations.backup_file import FORMAT, PREFIX, Content, Manifest, backups_in, scratch_folder, write_backup
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
    settings: Settings, config: Path, order: Order, progress: Progress, clock: Callable[[], int] = now_ms
) -> Made:
    """Copy the database, and what is needed beside it, into one new file.

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
    with scratch_folder(near_database(url, config)) as scratch:
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
        path = await asyncio.to_thread(write_backup, order.folder, _name(at), manifest, parts, recipient)
    removed = () if order.keep is None else tuple(backups_in(order.folder)[: -order.keep])
    for old in removed:
        old.unlink(missing_ok=True)
    return Made(path, manifest, removed)


def near_database(url: str, config: Path) -> Path:
    """Where a copy of the database is as safe as the database: in its folder, or else in that of the configuration."""
    return (Path(sqlite_path(url)) if dialect_of(url) == "sqlite" else config).resolve().parent


def _name(at: int) -> str:
    time = datetime.fromtimestamp(at / 1000, UTC)
    return f"{PREFIX}{time:%Y%m%dT%H%M%S}{at % 1000:03}Z-{secrets.token_hex(2)}"
