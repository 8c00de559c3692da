"""What bridges to Matrix have stumbled over, each met with a real Synapse."""

from __future__ import annotations

import asyncio

import pytest

from gateway.demo.matrix_user import MatrixFault
from gateway.dm3.message import MessageType
from tests.integration.matrix.test_kinds import words
from tests.integration.matrix.worlds import MatrixWorld

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]


async def test_what_is_written_between_invitation_and_joining_arrives_once_and_in_order(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    ghost = world.ghost(native)
    room = await alice.create_room(invite=[ghost], is_direct=True, preset="trusted_private_chat")
    for number in range(5):
        await alice.say(room, f"early {number}")
    await alice.wait_event(
        lambda event: (
            event["type"] == "m.room.member"
            and event["content"]["membership"] == "join"
            and event["state_key"] == ghost
        )
    )
    await alice.say(room, "late")
    received = await world.mail(native, 6)
    assert [words(each) for each in received] == [*(f"early {number}" for number in range(5)), "late"]
    await asyncio.sleep(0)
    assert len(await world.mail(native, 6)) == 6


async def test_a_room_of_version_12_works_and_its_id_is_never_split(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await world.chat(alice, native)
    assert ":" not in room
    create = await alice.state_of(room, "m.room.create")
    assert create["room_version"] == "12"
    assert world.ghost(native) in create["additional_creators"]
    await alice.say(room, "hello")
    assert await world.mail(native)


@pytest.mark.parametrize("version", ["9", "10", "11"])
async def test_older_rooms_work_too(world: MatrixWorld, version: str) -> None:
    alice, native = await world.person(), await world.native()
    ghost = world.ghost(native)
    room = await alice.create_room(invite=[ghost], is_direct=True, preset="trusted_private_chat", room_version=version)
    sent = await alice.say(room, "hello")
    (received,) = await world.mail(native)
    await alice.redact(room, sent)
    (gone,) = await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert gone.message.reference == received.message_hash


async def test_ids_that_no_name_is_written_as_do_not_exist(world: MatrixWorld) -> None:
    alice = await world.person()
    native = await world.native()
    for local in (
        native.name.upper(),
        f"=6{native.name}",
        "=ZZ",
        "=61.eth",
        "nobody-is-here.eth",
        "x" * 240,
        "dm3_a.eth",
    ):
        answer = await world.ask("GET", f"/users/@dm3_{local}:{world.synapse.server_name}")
        assert (answer.status_code, answer.json()["errcode"]) == (404, "M_NOT_FOUND"), local
    found = await world.ask("GET", f"/users/{world.ghost(native)}")
    assert (found.status_code, found.json()) == (200, {})
    with pytest.raises(MatrixFault):
        await world.synapse.register(f"dm3_{native.name}", "taken by a human")
    room = await alice.create_room(invite=[f"@dm3_nobody-is-here.eth:{world.synapse.server_name}"], is_direct=True)
    desk = await alice.wait_invite()
    assert desk.inviter == f"@dm3:{world.synapse.server_name}"
    await alice.join(desk.room_id)
    told = await alice.wait_event(lambda event: "nobody-is-here.eth cannot be written to" in event["content"]["body"])
    assert told["room_id"] == desk.room_id != room


async def test_a_burst_arrives_in_order_and_once_without_a_rate_limit(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await world.chat(alice, native)
    await alice.say(room, "hello")
    await world.mail(native)
    for number in range(50):
        await native.send(world.name_of(alice), f"burst {number}")
    await alice.wait_text(room, "burst 49", seconds=60)
    bodies = [
        event["content"]["body"]
        for event in reversed(await alice.messages(room, limit=500))
        if event["sender"] == world.ghost(native) and event["content"].get("body", "").startswith("burst")
    ]
    assert bodies == [f"burst {number}" for number in range(50)]
    for number in range(50):
        await alice.say(room, f"back {number}")
    received = await world.mail(native, 51, seconds=60)
    assert [words(each) for each in received[1:]] == [f"back {number}" for number in range(50)]


@pytest.mark.attack(56)
async def test_replays_under_the_same_and_under_a_new_transaction_change_nothing(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await world.chat(alice, native)
    sent = await alice.say(room, "once")
    await world.mail(native)
    event = {**await alice.event(room, sent), "room_id": room}
    for transaction in ("t1", "t1", "t2"):
        answer = await world.ask("PUT", f"/transactions/{transaction}", {"events": [event, event]})
        assert (answer.status_code, answer.json()) == (200, {})
    await alice.say(room, "after")
    assert [words(each) for each in await world.mail(native, 2)] == ["once", "after"]


async def test_a_transaction_of_more_than_6_mb_is_taken(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await world.chat(alice, native)
    filler = [
        {
            "type": "m.room.message",
            "room_id": "!elsewhere",
            "sender": alice.user_id,
            "event_id": f"$big{number}",
            "content": {"msgtype": "m.text", "body": "x" * 64_000},
        }
        for number in range(100)
    ]
    answer = await world.ask("PUT", "/transactions/big", {"events": filler})
    assert answer.status_code == 200
    await alice.say(room, "still here")
    assert words((await world.mail(native))[0]) == "still here"


async def test_a_malformed_event_is_parked_and_the_rest_goes_on(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    room = await world.chat(alice, native)
    good = {
        "type": "m.room.message",
        "room_id": room,
        "sender": alice.user_id,
        "event_id": "$handmade",
        "origin_server_ts": 1,
        "content": {"msgtype": "m.text", "body": "good"},
    }
    bad = [{key: value for key, value in good.items() if key not in (gone, "event_id")} for gone in good]
    bad += [{**good, "event_id": f"$bad{number}", key: 7} for number, key in enumerate(good) if key != "event_id"]
    answer = await world.ask("PUT", "/transactions/bad", {"events": [None, 5, [], "x", {}, *bad, good]})
    assert answer.status_code == 200
    assert words((await world.mail(native))[0]) == "good"
    held = await world.held()
    assert len(held) >= 5
    assert all("cannot be read" in each.reason for each in held)


async def test_people_find_names_by_the_third_party_interface(world: MatrixWorld) -> None:
    alice, native = await world.person(), await world.native()
    protocols = await alice.http.call("GET", "/_matrix/client/v3/thirdparty/protocols")
    assert protocols["dm3"]["user_fields"] == ["name"]
    query = {"name": native.name}
    (found,) = await alice.http.call("GET", "/_matrix/client/v3/thirdparty/user/dm3", query=query)
    assert (found["userid"], found["fields"]) == (world.ghost(native), {"name": native.name})
    nothing = await alice.http.call("GET", "/_matrix/client/v3/thirdparty/user/dm3", query={"name": "no name"})
    assert nothing == []
    behind = await world.ask("GET", f"/thirdparty/user?userid={world.ghost(native)}")
    assert behind.json()[0]["fields"] == {"name": native.name}


async def test_a_long_name_has_a_digest_for_an_id(world: MatrixWorld) -> None:
    alice = await world.person()
    native = await world.native("\N{PILE OF POO}" * 21 + ".eth")
    (found,) = await alice.http.call("GET", "/_matrix/client/v3/thirdparty/user/dm3", query={"name": native.name})
    ghost = found["userid"]
    assert ghost.startswith("@dm3_=h")
    room = await alice.create_room(invite=[ghost], is_direct=True)
    await alice.say(room, "hello")
    assert words((await world.mail(native))[0]) == "hello"
