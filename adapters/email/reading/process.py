"""One worker as the gateway sees it: a process, and a socket to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from dataclasses import asdict, dataclass, field
from typing import Final

from adapters.email import replies
from adapters.email.parse import Parsed
from adapters.email.reading.frames import (
    HEAD,
    MAX_FRAME,
    Kind,
    Limits,
    frame,
    mail_from_json,
    reply_from_json,
    to_json,
)
from adapters.email.replies import MailRefused
from adapters.email.spool import Spool
from gateway.sdk import Unavailable

SILENCE: Final = 60.0
"""Seconds until an answer. A worker whose mail takes too long dies of its own limit long before."""
_STREAM_LIMIT: Final = 512 * 1024


class WorkerDied(Exception):
    """It is gone in the middle of a mail, and nobody knows whether the mail is to blame."""


@dataclass(slots=True, eq=False)
class Worker:
    """A process that reads one mail after the other."""

    process: Process
    _socket: socket.socket
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    mails: int = field(default=0, init=False)

    @classmethod
    async def start(cls) -> Worker:
        """Start a process; it imports what it needs while its first request is on the way. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "adapters.email.reading.worker",
                    str(theirs.fileno()),
                    stdin=DEVNULL,
                    stdout=DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=_environment(),
                )
            reader, writer = await asyncio.open_connection(sock=ours, limit=_STREAM_LIMIT)
        except BaseException:
            ours.close()
            raise
        return cls(process, ours, reader, writer)

    @property
    def usable(self) -> bool:
        """False for one that has ended."""
        return self.process.returncode is None and not self._reader.at_eof()

    async def read(self, spool: Spool, limits: Limits, *, domain: str, now_ms: int) -> Parsed:
        """What the mail says, and where its files are.

        Raises MailRefused, WorkerDied, and Unavailable for a fault of ours. Whoever is cancelled meanwhile has to end
        the worker.
        """
        self.mails += 1
        try:
            async with asyncio.timeout(SILENCE):
                await self._ask(spool, to_json(asdict(limits) | {"domain": domain, "now_ms": now_ms}))
                return _parsed(*await self._frame())
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise await self._cause() from error
        except TimeoutError as error:
            raise Unavailable("a worker that reads mail got no time to do so") from error

    async def _ask(self, spool: Spool, request: bytes) -> None:
        descriptor = await asyncio.to_thread(spool.descriptor) if spool.in_file else None
        # Nothing waits in the socket between two mails, so this is taken at once.
        if descriptor is not None:
            socket.send_fds(self._socket, [frame(Kind.REQUEST, request)], [descriptor])
            return
        self._writer.write(frame(Kind.REQUEST, request) + frame(Kind.CONTENT, spool.read()))
        await self._writer.drain()

    async def _frame(self) -> tuple[Kind, bytes]:
        kind, size = HEAD.unpack(await self._reader.readexactly(HEAD.size))
        if size > MAX_FRAME:
            raise ConnectionResetError("frame is too large")
        return Kind(kind), await self._reader.readexactly(size)

    async def _cause(self) -> Exception:
        code = await self.process.wait()
        return MailRefused(replies.BAD_STRUCTURE) if code == -signal.SIGXCPU else WorkerDied(code)

    def kill(self) -> None:
        """End it at once; may be called twice."""
        self._writer.close()
        if self.process.returncode is None:
            self.process.kill()

    async def wait(self) -> None:
        """Until it is gone."""
        await self.process.wait()


def _parsed(kind: Kind, content: bytes) -> Parsed:
    if kind is Kind.MAIL:
        return mail_from_json(content)
    if kind is Kind.REFUSED:
        raise MailRefused(reply_from_json(content))
    raise Unavailable(f"a mail could not be read: {content.decode(errors='replace')}")


def _environment() -> dict[str, str]:
    """Where to find modules, and nothing of what the gateway was told: it may be secret."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
