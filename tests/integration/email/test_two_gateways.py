"""Two gateways whose mail domains face each other, with programs on both sides that answer: how many mails that makes.

alice.eth is at gateway A, bob.eth at gateway B, and each writes to the other's mail address: every message is DM3, then
mail, then DM3 again, and no header of the mail is left in it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiosmtplib
import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.automatic import AUTOMATIC_MARK, marked
from adapters.email.dkim.keys import DkimKey
from adapters.email.dkim.signing import Signer
from adapters.email.keys import FILES, make_keys
from adapters.email.settings import EmailSettings
from gateway.dm3.message import MessageType
from gateway.errors import GatewayError
from gateway.ids import EnsName, Network
from gateway.operations.dm3_client import Dm3Client, Received
from tests.integration.email.peers import Zone, dns_server
from tests.support.house import House, running_house
from tests.support.waiting import until

EMAIL = Network("email")
AT_ONCE = 4
"""Mails of one sender to one person that may come together, here; 30 by default."""
QUIET_SECONDS = 3.0
"""So long nothing more may happen; a round takes a tenth of a second."""
ADDRESSES = {"a.example": "127.0.0.2", "b.example": "127.0.0.3"}


def free_port(*hosts: str) -> int:
    """A port that nobody has at any of these addresses."""
    while True:
        with socket.socket() as first:
            first.bind((hosts[0], 0))
            port: int = first.getsockname()[1]
        try:
            for host in hosts[1:]:
                with socket.socket() as other:
                    other.bind((host, port))
        except OSError:
            continue
        return port


@dataclass
class Responder:
    """A native client that answers every message which somebody wrote, or every message at all."""

    client: Dm3Client
    answer: str
    careful: bool
    """Whether it leaves alone what is marked as automatic."""
    heard: list[Received] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            for received in await self.client.fetch():
                await self.client.acknowledge(received)
                if received.message.type in (MessageType.NEW, MessageType.REPLY):
                    self.heard.append(received)
                    await self._answer(received)
            await asyncio.sleep(0.02)

    async def _answer(self, received: Received) -> None:
        if self.careful and marked(received.message.text or ""):
            return
        try:
            await self.client.send(
                received.sender, self.answer, kind=MessageType.REPLY, reference=received.message_hash
            )
        except GatewayError:
            return


@dataclass
class Facing:
    """Both gateways."""

    a: House
    b: House
    port: int
    signer: Signer
    """Of gateway A."""

    async def begin(self) -> None:
        """The first mail, from alice.eth's address to bob.eth's, as if gateway A had sent it."""
        mail = b"From: alice.eth@a.example\r\nTo: bob.eth@b.example\r\nMessage-ID: <first@a.example>\r\n\r\nHello\r\n"
        async with aiosmtplib.SMTP(
            hostname=ADDRESSES["b.example"], port=self.port, local_hostname="a.example", start_tls=False
        ) as client:
            await client.sendmail("alice.eth@a.example", ["bob.eth@b.example"], self.signer.sign(mail))


def records(port: int, keys: dict[str, tuple[DkimKey, ...]]) -> dict[str, list[str]]:
    """A zone in which nothing but a good signature proves that a mail is from one of the two domains."""
    zone: dict[str, list[str]] = {}
    for domain, address in ADDRESSES.items():
        zone[f"{domain} MX"] = [f"10 mx.{domain}."]
        zone[f"mx.{domain} A"] = [address]
        zone[f"{domain} TXT"] = ['"v=spf1 -all"']
        zone[f"_dmarc.{domain} TXT"] = ['"v=DMARC1; p=reject"']
        for key in keys[domain]:
            text = key.zone_line(domain).partition(" IN TXT ")[2]
            zone[f"{key.record_name(domain)} TXT"] = [text]
    return zone


@asynccontextmanager
async def facing(folder: Path) -> AsyncIterator[Facing]:
    port = free_port(*ADDRESSES.values())
    keys: dict[str, tuple[DkimKey, ...]] = {}
    for domain in ADDRESSES:
        (folder / domain).mkdir()
        keys[domain] = make_keys(folder / domain, "dm3")
    async with AsyncExitStack() as stack:
        dns = await stack.enter_async_context(dns_server(Zone(records(port, keys))))

        def adapter(domain: str) -> EmailAdapter:
            return EmailAdapter(
                EmailSettings(
                    domain=domain,
                    hostname=f"mx.{domain}",
                    smtp_host=ADDRESSES[domain],
                    smtp_port=port,
                    mx_port=port,
                    dns_servers=(dns,),
                    allow_private_destinations=True,
                    dkim_key_files=tuple(folder / domain / name for name in FILES),
                    mails_at_once=AT_ONCE,
                    mails_per_minute=1,
                )
            )

        a = await stack.enter_async_context(
            running_house(folder / "a", adapters={EMAIL: adapter("a.example")}, parent=EnsName("gwa.eth"))
        )
        b = await stack.enter_async_context(
            running_house(
                folder / "b",
                adapters={EMAIL: adapter("b.example")},
                parent=EnsName("gwb.eth"),
                chain=a.chain,
            )
        )
        yield Facing(a, b, port, Signer("a.example", keys["a.example"]))


@asynccontextmanager
async def answering(*responders: Responder) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in responders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def quiet(count: Callable[[], int]) -> int:
    """The count once it stays what it is."""
    while True:
        before = count()
        await asyncio.sleep(QUIET_SECONDS)
        if count() == before:
            return before


async def pair(world: Facing, *, careful: bool, answers: tuple[str, str]) -> tuple[Responder, Responder]:
    alice = await world.a.native("alice.eth")
    bob = await world.b.native("bob.eth")
    return Responder(alice, answers[0], careful), Responder(bob, answers[1], careful)


@pytest.mark.attack(46)
@pytest.mark.attack(46)
async def test_programs_that_mark_what_they_write_answer_once(tmp_path: Path) -> None:
    """bob.eth is away and says so, marked; alice.eth's program sees the mark at the end of the way, and is silent."""
    async with facing(tmp_path) as world:
        alice, bob = await pair(world, careful=True, answers=(f"{AUTOMATIC_MARK}me too", f"{AUTOMATIC_MARK}away"))
        async with answering(alice, bob):
            await world.begin()
            await until(lambda: heard(alice), 30)
            assert await quiet(lambda: len(alice.heard) + len(bob.heard)) == 2
        (told,) = alice.heard
        # Gateway A never saw the first mail, so it shows the subject of a thread that begins.
        assert (told.message.text or "").startswith(f"{AUTOMATIC_MARK}**Re: ")
        assert f"{AUTOMATIC_MARK}away" in (told.message.text or "")
        assert told.sender == "bob-2eeth.b.example.email.gwa.eth"


@pytest.mark.attack(46)
@pytest.mark.attack(46)
async def test_programs_that_mark_nothing_are_slowed_down_to_a_pace(tmp_path: Path) -> None:
    """Nothing tells their answers from a person's; each side sends what the pace allows, and then one a minute."""
    async with facing(tmp_path) as world:
        alice, bob = await pair(world, careful=False, answers=("I am a program", "So am I"))
        async with answering(alice, bob):
            await world.begin()
            await until(lambda: heard(bob, AT_ONCE), 60)
            total = await quiet(lambda: len(alice.heard) + len(bob.heard))
        assert AT_ONCE <= total <= 1 + 2 * (AT_ONCE + 1)


async def heard(responder: Responder, number: int = 1) -> bool | None:
    return True if len(responder.heard) >= number else None
