"""Two nodes, one link: what was begun on one goes on at the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.demo.xmpp_user import element
from tests.integration.xmpp.test_rooms import codes, gone, room_with
from tests.integration.xmpp.worlds import xmpp_adapter, xmpp_world
from tests.support.ejabberd import ejabberd_server
from tests.support.house import another_node
from tests.support.prosody import prosody_server
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")


@pytest.mark.parametrize("running_server", [prosody_server, ejabberd_server], ids=["prosody", "ejabberd"])
async def test_one_node_has_the_link_and_the_next_goes_on_where_it_ended(running_server: Any, tmp_path: Path) -> None:
    """Also where the server would let both in, as ejabberd does."""
    async with running_server(tmp_path / "server") as server, xmpp_world(tmp_path, server) as world:
        adapter = xmpp_adapter(tmp_path, server)
        async with another_node(world.house, adapters={adapter.name: adapter}):
            alice, bob, native = await world.person(), await world.person(), await world.native()
            room = room_with(world, native)
            await room.enter(alice, "Alice")
            await room.enter(bob, "Bob")
            await room.say(alice, "before")
            await room.heard(bob, "before", "Alice")
            await world.mail(native)
            assert (world.adapter.elsewhere, adapter.elsewhere) == (False, True)

            await world.house.gateway.hang_up()
            await world.house.gateway.close()

            async def taken_over() -> bool | None:
                return adapter.connected or None

            await until(taken_over, 20)
            assert (world.adapter.connected, adapter.elsewhere) == (False, False)
            # Nobody entered the room again.
            await room.say(alice, "after")
            await room.heard(bob, "after", "Alice")
            await bob.presence(to=f"{room.jid}/Bob", type="unavailable")
            await alice.wait_presence(gone(room, "Bob"))
            again = await room.enter(bob, "Bob", element("history", {"maxstanzas": "1"}))
            assert 110 in codes(again)
            late = await bob.wait_message(lambda each: each.has("delay") and each.body == "after")
            assert late.sender == f"{room.jid}/Alice"
