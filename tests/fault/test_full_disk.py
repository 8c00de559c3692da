"""A disk that is full under a running gateway: senders are told to come again, and it goes on when there is room."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosmtplib
import pytest

from gateway.demo.mail import BOB, send_mail
from gateway.store import Store
from gateway.store.mailbox import DamagedEnvelopes
from tests.integration.store.values import Sql
from tests.support.cluster import Cluster, running_cluster
from tests.support.ports import free_ports
from tests.support.require import require
from tests.support.senders import Senders
from tests.support.waiting import until

MEGABYTE: Final = 1 << 20
SMALL, LARGE = 6, 128
"""Megabytes."""
EACH = 20
"""Envelopes in each of 48 conversations: 960, some 15 MB of log."""
REFUSALS = 200
TEMPORARY = {(503, -32002), (507, -32002), (429, -32005)}
SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Disk:
    """Where a database lies, how its room ends, and how there is room again."""

    folder: Path
    fill: Callable[[Cluster], None]
    clear: Callable[[Cluster], None]


@contextmanager
def small_file_system(folder: Path) -> Iterator[Disk]:
    """A tmpfs of 6 MB that is made larger (ENOSPC, as of a full disk)."""
    require(shutil.which("mount") and os.geteuid() == 0, "a small file system: needs root and mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}m", "tmpfs", folder], check=False)
    require(mounted.returncode == 0, "a small file system: mounting is not allowed here")

    def clear(_cluster: Cluster) -> None:
        subprocess.run(["mount", "-o", f"remount,size={LARGE}m", folder], check=True)

    try:
        yield Disk(folder, lambda _cluster: None, clear)
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def short_files(folder: Path) -> Iterator[Disk]:
    """No file of the process may grow beyond 6 MB (EFBIG, as of a quota); needs no rights."""

    def limit(cluster: Cluster, megabytes: int) -> None:
        _, hard = resource.prlimit(cluster.node.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(cluster.node.pid, resource.RLIMIT_FSIZE, (megabytes * MEGABYTE, hard))

    yield Disk(folder, lambda cluster: limit(cluster, SMALL), lambda cluster: limit(cluster, LARGE))


async def mail(port: int, number: int) -> int:
    """The SMTP code of one mail to a native person."""
    try:
        await send_mail(
            host="127.0.0.1",
            port=port,
            sender=BOB,
            recipient="sender-0.eth@gw.example",
            subject="",
            text=f"number {number}.",
            message_id=f"<{number}@mail.example>",
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        return error.recipients[0].code
    except aiosmtplib.SMTPResponseException as error:
        return error.code
    return 250


async def mail_until_refused(port: int) -> tuple[int, int]:
    """The first mail that is refused, and how. Some fit: they are smaller than what was refused before."""
    for number in range(1, 1000):
        if (code := await mail(port, number)) != 250:
            return number, code
    raise AssertionError("a thousand mails are no small rest")


async def refused(senders: Senders) -> None:
    """Return when the disk has been full for a while."""

    async def look() -> bool | None:
        return sum(number for (status, _), number in senders.answers.items() if status != 200) >= REFUSALS or None

    await until(look, 60)


@pytest.mark.parametrize("disk", [small_file_system, short_files], ids=["file-system", "quota"])
async def test_a_full_disk_is_a_temporary_error(
    tmp_path: Path, disk: Callable[[Path], AbstractContextManager[Disk]]
) -> None:
    """At least 200 refusals, each 503 with -32002 (mail: 4xx) and none 2xx; 0 lost, 0 duplicates, 0 damaged.

    All 960 envelopes are accepted within 60 s of there being room, by the same process.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    (smtp_port,) = free_ports(1)
    email = {
        "domain": "gw.example",
        "smtp_host": "127.0.0.1",
        "smtp_port": smtp_port,
        "relay_host": "127.0.0.1:9",
        "allowed_senders": ["mail.example"],
    }
    url = f"sqlite:///{folder / 'gateway.db'}"
    with disk(folder) as room:
        async with running_cluster(tmp_path / "house", url, adapters={"email": email}) as cluster:
            await cluster.start()
            pid = cluster.node.pid
            cluster.sink.closed = True
            conversations = await cluster.conversations(EACH)
            assert await mail(smtp_port, 0) == 250
            room.fill(cluster)
            async with cluster.writing(conversations) as senders:
                await refused(senders)
                number, code = await mail_until_refused(smtp_port)
                assert 400 <= code < 500
                taken = len(senders.acknowledged)
                assert taken < 48 * EACH
                room.clear(cluster)
                cluster.sink.closed = False
                await cluster.all_sent(senders, SETTLE_SECONDS)
                assert await mail(smtp_port, number) == 250
            assert senders.answers.keys() - {(200, 0)} <= TEMPORARY, senders.answers
            await cluster.delivered(senders, SETTLE_SECONDS)
            cluster.check(senders)
            assert cluster.node.pid == pid
            assert "Traceback" not in cluster.node.log()
            assert await cluster.node.stop() == 0
            await sound(url)
            print(f"{taken} acknowledged before it was full, {senders.figures()}")


async def sound(url: str) -> None:
    """Nothing in the database is damaged."""
    async with await Store.open(url) as store:
        assert await store.read(Sql("PRAGMA integrity_check")) == [("ok",)]
        assert await store.read(Sql("PRAGMA foreign_key_check")) == []
        damaged, _ = await store.read(DamagedEnvelopes(0, 100_000))
        assert damaged == []
