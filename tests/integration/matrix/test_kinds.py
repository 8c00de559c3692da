"""Every kind of message, both ways, through a real homeserver."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from gateway.demo.matrix_user import MatrixUser
from gateway.dm3.message import Attachment, MessageType
from gateway.operations.dm3_client import Dm3Client, Received
from gateway.sdk import NOTICE_MARK, FileContent, Link, attachment_content, file_attachment
from tests.integration.matrix.worlds import MatrixWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]

Json = dict[str, Any]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def words(received: Received) -> str:
    """The text without the notice that a first message carries."""
    return (received.message.text or "").partition("\n\n-- \n")[0]


async def talk(world: MatrixWorld) -> tuple[MatrixUser, Dm3Client, str]:
    person, native = await world.person(), await world.native()
    return person, native, await world.chat(person, native)


# --- Matrix to DM3 ----------------------------------------------------------------------------------------------------


async def test_formatted_text_emotes_and_notices_go_to_dm3(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    html = {
        "format": "org.matrix.custom.html",
        "formatted_body": "<b>bold</b><script>x</script> <a href='https://a.b'>c</a>",
    }
    await alice.say(room, "fallback", **html)
    await alice.send(room, "m.room.message", {"msgtype": "m.emote", "body": "waves"})
    await alice.send(room, "m.room.message", {"msgtype": "m.notice", "body": "by a program"})
    received = await world.mail(native, 3)
    assert [words(each) for each in received] == [
        "**bold** [c](https://a.b)",
        f"* {alice.user_id[1:].partition(':')[0]} waves",
        "by a program",
    ]


async def test_nobody_speaks_as_the_gateway(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    claim = f"{NOTICE_MARK}Send your seed to eve.eth"
    first = await alice.say(room, claim)
    await alice.send(room, "m.room.message", {"msgtype": "m.notice", "body": claim})
    assert [words(each) for each in await world.mail(native, 2)] == [f"> {claim}"] * 2
    await alice.edit(room, first, claim)
    (edit,) = await world.mail(native, kind=MessageType.EDIT)
    assert words(edit) == f"> {claim}"


async def test_replies_threads_edits_and_redactions_go_to_dm3(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    first = await alice.say(room, "first")
    (original,) = await world.mail(native)
    await alice.reply(room, first, "second")
    (reply,) = await world.mail(native, kind=MessageType.REPLY)
    assert (words(reply), reply.message.reference) == ("second", original.message_hash)
    thread = {"rel_type": "m.thread", "event_id": first, "is_falling_back": True, "m.in_reply_to": {"event_id": first}}
    await alice.say(room, "third", **{"m.relates_to": thread})
    _, threaded = await world.mail(native, 2, kind=MessageType.REPLY)
    assert threaded.message.reference == original.message_hash
    await alice.edit(room, first, "better")
    (edit,) = await world.mail(native, kind=MessageType.EDIT)
    assert (words(edit), edit.message.reference) == ("better", original.message_hash)
    await alice.redact(room, first)
    (gone,) = await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert gone.message.reference == original.message_hash


async def test_a_reaction_and_its_removal_go_to_dm3(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    first = await alice.say(room, "mine")
    (original,) = await world.mail(native)
    reaction = await alice.react(room, first, "\N{THUMBS UP SIGN}")
    (reacted,) = await world.mail(native, kind=MessageType.REACTION)
    assert (reacted.message.text, reacted.message.reference) == ("\N{THUMBS UP SIGN}", original.message_hash)
    await alice.redact(room, reaction)
    (taken,) = await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert taken.message.reference == reacted.message_hash


async def test_files_captions_and_stickers_go_to_dm3(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.send_file(room, PNG, "image/png", "dot.png", kind="m.image", caption="a *dot*")
    mxc = await alice.upload(PNG, "image/png")
    await alice.send(room, "m.sticker", {"body": "dot", "url": mxc, "info": {"mimetype": "image/png"}})
    captioned, sticker = await world.mail(native, 2)
    for received, text in ((captioned, "a *dot*"), (sticker, "")):
        (attachment,) = received.message.attachments or ()
        content = attachment_content(attachment, max_bytes=10_000)
        assert isinstance(content, FileContent)
        assert (content.data, content.media_type) == (PNG, "image/png")
        assert words(received) == text


async def test_a_large_file_goes_as_a_signed_link(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    data = os.urandom(5_100_000)
    await alice.send_file(room, data, "application/x-thing", "thing ü.bin")
    (received,) = await world.mail(native, seconds=30)
    (attachment,) = received.message.attachments or ()
    link = attachment_content(attachment, max_bytes=100)
    assert isinstance(link, Link)
    answer = await world.house.http.get(link.url)
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]
    forged = re.sub(r"/files/matrix/(\d+)/", lambda found: f"/files/matrix/{int(found[1]) + 1}/", link.url)
    assert (await world.house.http.get(forged)).status_code == 404


async def test_a_file_that_is_too_large_fails_in_words(world: MatrixWorld) -> None:
    alice, _, room = await talk(world)
    mxc = await alice.upload(PNG, "image/png")
    content = {"msgtype": "m.file", "body": "big", "url": mxc, "info": {"size": 60_000_000}}
    sent = await alice.send(room, "m.room.message", content)
    notice = await alice.wait_event(lambda event: event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == sent)
    assert notice["content"]["msgtype"] == "m.notice"
    assert "too large" in notice["content"]["body"]


async def test_a_message_that_fails_says_so_with_the_reason(world: MatrixWorld) -> None:
    alice, nobody = await world.person(), await world.native(service="nowhere.eth")
    room = await world.chat(alice, nobody)
    sent = await alice.say(room, "lost")
    status = await alice.wait_event(
        lambda event: (
            event["type"] == "com.beeper.message_send_status" and event["content"]["m.relates_to"]["event_id"] == sent
        )
    )
    assert status["content"]["status"] == "FAIL_PERMANENT"
    notice = await alice.wait_event(lambda event: event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == sent)
    assert notice["content"]["msgtype"] == "m.notice"
    assert notice["content"]["body"].startswith(f"Your message did not reach {nobody.name}: ")
    assert re.search(r" \[trace [0-9a-f]{12}\]\Z", notice["content"]["body"]), "to be quoted to the operator"


# --- DM3 to Matrix ----------------------------------------------------------------------------------------------------


async def test_formatted_text_goes_to_matrix_sanitised(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    await native.send(world.name_of(alice), "**bold** <img src=x onerror=y> [x](javascript:alert(1))")
    heard = await alice.wait_event(lambda event: "bold" in event["content"]["body"])
    assert "<strong>bold</strong>" in heard["content"]["formatted_body"]
    assert "<img" not in heard["content"]["formatted_body"]
    assert 'href="javascript' not in heard["content"]["formatted_body"]


async def test_replies_edits_reactions_and_deletions_go_to_matrix(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    first = await alice.say(room, "hello")
    (original,) = await world.mail(native)
    name = world.name_of(alice)
    reply = await native.send(name, "answer", kind=MessageType.REPLY, reference=original.message_hash)
    answered = await alice.wait_text(room, "answer")
    assert answered["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == first
    await native.send(name, "better answer", kind=MessageType.EDIT, reference=reply.message_hash)
    edited = await alice.wait_event(lambda event: event["content"]["m.new_content"]["body"] == "better answer")
    assert edited["content"]["m.relates_to"] == {"rel_type": "m.replace", "event_id": answered["event_id"]}
    reaction = await native.send(name, "\N{PARTY POPPER}", kind=MessageType.REACTION, reference=original.message_hash)
    reacted = await alice.wait_event(lambda event: event["type"] == "m.reaction")
    assert reacted["content"]["m.relates_to"] == {
        "rel_type": "m.annotation",
        "event_id": first,
        "key": "\N{PARTY POPPER}",
    }
    for about, event in ((reaction, reacted), (reply, answered)):
        await native.send(name, "", kind=MessageType.DELETE_REQUEST, reference=about.message_hash)
        await alice.wait_event(redaction_of(event))


def redaction_of(gone: Json) -> Callable[[Json], bool]:
    """Whether an event takes this one back."""

    def is_it(event: Json) -> bool:
        redacts = event["content"].get("redacts") or event.get("redacts")
        return bool(event["type"] == "m.room.redaction" and redacts == gone["event_id"])

    return is_it


def has_name(name: str) -> Callable[[Json], bool]:
    """Whether an event is a file of this name."""
    return lambda event: bool(event["content"]["filename"] == name)


async def test_nobody_takes_back_or_changes_the_words_of_others(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    mine = await alice.say(room, "mine")
    (original,) = await world.mail(native)
    name = world.name_of(alice)
    await native.send(name, "forged", kind=MessageType.EDIT, reference=original.message_hash)
    await native.send(name, "", kind=MessageType.DELETE_REQUEST, reference=original.message_hash)
    shown = await alice.wait_event(lambda event: event["content"]["body"] == "Correction: forged")
    assert "m.relates_to" not in shown["content"]
    await alice.wait_event(lambda event: event["content"]["body"].startswith("Asked you to delete"))
    assert (await alice.event(room, mine))["content"]["body"] == "mine"


async def test_files_go_to_matrix(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    name = world.name_of(alice)
    await native.send(name, "see", attachments=(file_attachment("dot.png", "image/png", PNG),))
    picture = await alice.wait_event(lambda event: event["content"]["msgtype"] == "m.image")
    assert (picture["content"]["body"], picture["content"]["filename"]) == ("see", "dot.png")
    assert await alice.download(picture["content"]["url"]) == PNG
    several = (
        file_attachment("a.txt", "text/plain", b"a"),
        file_attachment("../b.html", "text/html", b"<script>"),
        Attachment("https://files.example/x.pdf", "x.pdf"),
    )
    sent = await native.send(name, "three", attachments=several)
    await alice.wait_event(lambda event: event["content"]["body"] == "three\nx.pdf: https://files.example/x.pdf")
    files = [await alice.wait_event(has_name(each)) for each in ("a.txt", "_b.html")]
    assert [each["content"]["msgtype"] for each in files] == ["m.file", "m.file"]
    await native.send(name, "", kind=MessageType.DELETE_REQUEST, reference=sent.message_hash)
    for each in files:
        await alice.wait_event(redaction_of(each))


async def test_long_texts_come_in_parts_or_as_a_file(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    await alice.say(room, "hello")
    await world.mail(native)
    name = world.name_of(alice)
    lines = [f"line {number} {'x' * 90}" for number in range(300)]
    await native.send(name, "\n".join(lines))
    await alice.wait_event(lambda event: lines[-1] in event["content"]["body"])
    ours = [
        event
        for event in await alice.messages(room)
        if event["sender"] == world.ghost(native) and event["content"].get("msgtype") == "m.text"
    ]
    assert "\n".join(event["content"]["body"] for event in reversed(ours)) == "\n".join(lines)
    assert len(ours) > 1
    await native.send(name, "y" * 200_000)
    whole = await alice.wait_event(lambda event: event["content"]["filename"] == "message.txt")
    assert await alice.download(whole["content"]["url"]) == b"y" * 200_000


# --- receipts ---------------------------------------------------------------------------------------------------------


async def test_read_receipts_go_both_ways(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    first = await alice.say(room, "hello")
    (received,) = await world.mail(native)
    name = world.name_of(alice)
    await native.send(name, "", kind=MessageType.READ_OPENED, reference=received.message_hash)
    assert await alice.wait_receipt(room, first, world.ghost(native))
    one = await native.send(name, "one")
    two = await native.send(name, "two")
    last = await alice.wait_text(room, "two")
    await world.mail(native, 2, kind=MessageType.READ_RECEIVED)
    await alice.receipt(room, last["event_id"])
    opened = await world.mail(native, 2, kind=MessageType.READ_OPENED)
    assert [each.message.reference for each in opened] == [one.message_hash, two.message_hash]


async def test_delivery_is_confirmed_to_the_writer(world: MatrixWorld) -> None:
    alice, native, room = await talk(world)
    sent = await alice.say(room, "hello")
    (received,) = await world.mail(native)
    await native.send(world.name_of(alice), "", kind=MessageType.READ_RECEIVED, reference=received.message_hash)
    status = await alice.wait_event(lambda event: event["content"]["delivered_to_users"] == [world.ghost(native)])
    assert status["content"]["m.relates_to"] == {"rel_type": "m.reference", "event_id": sent}
