"""Every check of `doctor` can fail: one world, each of its parts broken in turn, and the check that says so."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.demo.chain.ens import ZERO, ccip_url
from gateway.ids import EnsName
from gateway.issuance_settings import MoreParent
from gateway.operations.checks import wire
from gateway.operations.installation import create_relay_key
from gateway.resolver.signer import create_signer, load_signer
from gateway.sdk import State
from gateway.settings import Settings
from gateway.store.tombstones import Bury
from tests.integration.ens.rpc import Alter, forwarding, rpc
from tests.integration.ens.servers import Asked, Script, response, scripted
from tests.support.examining import be_patient, changed, content, examined, finding, mode
from tests.support.house import PARENT, House, running_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

Break = Callable[[House], AbstractAsyncContextManager[Settings]]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with running_house(tmp_path_factory.mktemp("doctor") / "house") as running:
        (running.config.parent / "backups").mkdir()
        (running.config.parent / "backups" / "one.age").touch()
        yield running


async def test_a_whole_installation_has_no_fault_but_what_a_trial_lacks(house: House) -> None:
    """At least 25 checks without any network; on this machine only, and nobody to bridge."""
    found = await examined(house.settings, house.config)
    every = [(name, each.check, each.state) for name, findings in found.items() for each in findings]
    assert len(every) >= 25
    wrong = {(name, check, state) for name, check, state in every if state is not State.OK}
    assert wrong == {
        ("configuration", "public-url", State.WARN),
        ("configuration", "adapters", State.WARN),
    }, found
    assert all(each.found and not each.found.endswith(".") for findings in found.values() for each in findings)


@dataclass(frozen=True)
class Fault:
    """What is broken, and who must say so; ``found`` is part of what is said."""

    group: str
    check: str
    state: State
    found: str
    broken: Break

    def __str__(self) -> str:
        return f"{self.group}-{self.check}-{self.found[:30]}"


def with_settings(**sections: dict[str, Any]) -> Break:
    @asynccontextmanager
    async def broken(house: House) -> AsyncIterator[Settings]:
        yield changed(house.settings, **sections)

    return broken


def with_file(where: Callable[[House], Path], change: Callable[[Path], Any]) -> Break:
    """``change`` gives a context manager for a file."""

    @asynccontextmanager
    async def broken(house: House) -> AsyncIterator[Settings]:
        with change(where(house)):
            yield house.settings

    return broken


def readable(broken: Break) -> Break:
    """The same, with a configuration that others may read."""

    @asynccontextmanager
    async def both(house: House) -> AsyncIterator[Settings]:
        with mode(house.config, 0o644):
            async with broken(house) as settings:
                yield settings

    return both


def with_chain(do: Callable[[House], None], undo: Callable[[House], None]) -> Break:
    @asynccontextmanager
    async def broken(house: House) -> AsyncIterator[Settings]:
        await asyncio.to_thread(do, house)
        try:
            yield house.settings
        finally:
            await asyncio.to_thread(undo, house)

    return broken


def with_rpc(script: Callable[[House], Script], *, beside: bool = False) -> Break:
    """Another server of the chain, in place of the true one or behind it."""

    @asynccontextmanager
    async def broken(house: House) -> AsyncIterator[Settings]:
        async with scripted(script(house)) as server:
            urls = (house.chain.url, server.url()) if beside else (server.url(),)
            yield changed(house.settings, chain={"rpc_urls": urls})

    return broken


def altered(**fields: Callable[[str], str]) -> Callable[[House], Script]:
    """The true chain, with other values of blocks."""

    def alter(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "eth_getBlockByNumber" and isinstance(reply.get("result"), dict):
            block = reply["result"]
            return {**reply, "result": {**block, **{name: value(block[name]) for name, value in fields.items()}}}
        return reply

    return lambda house: forwarding(house.chain.url, alter)


def alter_by(alter: Alter) -> Callable[[House], Script]:
    return lambda house: forwarding(house.chain.url, alter)


def moved(seconds: int) -> Callable[[str], str]:
    return lambda value: hex(int(value, 16) + seconds)


def no_tag(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    if request["params"][:1] == ["finalized"]:
        return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "unknown block"}}
    return reply


def no_code(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    return {**reply, "result": "0x"} if request["method"] == "eth_getCode" else reply


def with_front(alter: Callable[[Asked, bytes], bytes]) -> Break:
    """Something before the gateway that passes requests on, and may answer otherwise."""

    @asynccontextmanager
    async def broken(house: House) -> AsyncIterator[Settings]:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            kind = {"content-type": asked.headers.get("content-type", "application/json")}
            url = f"{house.url}{asked.path}"
            answer = await house.http.request(asked.method, url, content=asked.body, headers=kind)
            writer.write(alter(asked, response(answer.status_code, answer.content)))

        async with scripted(script) as server:
            url = server.url("")
            yield changed(house.settings, server={"public_url": url.rstrip("/")})

    return broken


def on_path(part: str, status: int, body: bytes = b"{}") -> Callable[[Asked, bytes], bytes]:
    return lambda asked, true: response(status, body) if part in asked.path else true


@asynccontextmanager
async def nobody_there(house: House) -> AsyncIterator[Settings]:
    async with scripted(rpc()) as server:
        url = server.url("").rstrip("/")
    yield changed(house.settings, server={"public_url": url}, chain={"rpc_urls": (url,)})


@asynccontextmanager
async def refuses_bodies(house: House) -> AsyncIterator[Settings]:
    """A proxy that looks at the announced length, as nginx does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(413))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(wire, "REFUSAL_SECONDS", 60.0)
            yield changed(house.settings, server={"public_url": f"http://127.0.0.1:{port}"})


