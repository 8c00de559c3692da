"""Key files that change hands: one command at a time, by the right owner, and on the disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Two commands at once would each make a key."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"{path.parent}: {type(error).__name__}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError("another command changes a key at this moment") from None
    except OSError as error:
        raise ConfigError(f"{path}: {type(error).__name__}") from None
    finally:
        os.close(folder)


def same_owner(path: Path, model: Path) -> None:
    """A command of root must not leave a key that the service cannot read."""
    found = model.stat()
    if os.geteuid() == 0:
        os.chown(path, found.st_uid, found.st_gid)


def sync(folder: Path) -> None:
    """Let a name in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
