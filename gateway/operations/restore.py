"""Bringing a backup back, so that nothing that was over begins anew."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gateway.custody.derive import fingerprint, tombstone
from gateway.custody.seed import MasterSeed
from gateway.errors import ConfigError, GatewayError, SchemaMismatch
from gateway.lifecycle import now_ms
from gateway.operations.backup import DATABASE
from gateway.operations.backup_file import Manifest, OpenedBackup
from gateway.operations.key_files import sync
from gateway.store import Store
from gateway.store.engine import dialect_of, sqlite_path
from gateway.store.identities import Identity, ListIdentities
from gateway.store.migrate import upgrade, upgrade_restored
from gateway.store.renewal import Knowledge, Learn, Renew, Renewed
from gateway.store.replacement import replaced_url, replacement
from gateway.store.schema import HISTORY, REVISION
from gateway.store.snapshot import nodes_connected, restore_archive, tables_of
from gateway.store.sqlite_file import OPEN_ELSEWHERE, fold_if_whole, fold_log, move_with_logs, tells_damage
from gateway.store.tombstones import AllBuried

PAGE: Final = 500

Bury = Callable[[Store, Identity, str], Awaitable[object]]
"""Deletes a person who is in the snapshot and was deleted since; gets their tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a restore would do; nothing is written yet."""

    manifest: Manifest
    url: str
    tables: int | None
    """Of the database that is there; None when that cannot be read."""
    known: Knowledge | None
    """What that one knows; None when it is empty, of another revision or cannot be read."""
    buried: tuple[str, ...]
    """From wherever tombstones are kept."""

    def sentences(self) -> list[str]:
        """For whoever decides."""
        manifest = self.manifest
        rows = ", ".join(f"{name} {count}" for name, count in manifest.counts.items() if count)
        told = [f"The backup has: {rows or 'no rows'}."]
        if manifest.revision != REVISION:
            told.append(f"Its schema {manifest.revision} would be brought to {REVISION}.")
        if self.tables != 0:
            size = "" if self.tables is None else f" ({self.tables} tables)"
            told.append(f"The database that is there{size} would be replaced.")
            told.append(
                "Nothing can be taken over from it: it is of another revision or cannot be read."
                if self.known is None
                else "What it knows would be taken over: who was deleted, which messages are done with, which keys and "
                "admins lost their rights. What came to it after the backup and is not done with would be lost."
            )
        told.append("Every session, challenge and code ends; orders for names that were signed and not used are void.")
        told.append(f"Tombstones: {len(set(self.buried) | set(self.known.buried if self.known else ()))}.")
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    renewed: Renewed
    deleted: int
    """People who had been deleted since the backup, and were again."""
    aside: Path | None
    """The file that was replaced (SQLite)."""


async def plan_restore(
    backup: OpenedBackup, url: str, seed: MasterSeed, buried: tuple[str, ...], *, replacing: bool
) -> Plan:
    """Check that a restore can be done.

    Raises ConfigError for a backup of another database, seed or version, a database that is not empty (unless
    ``replacing``), or one that a node has open; Unavailable for one that does not answer.
    """
    manifest = backup.manifest
    if manifest.dialect != dialect_of(url):
        raise ConfigError(f"the backup is of {manifest.dialect}, and the database is not; there is no way across")
    if manifest.revision not in HISTORY:
        raise ConfigError(
            f"the backup has schema {manifest.revision}: install version {manifest.version} or a newer one"
        )
    if manifest.seed != fingerprint(seed):
        raise ConfigError(
            "the seed is not the one that this backup belongs to: `keys restore` first, or nobody's keys can be opened"
        )
    tables = await tables_of(url)
    if tables != 0 and not replacing:
        raise ConfigError("the database is not empty; --replace puts the backup in its place")
    if tables != 0 and await nodes_connected(url):
        raise ConfigError(OPEN_ELSEWHERE)
    known = await _learn(url) if tables else None
    return Plan(manifest=manifest, url=url, tables=tables, known=known, buried=buried)


async def restore(
    backup: OpenedBackup, plan: Plan, seed: MasterSeed, bury: Bury, clock: Callable[[], int] = now_ms
) -> Restored:
    """Do it, all or nothing. Raises as ``plan_restore``.

    SQLite: on a copy, which takes the place of the file at the very end. PostgreSQL: in the place of what is put aside
    (``gateway.store.replacement``).
    """
    if dialect_of(plan.url) == "sqlite":
        return await _restore_sqlite(backup, plan, seed, bury, clock)
    async with replacement(plan.url):
        await restore_archive(plan.url, backup.folder / DATABASE["postgresql"], marked=True)
        await asyncio.to_thread(upgrade_restored, plan.url, backup.manifest.revision)
        done = await _renew(plan.url, plan, seed, bury, clock, marked=True)
    return done  # noqa: RET504 - only once nothing can fail any more


async def _restore_sqlite(
    backup: OpenedBackup, plan: Plan, seed: MasterSeed, bury: Bury, clock: Callable[[], int]
) -> Restored:
    copy = backup.folder / DATABASE["sqlite"]
    url = f"sqlite:///{copy}"
    await asyncio.to_thread(upgrade, url)
    done = await _renew(url, plan, seed, bury, clock)
    return replace(done, aside=await asyncio.to_thread(_put_in_place, copy, Path(sqlite_path(plan.url)), clock()))


def _put_in_place(copy: Path, target: Path, now: int) -> Path | None:
    """The old file moves aside, the new one into its place; there is a whole one at every moment but between both."""
    fold_log(str(copy))
    aside, there = target.with_name(f"{target.name}.replaced-{now}"), target.exists()
    if there:
        fold_if_whole(str(target))
    fresh = target.with_name(f".{target.name}.{now}")
    try:
        shutil.move(copy, fresh)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        # Logs too, which a damaged file may have: the fresh one would be told to be what they say.
        move_with_logs(target, aside)
        os.replace(fresh, target)
        sync(target.parent)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from error
    return aside if there else None


async def _renew(
    url: str, plan: Plan, seed: MasterSeed, bury: Bury, clock: Callable[[], int], *, marked: bool = False
) -> Restored:
    async with await Store.open(url, restoring=marked) as store:
        renewed = await store.commit(Renew(clock(), plan.buried, plan.known))
        gone = set(await store.read(AllBuried()))
        back = [person for person in await _everybody(store) if _mark(seed, person) in gone]
        for person in back:
            await bury(store, person, _mark(seed, person))
        return Restored(renewed=renewed, deleted=len(back), aside=None)


async def _everybody(store: Store) -> Sequence[Identity]:
    people: list[Identity] = []
    while page := await store.read(ListIdentities(None, PAGE, people[-1].id if people else 0)):
        people += page
    return people


def _mark(seed: MasterSeed, person: Identity) -> str:
    return tombstone(seed, person.network, person.canonical_id)


async def _learn(url: str) -> Knowledge | None:
    where = await replaced_url(url) if dialect_of(url) == "postgresql" else url
    if where is None:
        return None
    try:
        async with await Store.open(where) as store:
            return await store.read(Learn())
    except SchemaMismatch:
        return None
    except GatewayError as error:
        if tells_damage(error):
            return None
        raise


def what_is_next(plan: Plan, done: Restored) -> Mapping[str, str]:
    """What the operator has to do, by a word for each."""
    told = {
        "keys": "look whether keys, tokens and certificates that you changed since the backup are the newer ones",
        "rights": "`names keys list` and `names admins list`: rights that you took away since the backup may be back"
        if plan.known is None
        else "rights that were taken away since the backup stay so",
        "start": "start the node, then `dm3-gateway verify --live` and `dm3-gateway doctor`",
        "people": "clients log in anew; an order for a name that was signed and not sent has to be signed again",
    }
    if done.aside is not None:
        told["replaced"] = f"{done.aside} is the database that was replaced; delete it when nobody needs it"
    return told
