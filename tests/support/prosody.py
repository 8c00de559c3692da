"""A real Prosody for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.demo.prosody import MISSING, PRIVILEGE_MISSING, Prosody, find_privilege, find_prosody
from tests.support.require import require


@asynccontextmanager
async def prosody_server(folder: Path, *, start: bool = True, **options: Any) -> AsyncIterator[Prosody]:
    """A server that listens, or that only has its ports without `start`; ended afterwards.

    `options` are those of ``XmppServer``. Skips when Prosody, or what the options need, is not installed, or fails (see
    ``require``).
    """
    require(find_prosody(), MISSING)
    require(find_privilege() or not options.get("privilege"), PRIVILEGE_MISSING)
    server = Prosody(folder, **options)
    try:
        server.prepare()
        if start:
            await server.start()
        yield server
    finally:
        await server.close()
