"""Workers that read mail: when there are some, under which limits, and what becomes of a mail whose worker dies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import quopri
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.email import replies
from adapters.email.kept_files import PIECES_KIND, KeptFiles
from adapters.email.links import Links
from adapters.email.parse import Parsed, parse_mail
from adapters.email.reading.frames import Limits
from adapters.email.reading.pool import Pool
from adapters.email.reading.reader import IN_PLACE, Reader, ReadMail, is_plain
from adapters.email.replies import MailRefused
from adapters.email.spool import IN_MEMORY, Spool
from adapters.email.transfer import FilePart
from gateway.sdk import FileContent, LimitExceeded, Link, Unavailable, attachment_content
from gateway.sdk.testing.context import MemoryValues

NOW = 1_800_000_000_000
HTML = b"From: bob@example.net\r\nContent-Type: text/html\r\n\r\n<p>rich <b>text</b></p>"
SLOW = b"From: bob@example.net\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
    b"--b\r\nContent-Type: text/html\r\n\r\n" + b"a<br>" * 9_000 + b"\r\n" for _ in range(20)
)
"""Takes the better part of a second."""


@contextlib.asynccontextmanager
async def reading(
    *, idle_seconds: float = 60, limits: Limits | None = None, embed_bytes: int = 5_000_000, linked_bytes: int = 10**8
) -> AsyncIterator[tuple[Reader, Pool, MemoryValues]]:
    values, pool = MemoryValues(), Pool(idle_seconds=idle_seconds, limits=limits)
    files = KeptFiles(values, lambda: NOW, linked_bytes)
    try:
        yield Reader(pool, files, Links("https://gw", b"k"), embed_bytes=embed_bytes, link_days=30), pool, values
    finally:
        await pool.close()


async def read(reader: Reader, data: bytes) -> ReadMail:
    with Spool() as spool:
        await spool.write(data)
        return await reader.read(spool, domain="gw.example", now_ms=NOW)


async def busy_worker(pool: Pool) -> int:
    """Stop the next worker that reads a mail, before it can answer; its process."""
    async with asyncio.timeout(60):
        while not pool.busy:  # noqa: ASYNC110 - as soon as the loop turns once
            await asyncio.sleep(0)
    (worker,) = pool.busy
    os.kill(worker.process.pid, signal.SIGSTOP)
    return worker.process.pid


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - processes end, and tell nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (b"From: a@b\r\n\r\nx", True),
        (b"From: a@b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx", True),
        (b"From: a@b\r\nContent-Type:\r\n text/plain\r\n\r\nx", True),
        (HTML, False),
        (b"From: a@b\r\ncontent-type:\r\n\ttext/html\r\n\r\nx", False),
        (b"From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nx", False),
        (b"From: a@b\r\nX: " + b"y" * 9_000 + b"\r\n\r\nx", False),
        (b"From: a@b", False),
    ],
)
def test_what_is_read_in_place(data: bytes, plain: bool) -> None:
    assert is_plain(data) is plain


async def test_without_mail_there_is_no_worker() -> None:
    async with reading(idle_seconds=0.2) as (reader, pool, _):
        assert (await read(reader, b"From: bob@example.net\r\n\r\nhello")).mail.text == "hello"
        assert not pool.workers
        assert (await read(reader, HTML)).mail.text == "rich **text**"
        (worker,) = pool.workers
        assert (await read(reader, HTML)).mail.text == "rich **text**"
        assert pool.workers == (worker,)
        await until(lambda: not pool.workers)
        await worker.process.wait()


async def test_there_are_two_at_most() -> None:
    async with reading() as (reader, pool, _):
        mails = await asyncio.gather(*(read(reader, HTML) for _ in range(12)))
        assert {each.mail.text for each in mails} == {"rich **text**"}
        assert len(pool.workers) == 2


@pytest.mark.parametrize("size", [IN_PLACE + 1, IN_MEMORY + 1, 3 * IN_MEMORY])
async def test_large_mail_is_read_from_its_file(size: int) -> None:
    async with reading() as (reader, _, _):
        data = b"From: bob@example.net\r\n\r\n" + b"x" * size
        assert (await read(reader, data)).mail.text == "x" * size


async def test_a_worker_knows_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DM3_SECRET", "hidden")
    async with reading() as (reader, pool, _):
        await read(reader, HTML)
        environment = await asyncio.to_thread(Path(f"/proc/{pool.workers[0].process.pid}/environ").read_bytes)
        assert b"hidden" not in environment


async def test_what_is_refused_leaves_the_worker_as_it_was() -> None:
    async with reading() as (reader, pool, _):
        await read(reader, HTML)
        (worker,) = pool.workers
        with pytest.raises(MailRefused) as refused:
            await read(reader, b"Content-Type: text/html\r\n\r\nno sender")
        assert refused.value.reply == replies.FROM_MALFORMED
        assert pool.workers == (worker,)


async def test_a_mail_that_takes_too_long_is_refused_for_good() -> None:
    # Without a second of its own a mail has what is left of the second in which its worker is: less than this one
    # takes, the first time or one of the next.
    async def some_of_them(reader: Reader) -> None:
        for _ in range(5):
            await read(reader, SLOW)

    async with reading(limits=Limits(cpu_seconds=0)) as (reader, pool, _):
        with pytest.raises(MailRefused) as refused:
            await some_of_them(reader)
        assert refused.value.reply == replies.BAD_STRUCTURE
        assert pool.workers == ()
        assert (await read(reader, HTML)).mail.text == "rich **text**"


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
async def test_a_mail_that_takes_too_much_memory_is_refused_for_good() -> None:
    async with reading(limits=Limits(memory=1_000_000)) as (reader, _, _):
        with pytest.raises(MailRefused) as refused:
            await read(reader, SLOW)
        assert refused.value.reply == replies.BAD_STRUCTURE


async def test_a_worker_that_died_between_two_mails_is_replaced() -> None:
    async with reading() as (reader, pool, _):
        await read(reader, HTML)
        pool.workers[0].process.kill()
        assert (await read(reader, HTML)).mail.text == "rich **text**"


async def test_a_mail_whose_worker_was_killed_is_read_by_another() -> None:
    async with reading() as (reader, pool, _):
        await read(reader, HTML)
        mail = asyncio.create_task(read(reader, HTML))
        os.kill(await busy_worker(pool), signal.SIGKILL)
        assert (await mail).mail.text == "rich **text**"


async def test_a_mail_of_which_two_workers_die_is_refused_for_good() -> None:
    async with reading() as (reader, pool, _):
        mail = asyncio.create_task(read(reader, HTML))
        first = await busy_worker(pool)
        os.kill(first, signal.SIGKILL)
        await until(lambda: [each for each in pool.busy if each.process.pid != first])
        (second,) = pool.busy
        second.process.kill()
        with pytest.raises(MailRefused) as refused:
            await mail
        assert refused.value.reply == replies.BAD_STRUCTURE


async def test_whoever_ends_a_service_does_not_end_a_mail() -> None:
    async with reading() as (reader, pool, _):
        await read(reader, HTML)
        (worker,) = pool.workers
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            worker.process.send_signal(each)
        assert (await read(reader, HTML)).mail.text == "rich **text**"
        assert pool.workers == (worker,)


async def test_a_fault_of_ours_is_no_fault_of_the_mail() -> None:
    async with reading() as (_, pool, _):
        with Spool() as spool:
            await spool.write(b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n" + HTML)
            with pytest.raises(Unavailable, match="TypeError"):
                await pool.read(spool, domain="gw.example", now_ms="no time")  # type: ignore[arg-type]


async def test_who_waits_no_more_leaves_no_worker_behind() -> None:
    async with reading() as (reader, pool, _):
        mail = asyncio.create_task(read(reader, SLOW))
        pid = await busy_worker(pool)
        (worker,) = pool.busy
        mail.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mail
        assert pool.workers == ()
        assert worker.process.pid == pid
        assert await worker.process.wait() == -signal.SIGKILL


ENCODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"8bit": bytes,
    b"base64": base64.encodebytes,
    b"quoted-printable": quopri.encodestring,
}


def with_files(*contents: bytes, encoding: bytes = b"8bit") -> bytes:
    head = b"--b\r\nContent-Type: image/png; name=%d.png\r\nContent-Transfer-Encoding: " + encoding
    parts = b"".join(
        head % number + b"\r\n\r\n%b\r\n" % ENCODERS[encoding](data) for number, data in enumerate(contents)
    )
    return b"From: bob@example.net\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--"


@pytest.mark.parametrize("encoding", list(ENCODERS))
async def test_files_that_do_not_fit_become_links(encoding: bytes) -> None:
    small, large = b"s" * 300_000, b"l" * 900_000
    async with reading(embed_bytes=700_000) as (reader, _, values):
        read_mail = await read(reader, with_files(small, large, small, small, encoding=encoding))
        contents = [attachment_content(each, max_bytes=10**7) for each in read_mail.attachments]
        assert [type(each) for each in contents] == [FileContent, Link, FileContent, Link]
        assert [each.name for each in contents] == ["0.png", "1.png", "2.png", "3.png"]
        assert contents[0] == FileContent("0.png", "image/png", small)
        files = KeptFiles(values, lambda: NOW, 10**8)
        description = await files.describe(read_mail.kept[0].key)
        assert description is not None
        assert b"".join([each async for each in files.read(read_mail.kept[0].key, description)]) == large
        await reader.forget(read_mail.kept)
        assert not any(kind == PIECES_KIND for kind, _ in values.texts)


async def test_without_room_for_links_a_mail_has_to_wait() -> None:
    async with reading(embed_bytes=0, linked_bytes=500_000) as (reader, _, values):
        with pytest.raises(LimitExceeded):
            await read(reader, with_files(b"s" * 300_000, b"s" * 300_000))
        assert not any(kind == PIECES_KIND for kind, _ in values.texts)


@pytest.mark.parametrize("encoding", list(ENCODERS))
async def test_there_is_room_for_exactly_as_much_as_there_is_room(encoding: bytes) -> None:
    data = b"a=bc" * 12_500
    for room, kind in ((len(data), FileContent), (len(data) - 1, Link)):
        async with reading(embed_bytes=room) as (reader, _, _):
            (attachment,) = (await read(reader, with_files(data, encoding=encoding))).attachments
            assert type(attachment_content(attachment, max_bytes=10**6)) is kind


async def test_a_mail_that_is_nothing_but_a_text_file_brings_it() -> None:
    data = b"From: bob@example.net\r\nContent-Type: text/plain; name=a.txt\r\n\r\nhello"
    async with reading() as (reader, pool, _):
        read_mail = await read(reader, data)
        assert pool.workers == ()
    assert read_mail.mail.text == ""
    assert attachment_content(read_mail.attachments[0], max_bytes=9) == FileContent("a.txt", "text/plain", b"hello")


class LyingPool(Pool):
    """Says of a mail what a worker says that was taken over."""

    def __init__(self, file: FilePart) -> None:
        super().__init__()
        self.file = file

    async def read(self, spool: Spool, *, domain: str, now_ms: int) -> Parsed:
        return Parsed(parse_mail(spool.read(), domain=domain, now_ms=now_ms).mail, (self.file,))


@pytest.mark.parametrize(("start", "end"), [(0, 10**6), (-5, 3), (9, 3)])
async def test_a_worker_cannot_have_more_read_than_the_mail(start: int, end: int) -> None:
    pool = LyingPool(FilePart("a", "image/png", start, end, ""))
    reader = Reader(
        pool, KeptFiles(MemoryValues(), lambda: NOW, 0), Links("https://gw", b"k"), embed_bytes=9, link_days=1
    )
    with pytest.raises(Unavailable):
        await read(reader, HTML)
