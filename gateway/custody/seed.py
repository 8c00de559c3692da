"""The master seed: 32 random bytes in one file that only the gateway may read."""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import CustodyError

SEED_BYTES: Final = 32
_HEX: Final = re.compile(rb"[0-9a-fA-F]{64}\s{0,2}\Z")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class MasterSeed:
    """32 secret bytes; whoever has them and the database has every bridged identity."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SEED_BYTES:
            raise CustodyError(f"a master seed has {SEED_BYTES} bytes")


def load_seed(path: Path | str) -> MasterSeed:
    """Read the file at ``path``: 32 raw bytes or 64 hex digits. Does file I/O.

    Raises CustodyError when it is missing, is no regular file, may be read by others, or has another content.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            # Checked on the open file: the path could be exchanged between a check and the opening.
            status = os.fstat(file.fileno())
            _check_private(path, status)
            content = file.read(4 * SEED_BYTES)
    except OSError as error:
        raise CustodyError(f"the seed file {path} cannot be read: {error.strerror}") from None
    if len(content) == SEED_BYTES:
        return MasterSeed(content)
    if _HEX.match(content):
        return MasterSeed(bytes.fromhex(content.decode("ascii")))
    raise CustodyError(f"the seed file {path} holds neither {SEED_BYTES} bytes nor {2 * SEED_BYTES} hex digits")


def create_seed(path: Path | str) -> MasterSeed:
    """Make a new seed at ``path`` with mode 0600 and on the disk when this returns. Does file I/O.

    Raises CustodyError when something is there already: a seed that is overwritten takes every identity with it.
    """
    path = Path(path)
    seed = MasterSeed(secrets.token_bytes(SEED_BYTES))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(seed.secret.hex().encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        raise CustodyError(f"the seed file {path} cannot be made: {error.strerror}") from None
    return seed


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CustodyError(f"the seed {path} is no regular file")
    # systemd hands out credentials read-only for its group, in a folder that only the service can enter.
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and path.resolve().is_relative_to(Path(credentials).resolve()):
        return
    if status.st_mode & _OTHERS:
        raise CustodyError(f"the seed file {path} may be read by others: run chmod 600 {path}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
