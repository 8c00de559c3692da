"""A mail as the gateway hands it on: read where it is safe to, its files as attachments or as links."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from adapters.email import replies
from adapters.email.kept_files import DAY_MS, KeptFile, KeptFiles
from adapters.email.links import Links
from adapters.email.parse import ParsedMail, parse_mail
from adapters.email.reading.pool import Pool
from adapters.email.reading.process import Event, FileBegins, FileEnds, WorkerDied
from adapters.email.replies import MailRefused
from adapters.email.spool import Spool
from gateway.sdk import Attachment, LimitExceeded, file_attachment

IN_PLACE: Final = 32 * 1024
"""Bytes of a mail of nothing but plain text that is read in a thread of ours."""
IN_PLACE_HEADER: Final = 8 * 1024
TRIES: Final = 2
"""Workers that may die of one mail: the first one may have died of something else."""

_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_OTHER_THAN_PLAIN: Final = re.compile(rb"^content-type[ \t]*:(?!\s{0,100}text/plain\b)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ReadMail:
    """A mail and its files."""

    mail: ParsedMail
    attachments: tuple[Attachment, ...] = ()
    kept: tuple[KeptFile, ...] = ()
    """Those of the files that are behind links."""


class Reader:
    """Reads mails."""

    def __init__(self, pool: Pool, files: KeptFiles, links: Links, *, embed_bytes: int, link_days: int) -> None:
        self._pool = pool
        self._files = files
        self._links = links
        self._embed_bytes = embed_bytes
        self._link_ms = link_days * DAY_MS

    async def read(self, spool: Spool, *, domain: str, now_ms: int) -> ReadMail:
        """Read one mail.

        Raises MailRefused as `parse_mail` does, and with 554 5.6.0 for a mail that takes too much time or memory;
        LimitExceeded when there is no room for its files, Unavailable when it cannot be read now.
        """
        if spool.size <= IN_PLACE and is_plain(data := spool.read()):
            parsed = await asyncio.to_thread(parse_mail, data, domain=domain, now_ms=now_ms)
            return ReadMail(parsed.mail)
        for _ in range(TRIES):
            reading = _Reading(self._files, self._links, self._embed_bytes, now_ms + self._link_ms)
            try:
                async with contextlib.aclosing(self._pool.read(spool, domain=domain, now_ms=now_ms)) as events:
                    return await reading.all_of(events)
            except WorkerDied:
                await self.forget(reading.kept)
            except BaseException:
                await self.forget(reading.kept)
                raise
        raise MailRefused(replies.BAD_STRUCTURE)

    async def keep_original(self, read: Callable[[], bytes], now_ms: int) -> tuple[KeptFile, str] | None:
        """Keep a mail as it came, and the link to it; None when there is no room."""

        async def content() -> AsyncIterator[bytes]:
            yield await asyncio.to_thread(read)

        try:
            kept = await self._files.keep("original.eml", "message/rfc822", content(), until=now_ms + self._link_ms)
        except LimitExceeded:
            return None
        return kept, self._links.to(kept.key, kept.until)

    async def forget(self, kept: Iterable[KeptFile]) -> None:
        """Remove files of a mail that was not taken."""
        for each in kept:
            await self._files.forget(each)


class _Reading:
    """One try to read one mail."""

    def __init__(self, files: KeptFiles, links: Links, room: int, until: int) -> None:
        self._files = files
        self._links = links
        self._room = room
        self._until = until
        self._attachments: list[Attachment] = []
        self.kept: list[KeptFile] = []

    async def all_of(self, events: AsyncIterator[Event]) -> ReadMail:
        mail: ParsedMail | None = None
        async for event in events:
            if isinstance(event, ParsedMail):
                mail = event
            elif isinstance(event, FileBegins):
                await self._file(event, events)
        if mail is None:
            raise WorkerDied("answered nothing")
        return ReadMail(mail, tuple(self._attachments), tuple(self.kept))

    async def _file(self, file: FileBegins, events: AsyncIterator[Event]) -> None:
        begin: list[bytes] = []
        size = 0
        blocks = _blocks(events)
        async for block in blocks:
            begin.append(block)
            size += len(block)
            if size > self._room:
                await self._link(file, begin, blocks)
                return
        self._room -= size
        self._attachments.append(await asyncio.to_thread(_embedded, file, begin))

    async def _link(self, file: FileBegins, begin: list[bytes], blocks: AsyncIterator[bytes]) -> None:
        async def content() -> AsyncIterator[bytes]:
            while begin:
                yield begin.pop(0)
            async for block in blocks:
                yield block

        kept = await self._files.keep(file.name, file.media_type, content(), until=self._until)
        self.kept.append(kept)
        self._attachments.append(Attachment(self._links.to(kept.key, kept.until, file.name), file.name))


def is_plain(data: bytes) -> bool:
    """Whether a mail is plain text under a small header: what is read in linear time, a millisecond at most."""
    end = _HEADER_END.search(data, 0, IN_PLACE_HEADER + 4)
    return end is not None and not _OTHER_THAN_PLAIN.search(data)


async def _blocks(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    async for event in events:
        if isinstance(event, FileEnds):
            return
        if isinstance(event, bytes):
            yield event


def _embedded(file: FileBegins, blocks: list[bytes]) -> Attachment:
    return file_attachment(file.name, file.media_type, b"".join(blocks))
