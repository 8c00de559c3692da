"""A real Synapse for tests, with its data in memory where the system has a folder for that."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from gateway.demo.synapse import MISSING, Synapse, find_synapse
from tests.support.require import require

MEMORY: Final = Path("/dev/shm")
"""Synapse waits for the disk at every event, which the tests are not about."""


@asynccontextmanager
async def synapse_server(
    folder: Path, registrations: Iterable[Path] = (), *, start: bool = True, **options: Any
) -> AsyncIterator[Synapse]:
    """A homeserver that answers, or one that only has its ``url`` without `start`; ended afterwards.

    `folder` is used where there is none in memory. `options` are those of ``Synapse``. Skips when Synapse is not
    installed, or fails (see ``require``).
    """
    require(find_synapse(), MISSING)
    memory = _in_memory()
    synapse = Synapse(memory or folder, registrations=registrations, **options)
    try:
        synapse.prepare()
        if start:
            await synapse.start()
        yield synapse
    finally:
        await synapse.close()
        if memory is not None:
            shutil.rmtree(memory)


def _in_memory() -> Path | None:
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return None
    return Path(tempfile.mkdtemp(prefix="synapse-", dir=MEMORY))
