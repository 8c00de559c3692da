"""The tables in adapters/matrix/README.md are true: one of each is sent, and compared with what they say."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.matrix.settings import MatrixSettings
from gateway.demo.matrix_user import MatrixUser
from gateway.dm3.message import MessageType
from gateway.ids import MessageHash
from gateway.operations.dm3_client import Dm3Client, Received, Sent
from tests.integration.matrix.test_kinds import PNG, talk, words
from tests.integration.matrix.worlds import MatrixWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]

README = (Path(__file__).parents[3] / "adapters/matrix/README.md").read_text()
UNKNOWN = MessageHash("0x" + "cd" * 32)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    section = README.partition(f"{heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None, heading
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in rows.group().splitlines()]
    return cells[2:]


TO_MATRIX = table("### From DM3 to Matrix")
FROM_MATRIX = table("### From Matrix to DM3")


async def test_every_dm3_type_has_a_row() -> None:
    assert sorted(row[0].strip("`") for row in TO_MATRIX) == sorted(MessageType)


async def test_every_setting_has_a_row() -> None:
    assert [row[0].strip("`") for row in table("## Settings")] == list(MatrixSettings.model_fields)


@pytest.mark.parametrize("row", TO_MATRIX, ids=lambda row: row[0].strip("`"))
async def test_from_dm3_to_matrix(world: MatrixWorld, row: list[str]) -> None:
    alice, native, room = await talk(world)
    kind, shown, unknown = MessageType(row[0].strip("`")), row[1], row[2]
    written = await alice.say(room, "hello")
    (theirs,) = await world.mail(native)
    ours = await native.send(world.name_of(alice), "ours")
    heard = await alice.wait_text(room, "ours")
    own = kind in (MessageType.EDIT, MessageType.DELETE_REQUEST)
    about, event = (ours.message_hash, heard["event_id"]) if own else (theirs.message_hash, written)
    await _send(world, native, alice, kind, None if kind is MessageType.NEW else about)
    await _compare(alice, room, world.ghost(native), shown, event)
    if kind is not MessageType.NEW and unknown != "nothing":
        await _send(world, native, alice, kind, UNKNOWN)
        await _compare(alice, room, world.ghost(native), shown if unknown == "the same" else unknown, event)


async def _send(
    world: MatrixWorld, native: Dm3Client, alice: MatrixUser, kind: MessageType, about: MessageHash | None
) -> Sent:
    text = "\N{THUMBS UP SIGN}" if kind is MessageType.REACTION else f"some text for {kind.value}"
    return await native.send(world.name_of(alice), text, kind=kind, reference=about)


async def _compare(alice: MatrixUser, room: str, ghost: str, shown: str, about: str) -> None:
    """Wait for an event of the ghost that is as the table says."""
    if shown.startswith("`m.receipt`"):
        assert await alice.wait_receipt(room, about, ghost)
        return
    if shown.startswith("a new message"):
        text = shown.partition("`")[2].strip("`").rstrip("\N{HORIZONTAL ELLIPSIS}")
        await alice.wait_event(
            lambda event: (
                event["sender"] == ghost
                and event["content"]["body"].startswith(text)
                and "m.relates_to" not in event["content"]
            )
        )
        return
    kind = shown.split("`")[1]

    def fits(event: dict[str, Any]) -> bool:
        content = event["content"]
        relation = content.get("m.relates_to", {})
        if event["sender"] != ghost or event["type"] != kind:
            return False
        match shown.partition("`, ")[2] or shown.partition("` ")[2]:
            case "a reply":
                return bool(relation["m.in_reply_to"]["event_id"] == about)
            case "a replacement":
                return bool(relation == {"rel_type": "m.replace", "event_id": about})
            case "with `delivered_to_users`":
                return bool(content["delivered_to_users"] == [ghost] and relation["event_id"] == about)
        if kind == "m.reaction":
            return bool(relation["event_id"] == about)
        if kind == "m.room.redaction":
            return about in (content.get("redacts"), event.get("redacts"))
        return content["body"].startswith("some text") and not relation

    await alice.wait_event(fits)


@dataclass(frozen=True)
class Sample:
    """How one of a kind is sent, and how its DM3 message reads."""

    send: Callable[[MatrixUser, str, str, str], Awaitable[object]]
    reads: str = "sample"


def message(**content: Any) -> Sample:
    """An ordinary message."""

    async def send(alice: MatrixUser, room: str, _first: str, mxc: str) -> object:
        filled = {key: mxc if value == "MXC" else value for key, value in content.items()}
        return await alice.send(room, "m.room.message", {"body": "sample", **filled})

    return Sample(send, "" if "url" in content else "sample")


def event(kind: str, content: dict[str, Any], reads: str = "") -> Sample:
    """Any other event; ``MXC`` and ``FIRST`` stand for a file and for the first message of the room."""

    async def send(alice: MatrixUser, room: str, first: str, mxc: str) -> object:
        filled = _filled(content, {"MXC": mxc, "FIRST": first})
        if kind == "m.room.topic":
            return await alice.set_state(room, kind, filled)
        return await alice.send(room, kind, filled)

    return Sample(send, reads)


def _filled(value: Any, given: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, given) for key, each in value.items()}
    return given.get(value, value) if isinstance(value, str) else value


async def _react_and_take_back(alice: MatrixUser, room: str, first: str, _mxc: str) -> object:
    return await alice.redact(room, await alice.react(room, first, "\N{THUMBS UP SIGN}"))


def related(**relation: Any) -> Sample:
    """A text that is about another."""
    return event("m.room.message", {"msgtype": "m.text", "body": "sample", "m.relates_to": relation}, "sample")


PICTURE = {"mimetype": "image/png"}
POLL = {"question": {"m.text": [{"body": "sample"}]}, "answers": [{"m.text": [{"body": "yes"}]}]}
SAMPLES = {
    "`m.text`": message(msgtype="m.text"),
    "`m.text` as a reply": related(**{"m.in_reply_to": {"event_id": "FIRST"}}),
    "`m.text` in a thread": related(rel_type="m.thread", event_id="FIRST"),
    "`m.text` as an edit": event(
        "m.room.message",
        {
            "msgtype": "m.text",
            "body": "* sample",
            "m.new_content": {"msgtype": "m.text", "body": "sample"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": "FIRST"},
        },
        "sample",
    ),
    "`m.emote`": message(msgtype="m.emote"),
    "`m.notice`": message(msgtype="m.notice"),
    **{
        f"`m.{kind}`": message(msgtype=f"m.{kind}", url="MXC", info=PICTURE)
        for kind in ("image", "file", "audio", "video")
    },
    "`m.location`": message(msgtype="m.location", geo_uri="geo:1,2"),
    "`m.sticker`": event("m.sticker", {"body": "sample", "url": "MXC", "info": PICTURE}),
    "`m.poll.start`": event("m.poll.start", {"m.poll": POLL}, "Poll: sample"),
    "any other `msgtype`": message(msgtype="org.example.new"),
    "`m.reaction`": event(
        "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": "FIRST", "key": "sample"}}, "sample"
    ),
    "redaction of a message": Sample(lambda alice, room, first, _: alice.redact(room, first), ""),
    "redaction of a reaction": Sample(_react_and_take_back, ""),
    "`m.receipt`": Sample(lambda alice, room, first, _: alice.receipt(room, first), ""),
    "`m.room.encrypted`": event("m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}),
    "`m.typing`": Sample(lambda alice, room, *_: alice.set_typing(room), ""),
    "`m.room.topic`": event("m.room.topic", {"topic": "sample"}),
    "any other event": event("org.example.unheard", {"body": "sample"}),
}


async def test_every_row_has_a_sample() -> None:
    assert [row[0] for row in FROM_MATRIX] == list(SAMPLES)


@pytest.mark.parametrize("row", FROM_MATRIX, ids=lambda row: row[0].replace("`", ""))
async def test_from_matrix_to_dm3(world: MatrixWorld, row: list[str]) -> None:
    alice, native, room = await talk(world)
    sample, becomes = SAMPLES[row[0]], row[1].strip("`")
    first = await alice.say(room, "first")
    await world.mail(native)
    if row[0] == "`m.receipt`":
        await native.send(world.name_of(alice), "to be read")
        first = (await alice.wait_text(room, "to be read"))["event_id"]
        # A person reads it later than the gateway has noted that it was shown.
        await world.mail(native, kind=MessageType.READ_RECEIVED)
    await sample.send(alice, room, first, await alice.upload(PNG, "image/png"))
    if becomes == "nothing":
        await alice.say(room, "last")
        received = await world.mail(native, 2)
        assert [words(each) for each in received] == ["first", "last"]
        assert len(world.heard[native.name]) == 2
        return
    kind = MessageType(becomes)
    got: Received = (await world.mail(native, 2 if kind is MessageType.NEW else 1, kind=kind))[-1]
    assert sample.reads in words(got)
    if "attachment" in row[2]:
        assert len(got.message.attachments or ()) == 1