@asynccontextmanager
async def another_key(house: House) -> AsyncIterator[Settings]:
    """The gateway runs with the key before."""
    path = house.config.parent / "another-relay.key"
    create_relay_key(path)
    yield changed(house.settings, relay={"key_file": path})
    path.unlink()


@asynccontextmanager
async def another_signer(house: House) -> AsyncIterator[Settings]:
    path = house.config.parent / "another-resolver.key"
    create_signer(path)
    yield changed(house.settings, ens={"signer_key_file": path})
    path.unlink()


@asynccontextmanager
async def another_address(house: House) -> AsyncIterator[Settings]:
    """The same gateway by a name that its record does not have."""
    url = house.url.replace("127.0.0.1", "localhost")
    yield changed(house.settings, server={"public_url": url})


@asynccontextmanager
async def fails_to_sign(house: House) -> AsyncIterator[Settings]:
    """A program instead of the key file, which does nothing."""
    yield changed(house.settings, ens={"signer_command": ("/bin/false",), "signer_address": "0x" + "12" * 20})


def config(house: House) -> Path:
    return house.config


def folder(house: House) -> Path:
    return house.config.parent


def file(name: str) -> Callable[[House], Path]:
    return lambda house: house.config.parent / name


def bits(number: int) -> Callable[[Path], Any]:
    return lambda path: mode(path, number)


def text(words: str | None) -> Callable[[Path], Any]:
    return lambda path: content(path, words)


@contextmanager
def emptied(path: Path) -> Iterator[None]:
    (path / "one.age").unlink()
    try:
        yield
    finally:
        (path / "one.age").touch()


def aged(hours: int) -> Callable[[Path], Any]:
    @contextmanager
    def old(path: Path) -> Iterator[None]:
        then = time.time() - 3600 * hours
        os.utime(path / "one.age", (then, then))
        yield
        (path / "one.age").touch()

    return old


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    path.write_bytes(b"\xff")
    yield
    path.unlink()


@asynccontextmanager
async def forgotten(house: House) -> AsyncIterator[Settings]:
    await house.gateway.store.commit(Bury(("a" * 64,), 1))
    yield changed(house.settings, operation={"tombstone_file": house.config.parent / "lost"})


def resolver(house: House) -> str:
    return house.settings.ens.resolver_addresses[0]


def urls(house: House, *given: str) -> None:
    house.chain.ens.set_urls(resolver(house), given or [ccip_url(house.url)])  # type: ignore[arg-type]


def signer(house: House) -> Any:
    return load_signer(house.settings.ens.signer_key_file).address


