"""A folder for what must not stay: a copy of a database in clear."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError

PREFIX: Final = ".dm3-backup-"
STALE_SECONDS: Final = 86_400


@contextmanager
def scratch_folder(near: Path) -> Iterator[Path]:
    """A folder that only we can enter, on the disk of ``near``, gone at the end; raises ConfigError.

    What a process left there that was killed goes, too, when it is a day old and nobody holds it.
    """
    try:
        _sweep(near)
        folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=near)
        held = os.open(folder.name, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"{near}: cannot be written: {error.strerror}") from error
    try:
        with folder as name:
            with suppress(OSError):  # some network disks have no locks; then its age alone speaks for it
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
    finally:
        os.close(held)


def _sweep(near: Path) -> None:
    for each in near.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or held by a process that lives
            if time.time() - each.lstat().st_mtime > STALE_SECONDS:
                _remove(each)


def _remove(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)
