"""A gateway whose operator pages are served on a listener of their own, with something in its queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.bridge.jobs import OutboundJob, encode_outbound
from gateway.dm3.eth import address_of, checksum
from gateway.dm3.message import MessageType
from gateway.ids import EnsName, NativeId, Network
from gateway.store import Store
from gateway.store.failed import Failure, KeepFailed
from gateway.store.jobs import Enqueue, NewJob, lane_key
from gateway.store.lanes import HoldJob, LeaseLanes, ReleaseLane, RetryJob
from gateway.store.traffic import AddTraffic, Interval
from gateway.web.server import HttpServer, listen
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house

HOUR = 3_600_000
OWNER_KEY = bytes(range(1, 33))
WORDS = "what somebody wrote to somebody"


@dataclass
class Office:
    """The node, its operators' listener, and somebody without a browser."""

    house: House
    pages: House
    """The same, at the address of the operators."""
    token: str
    http: httpx2.AsyncClient
    jobs: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the pages are."""
        return self.pages.url

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """A page."""
        return await self.http.get(self.url + path, headers=headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        """A form, as a browser sends it from these pages unless an ``origin`` says otherwise."""
        return await self.http.post(self.url + path, data=fields, headers={"origin": self.url, **headers})

    async def log_in(self) -> None:
        """With the token."""
        answer = await self.post("/admin/login", {"token": self.token, "next": ""})
        assert answer.status_code == 303, answer.text


@asynccontextmanager
async def operating(folder: Path) -> AsyncIterator[Office]:
    """Nothing works on the queue, so that what a test puts there stays as it is."""
    overrides = {
        "DM3_GATEWAY__SUBNAMES__POLICY": "open",
        "DM3_GATEWAY__ADMIN__ENABLED": "true",
        "DM3_GATEWAY__ADMIN__TOKEN_FILE": "admin.token",
        "DM3_GATEWAY__ADMIN__OWNERS": f'["{checksum(address_of(OWNER_KEY))}"]',
    }
    async with running_house(
        folder, adapters={PaperAdapter.name: PaperAdapter()}, overrides=overrides, working=False
    ) as house:
        bound = listen("127.0.0.1", 0)
        pages = house.gateway.operator_pages(house.config)
        server = HttpServer(ProxyHeadersMiddleware(pages, trusted_hosts="*"), bound)  # type: ignore[arg-type]
        await server.start()
        try:
            own = house.settings.server.model_copy(update={"public_url": f"http://127.0.0.1:{server.port}"})
            there = replace(house, settings=house.settings.model_copy(update={"server": own}))
            token = (folder / "admin.token").read_text().strip()
            async with httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=60) as http:
                yield Office(house, there, token, http)
        finally:
            await server.stop()


async def fill(store: Store) -> dict[str, int]:
    """Lanes in every state; ids of some jobs."""
    now = store.clock()

    async def add(destination: str, which: str, age: int, kind: str = "outbound") -> int:
        lane = lane_key(destination, which.encode().hex().ljust(32, "0"))
        work = letter(EnsName("alice.eth"), NativeId(f"<{which}@example.org>"), now - age)
        payload = encode_outbound(work) if kind == "outbound" else WORDS.encode()
        job = NewJob(lane, kind, payload, now - age, now + 20 * 24 * HOUR, person=work.sender)
        return await store.commit(Enqueue(job))

    async def tried(number: int, reason: str, tries: int, delay: int) -> None:
        leases = await store.commit(LeaseLanes("w", now, 5_000, 50))
        [lease] = [each for each in leases if each.first is not None and each.first.id == number]
        for _ in range(tries):
            await store.commit(RetryJob(lease, number, now, delay, reason))
        for each in leases:
            await store.commit(ReleaseLane(each, now))

    jobs = {"held": await add("paper", "held", 3 * HOUR, "inbound")}
    [lease] = await store.commit(LeaseLanes("w", now, 5_000, 1))
    held = HoldJob(lease, jobs["held"], now, "raised KeyError")
    await store.commit_all(held, ReleaseLane(lease, now))
    jobs["failing"] = await add("dm3", "failing", 26 * HOUR)
    jobs["behind"] = await add("dm3", "failing", 5 * HOUR)
    await tried(jobs["failing"], "The delivery service ds.alice.eth did not answer in time.", 12, HOUR // 2)
    jobs["waiting"] = await add("paper", "waiting", 20_000, "inbound")
    for number in range(4):
        await add("notify", f"later-{number}", 1_000 * number, "notify-mail")
    failure = Failure(
        Network("paper"),
        EnsName("margarethe.example.org.paper.gw.eth"),
        EnsName("nobody.eth"),
        NativeId("<letter-17@example.org>"),
        "nobody.eth names no delivery service.",
        now - 2 * HOUR,
    )
    written = letter(failure.recipient, failure.native_id, now - 2 * HOUR - 4_000)
    await store.commit(KeepFailed(failure, encode_outbound(written)))
    hour = now - now % HOUR
    for back in range(24):
        await store.commit(AddTraffic(Interval(hour - back * HOUR, (back * 37) % 101, back * 4_000_000, back % 5)))
    return jobs


def letter(recipient: EnsName, native_id: NativeId, sent_at: int) -> OutboundJob:
    """What Margarethe wrote."""
    return OutboundJob(
        network=Network("paper"),
        sender=EnsName("margarethe.example.org.paper.gw.eth"),
        recipient=recipient,
        type=MessageType.NEW,
        text=WORDS,
        sent_at=sent_at,
        native_id=native_id,
    )
