"""An end in order, when a signal asks for it, of a command that has a database in clear on the disk meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Whether this process was told to end."""

    def __init__(self) -> None:
        self._number: int | None = None

    def check(self) -> None:
        """Raises SystemExit when it was: for work in threads, which no signal breaks off."""
        if self._number is not None:
            raise SystemExit(128 + self._number)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The handler; only the first signal breaks something off, for after it the clean-up is under way."""
        if self._number is None:
            self._number = number
            _end_children()
            self.check()


@contextmanager
def orderly_end() -> Iterator[Ending]:
    """SIGTERM and SIGHUP end what is inside by SystemExit, and programs that it runs; exit code 128 and the number.

    Without it they would leave what lies in a scratch folder. A signal that is ignored (nohup) stays so. In a thread
    besides the main one nothing is changed.
    """
    ending = Ending()
    ours = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: handler for number in ours if (handler := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, ending.ask)
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_children() -> None:
    """Threads that wait for them end then, too. Where there is no such list (not Linux), they go on to their end."""
    for each in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for child in each.read_text(encoding="ascii").split():
                os.kill(int(child), signal.SIGTERM)
