"""`dm3-gateway queue` as an operator types it: without a node, and beside one that works."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from gateway.cli_queue import AT_ONCE
from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.sdk import Retry
from gateway.store import Store
from gateway.store.audit import LoggedEntry
from gateway.store.jobs import Enqueue
from gateway.store.lanes import HoldJob, LeaseLanes, ReleaseLane
from gateway.store.overview import JobsSeen, NewestEntries, QueueFilter
from tests.integration.store.values import NOW, job, lane
from tests.integration.subnames.test_cli import command, install
from tests.integration.web.test_name_page import bridged
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

SECRET = "what somebody wrote to somebody"
REASON = "the service of alice.eth said no"


async def entries(store: Store) -> list[LoggedEntry]:
    return await store.read(NewestEntries(50))


class Queue:
    """`dm3-gateway queue`, for an installation whose node does not run."""

    def __init__(self, config: Path) -> None:
        self._config = config

    @classmethod
    async def installed(cls, folder: Path, store_url: str) -> Queue:
        config = await asyncio.to_thread(install, folder)
        config.write_text(config.read_text().replace("sqlite:///gateway.db", store_url))
        assert store_url in config.read_text()
        return cls(config)

    async def __call__(self, *arguments: str, code: int = 0) -> str:
        """All that it tells; no command ever says what somebody wrote, or unasked to whom."""
        done = await asyncio.to_thread(command, "queue", *arguments, config=self._config)
        told = done.stdout + done.stderr
        assert done.returncode == code, told
        assert "Traceback" not in told
        assert SECRET not in told
        assert "--names" in arguments or "alice.eth" not in told
        return told


async def fill(store: Store) -> int:
    """Three that wait for delivery services, and one on hold, whose number this is."""
    bad = await store.commit(Enqueue(job(SECRET, lane=lane("a"))))
    [lease] = await store.commit(LeaseLanes("w", NOW, 1000, 1))
    await store.commit_all(HoldJob(lease, bad, NOW, REASON), ReleaseLane(lease, NOW))
    for number in range(3):
        await store.commit(Enqueue(job(SECRET, lane=lane("b", "dm3"), created_at=NOW + number)))
    return bad


async def test_the_queue_of_a_node_that_does_not_run(tmp_path: Path, sqlite_store_url: str) -> None:
    queue = await Queue.installed(tmp_path, sqlite_store_url)
    assert "Nothing waits" in await queue("list")
    async with await Store.open(sqlite_store_url) as store:
        bad = await fill(store)
        listed = await queue("list")
        assert "3 waiting, 1 on hold in all" in listed
        assert "[somebody]" in listed
        assert "alice.eth" in await queue("list", "--held", "--names")
        told = json.loads(await queue("list", "--json", "--adapter", "dm3"))
        assert [(each["destination"], each["waiting"], each["reason"]) for each in told["lanes"]] == [("dm3", 3, "")]
        assert told["totals"] == {"dm3": {"ready": 3, "hold": 0}, "email": {"ready": 0, "hold": 1}}
        assert "no job 77" in await queue("show", "77", code=1)
        assert json.loads(await queue("show", str(bad), "--json"))["state"] == "hold"
        assert len((await queue("dump", "--adapter", "dm3")).splitlines()) == 3

        for wrong in (("1", "--all"), ("--all",)):
            await queue("retry", *wrong, code=2)
        assert "not there" in await queue("drop", "77", str(bad), "--silent", code=1)
        assert "3 jobs held" in await queue("hold", "--all", "--adapter", "dm3")
        held = [each.id for each in await store.read(JobsSeen(QueueFilter(), 10))]
        assert "hold already" in await queue("hold", str(held[0]), code=1)
        assert "1 job to be tried again" in await queue("retry", str(held[0]))
        assert "2 jobs to be tried again" in await queue("retry", "--all", "--held")
        assert "3 jobs dropped; nobody is told" in await queue("drop", "--all", "--adapter", "dm3", "--yes")
        actions = [(each.entry.actor, each.entry.action) for each in reversed(await entries(store))]
        assert actions == [
            ("operator", f"queue.{each}") for each in ("dropped", *["held"] * 3, *["retried"] * 3, *["dropped"] * 3)
        ]


async def test_every_number_that_is_named_is_acted_on(tmp_path: Path, sqlite_store_url: str) -> None:
    """Those that come after a thousand others, too."""
    queue = await Queue.installed(tmp_path, sqlite_store_url)
    async with await Store.open(sqlite_store_url) as store:
        for number in range(5):
            await store.commit(Enqueue(job("x", lane=lane("b", "dm3"), created_at=NOW + number)))
        numbers = [str(each.id) for each in await store.read(JobsSeen(QueueFilter(), 10))]
        gone = map(str, range(10_000, 10_000 + AT_ONCE))
        told = await queue("drop", numbers[0], *gone, *numbers, "--silent", code=1)
        assert "5 jobs dropped" in told
        assert told.count("it is not there") == AT_ONCE


async def test_the_same_on_postgresql(tmp_path: Path, postgres_store_url: str) -> None:
    queue = await Queue.installed(tmp_path, postgres_store_url)
    async with await Store.open(postgres_store_url) as store:
        await fill(store)
        told = json.loads(await queue("list", "--json", "--held"))
        assert [(each["destination"], each["waiting"], each["held"]) for each in told["lanes"]] == [("email", 0, 1)]
        assert "1 job to be tried again" in await queue("retry", "--all", "--held")
        assert "3 jobs dropped" in await queue("drop", "--all", "--adapter", "dm3", "--yes")
        assert [each.entry.action for each in await entries(store)] == ["queue.dropped"] * 3 + ["queue.retried"]


async def test_beside_a_node_a_dropped_message_is_told_to_its_writer(tmp_path: Path) -> None:
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as house:
        native = await house.native("native.eth")
        person = EnsName("margarethe.example.org.paper.gw.eth")
        await bridged(house, paper, "margarethe@example.org")
        for text in ("stays", "is dropped"):
            # The second waits behind the first, which is tried once and then for an hour no more.
            paper.script.append(Retry("the paper is wet", after=3600))
            await native.send(person, text)
        first, second = await until(lambda: two_jobs(house))

        done = await asyncio.to_thread(command, "queue", "drop", str(second), config=house.config)
        assert done.returncode == 0, done.stderr
        assert "1 sender is told" in done.stdout
        [notice] = await mail_of(native, kind=MessageType.REPLY)
        assert "took it out of the queue" in (notice.message.text or "")
        assert [each.id for each in await house.gateway.store.read(JobsSeen(QueueFilter(), 10))] == [first]

        paper.script.clear()
        done = await asyncio.to_thread(command, "queue", "retry", str(first), config=house.config)
        assert done.returncode == 0, done.stderr
        [delivered] = await paper.wait_delivered(1)
        assert delivered.text.startswith("stays")


async def two_jobs(house: House) -> list[int] | None:
    """Both, when the first was tried and waits."""
    found = await house.gateway.store.read(JobsSeen(QueueFilter(destination="paper"), 10))
    return [each.id for each in found] if len(found) == 2 and found[0].attempts == 1 else None
