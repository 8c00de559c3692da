"""How a server of somebody else, run as a process, is ended."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from typing import Final

STOP_SECONDS: Final = 20.0


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
