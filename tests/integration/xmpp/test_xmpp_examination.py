"""`doctor` and XMPP: a real server that knows us, one that does not, one whose component is taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.xmpp.adapter import XmppAdapter
from adapters.xmpp.examination import component as component_module
from adapters.xmpp.examination.component import handshake
from adapters.xmpp.examination.examiner import found, limited, stanza_limit
from adapters.xmpp.settings import XmppSettings
from gateway.demo.xmpp_server import XmppServer
from gateway.sdk import Finding, State
from tests.integration.ens.servers import Asked, response, scripted
from tests.integration.xmpp.raw_component import RawComponent
from tests.integration.xmpp.worlds import xmpp_world
from tests.support.ejabberd import ejabberd_server
from tests.support.examining import be_patient, finding
from tests.support.prosody import prosody_server

pytestmark = pytest.mark.xdist_group("xmpp")

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


def settings(folder: Path, server: XmppServer, **other: Any) -> XmppSettings:
    secret = folder / "xmpp.secret"
    secret.write_text(other.pop("secret", server.secret))
    table = {"component": server.component, "host": server.host, "port": server.component_port}
    return XmppSettings(**{**table, **other}, secret_file=secret)


async def component(table: XmppSettings, url: str = NOBODY) -> Finding:
    return finding(await XmppAdapter.examine(table, url), "component")


@asynccontextmanager
async def node_says(state: str) -> AsyncIterator[str]:
    """A node whose readiness tells of its link."""

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, json.dumps({"components": {"store": "ok", "adapter xmpp": state}}).encode()))

    async with scripted(script) as server:
        yield server.url("").rstrip("/")


async def test_prosody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with prosody_server(tmp_path) as server:
        table = settings(tmp_path, server)
        told = await component(table)
        assert (told.state, "takes us for" in told.found) == (State.OK, True), told
        async with RawComponent(server):
            told = await component(table)
            assert (told.state, "somebody is" in told.found) == (State.OK, True), told
        (limit,) = await stanza_limit(table, server.host, server.c2s_port)
        assert limit.state in (State.OK, State.WARN)

        wrong = await component(settings(tmp_path, server, secret="another"))
        assert (wrong.state, "not-authorized" in wrong.found) == (State.FAIL, True), wrong
        unknown = await component(settings(tmp_path, server, component="other.localhost"))
        assert (unknown.state, bool(unknown.fix)) == (State.FAIL, True), unknown
        monkeypatch.setattr(component_module, "ANSWER_SECONDS", 3.0)  # it says nothing
        web = await component(settings(tmp_path, server, port=server.http_port))
        assert (web.state, "put host and port right" in web.fix) == (State.FAIL, True), web
        none = await component(settings(tmp_path, server, port=1))
        assert (none.state, "does not answer" in none.found) == (State.FAIL, True), none


async def test_ejabberd(tmp_path: Path) -> None:
    async with ejabberd_server(tmp_path) as server:
        assert (await component(settings(tmp_path, server))).state is State.OK
        wrong = await component(settings(tmp_path, server, secret="another"))
        assert (wrong.state, "not-authorized" in wrong.found) == (State.FAIL, True), wrong


async def test_a_running_node_keeps_its_connection(tmp_path: Path) -> None:
    """The server is not even asked, since some let a second connection take stanzas of the first."""
    async with prosody_server(tmp_path, start=False) as server, node_says("ok") as url:
        told = await component(settings(tmp_path, server), url)
        assert (told.state, "our running node" in told.found) == (State.OK, True), told
    async with prosody_server(tmp_path / "other", start=False) as server, node_says("no answer") as url:
        assert (await component(settings(tmp_path, server), url)).state is State.FAIL


async def test_a_node_that_runs_says_so(tmp_path: Path) -> None:
    """The same by a whole gateway, which has its connection still."""
    async with prosody_server(tmp_path / "server") as server, xmpp_world(tmp_path, server) as world:
        told = await component(settings(tmp_path, server), world.house.url)
        assert (told.state, "our running node" in told.found) == (State.OK, True), told
        assert world.adapter.connected


async def test_the_component_is_free_again_at_once(tmp_path: Path) -> None:
    async with prosody_server(tmp_path) as server:
        for _ in range(3):
            assert await handshake(server.host, server.component_port, server.component, server.secret) == ""
        async with RawComponent(server):
            pass


@pytest.mark.parametrize(
    ("judged", "state"),
    [
        (limited("262144"), State.OK),
        (limited("10000"), State.WARN),
        (limited(""), State.OK),
    ],
)
def test_limits(judged: Finding, state: State) -> None:
    assert judged.state is state


def test_what_the_dns_says(tmp_path: Path) -> None:
    table = XmppSettings(component="dm3.example.org", secret_file=tmp_path / "none")
    assert found(table, ["xmpp.example.org:5269"], []).state is State.OK
    assert found(table, [], ["192.0.2.1"]).state is State.OK
    none = found(table, [], [])
    assert (none.state, none.lines) == (
        State.WARN,
        ("_xmpp-server._tcp.dm3.example.org. IN SRV 0 5 5269 example.org.",),
    )
    assert found(table.model_copy(update={"component": "dm3.localhost"}), [], []).state is State.OK
