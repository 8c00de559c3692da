"""libfaketime: the wall clock of a process is set while it runs; its monotonic clock goes on as it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.require import require

LIBRARY: Final = "libfaketime.so.1"
FOLDERS: Final = (Path("/usr/lib"), Path("/usr/local/lib"))


class WallClock:
    """The clock of the processes that get `environment`."""

    def __init__(self, folder: Path) -> None:
        """Skips where the library is not installed."""
        found = [path for root in FOLDERS for path in root.glob(f"**/faketime/{LIBRARY}")]
        require(found, "libfaketime is not installed (apt install faketime)")
        self._library = found[0]
        self._file = folder / "wall-clock"
        self.set(0)

    def set(self, seconds: int) -> None:
        """From now on the clock is so far ahead of this machine's, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a process that has this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
