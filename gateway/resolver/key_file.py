"""The key file as a signer that follows the file: a key that was put in its place is used without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog

from gateway.errors import ConfigError
from gateway.ids import EthAddress
from gateway.resolver.signer import KeySigner, load_signer

POLL: Final = 1.0
"""Seconds between two looks at the file: so long a replaced key may still sign."""

log = structlog.get_logger(__name__)


class KeyFile:
    """Signs with whichever key the file held when ``run`` last looked.

    A file that cannot be read, or holds no key, changes nothing but the log: look-ups go on with the key before.
    """

    def __init__(self, path: Path, signer: KeySigner, *, poll: float = POLL) -> None:
        """``signer`` is what ``load_signer`` read from ``path``."""
        self._path = path
        self._signer = signer
        self._poll = poll
        self._seen: object = None
        self._trouble: ConfigError | None = None

    @property
    def address(self) -> EthAddress:
        """Of the key that signs now."""
        return self._signer.address

    async def sign(self, digest: bytes) -> bytes:
        """See Signer."""
        return await self._signer.sign(digest)

    async def run(self) -> None:
        """Look at the file again and again."""
        while True:
            await self.look()
            await asyncio.sleep(self._poll)

    async def check(self) -> None:
        """Raise ConfigError while the file holds no key, and the one before signs."""
        if self._trouble is not None:
            raise self._trouble

    async def look(self) -> None:
        """Take over what the file holds, when it is another file or was written to since the last look."""
        try:
            found = await asyncio.to_thread(_mark, self._path)
            if found == self._seen:
                return
            # Noted before it is read: a change in between is seen by the next look.
            self._seen = found
            signer = await asyncio.to_thread(load_signer, self._path)
        except (OSError, ConfigError) as error:
            reason = error.detail if isinstance(error, ConfigError) else type(error).__name__
            self._trouble = ConfigError(reason)
            log.error("resolver.key_not_read", reason=reason, signing_with=self._signer.address)
            return
        self._trouble = None
        if signer.address != self._signer.address:
            log.info("resolver.key_changed", signing_with=signer.address)
            self._signer = signer


def _mark(path: Path) -> object:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
