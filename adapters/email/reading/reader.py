"""A mail as the gateway hands it on: read where it is safe to, its files as attachments or as links."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from adapters.email import replies
from adapters.email.kept_files import DAY_MS, KeptFile, KeptFiles
from adapters.email.links import Links
from adapters.email.parse import Parsed, ParsedMail, parse_mail
from adapters.email.reading.pool import Pool
from adapters.email.reading.process import WorkerDied
from adapters.email.replies import MailRefused
from adapters.email.spool import Spool
from adapters.email.transfer import BASE64, FilePart, base64_digits, file_blocks
from gateway.sdk import Attachment, CanonicalId, LimitExceeded, Unavailable, encoded_attachment, file_attachment

Piece = TypeVar("Piece", bytes, str)

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
        parsed = await self._parse(spool, domain, now_ms)
        carried = _Carried(self._files, self._links, self._embed_bytes, parsed.mail.sender, now_ms + self._link_ms)
        try:
            if parsed.files:
                await carried.all_of(parsed.files, spool)
        except BaseException:
            await self.forget(carried.kept)
            raise
        return ReadMail(parsed.mail, tuple(carried.attachments), tuple(carried.kept))

    async def _parse(self, spool: Spool, domain: str, now_ms: int) -> Parsed:
        if spool.size <= IN_PLACE and is_plain(data := spool.read()):
            return await asyncio.to_thread(parse_mail, data, domain=domain, now_ms=now_ms)
        for _ in range(TRIES):
            with contextlib.suppress(WorkerDied):
                return await self._pool.read(spool, domain=domain, now_ms=now_ms)
        raise MailRefused(replies.BAD_STRUCTURE)

    async def keep_original(
        self, read: Callable[[], bytes], of: CanonicalId, now_ms: int
    ) -> tuple[KeptFile, str] | None:
        """Keep somebody's mail as it came, and the link to it; None when there is no room."""

        async def content() -> AsyncIterator[bytes]:
            yield await asyncio.to_thread(read)

        try:
            kept = await self._files.keep(
                "original.eml", "message/rfc822", content(), of=of, until=now_ms + self._link_ms
            )
        except LimitExceeded:
            return None
        return kept, self._links.to(kept.key, kept.until)

    async def forget(self, kept: Iterable[KeptFile]) -> None:
        """Remove files of a mail that was not taken."""
        for each in kept:
            await self._files.forget(each)


class _Carried:
    """The files of one mail."""

    def __init__(self, files: KeptFiles, links: Links, room: int, of: CanonicalId, until: int) -> None:
        self._files = files
        self._links = links
        self._room = room
        self._of = of
        self._until = until
        self.attachments: list[Attachment] = []
        self.kept: list[KeptFile] = []

    async def all_of(self, files: Iterable[FilePart], mail: Spool) -> None:
        """What fits goes into the message, the other files behind links."""
        for file in files:
            if not 0 <= file.start <= file.end <= mail.size:
                raise Unavailable("a worker told of a file where there is none")
            embedded = await asyncio.to_thread(_embedded, file, mail, self._room)
            if embedded is None:
                await self._link(file, mail)
                continue
            attachment, size = embedded
            self._room -= size
            self.attachments.append(attachment)

    async def _link(self, file: FilePart, mail: Spool) -> None:
        async def content() -> AsyncIterator[bytes]:
            blocks = file_blocks(file, mail.blocks(file.start, file.end))
            while (block := await asyncio.to_thread(next, blocks, None)) is not None:
                yield block

        kept = await self._files.keep(file.name, file.media_type, content(), of=self._of, until=self._until)
        self.kept.append(kept)
        self.attachments.append(Attachment(self._links.to(kept.key, kept.until, file.name), file.name))


def _embedded(file: FilePart, mail: Spool, room: int) -> tuple[Attachment, int] | None:
    """A file as it travels inside the message, and its bytes; None for one of more than `room` bytes.

    What is in base64 already stays in it: to decode 5 MB of it and to encode them again takes 7 ms.
    """
    stored = mail.blocks(file.start, file.end)
    if file.encoding == BASE64:
        digits = _within((str(each, "ascii") for each in base64_digits(stored)), (4 * room + 3) // 3)
        if digits is None:
            return None
        return encoded_attachment(file.name, file.media_type, digits), sum(map(len, digits)) * 3 // 4
    blocks = _within(file_blocks(file, stored), room)
    if blocks is None:
        return None
    data = b"".join(blocks)
    return file_attachment(file.name, file.media_type, data), len(data)


def _within(pieces: Iterable[Piece], room: int) -> list[Piece] | None:
    """All of them; None when they are longer than `room` together."""
    found: list[Piece] = []
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            return None
        found.append(piece)
    return found


def is_plain(data: bytes) -> bool:
    """Whether a mail is plain text under a small header: what is read in linear time, a millisecond at most."""
    end = _HEADER_END.search(data, 0, IN_PLACE_HEADER + 4)
    return end is not None and not _OTHER_THAN_PLAIN.search(data)
