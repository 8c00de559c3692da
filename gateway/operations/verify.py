"""Whether a database is whole: the running one, or one that a backup brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.custody.keyring import Keyring
from gateway.errors import ConfigError, CustodyError
from gateway.lifecycle import now_ms
from gateway.operations.backup import DATABASE
from gateway.operations.backup_file import OpenedBackup
from gateway.sdk.examination import Finding, bad, good, poor
from gateway.store import Store
from gateway.store.audit import BEGINNING, AuditPage, first_break
from gateway.store.identities import ListIdentities
from gateway.store.inspection import CountRows, MiscountedMailboxes, Orphans, StructureFaults
from gateway.store.mailbox import DamagedEnvelopes
from gateway.store.migrate import upgrade
from gateway.store.schema import HISTORY
from gateway.store.snapshot import readable_archive, restore_archive, tables_of

PAGE: Final = 500
FIX: Final = "restore the newest backup that verifies, and keep this database for whoever looks into it"


async def examine(
    store: Store, keyring: Keyring, expected: Mapping[str, int] | None = None, clock: Callable[[], int] = now_ms
) -> list[Finding]:
    """Look at everything; ``expected`` are the rows of each table as a backup's manifest has them.

    A running node may change rows between two looks, which none of these takes for a fault.
    """
    return [
        await _structure(store),
        await _counts(store, expected),
        await _orphans(store, clock()),
        await _mailboxes(store),
        await _envelopes(store),
        await _identities(store, keyring),
        await _audit(store),
    ]


async def _structure(store: Store) -> Finding:
    faults = await store.read(StructureFaults())
    if faults:
        return bad("structure", f"{len(faults)} faults, such as: {faults[0]}", FIX)
    return good("structure", "no fault in pages, indexes and references")


async def _counts(store: Store, expected: Mapping[str, int] | None) -> Finding:
    found = await store.read(CountRows())
    rows = f"{sum(found.values())} rows in {len(found)} tables"
    if expected is None:
        return good("rows", rows)
    other = [f"{name}: {found[name]}, not {count}" for name, count in expected.items() if found.get(name) != count]
    return bad("rows", f"not as the manifest says: {'; '.join(other)}", FIX) if other else good("rows", rows)


async def _orphans(store: Store, now: int) -> Finding:
    found = [f"{count} {what}" for what, count in (await store.read(Orphans(now))).items() if count]
    if found:
        return bad("orphans", "; ".join(found), "dm3-gateway queue list shows the jobs; " + FIX)
    return good("orphans", "every job has its lane, and every envelope for a bridged person its job")


async def _mailboxes(store: Store) -> Finding:
    wrong = await store.read(MiscountedMailboxes())
    if wrong:
        return bad("quotas", f"{wrong} mailboxes are counted wrongly", FIX)
    return good("quotas", "what is counted is what waits")


async def _envelopes(store: Store) -> Finding:
    after, damaged = 0, 0
    while True:
        ids, last = await store.read(DamagedEnvelopes(after, PAGE))
        damaged += len(ids)
        if not last:
            break
        after = last
    if damaged:
        return bad("envelopes", f"{damaged} have a checksum that does not fit", FIX)
    return good("envelopes", "every checksum fits")


async def _identities(store: Store, keyring: Keyring) -> Finding:
    after, opened, closed, last = 0, 0, 0, ""
    while page := await store.read(ListIdentities(None, PAGE, after)):
        after = page[-1].id
        for person in page:
            if person.sealed_salt is None:
                continue
            try:
                await asyncio.to_thread(keyring.keys, person)
                opened += 1
            except CustodyError as error:
                closed, last = closed + 1, error.detail
    if closed:
        return bad(
            "identities", f"{closed} cannot be opened: {last}", "put the seed back that belongs to this database"
        )
    return good("identities", f"the seed opens all {opened}")


async def _audit(store: Store) -> Finding:
    before, after, entries = BEGINNING, 0, 0
    while page := await store.read(AuditPage(after, PAGE)):
        broken = first_break(before, page)
        if broken is not None:
            return bad("audit", f"the log is broken at entry {broken.seq}: it was changed or cut", FIX)
        before, after, entries = page[-1].digest, page[-1].seq, entries + len(page)
    return good("audit", f"{entries} entries follow from each other; the last digest is {before.hex()}")


async def examine_backup(backup: OpenedBackup, keyring: Keyring, scratch: str | None) -> list[Finding]:
    """Look at a backup whose digests were checked when it was opened.

    One of PostgreSQL is brought back into the empty database ``scratch`` for that; without one, it is only looked
    whether pg_restore can read it. Raises ConfigError for a ``scratch`` that is not empty.
    """
    manifest = backup.manifest
    told = [good("parts", f"{', '.join(manifest.parts)} are as the manifest of {_time(manifest.made_at)} says")]
    if manifest.revision not in HISTORY:
        return [*told, bad("schema", f"{manifest.revision} is newer than this program", "install the newer version")]
    told.append(good("schema", f"{manifest.revision}, made by version {manifest.version}"))
    copy = backup.folder / DATABASE[manifest.dialect]
    url = f"sqlite:///{copy}"
    if manifest.dialect == "postgresql":
        if scratch is None:
            return [*told, await asyncio.to_thread(_archive, copy)]
        if await tables_of(scratch):
            raise ConfigError("--scratch: this database is not empty")
        await restore_archive(scratch, copy)
        url = scratch
    await asyncio.to_thread(upgrade, url)
    async with await Store.open(url) as store:
        return told + await examine(store, keyring, manifest.counts, lambda: manifest.made_at)


def _archive(copy: Path) -> Finding:
    if not readable_archive(copy):
        return bad("archive", "pg_restore cannot read it", "make a new backup")
    return poor("archive", "pg_restore can list it; rows were not looked at", "--scratch URL names an empty database")


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
