"""Limits of connections and time, and the end of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.email import listener
from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.sdk import ConfigError, Network, Outgoing, Submitted, Unavailable
from gateway.sdk.testing import MemoryContext
from gateway.sdk.testing.conformance import sample_delivery
from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.peers import Mailbox, MailUser
from tests.integration.email.talk import Talk, letter


async def refused(door: Door) -> str:
    async with door.talk(greet=False) as talk:
        first = await talk.reply()
        assert await talk.reply() == ""
        return first


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
async def test_connections_have_a_limit(open_door: OpenDoor, limit: str) -> None:
    door = await open_door(**{limit: 2})
    async with door.talk(), door.talk() as second:
        assert (await refused(door)).startswith("421 4.7.0")
        await second.say("QUIT")
        assert await second.reply() == ""
        deadline = asyncio.get_running_loop().time() + 60
        while (await greeting(door)).startswith("421"):
            assert asyncio.get_running_loop().time() < deadline


async def greeting(door: Door) -> str:
    async with door.talk(greet=False) as talk:
        return await talk.reply()


async def test_idle_connections_are_ended(open_door: OpenDoor) -> None:
    door = await open_door(command_timeout=2)
    async with door.talk() as talk:
        assert (await talk.reply()).startswith("421 4.4.2")
        assert await talk.reply() == ""


async def test_bogus_lines_do_not_keep_a_connection(open_door: OpenDoor) -> None:
    door = await open_door(command_timeout=2)
    async with door.talk() as talk:
        await talk.send(b"\r\n")
        replies = [await talk.reply(), await talk.reply()]
        assert replies[0].startswith("500")
        assert replies[1].startswith("421 4.4.2")


async def test_closing_tells_idle_clients(door: Door) -> None:
    async with door.talk() as talk:
        await door.adapter.close()
        assert (await talk.reply()).startswith("421 4.3.2")
        assert await talk.reply() == ""
    assert door.adapter.mx_port is None


async def test_closing_waits_for_a_mail_on_its_way(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    storing, stored = asyncio.Event(), asyncio.Event()
    submit_all = door.ctx.submit_all

    async def slow(outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        storing.set()
        await stored.wait()
        return await submit_all(outgoing)

    monkeypatch.setattr(door.ctx, "submit_all", slow)
    async with door.talk() as talk:
        await talk.begin()
        await talk.send(letter("last") + b"\r\n.\r\n")
        await storing.wait()
        closing = asyncio.create_task(door.adapter.close())
        await asyncio.sleep(0)
        assert not closing.done()
        stored.set()
        assert (await talk.reply()).startswith("250")
        assert (await talk.reply()).startswith("421 4.3.2")
        await closing
    assert [taken.text for taken in door.ctx.taken] == ["last"]


async def test_closing_does_not_wait_for_ever(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_CLOSING_TIME", 0.1)
    async with door.talk() as talk:
        await talk.begin()
        await door.adapter.close()
        assert (await talk.reply()).startswith("421 4.3.2")


async def test_both_ports_open_or_none(door: Door, tls_files: dict[str, Path], users_file: Path) -> None:
    settings = EmailSettings(
        domain="gw.example",
        smtp_host="127.0.0.1",
        smtp_port=0,
        submission_port=door.adapter.mx_port,
        submission_users_file=users_file,
        **tls_files,
    )
    adapter = EmailAdapter(settings)
    with pytest.raises(OSError, match="address already in use"):
        await adapter.open(MemoryContext(network=adapter.name))
    assert adapter.mx_port is None


@pytest.mark.parametrize("key", ["submission_users_file", "return_path_key_file"])
async def test_files_that_cannot_be_read_stop_the_start(key: str, tmp_path: Path) -> None:
    settings = EmailSettings.model_validate(
        {"domain": "gw.example", "smtp_host": "127.0.0.1", "smtp_port": 0, key: tmp_path / "absent"}
    )
    with pytest.raises(ConfigError, match="absent: cannot be read"):
        await EmailAdapter(settings).open(MemoryContext(network=Network("email")))


async def test_nothing_is_sent_before_open() -> None:
    adapter = EmailAdapter(EmailSettings(domain="gw.example"))
    with pytest.raises(Unavailable):
        await adapter.deliver(sample_delivery(MailUser(adapter, Mailbox()), 1))
    await adapter.close()


async def test_many_clients_at_once(open_door: OpenDoor) -> None:
    door = await open_door(max_connections=50, max_connections_per_address=50)

    async def deliver(talk: Talk, number: int) -> str:
        return await talk.mail(letter(f"mail {number}", f"Message-ID: <{number}@x>"))

    async def one(number: int) -> str:
        async with door.talk() as talk:
            return await deliver(talk, number)

    replies = await asyncio.gather(*(one(number) for number in range(50)))
    assert {reply[:3] for reply in replies} == {"250"}
    assert {taken.text for taken in door.ctx.taken} == {f"mail {number}" for number in range(50)}
