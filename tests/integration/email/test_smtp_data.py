"""Content over the wire: smuggling forms, pipelining, sizes, time, and faults between DATA and its reply."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import pytest

from adapters.email import server, spool
from adapters.email.parse import parse_mail
from gateway.sdk import FileContent, LimitExceeded, Outgoing, Submitted, Unavailable, attachment_content
from tests.integration.email.conftest import Door, OpenDoor
from tests.integration.email.talk import letter

SMUGGLED = b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<carol.eth@gw.example>\r\nDATA\r\n" + letter("smuggled")


async def test_a_mail_is_there_when_250_comes(door: Door) -> None:
    async with door.talk() as talk:
        reply = await talk.mail(letter("hello", "Message-ID: <1@example.net>"))
        assert reply == "250 2.0.0 Accepted as <1@example.net>"
        assert [taken.text for taken in door.ctx.taken] == ["hello"]


@pytest.mark.attack(24)
@pytest.mark.parametrize(
    "fake_end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\r\r\n"]
)
async def test_nothing_is_smuggled(door: Door, fake_end: bytes) -> None:
    async with door.talk() as talk:
        reply = await talk.mail(letter("outer") + fake_end + SMUGGLED)
        assert reply.startswith("550 5.6.11")
        assert (await talk.say("NOOP")).startswith("250")
    assert door.ctx.taken == []


async def test_dots_at_line_beginnings_stay(door: Door) -> None:
    async with door.talk() as talk:
        assert (await talk.mail(letter("..one\r\n...two\r\nthree."))).startswith("250")
    assert door.ctx.taken[0].text == ".one\n..two\nthree."


@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_blocks_do_not_matter(door: Door, cut: int) -> None:
    wire = letter("..dot\r\nend") + b"\r\n.\r\n"
    async with door.talk() as talk:
        await talk.begin()
        for position in range(0, len(wire), cut):
            await talk.send(wire[position : position + cut])
            await asyncio.sleep(0)
        assert (await talk.reply()).startswith("250")
    assert door.ctx.taken[0].text == ".dot\nend"


async def test_commands_behind_the_data_are_answered(door: Door) -> None:
    async with door.talk() as talk:
        await talk.send(
            b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<alice.eth@gw.example>\r\nDATA\r\n"
            + letter("one", "Message-ID: <1@x>")
            + b"\r\n.\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<carol.eth@gw.example>\r\nDATA\r\n"
            + letter("two", "Message-ID: <2@x>")
            + b"\r\n.\r\nQUIT\r\n"
        )
        codes = [(await talk.reply())[:3] for _ in range(9)]
    assert codes == ["250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [taken.text for taken in door.ctx.taken] == ["one", "two"]


async def test_a_mail_over_the_limit_is_read_to_its_end_and_refused(open_door: OpenDoor) -> None:
    door = await open_door(size_limit=10_000)
    async with door.talk() as talk:
        assert (await talk.mail(letter("line\r\n" * 100_000))).startswith("552 5.3.4")
        assert (await talk.mail(letter("small"))).startswith("250")
    assert [taken.text for taken in door.ctx.taken] == ["small"]


async def test_a_line_over_the_limit_is_refused(door: Door) -> None:
    async with door.talk() as talk:
        assert (await talk.mail(letter("x" * 15_000))).startswith("250")
        assert (await talk.mail(letter("x" * 20_000))).startswith("554 5.6.0")


async def test_a_large_mail_is_spooled_and_arrives_whole(door: Door) -> None:
    text = ("0123456789" * 7 + "\r\n") * 60_000
    async with door.talk() as talk:
        assert (await talk.mail(letter(text))).startswith("250")
    assert len(text) > 10 * spool.IN_MEMORY
    (taken,) = door.ctx.taken
    (file,) = (attachment_content(each, max_bytes=5_000_000) for each in taken.attachments)
    assert file == FileContent("part-1.txt", "text/plain", text.encode() + b"\r\n")


@pytest.mark.parametrize(
    ("fault", "reply"), [(Unavailable("store"), "451 4.4.3"), (LimitExceeded("quota"), "451 4.7.1")]
)
async def test_while_the_store_is_down_nothing_is_lost(door: Door, fault: Unavailable, reply: str) -> None:
    async with door.talk() as talk:
        await talk.begin()
        door.ctx.fault = fault
        await talk.send(letter("once", "Message-ID: <1@x>") + b"\r\n.\r\n")
        assert (await talk.reply()).startswith(reply)
        assert door.ctx.taken == []
        door.ctx.fault = None
        assert (await talk.mail(letter("once", "Message-ID: <1@x>"))).startswith("250")
    assert len(door.ctx.taken) == 1


async def test_an_unknown_exception_is_temporary_and_tells_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(door.ctx, "submit_all", broken)
    async with door.talk() as talk:
        assert await talk.mail(letter()) == "451 4.3.0 Something failed on our side, try again later"
        monkeypatch.undo()
        assert (await talk.mail(letter())).startswith("250")


async def test_a_store_that_hangs_is_temporary(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging(outgoing: tuple[Outgoing, ...]) -> tuple[Submitted, ...]:
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr(door.ctx, "submit_all", hanging)
    monkeypatch.setattr(server, "HANDLING_TIME", 0.05)
    async with door.talk() as talk:
        assert (await talk.mail(letter())).startswith("451 4.3.0")


async def test_a_full_disk_is_temporary(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(tempfile.SpooledTemporaryFile[bytes]):
        def rollover(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapters.email.spool.tempfile.SpooledTemporaryFile", FullDisk)
    async with door.talk() as talk:
        assert (await talk.mail(letter("line\r\n" * 100_000))).startswith("451 4.3.0")
        assert (await talk.mail(letter("small"))).startswith("250")
    assert [taken.text for taken in door.ctx.taken] == ["small"]


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(door: Door) -> None:
    async with door.talk() as talk:
        await talk.begin()
        await talk.send(letter("half"))
    async with door.talk() as talk:
        assert (await talk.mail(letter("whole"))).startswith("250")
    assert [taken.text for taken in door.ctx.taken] == ["whole"]


async def test_a_stalled_mail_is_ended(open_door: OpenDoor) -> None:
    door = await open_door(data_timeout=0.1)
    async with door.talk() as talk:
        await talk.begin()
        await talk.send(b"From: bob@example.net\r\n")
        assert (await talk.reply()).startswith("421 4.4.2")
        assert await talk.reply() == ""
    assert door.ctx.taken == []


async def test_a_steady_mail_outlives_the_time_of_commands(open_door: OpenDoor) -> None:
    door = await open_door(command_timeout=2, data_timeout=30)
    async with door.talk() as talk:
        await talk.begin()
        for part in (b"From: bob@example.net\r\n", b"\r\n", b"slow", b"ly\r\n"):
            await asyncio.sleep(0.6)  # longer together than a command may take
            await talk.send(part)
        await talk.send(b".\r\n")
        assert (await talk.reply()).startswith("250")
    assert door.ctx.taken[0].text == "slowly"


async def test_a_trickle_is_ended_by_the_minimum_rate(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DATA_GRACE", 0.1)
    async with door.talk() as talk:
        await talk.begin()
        await talk.send(b"From: bob@example.net\r\n")
        assert (await talk.reply()).startswith("421 4.4.2")


async def test_parsing_waits_its_turn_and_all_get_through(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = [0, 0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        running[0] += 1
        running[1] = max(running)
        try:
            return parse_mail(*args, **kwargs)
        finally:
            running[0] -= 1

    monkeypatch.setattr("adapters.email.reading.reader.parse_mail", counted)

    async def one(number: int) -> str:
        async with door.talk() as talk:
            return await talk.mail(letter("x", f"Message-ID: <{number}@x>"))

    replies = await asyncio.gather(*(one(number) for number in range(12)))
    assert all(reply.startswith("250") for reply in replies)
    assert len(door.ctx.taken) == 12
    assert running[1] <= 4
