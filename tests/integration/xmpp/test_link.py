"""The component's connection: what the server has taken, and what happens when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from adapters.xmpp import link as link_module
from adapters.xmpp.link import ANSWER_SECONDS, WATCH_SECONDS, Link, LinkDown
from gateway.demo.prosody import Prosody
from tests.support.component_server import COMPONENT, HOST, SECRET, ComponentServer
from tests.support.prosody import prosody_server
from tests.support.waiting import turns_until, until

pytestmark = pytest.mark.xdist_group("xmpp")


@dataclass
class Taken:
    """What came over a link."""

    stanzas: list[Element] = field(default_factory=list)
    ups: int = 0

    def up(self) -> None:
        self.ups += 1

    def bodies(self) -> list[str]:
        """Texts of messages, in order."""
        return [body.text or "" for stanza in self.stanzas for body in stanza.findall("{jabber:component:accept}body")]


@asynccontextmanager
async def linked(server: Prosody) -> AsyncIterator[tuple[Link, Taken]]:
    """A link that is kept up."""
    taken = Taken()
    link = Link(
        domain=server.component,
        secret=server.secret,
        host=server.host,
        port=server.component_port,
        take=taken.stanzas.append,
        up=taken.up,
    )
    running = asyncio.create_task(link.run())
    try:
        await until(lambda: _true(link.connected))
        yield link, taken
    finally:
        await link.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def deliver_on(link: Link, stanza: str) -> None:
    """Until it fails."""
    async with asyncio.timeout(60):
        while True:
            await link.deliver(stanza)


async def _true(value: bool) -> bool | None:
    return value or None


def message(server: Prosody, to: str, body: str, number: int = 0) -> str:
    return (
        f"<message type='chat' id='m{number}' from='a.eth@{server.component}' to='{to}'><body>{body}</body></message>"
    )


async def test_messages_go_both_ways_and_a_barrier_says_that_they_were_read(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        await server.register("alice", "secret")
        alice = await server.connect("alice", "secret")
        await link.deliver(*(message(server, server.jid("alice"), f"text {n}", n) for n in range(50)))
        await alice.wait_text("text 49")
        for number in range(50):
            await alice.send(f"a.eth@{server.component}", f"back {number}")
        await until(lambda: _true(len(taken.bodies()) == 50))
        assert taken.bodies() == [f"back {number}" for number in range(50)]


async def test_it_comes_back_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        await server.restart()
        await until(lambda: _true(taken.ups == 2 and link.connected))
        await link.barrier()
        await server.kill()
        with pytest.raises(LinkDown):
            await deliver_on(link, message(server, server.jid("alice"), "lost?"))
        await server.start()
        await until(lambda: _true(taken.ups >= 3 and link.connected))
        await link.barrier()


async def test_a_frozen_server_is_noticed_within_ten_seconds(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        server.freeze()
        try:
            sending = asyncio.create_task(link.deliver(message(server, server.jid("alice"), "into the void")))
            assert await turns_until(sending) < 12
            with pytest.raises(LinkDown):
                await sending
        finally:
            server.thaw()
        await until(lambda: _true(taken.ups >= 2 and link.connected))


async def test_what_a_frozen_server_has_taken_is_not_given_up(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        await server.register("alice", "secret")
        alice = await server.connect("alice", "secret")
        server.freeze()
        try:
            for number in range(20):
                link.send(message(server, server.jid("alice"), f"to {number}", number))
                await alice.send(f"a.eth@{server.component}", f"from {number}")
            with pytest.raises(LinkDown):
                await link.barrier()
            assert not link.connected
            with pytest.raises(LinkDown):
                link.send(message(server, server.jid("alice"), "never sent"))
        finally:
            server.thaw()
        await until(lambda: _true(taken.ups == 2 and link.connected))
        await link.barrier()
        await until(lambda: _true(len(taken.bodies()) == 20))
        assert taken.bodies() == [f"from {number}" for number in range(20)]
        await alice.wait_text("to 19")
        assert [each.body for each in alice.messages.items] == [f"to {number}" for number in range(20)]


async def test_at_the_end_everything_that_the_server_had_sent_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes at this moment is heard or gets the message back; the server has time to say so."""
    monkeypatch.setattr(link_module, "BARRIER_SECONDS", 60.0)
    monkeypatch.setattr(link_module, "CLOSE_SECONDS", 60.0)
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        await server.register("alice", "secret")
        alice = await server.connect("alice", "secret")
        sent: list[str] = []

        async def write() -> None:
            while True:
                sent.append(await alice.send(f"a.eth@{server.component}", f"text {len(sent)}"))
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        await until(lambda: _true(len(taken.stanzas) >= 50))
        await link.close()
        heard = {each.get("id") for each in taken.stanzas}
        await alice.wait_message(lambda each: each.type == "error")
        writing.cancel()
        last = await alice.send(f"a.eth@{server.component}", "after the end")
        await alice.wait_error(last)
        back = {each.id for each in alice.messages.items if each.type == "error"}
        assert heard | back >= set(sent), "nobody told"
        assert not heard & back


async def test_a_link_that_takes_nothing_for_long_does_not_blame_the_server(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server, linked(server) as (link, taken):
        await server.register("alice", "secret")
        alice = await server.connect("alice", "secret")
        link.pause(True)
        await alice.send(f"a.eth@{server.component}", "waits")
        loop = asyncio.get_running_loop()
        end = loop.time() + WATCH_SECONDS + ANSWER_SECONDS + 1
        await until(lambda: _true(loop.time() > end or not link.connected))
        assert (link.connected, taken.ups, taken.bodies()) == (True, 1, [])
        link.pause(False)
        await until(lambda: _true(taken.bodies() == ["waits"]))


async def test_a_wrong_secret_is_tried_again_and_never_connected(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server:
        link = Link(
            domain=server.component,
            secret="wrong",
            host=server.host,
            port=server.component_port,
            take=lambda _: None,
        )
        running = asyncio.create_task(link.run())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await running
        assert not link.connected
        with pytest.raises(LinkDown):
            await link.deliver("<message/>")


class EagerServer(ComponentServer):
    """Sends something in one piece with the end of the handshake, as servers do that were waiting for the component."""

    def say(self, xml: str) -> None:
        super().say(xml + "<message id='first'/>" if xml == "<handshake/>" else xml)


async def test_what_comes_right_behind_the_handshake_can_be_answered() -> None:
    server, sent = EagerServer(), list[Element]()

    def answer(stanza: Element) -> None:
        link.send(f"<message id='answer to {stanza.get('id')}'/>")
        sent.append(stanza)

    await server.start()
    link = Link(domain=COMPONENT, secret=SECRET, host=HOST, port=server.port, take=answer)
    running = asyncio.create_task(link.run())
    try:
        await server.heard.first(lambda stanza: stanza.id == "answer to first", 60)
        assert len(sent) == 1
    finally:
        await link.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop()