WARN, FAIL = State.WARN, State.FAIL
PRIVATE = {"public_url": "http://gw.example"}
NO_DATA = "{resolver}?via={sender}"
FAULTS = [
    Fault("configuration", "file", FAIL, "can be changed by others", with_file(config, bits(0o666))),
    Fault("configuration", "file", FAIL, "can be changed by others", with_file(folder, bits(0o777))),
    Fault("configuration", "file", WARN, "holds a password",
          readable(with_settings(store={"redis_url": "redis://:geheim@127.0.0.1/0"}))),
    Fault("configuration", "file", WARN, "an access key",
          readable(with_settings(chain={"rpc_urls": ("https://rpc.example/v2/geheim",)}))),
    Fault("configuration", "parent", FAIL, "ens.parent", with_settings(ens={"parent": "GW.eth"})),
    Fault("configuration", "public-url", FAIL, "without TLS", with_settings(server=PRIVATE)),
    Fault("configuration", "public-url", WARN, "port",
          with_settings(server={"public_url": "https://gw.example:8443"})),
    Fault("configuration", "trials", FAIL, "allow_private_gateways", with_settings(server=PRIVATE)),
    Fault("configuration", "trials", WARN, "in anybody's name",
          with_settings(relay={"require_verified_sender": False})),
    Fault("configuration", "trials", WARN, "without TLS", with_settings(chain={"rpc_urls": ("http://eth.example",)})),
    Fault("keys", "seed", FAIL, "chmod 600", with_file(file("seed.key"), bits(0o644))),
    Fault("keys", "seed", FAIL, "cannot be read", with_file(file("seed.key"), text(None))),
    Fault("keys", "relay", FAIL, "chmod 600", with_file(file("relay.key"), bits(0o640))),
    Fault("keys", "relay", FAIL, "64 hex digits", with_file(file("relay.key"), text("nothing"))),
    Fault("keys", "resolver", FAIL, "64 hex digits", with_file(file("resolver.key"), text("nothing"))),
    Fault("keys", "resolver", FAIL, "", fails_to_sign),
    Fault("keys", "vapid", FAIL, "", with_file(file("vapid.key"), text("nothing"))),
    Fault("keys", "folder", FAIL, "others can put other keys", with_file(folder, bits(0o775))),
    Fault("store", "disk", FAIL, "there is no folder", with_settings(store={"url": "sqlite:////nowhere/gateway.db"})),
    Fault("store", "schema", FAIL, "migrate", with_settings(store={"url": "sqlite:////nowhere/gateway.db"})),
    Fault("store", "file", FAIL, "others may read", with_file(file("gateway.db"), bits(0o644))),
    Fault("store", "reachable", FAIL, "cannot connect",
          with_settings(store={"url": "postgresql://nobody@127.0.0.1:1/none"})),
    Fault("store", "redis", WARN, "does not answer", with_settings(store={"redis_url": "redis://127.0.0.1:1/0"})),
    Fault("chain", "rpc-1", FAIL, "gives no answer", nobody_there),
    Fault("chain", "rpc-1", FAIL, "is of chain 1", with_rpc(lambda _: rpc(eth_chainId="0x1"))),
    Fault("chain", "rpc-1", FAIL, "no number", with_rpc(lambda _: rpc(eth_chainId="nonsense"))),
    Fault("chain", "agreement", FAIL, "no server tells", nobody_there),
    Fault("chain", "agreement", FAIL, "different blocks",
          with_rpc(altered(hash=lambda _: "0x" + "ee" * 32), beside=True)),
    Fault("chain", "lag", WARN, "blocks behind", with_rpc(altered(number=moved(100)), beside=True)),
    Fault("chain", "block-age", FAIL, "s old", with_rpc(altered(timestamp=moved(-7200)))),
    Fault("chain", "decision-block", WARN, "finalized", with_rpc(alter_by(no_tag))),
    Fault("chain", "registry", FAIL, "no contract", with_rpc(alter_by(no_code))),
    Fault("clock", "newest-block", FAIL, "our clock is behind", with_rpc(altered(timestamp=moved(600)))),
    Fault("clock", "newest-block", WARN, "nothing can be compared", nobody_there),
    Fault("clock", "servers", WARN, "no server tells the time", with_rpc(altered())),
    Fault("names", "contract", FAIL, "names no contract", with_settings(ens={"resolver_addresses": ()})),
    Fault("names", "contract", FAIL, "no contract that names",
          with_settings(ens={"resolver_addresses": ("0x" + "12" * 20,)})),
    Fault("names", "resolver", FAIL, "does not name", with_settings(ens={"resolver_addresses": ("0x" + "12" * 20,)})),
    Fault("names", "resolver", FAIL, "has no resolver",
          with_chain(lambda h: h.chain.ens.set_resolver(PARENT, ZERO),
                     lambda h: h.chain.ens.set_resolver(PARENT, resolver(h)))),  # type: ignore[arg-type]
    Fault("names", "look-up", FAIL, "has no record",
          with_chain(lambda h: h.chain.ens.set_resolver(PARENT, ZERO),
                     lambda h: h.chain.ens.set_resolver(PARENT, resolver(h)))),  # type: ignore[arg-type]
    Fault("names", "gateways", FAIL, "does not send clients",
          with_chain(lambda h: urls(h, "https://elsewhere.example/{data}"), urls)),
    Fault("names", "gateways", FAIL, "own address",
          with_chain(lambda h: urls(h, f"{h.url}/ccip/{{sender}}/{{data}}"), urls)),
    Fault("names", "gateways", WARN, "POST only", with_chain(lambda h: urls(h, f"{h.url}/ccip/{NO_DATA}"), urls)),
    Fault("names", "signer", FAIL, "does not believe our key",
          with_chain(lambda h: h.chain.ens.remove_signer(resolver(h), signer(h)),  # type: ignore[arg-type]
                     lambda h: h.chain.ens.add_signer(resolver(h), signer(h)))),  # type: ignore[arg-type]
    Fault("names", "look-up", FAIL, "does not resolve",
          with_chain(lambda h: h.chain.ens.remove_signer(resolver(h), signer(h)),  # type: ignore[arg-type]
                     lambda h: h.chain.ens.add_signer(resolver(h), signer(h)))),  # type: ignore[arg-type]
    Fault("names", "get", FAIL, "gives no signed answer", nobody_there),
    Fault("names", "get", FAIL, "it answers 502", with_front(on_path("/ccip/0x", 502))),
    Fault("names", "post", FAIL, "it answers 405", with_front(on_path("/ccip", 405))),
    Fault("names", "nobody", FAIL, "is not answered", with_front(on_path("/ccip", 404))),
    Fault("names", "get", FAIL, "signs as", another_signer),
    Fault("relay", "ready", FAIL, "does not answer", nobody_there),
    Fault("relay", "ready", FAIL, "store: no answer",
          with_front(on_path("/readyz", 503, json.dumps({"components": {"store": "no answer"}}).encode()))),
    Fault("relay", "ready", WARN, "matrix: no answer",
          with_front(on_path("/readyz", 200, json.dumps({"components": {"matrix": "no answer"}}).encode()))),
    Fault("relay", "profile", FAIL, "published keys", another_key),
    Fault("relay", "profile", FAIL, "the published profile says", another_address),
    Fault("relay", "json-rpc", FAIL, "does not answer JSON-RPC", with_front(on_path("/ds/rpc", 404, b"<html>"))),
    Fault("relay", "json-rpc", WARN, "sizeLimit", with_settings(relay={"size_limit": 1_000_000})),
    Fault("relay", "socket.io", FAIL, "is answered 400", with_front(on_path("/socket.io", 400))),
    Fault("relay", "socket.io", FAIL, "no connection", nobody_there),
    Fault("relay", "body-limit", FAIL, "is answered 413", refuses_bodies),
    Fault("relay", "body-limit", FAIL, "no connection", nobody_there),
    Fault("relay", "proxies", FAIL, "everybody", with_settings(server={"trusted_proxies": ("0.0.0.0/0",)})),
    Fault("relay", "proxies", WARN, "is empty", with_settings(server={"public_url": "https://127.0.0.1:1"})),
    Fault("tls", "certificate", FAIL, "has none", with_settings(server=PRIVATE)),
    Fault("tls", "certificate", FAIL, "does not answer", with_settings(server={"public_url": "https://127.0.0.1:1"})),
    Fault("backup", "age", FAIL, "is empty", with_file(file("backups"), emptied)),
    Fault("backup", "age", WARN, "1 day", with_file(file("backups"), aged(30))),
    Fault("backup", "age", FAIL, "10 days", with_file(file("backups"), aged(241))),
    Fault("backup", "tombstones", FAIL, "is damaged", with_file(file("tombstones"), damaged)),
    Fault("backup", "tombstones", WARN, "1 deletions", forgotten),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_fault_is_found(house: House, fault: Fault) -> None:
    async with fault.broken(house) as settings:
        findings = (await examined(settings, house.config, fault.group))[fault.group]
    told = finding(findings, fault.check)
    assert (told.state, fault.found in told.found) == (fault.state, True), told
    assert told.fix


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_a_list_of_the_deleted_that_the_node_cannot_read_is_found(house: House, tmp_path: Path) -> None:
    """As one that root's own backup made, before the node did."""
    other = tmp_path / "tombstones"
    other.touch(mode=0o600)
    os.chown(other, 12345, 12345)
    settings = changed(house.settings, operation={"tombstone_file": other})
    told = finding((await examined(settings, house.config, "backup"))["backup"], "tombstones")
    assert (told.state, "cannot read" in told.found) == (State.FAIL, True), told


async def test_what_was_broken_is_whole_again(house: House) -> None:
    """So that no fault above was that of another one."""
    found = await examined(house.settings, house.config)
    assert not [each for findings in found.values() for each in findings if each.state is State.FAIL]


async def test_a_parent_beside_is_looked_at_too(house: House) -> None:
    more = changed(house.settings, subnames={"parents": (MoreParent(name="other.eth"),)})
    findings = (await examined(more, house.config, "names"))["names"]
    assert finding(findings, "resolver").found == f"{EnsName('other.eth')} has no resolver in the registry"


async def test_no_answer_shows_an_access_key(house: House) -> None:
    """Providers put them into the path of their addresses."""
    settings = changed(house.settings, chain={"rpc_urls": ("http://127.0.0.1:1/v2/geheim",)})
    found = await examined(settings, house.config)
    assert "geheim" not in repr(found)
