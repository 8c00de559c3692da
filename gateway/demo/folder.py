"""The demo's folder: of one demo at a time, and empty when that begins."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final, Self

from gateway.demo.ending import end_left_behind
from gateway.errors import ConfigError

MARKER: Final = ".dm3-demo"
"""Marks a folder as the demo's: an installation has the same files and must never be emptied."""
_TEXT: Final = "This folder is emptied at each start of the demo.\n"


class DemoFolder:
    """Held from its emptying until `close`, or until the process ends in whatever way."""

    def __init__(self, folder: Path) -> None:
        """Remove what an earlier demo left, and end its servers where it was killed.

        Raises ConfigError, and removes nothing, when the folder is not the demo's or a demo runs there.
        """
        if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
            raise ConfigError(f"{folder} is not empty and not a demo's folder; name another with --dir")
        folder.mkdir(parents=True, exist_ok=True)
        # The marker is never removed: it bears the lock, and a new file would be another one's.
        self._marker = os.open(folder / MARKER, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(self._marker, _TEXT.encode(), 0)
            _empty(folder)
        except BlockingIOError:
            self.close()
            raise ConfigError(f"a demo runs in {folder} already; end it, or name another folder with --dir") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another demo have the folder."""
        os.close(self._marker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.name == MARKER:
            continue
        if each.is_dir() and not each.is_symlink():
            end_left_behind(each)
            shutil.rmtree(each)
        else:
            each.unlink()
