"""The backups, in the folder that ``operation.backup_folder`` names, and the list of who was deleted since."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError, GatewayError
from gateway.operations.checks.installation import CHECK_SECONDS, Installation
from gateway.operations.tombstone_file import read_tombstones
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor
from gateway.store import Store
from gateway.store.tombstones import AllBuried

OLD_SECONDS: Final = 26 * 3600
"""A daily backup that is late."""
STALE_SECONDS: Final = 8 * 86_400


async def backup(house: Installation) -> Sequence[Finding]:
    """Age of the newest file of the folder, which need not be there, and whether deletions are written down."""
    checks: dict[str, Check] = {
        "age": lambda: asyncio.to_thread(_age, house.settings.operation.backup_folder),
        "tombstones": lambda: _tombstones(house),
    }
    return await all_at_once(checks, CHECK_SECONDS)


def _age(folder: Path) -> list[Finding]:
    fix = f"dm3-gateway backup {folder}, daily, and copy it to another machine"
    if not folder.is_dir():
        return [poor("age", f"there is no folder {folder}: backups elsewhere are not seen here", fix)]
    times = [each.stat().st_mtime for each in folder.iterdir() if each.is_file()]
    if not times:
        return [bad("age", f"{folder} is empty", fix)]
    seconds = max(0, int(time.time() - max(times)))
    found = f"the newest backup is {timedelta(seconds=seconds)} old"
    if seconds > STALE_SECONDS:
        return [bad("age", found, fix)]
    return [poor("age", found, fix)] if seconds > OLD_SECONDS else [good("age", found)]


async def _tombstones(house: Installation) -> list[Finding]:
    path, seed = house.settings.operation.tombstone_file, house.settings.custody.seed_file
    try:
        known = await asyncio.to_thread(read_tombstones, path)
    except ConfigError as error:
        fix = f"put a copy of {path} back, or move it away: a node writes another from its database"
        return [bad("tombstones", f"no deletion is written down any more: {error.detail}", fix)]
    if await asyncio.to_thread(_is_of_another, path, seed):
        fix = f"chown --reference={seed} {path}"
        return [bad("tombstones", f"the user of {seed} cannot read {path}: no deletion is written down", fix)]
    try:
        async with await Store.open(house.settings.store.url) as store:
            missing = set(await store.read(AllBuried())) - set(known)
    except GatewayError:
        missing = set()  # the database's own checks say what it lacks
    if missing:
        fix = "a running node writes them within a minute; if it does not, its log says why: tombstones.not_written"
        return [poor("tombstones", f"{len(missing)} deletions of the database are not in {path}", fix)]
    return [good("tombstones", f"every deletion is in {path}")]


def _is_of_another(path: Path, seed: Path) -> bool:
    """Whoever examines may be root, who reads everything; the node runs as the owner of the seed."""
    if not (path.exists() and seed.exists()):
        return False
    found = path.stat()
    return found.st_uid != seed.stat().st_uid and not found.st_mode & (stat.S_IRGRP | stat.S_IROTH)
