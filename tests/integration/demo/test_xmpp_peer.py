"""The demo's XMPP server: its story, its end whatever happens, or the caller's own."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from gateway.demo.ground_story import tell_ground
from gateway.demo.options import DemoOptions
from gateway.demo.prosody import MISSING, find_prosody
from gateway.demo.teller import StepFailed, Teller, check
from gateway.demo.world import running_world
from gateway.demo.xmpp_server import KEPT
from gateway.demo.xmpp_user import XmppUser
from tests.integration.demo.test_demo import end, start, told_by
from tests.support.prosody import prosody_server
from tests.support.require import require
from tests.support.waiting import until


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def port_of(world: Path) -> int:
    """Where its Prosody takes clients, once it does."""

    async def look() -> int | None:
        kept = world / "prosody" / KEPT
        if not kept.exists() or not (text := kept.read_text()):
            return None
        port: int = json.loads(text)["ports"]["c2s"]
        return port if await listens(port) else None

    return await until(look, 60)


async def test_the_chapter_holds_anybody_can_go_on_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    require(find_prosody(), MISSING)
    process = await start(tmp_path / "world", "--only", "xmpp")
    try:
        told = await told_by(process)
        assert "All 16 steps held" in told
        facts = json.loads((tmp_path / "world" / "demo.json").read_text("utf-8"))["xmpp"]
        assert set(facts) == {"domain", "component", "host", "c2s_port", "user", "password"}
        assert process.stdout is not None
        invited = (await process.stdout.readuntil(b"facts")).decode()
        assert f"{facts['host']}:{facts['c2s_port']}, without TLS, as {facts['user']}" in invited
        assert f"password {facts['password']}:" in invited
        erin = XmppUser(facts["user"], facts["password"], host=facts["host"], port=facts["c2s_port"])
        async with erin:
            echo = f"echo.eth@{facts['component']}"
            await erin.send(echo, "is anybody there?")
            await erin.wait_message(
                lambda message: message.bare == echo and (message.body or "").startswith("echo: is anybody there?")
            )
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert err == b"", err.decode()
        assert not await listens(facts["c2s_port"])
    finally:
        await end(process)


async def test_ctrl_c_before_the_story_is_over_ends_prosody_too(tmp_path: Path) -> None:
    require(find_prosody(), MISSING)
    process = await start(tmp_path / "world", "--only", "xmpp")
    try:
        port = await port_of(tmp_path / "world")
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        await end(process)
    assert process.returncode == 1
    assert "Stopped before the story was over" in out.decode()
    assert err == b"", err.decode()
    assert not await listens(port)


async def test_who_stops_listening_ends_prosody_too(tmp_path: Path) -> None:
    """As `dm3-gateway demo | head` does."""
    require(find_prosody(), MISSING)
    process = await start(tmp_path / "world", "--only", "xmpp")
    try:
        port = await port_of(tmp_path / "world")
        assert process.stdout is not None
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        await asyncio.wait_for(process.wait(), 60)
        assert not await listens(port)
    finally:
        await end(process)


async def test_a_step_that_fails_ends_prosody_too(tmp_path: Path) -> None:
    require(find_prosody(), MISSING)
    options = DemoOptions(folder=tmp_path / "world", once=True, only=("xmpp",), gateway_port=0, rpc_port=0, smtp_port=0)
    teller, ports = Teller(Console(quiet=True)), []

    async def wrong() -> tuple[None, str]:
        check(False, "it does not hold")
        return None, ""

    async def story() -> None:
        async with running_world(options) as world:
            assert world.xmpp is not None
            assert world.xmpp.host.clients is not None
            ports.append(world.xmpp.host.clients[1])
            await tell_ground(teller, world)
            assert await listens(*ports)
            await teller.step("a step", wrong)

    with pytest.raises(StepFailed):
        await story()
    assert not await listens(*ports)


async def test_a_component_of_the_caller_s_can_be_given(tmp_path: Path) -> None:
    """Nobody can be registered by it: the demo says so and serves; who has an account there chats."""
    async with prosody_server(tmp_path / "prosody") as server:
        await server.register("grace", "a password")
        grace = await server.connect("grace", "a password")
        given = f"{server.component}@{server.host}:{server.component_port}"
        flags = ("--only", "xmpp", "--xmpp-component", given, "--xmpp-secret", server.secret)
        process = await start(tmp_path / "world", *flags)
        try:
            told = await told_by(process)
            assert "XMPP had no chapter" in told
            assert "All 5 steps held" in told
            assert server.secret not in told
            echo = f"echo.eth@{server.component}"
            await grace.send(echo, "hello")
            await grace.wait_message(lambda message: message.bare == echo and "echo: hello" in (message.body or ""))
        finally:
            await end(process)
        assert server.running
    facts = json.loads((tmp_path / "world" / "demo.json").read_text("utf-8"))["xmpp"]
    assert (facts["component"], facts["c2s_port"], facts["user"]) == (server.component, None, None)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--xmpp-component", "dm3.example.org@127.0.0.1:9"), "go together"),
        (("--xmpp-component", "dm3.example.org:9", "--xmpp-secret", "canary"), "DOMAIN@HOST:PORT"),
        (("--xmpp-component", "two words@127.0.0.1:9", "--xmpp-secret", "canary"), "component: must be a domain"),
        (("--xmpp-component", "dm3.example.org@127.0.0.1:9", "--xmpp-secret", "canary", "--no-xmpp"), "no part"),
    ],
    ids=["one of two", "no address", "no domain", "left out"],
)
async def test_a_component_that_cannot_be_used_is_told(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    process = await start(tmp_path / "world", "--once", *flags)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode in (1, 2)
    assert said in err.decode()
    assert b"Traceback" not in err
    assert b"canary" not in out + err
