"""Who was deleted, beside the database and not in it: so that an older backup does not bring anybody back.

A line for each digest, which tells nothing to whoever has not the seed. Lines are only ever added. Each node, and each
backup, writes down what the database has; so a copy of the file may lack who was deleted in the last minute.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

from gateway.errors import ConfigError, GatewayError
from gateway.operations.secret_files import replace_secret
from gateway.store import Store
from gateway.store.tombstones import AllBuried

log = structlog.get_logger(__name__)

PERIOD_SECONDS: Final = 60.0
LINE: Final = re.compile(r"(?:closed:)?[0-9a-f]{64}")


def read_tombstones(path: Path) -> tuple[str, ...]:
    """Digests of a file; none when there is no file. What is no digest is passed over.

    Raises ConfigError for one that cannot be read: taken for an empty one, it would bring people back.
    """
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is damaged: a list of who was deleted is plain ASCII") from None
    return tuple(sorted({line for line in text.split() if LINE.fullmatch(line)}))


def add_tombstones(path: Path, digests: Iterable[str]) -> bool:
    """Add what is not there; whether that was anything. Raises ConfigError as reading and writing do. Blocks."""
    known = read_tombstones(path)
    together = sorted({*known, *digests})
    if len(together) == len(known):
        return False
    # A backup that root makes before the first node runs must not leave a list that the node cannot read.
    replace_secret(path, "".join(f"{each}\n" for each in together), like=path.parent, private=not path.exists())
    return True


async def keep_tombstones(store: Store, path: Path) -> bool:
    """Write down what the database has; whether that was anything new. Raises ConfigError, Unavailable."""
    return await asyncio.to_thread(add_tombstones, path, await store.read(AllBuried()))


class TombstoneKeeper:
    """Does that once a minute while a node runs."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._path = path
        self._trouble: GatewayError | None = None

    async def check(self) -> None:
        """Raise why the last look ended without everything written down."""
        if self._trouble is not None:
            raise self._trouble

    async def run(self) -> None:
        """Until cancelled; what fails is told once, and tried again."""
        while True:
            try:
                await keep_tombstones(self._store, self._path)
                self._trouble = None
            except GatewayError as error:
                if self._trouble is None:
                    log.error("tombstones.not_written", error=type(error).__name__, detail=error.detail)
                self._trouble = error
            await asyncio.sleep(PERIOD_SECONDS)
