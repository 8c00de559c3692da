"""Who may not, who is nobody, and who writes too much."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from adapters.matrix.ids import RoomId
from gateway.demo.matrix_user import MatrixFault
from gateway.ids import EnsName
from tests.integration.matrix.test_kinds import PNG, talk, words
from tests.integration.matrix.worlds import MatrixWorld, matrix_world

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("matrix")]

SETTINGS = {
    "permissions": {"localhost": "user", "@mallory:localhost": "none"},
    "ignored_users": ["@telegram.*"],
    "messages_per_minute": 30,
    "new_chats_per_hour": 2,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MatrixWorld]:
    async with matrix_world(tmp_path_factory.mktemp("strict"), settings=SETTINGS, start=False) as running:
        # What a homeserver has by itself is of this kind; it must not count for our users.
        running.synapse.settings |= {"rc_message": {"per_second": 1, "burst_count": 40}}
        await running.synapse.start()
        yield running


async def test_who_may_not_gets_no_chat_and_no_name(strict: MatrixWorld) -> None:
    mallory, native = await strict.person("mallory"), await strict.native()
    ghost = strict.ghost(native)
    room = await mallory.create_room(invite=[ghost], is_direct=True)
    bot_room = await mallory.create_room(invite=[f"@dm3:{strict.synapse.server_name}"], is_direct=True)
    await mallory.wait_event(
        lambda event: (
            event["room_id"] == bot_room
            and event["type"] == "m.room.member"
            and event["state_key"].startswith("@dm3:")
            and event["content"]["membership"] == "leave"
        )
    )
    assert (await mallory.members(room))[ghost] == "invite"
    with pytest.raises(Exception, match="no DM3 profile"):
        await native.send(strict.name_of(mallory), "hello")


async def test_ghosts_of_other_bridges_are_not_bridged_again(strict: MatrixWorld) -> None:
    ghostly, native = await strict.person("telegram123"), await strict.native()
    room = await ghostly.create_room(invite=[strict.ghost(native)], is_direct=True)
    alice = await strict.person()
    await strict.chat(alice, native)
    assert (await ghostly.members(room))[strict.ghost(native)] == "invite"
    with pytest.raises(Exception, match="no DM3 profile"):
        await native.send(strict.name_of(ghostly), "hello")


async def test_there_are_no_ghosts_of_matrix_users(strict: MatrixWorld) -> None:
    alice, bob = await strict.person(), await strict.person()
    ghost = f"@dm3_{strict.name_of(bob)}:{strict.synapse.server_name}"
    assert (await strict.ask("GET", f"/users/{ghost}")).status_code == 404
    found = await alice.http.call("GET", "/_matrix/client/v3/thirdparty/user/dm3", query={"name": strict.name_of(bob)})
    assert found == []


async def test_a_name_in_our_own_zone_is_the_person_themselves(strict: MatrixWorld) -> None:
    alice, native, room = await talk(strict)
    await alice.say(room, "hello")
    await strict.mail(native)
    (found,) = await alice.http.call(
        "GET", "/_matrix/client/v3/thirdparty/user/dm3", query={"name": strict.name_of(alice)}
    )
    assert found["userid"] == alice.user_id


async def test_who_writes_too_fast_waits_and_loses_nothing(strict: MatrixWorld) -> None:
    alice, native, room = await talk(strict)
    for number in range(31):
        await alice.say(room, f"fast {number}")
    received = await strict.mail(native, 31, seconds=40)
    assert [words(each) for each in received] == [f"fast {number}" for number in range(31)]


async def test_who_begins_too_many_chats_is_told(strict: MatrixWorld) -> None:
    alice = await strict.person()
    natives = [await strict.native() for _ in range(3)]
    for native in natives[:2]:
        await strict.chat(alice, native)
    await alice.create_room(invite=[strict.ghost(natives[2])], is_direct=True)
    desk = await alice.wait_invite()
    await alice.join(desk.room_id)
    await alice.wait_event(lambda event: "many conversations" in event["content"]["body"])


async def test_a_ghost_shows_what_ens_says(strict: MatrixWorld) -> None:
    alice, native = await strict.person(), await strict.native()
    ens = strict.house.chain.ens
    ens.set_text(native.name, "avatar", "data:image/png;base64," + base64.b64encode(PNG).decode())
    ens.set_text(native.name, "name", "Somebody\n\u202eelse")
    await strict.chat(alice, native)
    shown = await alice.profile(strict.ghost(native))
    assert shown["displayname"] == f"{native.name} (Somebody else)"
    assert await alice.download(shown["avatar_url"]) == PNG


async def test_a_sub_name_of_nobody_is_not_given(strict: MatrixWorld) -> None:
    native = await strict.native()
    for local in ("nobody-there", "dm3_x.eth", "dm3"):
        name = EnsName(
            f"{local.replace('_', '-5f').replace('-there', '-2dthere').replace('.', '-2e')}.localhost.matrix.gw.eth"
        )
        with pytest.raises(Exception, match="no DM3 profile"):
            await native.send(name, "hello?")


async def test_the_registration_frees_ghosts_from_the_rate_limit_of_people(strict: MatrixWorld) -> None:
    alice, native = await strict.person(), await strict.native()
    room = await strict.chat(alice, native)
    ghost = strict.adapter._opened().ghosts.known(native.name)
    content = {"msgtype": "m.text", "body": "at once"}
    for number in range(80):
        await ghost.send(RoomId(room), "m.room.message", content, f"rate-{number}")
    with pytest.raises(MatrixFault, match="M_LIMIT_EXCEEDED"):
        await asyncio.gather(*(alice.say(room, "as a person") for _ in range(80)))
