"""Changing the relay's encryption key without an envelope that nobody opens.

Like ``rotation``, read from files and from what is published: each call does the one thing that comes next. A node
reads its keys at the start, and opens with those of all files.

    files               published    what comes next
    key                 -            make key.next; every node is restarted, and opens with both
    key, key.next       key          key -> key.old, key.next -> key; every node is restarted, and publishes the new one
    key, key.old        key.old      wait: a node, or a cache on the way, still shows the old one
    key, key.old        key          when the longest life of a message has passed: delete key.old: finished

The signing key stays: postmarks of mail that waits are checked against the one that is published.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.dm3.eth import parse_address
from gateway.dm3.keys import ServiceKeys
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.operations.installation import parent_name, service_name
from gateway.operations.key_files import alone, same_owner, sync
from gateway.operations.rotation import Report
from gateway.operations.secret_files import write_secret
from gateway.settings import Settings

DAY: Final = 24 * 3600.0
SKEW: Final = 3600.0
"""Seconds by which clocks may differ, and for which clients may remember a profile."""

Load = Callable[[Path], ServiceKeys]
"""Reads one key file; raises ConfigError."""


@dataclass(frozen=True, slots=True)
class RelayRotation:
    """One rotation of the key in ``path``.

    ``load`` reads one file. ``published`` asks ENS for the encryption key of our delivery service. ``ttl``: seconds of
    the longest life of a message, here and at relays that keep one for us.
    """

    path: Path
    load: Load
    ttl: float
    published: Callable[[], Awaitable[bytes]]
    clock: Callable[[], float] = field(default=time.time)

    @property
    def next_path(self) -> Path:
        """The coming key."""
        return self.path.with_name(self.path.name + ".next")

    @property
    def old_path(self) -> Path:
        """The key that was; its time of change is when it was replaced."""
        return self.path.with_name(self.path.name + ".old")

    async def advance(self) -> Report:
        """Do what comes next. Raises ConfigError for files that cannot be used, and what asking ENS raises."""
        with alone(self.path):
            if self.old_path.exists():
                return await self._finish()
            return self._switch() if self.next_path.exists() else self._begin()

    def _begin(self) -> Report:
        self.load(self.path)
        signing = tomllib.loads(self.path.read_text(encoding="ascii"))["signing"]
        text = f'# The encryption key that comes next.\nencryption = "{secrets.token_hex(32)}"\nsigning = "{signing}"\n'
        write_secret(self.next_path, text)
        same_owner(self.next_path, self.path)
        sync(self.path.parent)
        return Report(
            (f"Made the next key in {self.next_path}.",),
            "Copy it to every node and restart them all, so that each opens what will be sealed to it; then run this"
            " again.",
        )

    def _switch(self) -> Report:
        self.load(self.next_path)
        os.link(self.path, self.old_path)
        now = self.clock()
        os.utime(self.old_path, (now, now))
        sync(self.path.parent)
        os.replace(self.next_path, self.path)
        sync(self.path.parent)
        return Report(
            ("Switched: the profile has the new key as soon as a node is restarted.",),
            f"Copy {self.path.name} and {self.old_path.name} to every node, remove {self.next_path.name} there, restart"
            " them all, then run this again.",
        )

    async def _finish(self) -> Report:
        if self.next_path.exists():
            # Broken off between the two steps of a switch.
            os.replace(self.next_path, self.path)
            sync(self.path.parent)
        present = self.load(self.path).encryption.public
        if await self.published() != present:
            return Report((), "ENS does not show the new key yet: restart the nodes, then run this again.")
        left = self.old_path.stat().st_mtime + self.ttl + SKEW - self.clock()
        if left > 0:
            return Report((), "Then run this again: what was sealed to the old key may still come.", left)
        self.old_path.unlink()
        sync(self.path.parent)
        return Report(
            (f"Deleted {self.old_path}; nodes forget it when they are restarted.",), "Finished.", finished=True
        )


@asynccontextmanager
async def opened_relay_rotation(settings: Settings, load: Load) -> AsyncIterator[RelayRotation]:
    """A rotation of an installation's key; ENS is asked as every sender does it."""
    service = service_name(parent_name(settings.ens.parent))
    chain = Chain(settings.chain.rpc_urls, settings.chain.chain_id, quorum=settings.chain.quorum)
    async with GuardedClient(allow_private=True, timeout=30) as client:
        profiles = Profiles(Ens(chain, parse_address(settings.chain.ens_registry), client), client)

        async def published() -> bytes:
            return (await profiles.delivery_service(service)).public_encryption_key

        try:
            ttl = settings.relay.message_ttl_days * DAY
            yield RelayRotation(await asyncio.to_thread(settings.relay.key_file.resolve), load, ttl, published)
        finally:
            await chain.close()
