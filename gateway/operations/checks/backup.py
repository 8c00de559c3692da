"""The backups, in the folder that ``operation.backup_folder`` names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.operations.checks.installation import CHECK_SECONDS, Installation
from gateway.sdk.examination import Check, Finding, all_at_once, bad, good, poor

OLD_SECONDS: Final = 26 * 3600
"""A daily backup that is late."""
STALE_SECONDS: Final = 8 * 86_400


async def backup(house: Installation) -> Sequence[Finding]:
    """Age of the newest file of the folder, which need not be there."""
    checks: dict[str, Check] = {"age": lambda: asyncio.to_thread(_age, house.settings.operation.backup_folder)}
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
