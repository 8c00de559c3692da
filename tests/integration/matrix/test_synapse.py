"""The homeserver of the demo and of the other tests, and the human clients that speak with it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx2
import pytest

from gateway.demo.matrix_user import MatrixFault, MatrixUser
from gateway.demo.synapse import Synapse
from gateway.errors import ConfigError
from tests.support.synapse import synapse_server

PASSWORD = "a password"
PICTURE = os.urandom(50_000)


async def test_two_humans_talk(tmp_path: Path) -> None:
    async with synapse_server(tmp_path) as synapse:
        alice, bob = await synapse.register("alice", PASSWORD), await synapse.register("bob", PASSWORD)
        room = await alice.create_room(invite=[bob.user_id], is_direct=True, preset="trusted_private_chat")
        invite = await bob.wait_invite()
        assert (invite.room_id, invite.inviter, invite.is_direct) == (room, alice.user_id, True)
        await bob.join(room)
        await _talk(alice, bob, room)
        await _files_and_data(alice, bob, room)
        await _come_and_go(alice, bob, room)


async def _talk(alice: MatrixUser, bob: MatrixUser, room: str) -> None:
    hello = await alice.say(room, "hello")
    heard = await bob.wait_text(room, "hello")
    assert (heard["event_id"], heard["sender"]) == (hello, alice.user_id)

    answer = await bob.reply(room, hello, "hello to you")
    relation = (await alice.wait_text(room, "hello to you"))["content"]["m.relates_to"]
    assert relation == {"m.in_reply_to": {"event_id": hello}}

    await bob.receipt(room, hello)
    assert (await alice.wait_receipt(room, hello, bob.user_id))["ts"] > 0
    await bob.set_typing(room)
    await alice.wait_ephemeral(
        lambda event: event["type"] == "m.typing" and bob.user_id in event["content"]["user_ids"]
    )

    edit = await alice.edit(room, hello, "hello, Bob")
    heard = await bob.wait_event(lambda event: event["event_id"] == edit)
    assert heard["content"]["m.new_content"]["body"] == "hello, Bob"

    reaction = await bob.react(room, hello, "👍")
    heard = await alice.wait_event(lambda event: event["type"] == "m.reaction")
    assert heard["event_id"] == reaction
    assert heard["content"]["m.relates_to"] == {"rel_type": "m.annotation", "event_id": hello, "key": "👍"}

    await bob.redact(room, answer, "a mistake")
    await alice.wait_event(lambda event: event["type"] == "m.room.redaction" and event["content"]["redacts"] == answer)
    assert (await alice.event(room, answer))["content"] == {}
    kinds = [event["type"] for event in await alice.messages(room, 3)]
    assert kinds == ["m.room.redaction", "m.reaction", "m.room.message"]

    same = [await alice.send(room, "m.room.message", {"msgtype": "m.text", "body": "once"}, txn="1") for _ in range(2)]
    assert same[0] == same[1]


async def _files_and_data(alice: MatrixUser, bob: MatrixUser, room: str) -> None:
    sent = await alice.send_file(room, PICTURE, "image/png", "a picture.png", kind="m.image")
    heard = await bob.wait_event(lambda event: event["event_id"] == sent)
    assert await bob.download(heard["content"]["url"]) == PICTURE

    await alice.set_account_data("m.direct", {bob.user_id: [room]})
    assert await alice.account_data("m.direct") == {bob.user_id: [room]}
    with pytest.raises(MatrixFault, match="404 M_NOT_FOUND"):
        await alice.account_data("m.direct", room)
    await alice.set_display_name("Alice")
    assert (await bob.profile(alice.user_id))["displayname"] == "Alice"


async def _come_and_go(alice: MatrixUser, bob: MatrixUser, room: str) -> None:
    with pytest.raises(MatrixFault) as refused:
        await bob.kick(room, alice.user_id)
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")
    await bob.leave(room)
    await alice.wait_event(
        lambda event: event["state_key"] == bob.user_id and event["content"]["membership"] == "leave"
    )
    await bob.forget(room)
    await alice.invite(room, bob.user_id, "come back")
    assert (await bob.wait_invite(lambda invite: invite.inviter == alice.user_id)).room_id == room
    assert (await alice.members(room))[bob.user_id] == "invite"
    new = await alice.upgrade_room(room, "11")
    assert (await alice.state_of(room, "m.room.tombstone"))["replacement_room"] == new
    with pytest.raises(TimeoutError, match=r"not among \d+ events after 0.1 s; the last:"):
        await bob.wait_text(room, "never said", 0.1)


async def test_a_restart_keeps_the_data_and_the_users(tmp_path: Path) -> None:
    async with synapse_server(tmp_path) as synapse:
        alice = await synapse.register("alice", PASSWORD)
        room, url = await alice.create_room(), synapse.url
        await alice.say(room, "before")
        await synapse.kill()
        with pytest.raises(httpx2.ConnectError):
            await alice.say(room, "meanwhile")
        await synapse.start()
        assert synapse.url == url
        await alice.say(room, "after")
        await alice.wait_text(room, "after")
        assert [event["content"]["body"] for event in await alice.messages(room, 2)] == ["after", "before"]
        await synapse.close()

        # Another object on the same folder.
        async with Synapse(synapse.folder) as again:
            assert again.url == url
            with pytest.raises(MatrixFault, match="M_FORBIDDEN"):
                await MatrixUser.log_in(again.url, "alice", "another password")
            async with await MatrixUser.log_in(again.url, "alice", PASSWORD) as alice:
                await alice.wait_text(room, "before")


async def test_an_application_service_may_come_after_the_server_is_prepared(tmp_path: Path) -> None:
    """Its registration and the server's address depend on each other; the ghost shows that the file was read."""
    async with synapse_server(tmp_path, start=False, encryption=True, server_name="matrix.example") as synapse:
        registration = tmp_path / "registration.yaml"
        registration.write_text(
            json.dumps(
                {
                    "id": "dm3",
                    "url": None,
                    "as_token": "as",
                    "hs_token": "hs",
                    "sender_localpart": "dm3bot",
                    "rate_limited": False,
                    "namespaces": {"users": [{"regex": "@dm3_.*", "exclusive": True}]},
                }
            )
        )
        synapse.registrations.append(registration)
        await synapse.start()
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer as"}, trust_env=False, timeout=60) as service:
            answer = await service.get(f"{synapse.url}/_matrix/client/v3/account/whoami")
            assert answer.json()["user_id"] == "@dm3bot:matrix.example"
        with pytest.raises(MatrixFault, match="M_EXCLUSIVE"):
            await synapse.register("dm3_alice", PASSWORD)


async def test_what_keeps_it_from_starting_is_told(tmp_path: Path) -> None:
    async with synapse_server(tmp_path, start=False, settings={"max_upload_size": "a lot"}) as synapse:
        with pytest.raises(ConfigError, match=r"(?s)Synapse ended with code 1; .*a lot"):
            await synapse.start()
        assert not synapse.running
    stranger = Synapse(tmp_path / "other", program=Path(sys.executable))
    with pytest.raises(ConfigError, match="No module named"):
        await stranger.start()
    await stranger.close()


async def test_waiting_ends_when_the_user_is_thrown_out(tmp_path: Path) -> None:
    async with synapse_server(tmp_path) as synapse:
        alice = await synapse.register("alice", PASSWORD)
        waiting = asyncio.create_task(alice.wait_event(lambda event: True, 15))
        await alice.http.call("POST", "/_matrix/client/v3/logout")
        with pytest.raises(MatrixFault, match="401 M_UNKNOWN_TOKEN"):
            await waiting
