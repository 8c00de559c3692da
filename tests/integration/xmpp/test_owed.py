"""Answers to messages: they outlive connections and processes until the server has read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.xmpp import render
from adapters.xmpp.jids import Jid
from adapters.xmpp.owed import OWED, Owed
from adapters.xmpp.render import Way
from adapters.xmpp.xml import Xml
from gateway.demo.prosody import Prosody
from gateway.ids import Network
from gateway.sdk.testing import MemoryContext
from tests.integration.xmpp.test_link import linked
from tests.support.prosody import prosody_server
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("xmpp")


def receipt(server: Prosody, about: str) -> Xml:
    """For a message of alice's."""
    return render.receipt(Way(Jid("a.eth", server.component), Jid("alice", server.domain), f"r-{about}"), about)


async def test_an_answer_that_the_server_had_not_read_is_sent_again_with_the_next_connection(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        await server.register("alice", "secret")
        owed = Owed(link, MemoryContext(network=Network("xmpp")))
        server.freeze()
        owed.send(receipt(server, "first"))
        await server.kill()
        owed.send(receipt(server, "second"))
        await server.start()

        async def up_again() -> bool | None:
            return (taken.ups == 2 and link.connected) or None

        await until(up_again)
        await owed.again()
        alice = await server.connect("alice", "secret")
        await alice.wait_receipt("first")
        await alice.wait_receipt("second")


async def test_what_is_left_at_the_end_is_sent_by_the_next_process_once(tmp_path: Path) -> None:
    ctx = MemoryContext(network=Network("xmpp"))
    async with prosody_server(tmp_path) as server:
        await server.register("alice", "secret")
        async with linked(server) as (link, _):
            owed = Owed(link, ctx)
            await link.close()
            for number in range(450):
                owed.send(receipt(server, f"late {number}"))
            await owed.save()
        assert len(await ctx.values.find(OWED)) == 450
        async with linked(server) as (link, _):
            await Owed(link, ctx).again()
            assert not await ctx.values.find(OWED)
            alice = await server.connect("alice", "secret")
            await alice.wait_receipt("late 449")
            await Owed(link, ctx).again()
            await link.barrier()
            about = [each.get("received", "id") for each in alice.messages.items]
            assert sorted(filter(None, about)) == sorted(f"late {number}" for number in range(450))
