"""One mail from the moment it is read until it is taken or not: its thread, its original, its files."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from adapters.email.intake import outgoing_messages
from adapters.email.kept_files import KeptFile
from adapters.email.parse import ParsedMail
from adapters.email.reading.reader import Reader, ReadMail
from adapters.email.spool import Spool
from adapters.email.threads import ThreadMail, Threads
from gateway.sdk import CanonicalId, EnsName, Outgoing, Submitted

MAX_ORIGINAL: Final = 2_000_000
"""Bytes of a mail that is kept whole so that its quotes can be cut; of a larger one nothing is cut."""


class IncomingMail:
    """A mail that was read."""

    def __init__(self, read: ReadMail, reader: Reader, threads: Threads, original: Callable[[], bytes] | None) -> None:
        self._read = read
        self._reader = reader
        self._threads = threads
        self._original = original
        self._kept: list[KeptFile] = list(read.kept)
        self._person: CanonicalId | None = None
        self._taken = False

    @property
    def mail(self) -> ParsedMail:
        """What it says."""
        return self._read.mail

    async def messages(self, names: tuple[EnsName, ...], now_ms: int, *, proved: bool) -> tuple[Outgoing, ...]:
        """One message for each name. Raises Unavailable.

        A mail is of its sender's threads only when it is `proved` to be theirs.
        """
        mail = self.mail
        self._person = mail.sender if proved else None
        thread = await self._threads.find(self._person, mail.answers) if self._person else None
        link = None
        if names and thread is not None and mail.new < len(mail.text) and self._original is not None:
            original = await self._reader.keep_original(self._original, mail.sender, now_ms)
            if original is not None:
                self._kept.append(original[0])
                link = original[1]
        return outgoing_messages(mail, names, attachments=self._read.attachments, thread=thread, original=link)

    async def taken(self, submitted: Sequence[Submitted]) -> None:
        """Its messages are on disk: the next mail of the thread finds this one. Raises Unavailable.

        Of a repeat the first one has its own files; but it may have come to an end before it was remembered.
        """
        self._taken = any(not each.repeat for each in submitted)
        if self._person is not None and submitted:
            mail = self.mail
            await self._threads.remember(self._person, ThreadMail(mail.native_id, mail.subject, mail.references))

    async def close(self) -> None:
        """Leave no file of a mail that was not taken."""
        if not self._taken:
            await self._reader.forget(self._kept)


class Incoming:
    """Reads mails that may speak."""

    def __init__(self, reader: Reader, threads: Threads, *, domain: str, cut_quotes: bool) -> None:
        self._reader = reader
        self._threads = threads
        self._domain = domain
        self._cut_quotes = cut_quotes

    @contextlib.asynccontextmanager
    async def read(self, spool: Spool, now_ms: int, kept: Callable[[bytes], bytes]) -> AsyncIterator[IncomingMail]:
        """Read a mail; `kept` makes of what came what is kept of it. Raises as `Reader.read` does."""
        read = await self._reader.read(spool, domain=self._domain, now_ms=now_ms)
        keeps = self._cut_quotes and spool.size <= MAX_ORIGINAL
        mail = IncomingMail(read, self._reader, self._threads, (lambda: kept(spool.read())) if keeps else None)
        try:
            yield mail
        finally:
            await mail.close()
