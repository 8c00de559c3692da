"""Encrypted rooms: a human's client that encrypts and decrypts, a real homeserver, and the bridge in between."""

from __future__ import annotations

import asyncio
import io
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nio import MegolmEvent, RoomMessage, UploadResponse
from nio.crypto.attachments import decrypt_attachment

from adapters.matrix.adapter import MatrixAdapter
from gateway.dm3.message import MessageType
from gateway.ids import CanonicalId
from gateway.sdk import ConfigError, FileContent, Unavailable, attachment_content, file_attachment
from tests.integration.matrix.encrypting import ENCRYPTED, Human, Json
from tests.integration.matrix.test_kinds import PNG, words
from tests.integration.matrix.worlds import MatrixWorld, matrix_world
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MatrixWorld]:
    folder = tmp_path_factory.mktemp("encrypted")
    settings = {"encryption": True, "crypto_store": folder / "keys"}
    async with matrix_world(folder, settings=settings, encryption=True) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def alice(world: MatrixWorld) -> AsyncIterator[Human]:
    human = await Human(world.synapse.url, await world.person(f"crypt{next(_numbers)}")).start()
    yield human
    await human.stop()


async def test_messages_and_edits_go_both_ways_and_the_homeserver_reads_none(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    first = await alice.say(room, "for your eyes only")
    (received,) = await world.mail(native)
    assert words(received) == "for your eyes only"
    edit = {"rel_type": "m.replace", "event_id": first}
    new = {"msgtype": "m.text", "body": "better"}
    await alice.say(room, "* better", **{"m.new_content": new, "m.relates_to": edit})
    (edited,) = await world.mail(native, kind=MessageType.EDIT)
    assert (words(edited), edited.message.reference) == ("better", received.message_hash)

    name = world.name_of(alice.seen)
    sent = await native.send(name, "a **secret** answer", kind=MessageType.REPLY, reference=received.message_hash)
    heard = await alice.hear(lambda content: content["body"] == "a **secret** answer")
    assert heard.decrypted
    assert "<strong>secret</strong>" in heard.source["content"]["formatted_body"]
    await native.send(name, "a better answer", kind=MessageType.EDIT, reference=sent.message_hash)
    changed = await alice.hear(lambda content: content["m.new_content"]["body"] == "a better answer")
    for event, relation in (
        (heard, {"m.in_reply_to": {"event_id": first}}),
        (changed, {"rel_type": "m.replace", "event_id": heard.event_id}),
    ):
        raw = await alice.raw(room, event.event_id)
        assert raw["type"] == "m.room.encrypted"
        assert raw["content"]["m.relates_to"] == relation
        assert "body" not in raw["content"]


async def test_reactions_and_deletions_go_both_ways(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    mine = await alice.say(room, "mine")
    (received,) = await world.mail(native)
    await alice.seen.react(room, mine, "\N{THUMBS UP SIGN}")
    (reacted,) = await world.mail(native, kind=MessageType.REACTION)
    assert reacted.message.reference == received.message_hash
    name = world.name_of(alice.seen)
    await native.send(name, "\N{PARTY POPPER}", kind=MessageType.REACTION, reference=received.message_hash)
    back = await alice.hear(lambda content: content["m.relates_to"]["key"] == "\N{PARTY POPPER}")
    assert back.source["content"]["m.relates_to"]["event_id"] == mine
    await alice.seen.redact(room, mine)
    (gone,) = await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert gone.message.reference == received.message_hash


async def test_pictures_go_both_ways_and_the_homeserver_sees_none(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    uploaded, keys = await alice.client.upload(
        io.BytesIO(PNG), content_type="image/png", filename="dot.png", encrypt=True, filesize=len(PNG)
    )
    assert isinstance(uploaded, UploadResponse)
    info = {"mimetype": "image/png", "size": len(PNG)}
    file = {**keys, "url": uploaded.content_uri}
    await alice.send(room, {"msgtype": "m.image", "body": "dot.png", "info": info, "file": file})
    (received,) = await world.mail(native)
    (attachment,) = received.message.attachments or ()
    carried = attachment_content(attachment, max_bytes=10_000)
    assert isinstance(carried, FileContent)
    assert (carried.data, carried.media_type) == (PNG, "image/png")

    await native.send(world.name_of(alice.seen), "see", attachments=(file_attachment("back.png", "image/png", PNG),))
    picture = (await alice.hear(lambda content: content["filename"] == "back.png")).source["content"]
    assert (picture["msgtype"], picture["body"]) == ("m.image", "see")
    assert "url" not in picture
    stored = await alice.seen.download(picture["file"]["url"])
    assert PNG not in stored
    key, digest, iv = picture["file"]["key"]["k"], picture["file"]["hashes"]["sha256"], picture["file"]["iv"]
    assert decrypt_attachment(stored, key, digest, iv) == PNG


async def test_files_that_cannot_be_carried_fail_in_words(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    mxc = await alice.seen.upload(b"x" * 20)
    file = {"url": mxc, "key": {"k": "A" * 43}, "iv": "A" * 22, "hashes": {"sha256": "A" * 43}, "v": "v2"}
    for size, words_ in ((6_000_000, "at most 5 MB are carried over out of encrypted rooms"), (20, "cannot be read")):
        content = {"msgtype": "m.file", "body": "f", "info": {"size": size}, "file": file}
        sent = await alice.send(room, content)
        notice = await alice.hear(_answer_to(sent))
        assert words_ in notice.source["content"]["body"]


async def test_a_message_without_its_key_is_told_once_and_what_follows_goes_on(
    world: MatrixWorld, alice: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.matrix.crypto.reading.WAIT_SECONDS", 3.0)
    native = await world.native()
    room = await alice.chat(world, native)
    lost = {**ENCRYPTED, "session_id": "gone", "sender_key": "k", "device_id": "D", "ciphertext": "AAAA"}
    events = [await alice.seen.send(room, "m.room.encrypted", lost) for _ in range(3)]
    await alice.say(room, "this one has a key")
    (received,) = await world.mail(native)
    assert words(received) == "this one has a key"
    for event in events:
        status = await alice.seen.wait_event(_status_of(event))
        assert status["content"]["status"] == "FAIL_PERMANENT"
    notices = [each for each in alice.heard if "did not give its key" in each.source["content"].get("body", "")]
    (notice,) = notices
    assert notice.decrypted
    assert notice.source["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == events[0]


async def test_a_key_that_comes_later_is_waited_for(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    await alice.say(room, "one")
    await world.mail(native)
    # The key of a new session is written down and held back, as if it came by a slower way than the event.
    crypto = world.adapter._crypto
    assert crypto is not None
    pushed, late = crypto.pushed, asyncio.Event()

    async def slowly(raw: Any) -> None:
        if raw.get("to_device"):
            await late.wait()
        await pushed(raw)

    crypto.pushed = slowly  # type: ignore[method-assign]
    try:
        alice.client.invalidate_outbound_session(room)
        await alice.say(room, "two")
        await asyncio.sleep(0.5)
        assert [words(each) for each in await world.mail(native)] == ["one"]
        late.set()
        assert [words(each) for each in await world.mail(native, 2)] == ["one", "two"]
    finally:
        crypto.pushed = pushed  # type: ignore[method-assign]


async def test_a_key_that_was_given_while_the_gateway_was_away_is_collected(
    world: MatrixWorld, alice: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    await alice.say(room, "one")
    await world.mail(native)

    async def away(body: bytes) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(world.adapter, "transaction", away)
        await alice.say(room, "two")
        await until(lambda: _is_down(world))
        # From here on the homeserver pushes nothing that comes without an event of a room.
        alice.client.invalidate_outbound_session(room)
        await alice.say(room, "three")
    await world.adapter._ping(world.adapter._opened())
    assert [words(each) for each in await world.mail(native, 3, seconds=30)] == ["one", "two", "three"]


async def test_sessions_outlive_a_restart(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    name = world.name_of(alice.seen)
    await alice.say(room, "before")
    await world.mail(native)
    await native.send(name, "answer before")
    await alice.hear(lambda content: content["body"] == "answer before")
    before = await _devices(alice, world.ghost(native))

    context = world.adapter._opened().ctx
    await world.adapter.close()
    other = MatrixAdapter(world.adapter._settings)
    await world.adapter.open(context)
    with pytest.raises(ConfigError, match="another process uses it"):
        await other.open(context)
    await other.close()

    # With the session of before: its key was given to us once, and not again.
    await alice.say(room, "after")
    assert [words(each) for each in await world.mail(native, 2)] == ["before", "after"]
    await native.send(name, "answer after")
    assert (await alice.hear(lambda content: content["body"] == "answer after")).decrypted
    assert await _devices(alice, world.ghost(native)) == before


async def test_ghosts_have_one_device_that_their_user_signed(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    await alice.chat(world, native)
    ghost = world.ghost(native)
    body: Json = {"device_keys": {ghost: []}}
    answer = await alice.seen.http.call("POST", "/_matrix/client/v3/keys/query", body)
    (device,) = answer["device_keys"][ghost].values()
    (signer,) = answer["self_signing_keys"][ghost]["keys"]
    (master,) = answer["master_keys"][ghost]["keys"]
    assert signer in device["signatures"][ghost]
    assert master in answer["self_signing_keys"][ghost]["signatures"][ghost]


async def test_one_time_keys_that_people_used_up_are_replaced(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    ghost = world.ghost(native)
    (device,) = await _devices(alice, ghost)
    for _ in range(30):
        body: Json = {"one_time_keys": {ghost: {device: "signed_curve25519"}}}
        answer = await alice.seen.http.call("POST", "/_matrix/client/v3/keys/claim", body)
        assert answer["one_time_keys"][ghost][device]
    await alice.say(room, "the homeserver counts when something happens")
    homeserver = world.adapter._opened().homeserver

    async def refilled() -> bool | None:
        as_ghost = {"device_id": device}
        answer = await homeserver.call(
            "POST", "/_matrix/client/v3/keys/upload", {}, user=CanonicalId(ghost), query=as_ghost
        )
        return answer["one_time_key_counts"]["signed_curve25519"] >= 50 or None

    await until(refilled)
    assert [words(each) for each in await world.mail(native)] == ["the homeserver counts when something happens"]


async def test_a_lost_folder_gives_every_ghost_a_new_device(world: MatrixWorld, alice: Human, tmp_path: Path) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    await alice.say(room, "before")
    await world.mail(native)
    (before,) = await _devices(alice, world.ghost(native))
    store = world.adapter._settings.crypto_store
    assert store is not None
    context = world.adapter._opened().ctx
    await world.adapter.close()
    await asyncio.to_thread(store.rename, tmp_path / "lost")
    await world.adapter.open(context)

    # An answer makes the ghost's device, which replaces the lost one; the person's client gives it a new key.
    await native.send(world.name_of(alice.seen), "answer")
    assert (await alice.hear(lambda content: content["body"] == "answer")).decrypted
    (after,) = await _devices(alice, world.ghost(native))
    assert after != before

    async def known() -> bool | None:
        return (
            before not in _active(alice, world.ghost(native)) and after in _active(alice, world.ghost(native))
        ) or None

    await until(known)
    await alice.say(room, "after")
    assert [words(each) for each in await world.mail(native, 2)] == ["before", "after"]


async def test_a_chat_that_becomes_encrypted_goes_on(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native, encrypted=False)
    name = world.name_of(alice.seen)
    await alice.say(room, "in clear")
    await world.mail(native)
    await native.send(name, "clear too")
    clear = await alice.hear(lambda content: content["body"] == "clear too")
    assert not clear.decrypted
    await alice.seen.set_state(room, "m.room.encryption", ENCRYPTED)

    async def encrypted() -> bool | None:
        return alice.client.rooms[room].encrypted or None

    await until(encrypted)
    await alice.say(room, "not any more")
    assert [words(each) for each in await world.mail(native, 2)] == ["in clear", "not any more"]
    await native.send(name, "nor here")
    assert (await alice.hear(lambda content: content["body"] == "nor here")).decrypted


async def test_the_bot_is_commanded_in_an_encrypted_room(world: MatrixWorld, alice: Human) -> None:
    bot = world.adapter._opened().ids.bot
    state = [{"type": "m.room.encryption", "state_key": "", "content": ENCRYPTED}]
    room = await alice.seen.create_room(
        invite=[bot], is_direct=True, preset="trusted_private_chat", initial_state=state
    )
    await alice.knows(room, bot)
    sent = await alice.say(room, "whoami")
    answer = await alice.hear(_answer_to(sent))
    assert answer.decrypted
    assert world.name_of(alice.seen) in answer.source["content"]["body"]


async def test_a_new_device_reads_what_is_written_from_then_on(world: MatrixWorld, alice: Human) -> None:
    native = await world.native()
    room = await alice.chat(world, native)
    await alice.say(room, "hello")
    await world.mail(native)
    name = world.name_of(alice.seen)
    await native.send(name, "on one device")
    await alice.hear(lambda content: content["body"] == "on one device")
    second = await Human(world.synapse.url, alice.seen).start()
    try:
        await native.send(name, "on both devices")
        for human in (alice, second):
            assert (await human.hear(lambda content: content["body"] == "on both devices")).decrypted
        unreadable = [event for event in second.heard if isinstance(event, MegolmEvent)]
        assert [each for each in second.heard if isinstance(each, RoomMessage) and each.body == "on one device"] == []
        assert unreadable
    finally:
        await second.stop()


async def _devices(human: Human, user: str) -> set[str]:
    answer = await human.seen.http.call("POST", "/_matrix/client/v3/keys/query", {"device_keys": {user: []}})
    return set(answer["device_keys"][user])


async def _is_down(world: MatrixWorld) -> bool | None:
    """Whether the homeserver has noticed."""

    def look() -> bool | None:
        with closing(sqlite3.connect(world.synapse.folder / "homeserver.db")) as database:
            return database.execute("SELECT state FROM application_services_state").fetchall() == [("down",)] or None

    return await asyncio.to_thread(look)


def _active(human: Human, user: str) -> set[str]:
    """Devices to which this client gives keys."""
    return {device.id for device in human.client.device_store.active_user_devices(user)}


def _answer_to(event: str) -> Callable[[Json], object]:
    return lambda content: content["m.relates_to"]["m.in_reply_to"]["event_id"] == event


def _status_of(event: str) -> Callable[[Json], object]:
    return lambda seen: (
        seen["type"] == "com.beeper.message_send_status" and seen["content"]["m.relates_to"]["event_id"] == event
    )
