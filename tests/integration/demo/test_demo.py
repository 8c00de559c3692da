"""The demo as a newcomer runs it: the whole story in a process of its own, and its facts for other clients."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from gateway.demo.chain.running import running_chain
from gateway.demo.ground import found_parent
from gateway.demo.mail import send_mail
from gateway.demo.matrix_user import MatrixUser
from gateway.demo.prosody import MISSING as NO_PROSODY
from gateway.demo.prosody import find_prosody
from gateway.demo.synapse import MISSING, find_synapse
from gateway.dm3.eth import parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.names import normalise
from gateway.ids import EnsName
from gateway.operations.installation import Answers, create_installation
from gateway.resolver.signer import create_signer
from gateway.web.server import listen
from tests.support.require import require
from tests.support.waiting import until

PORTS = ("--gateway-port", "0", "--rpc-port", "0", "--smtp-port", "0")


async def start(folder: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo", "--dir", str(folder), *PORTS, *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )


async def told_by(process: asyncio.subprocess.Process) -> str:
    """All that is told until the story is over and the world goes on."""
    assert process.stdout is not None
    told = ""
    async with asyncio.timeout(90):
        while "goes on until" not in told:
            line = await process.stdout.readline()
            assert line, told
            told += line.decode()
    return told


async def end(process: asyncio.subprocess.Process) -> None:
    """In order, so that its servers end too; by force when it does not listen."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
    await process.wait()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_the_whole_story_holds_with_all_networks_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """One run for everything about Matrix: each world with a homeserver takes its seconds."""
    require(find_synapse(), MISSING)
    require(find_prosody(), NO_PROSODY)
    process = await start(tmp_path / "world")
    try:
        told = await told_by(process)
        assert "All 40 steps held" in told
        assert "takes no part" not in told
        assert "failed" not in told
        for part in ("picks the envelope up and opens it", "in the thread of his mail", "550 5.1.1", "echo comes back"):
            assert part in told
        for part in ("as a reply from @dm3_native.eth:localhost", "he finds an invitation", "and Bob has it as mail"):
            assert part in told
        for part in ("and Erin's answer is in his mailbox", "Alice writes to Erin from Matrix, and Erin answers"):
            assert part in told
        facts = json.loads((tmp_path / "world" / "demo.json").read_text("utf-8"))
        assert any(sample["name"] == "dave.localhost.matrix.gw.eth" for sample in facts["samples"])
        matrix = facts["matrix"]
        assert set(matrix) == {"homeserver_url", "server_name", "registration_file", "user", "password"}
        assert stat.S_IMODE(os.stat(matrix["registration_file"]).st_mode) == 0o600
        alice = await MatrixUser.log_in(matrix["homeserver_url"], matrix["user"], matrix["password"])
        async with alice:
            room = await alice.create_room(invite=[f"@dm3_echo.eth:{matrix['server_name']}"], is_direct=True)
            await alice.say(room, "is anybody there?")
            await alice.wait_event(lambda event: event["content"]["body"].startswith("echo: is anybody there?"))
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert err == b"", err.decode()
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            with pytest.raises(httpx2.ConnectError):
                await http.get(matrix["homeserver_url"])
    finally:
        await end(process)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    process = await start(tmp_path / "world", "--no-matrix", "--no-xmpp")
    try:
        await told_by(process)
        yield process, json.loads((tmp_path / "world" / "demo.json").read_text("utf-8"))
    finally:
        await end(process)


async def test_ctrl_c_ends_it_cleanly(world: tuple[asyncio.subprocess.Process, dict[str, Any]]) -> None:
    process, facts = world
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert err == b"", err.decode()
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get(facts["gateway_url"])


async def test_a_terminal_that_is_closed_ends_it_with_its_servers(tmp_path: Path) -> None:
    require(find_prosody(), NO_PROSODY)
    folder = tmp_path / "world"
    demo = (sys.executable, "-m", "gateway", "demo", "--dir", str(folder), *PORTS, "--only", "xmpp")
    terminal = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *demo),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    try:
        await told_by(terminal)
        facts = json.loads((folder / "demo.json").read_text("utf-8"))
        ports = list(json.loads((folder / "prosody" / "kept.json").read_text("utf-8"))["ports"].values())
        ports.append(urlsplit(facts["gateway_url"]).port)
        assert all(listens(port) for port in ports)
    finally:
        terminal.kill()
        await terminal.wait()
    async with asyncio.timeout(30):
        while any(listens(port) for port in ports):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_the_facts_are_true(world: tuple[asyncio.subprocess.Process, dict[str, Any]]) -> None:
    """Every sample resolves from the outside to what demo.json says, and nothing of the promised keys is missing."""
    _, facts = world
    assert facts["matrix"] is facts["xmpp"] is None
    assert set(facts) == {
        *("gateway_url", "rpc_url", "chain_id", "ens_registry", "universal_resolver", "parent", "resolver_address"),
        *("resolver_signer", "ds_name", "ds_profile", "ccip_url", "accounts", "samples", "smtp", "matrix", "xmpp"),
        *("admin_url", "admin_token"),
    }
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        entered = await http.post(
            f"{facts['admin_url']}/login",
            data={"token": facts["admin_token"]},
            headers={"origin": facts["admin_url"].removesuffix("/admin")},
        )
        assert (entered.status_code, entered.headers.get("location")) == (303, "/admin"), entered.text
        assert "Parts of this node" in (await http.get(facts["admin_url"])).text
    async with GuardedClient(allow_private=True) as client:
        chain = Chain((facts["rpc_url"],), facts["chain_id"])
        ens = Ens(chain, parse_address(facts["ens_registry"]), client)
        names = [sample["name"] for sample in facts["samples"]]
        assert {"native.eth", "echo.eth", "early.echo.eth", "ξένος.echo.eth", "💩.echo.eth"} < set(names)
        assert any(name.endswith(".email.gw.eth") for name in names), "a bridged person is among them"
        for sample in facts["samples"]:
            name = normalise(sample["name"])
            address = await ens.address(name)
            assert address == (sample["addr"] and parse_address(sample["addr"])), name
            for key, value in sample["texts"].items():
                assert await ens.text(name, key) == value, (name, key)
            for coin, value in sample["coins"].items():
                found = await ens.addr(name, int(coin))
                assert found is not None
                assert "0x" + found.hex() == value, (name, coin)
            if sample["contenthash"]:
                assert "0x" + (await ens.contenthash(name) or b"").hex() == sample["contenthash"]
        owner = await ens.resolver_of(EnsName(facts["parent"]))
        assert owner is not None
        assert owner.address == parse_address(facts["resolver_address"])
        await chain.close()


