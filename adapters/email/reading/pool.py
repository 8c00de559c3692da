"""The workers: none until one is needed, two at most, none again a minute after the last mail."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from adapters.email.parse import Parsed
from adapters.email.reading.frames import Limits
from adapters.email.reading.process import Worker, WorkerDied
from adapters.email.replies import MailRefused
from adapters.email.spool import Spool
from gateway.sdk import Unavailable

log = structlog.get_logger(__name__)

WORKERS: Final = 2
IDLE_SECONDS: Final = 60.0
"""After so long without a mail a worker, which takes 50 MB, is ended; a new one takes a third of a second."""
MAILS: Final = 10_000
"""Mails until a worker is replaced, whatever it holds on to by then: to start one takes as long as 600 small mails."""


class Pool:
    """Reads mails, each in a worker that reads nothing else meanwhile."""

    def __init__(
        self, *, workers: int = WORKERS, idle_seconds: float = IDLE_SECONDS, limits: Limits | None = None
    ) -> None:
        self._turns = asyncio.Semaphore(workers)
        self._limits = limits or Limits()
        self._idle_seconds = idle_seconds
        self._idle: list[Worker] = []
        self.busy: set[Worker] = set()
        """Those that read a mail now."""
        self._ending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that run now."""
        return (*self._idle, *self.busy)

    async def read(self, spool: Spool, *, domain: str, now_ms: int) -> Parsed:
        """As `Worker.read`; raises Unavailable also when no worker can be started."""
        async with self._turns:
            worker = await self._take()
            whole = False
            try:
                parsed = await worker.read(spool, self._limits, domain=domain, now_ms=now_ms)
                whole = True
                return parsed
            except MailRefused:
                whole = True
                raise
            except WorkerDied as death:
                log.warning("mail.worker_died", code=death.args[0], mail_bytes=spool.size)
                raise
            finally:
                self._give_back(worker, whole=whole)

    async def close(self) -> None:
        """End all of them."""
        if self._timer is not None:
            self._timer.cancel()
        for worker in self.workers:
            self._end(worker)
        self._idle.clear()
        await asyncio.gather(*self._ending)

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.usable:
                break
            self._end(worker)
        else:
            try:
                worker = await Worker.start()
            except OSError as error:
                raise Unavailable("no worker for mail could be started") from error
        self.busy.add(worker)
        return worker

    def _give_back(self, worker: Worker, *, whole: bool) -> None:
        self.busy.discard(worker)
        if not whole or worker.mails >= MAILS or not worker.usable:
            self._end(worker)
            return
        self._idle.append(worker)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle)

    def _end_idle(self) -> None:
        while self._idle:
            self._end(self._idle.pop())

    def _end(self, worker: Worker) -> None:
        worker.kill()
        task = asyncio.get_running_loop().create_task(worker.wait())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
