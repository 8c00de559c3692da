"""How a server of somebody else, run as a process, is ended, also by a later demo when ours was killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from asyncio.subprocess import Process
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 20.0
PID: Final = "server.pid"
_PROC: Final = Path("/proc")


async def end(process: Process, how: signal.Signals) -> None:
    """Send a signal and return when the process is gone; one that is still there after a while is killed."""
    if process.returncode is None:
        process.send_signal(how)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def note(folder: Path, process: Process) -> None:
    """Write down which process serves a folder, whose absolute path stands in its command line."""
    (folder / PID).write_text(f"{process.pid}\n")


def end_left_behind(folder: Path, *, seconds: float = STOP_SECONDS) -> None:
    """End what serves a folder, by its note, and nobody has ended; returns when it is gone. Not for the event loop."""
    try:
        pid = int((folder / PID).read_text())
    except (OSError, ValueError):
        return
    for how in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + seconds
        if _serves(pid, folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        while _serves(pid, folder) and time.monotonic() < until:
            time.sleep(0.05)


def _serves(pid: int, folder: Path) -> bool:
    """Whether the process is that one still: numbers are given again. A dead one has no command line."""
    if (_PROC / "self").exists():
        try:
            command = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return False
    else:
        asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(asked, stdout=subprocess.PIPE, check=False).stdout
    return os.fsencode(folder.absolute()) in command