async def test_the_echo_answers_a_stranger_s_mail(
    world: tuple[asyncio.subprocess.Process, dict[str, Any]], tmp_path: Path
) -> None:
    _, facts = world
    smtp = facts["smtp"]
    await send_mail(
        host=smtp["host"],
        port=smtp["mx_port"],
        sender="carol@mail.example",
        recipient=f"echo.eth@{smtp['domain']}",
        subject="",
        text="hello from a stranger",
        message_id="<stranger@mail.example>",
    )
    folder = tmp_path / "world" / "mail" / "carol@mail.example" / "new"

    async def look() -> bool | None:
        found = folder.exists() and any("echo: hello from" in file.read_text() for file in folder.iterdir())
        return found or None

    assert await until(look, 30)


async def test_a_folder_that_is_not_the_demo_s_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    process = await start(folder, "--once")
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert "not a demo" in (out + err).decode()
    assert (folder / "thesis.txt").read_text() == "years of work"


async def test_a_second_demo_leaves_the_running_one_alone(
    world: tuple[asyncio.subprocess.Process, dict[str, Any]], tmp_path: Path
) -> None:
    process, facts = world
    kept = [tmp_path / "world" / name for name in ("seed.key", "demo.json", "gateway.toml")]
    before = [file.read_bytes() for file in kept]
    second = await start(tmp_path / "world", "--once", "--only", "email")
    out, err = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 1
    assert b"Traceback" not in err
    assert "already; end it, or name another folder with --dir" in " ".join((out + err).decode().split())
    assert [file.read_bytes() for file in kept] == before
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        assert (await http.get(facts["gateway_url"])).status_code == 200
    assert process.returncode is None


async def test_an_installation_is_never_taken_for_a_demo(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9")
    create_installation(folder, answers)
    seed = (folder / "seed.key").read_bytes()
    process = await start(folder, "--once")
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert (folder / "seed.key").read_bytes() == seed


@pytest.mark.parametrize(
    ("flags", "said"),
    [(("--only", "telex"), "no peer telex"), (("--gateway-port", "99999"), "65535")],
)
async def test_wrong_flags_are_explained(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    process = await start(tmp_path / "world", "--once", *flags)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode != 0
    assert said in (out + err).decode()
    assert b"Traceback" not in err


async def test_a_chain_of_the_caller_s_can_be_given(tmp_path: Path) -> None:
    """Nothing is written to it: the native people's names are rows that our resolver serves."""
    signer = create_signer(tmp_path / "signer.key")
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    async with running_chain() as chain:
        parent, url = EnsName("gw.eth"), f"http://127.0.0.1:{port}"
        resolver = await asyncio.to_thread(found_parent, chain, parent, url, signer.address)
        before = chain.core.head.number
        given = ("--rpc", chain.url, "--resolver", resolver, "--signer-key", str(tmp_path / "signer.key"))
        flags = ("--once", "--only", "email", *given, "--gateway-port", str(port))
        process = await start(tmp_path / "world", *flags)
        out, err = await asyncio.wait_for(process.communicate(), 90)
        told = out.decode()
        assert process.returncode == 0, told + err.decode()
        assert "native.gw.eth logs in at the relay" in told
        assert "All 17 steps held" in told
        assert chain.core.head.number == before


@pytest.mark.parametrize(
    "flags",
    [
        ("--rpc", "http://127.0.0.1:9"),
        ("--rpc", "http://127.0.0.1:9", "--resolver", "0x" + "12" * 20, "--signer-key", "none"),
        ("--rpc", "nonsense", "--resolver", "0x12", "--signer-key", "none"),
    ],
    ids=["one of three", "nobody answers", "no address"],
)
async def test_a_chain_that_cannot_be_used_is_told(tmp_path: Path, flags: tuple[str, ...]) -> None:
    process = await start(tmp_path / "world", "--once", *flags)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode in (1, 2)
    assert b"Traceback" not in err
    assert err.strip() != b""
