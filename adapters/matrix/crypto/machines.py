"""The machines of all our users: a folder on this node's disk, one database for each device, one thread for them all.

What is in the folder is worth as much as the messages: it is readable for the gateway's user only, and the keys in it
are encrypted with a secret of the installation. The sessions are of this node alone: no other node can go on with them.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from adapters.matrix.crypto.machine import Machine
from adapters.matrix.errors import HomeserverDown
from adapters.matrix.ids import Mxid
from gateway.sdk import ConfigError

MAX_OPEN: Final = 200
"""Machines that stay in memory; one that is needed again is read from the disk."""
DEVICE: Final = "DM3"
"""How the ids of our devices begin."""
LOCK: Final = "lock"
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Seat:
    """A machine in memory."""

    machine: Machine
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held over everything that asks the homeserver and then changes the machine."""
    users: int = 0


class Machines:
    """Opens, keeps and closes machines."""

    def __init__(self, folder: Path, pickle_key: str) -> None:
        self._folder = folder
        self._pickle_key = pickle_key
        self._thread: ThreadPoolExecutor | None = None
        self._lock_file = -1
        self._seats: dict[Mxid, Seat] = {}
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Make the folder, and keep every other process out of it; raises ConfigError."""
        self._thread = ThreadPoolExecutor(1, "matrix-crypto")
        try:
            self._lock_file = await self.run(_locked, self._folder, self._pickle_key)
        except (OSError, ValueError) as error:
            self._thread.shutdown()
            self._thread = None
            reason = "another process uses it" if isinstance(error, BlockingIOError) else error
            raise ConfigError(f"crypto_store {self._folder}: {reason}") from None

    async def close(self) -> None:
        """Close all databases. A second call does nothing."""
        if self._thread is None:
            return
        while self._seats:
            _, seat = self._seats.popitem()
            await self.run(seat.machine.close)
        thread, self._thread = self._thread, None
        await asyncio.to_thread(thread.shutdown)
        os.close(self._lock_file)

    async def run(self, work: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> T:
        """Call something in the thread of the machines: databases and keys may be touched by no other."""
        if self._thread is None:
            raise HomeserverDown("the adapter is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **named))

    @asynccontextmanager
    async def of(self, user: Mxid) -> AsyncIterator[Seat]:
        """The machine of a user, made with a new device when there is none. Raises WrongStore."""
        async with self._opening:
            seat = self._seats.pop(user, None)
            if seat is None:
                await self._make_room()
                seat = Seat(await self.run(self._opened, user))
            self._seats[user] = seat
            seat.users += 1
        try:
            yield seat
        finally:
            seat.users -= 1

    async def exists(self, user: Mxid) -> bool:
        """Whether a user has a device."""
        return user in self._seats or await self.run(lambda: bool(self._devices(user)))

    async def changed(self, changed: Sequence[str], left: Sequence[str]) -> None:
        """Tell the machines in memory whose keys changed, and of whom no changes are told any more.

        The others ask for everybody's keys when they are next opened.
        """
        if changed or left:
            for seat in list(self._seats.values()):
                await self.run(seat.machine.changed, changed)
                await self.run(seat.machine.left, left)

    async def _make_room(self) -> None:
        """Close the machine that was not used for the longest time."""
        idle = [user for user, seat in self._seats.items() if not seat.users]
        for user in idle[: max(0, len(self._seats) - MAX_OPEN + 1)]:
            await self.run(self._seats.pop(user).machine.close)

    def _opened(self, user: Mxid) -> Machine:
        folder = self._of(user)
        folder.mkdir(mode=0o700, exist_ok=True)
        devices = self._devices(user)
        device = devices[0] if devices else DEVICE + secrets.token_hex(6).upper()
        return Machine(user, device, folder, self._pickle_key)

    def _devices(self, user: Mxid) -> list[str]:
        return sorted(path.stem for path in self._of(user).glob(f"{DEVICE}*.db"))

    def _of(self, user: Mxid) -> Path:
        return self._folder / hashlib.sha256(user.encode()).hexdigest()[:32]


def _locked(folder: Path, pickle_key: str) -> int:
    """The folder's lock, in which it is written whose it is; BlockingIOError, or ValueError for another's folder."""
    mark = hashlib.sha256(f"mark {pickle_key}".encode()).hexdigest()[:16].encode()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.read(file, len(mark))
        if found not in (b"", mark):
            raise ValueError("the keys in it are another installation's")
        if not found:
            os.write(file, mark)
    except (OSError, ValueError):
        os.close(file)
        raise
    return file
