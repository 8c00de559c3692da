"""From nothing to a node by the commands that an operator types: init, migrate, serve, doctor."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from gateway.demo.chain.running import RunningChain, running_chain
from gateway.demo.ground import found_parent, future_resolver
from gateway.ids import EnsName, EthAddress
from gateway.sdk import State
from gateway.settings import load_settings
from gateway.web.server import listen
from tests.support.examining import changed, examined, finding
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
ONLY_ON_LOOPBACK = {
    ("configuration", "public-url", "warn"),  # this machine only
    ("configuration", "adapters", "warn"),  # no network is switched on
    ("backup", "age", "warn"),  # none was made yet
}


@dataclass
class Done:
    """A command that came to its end."""

    code: int
    output: str


@dataclass(frozen=True)
class Operator:
    """Types commands in a folder."""

    folder: Path
    port: int

    def _environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("DM3_GATEWAY")}
        # What a trial on one machine needs, and a node in the world must not have.
        return {
            **ours,
            "PYTHONPATH": str(ROOT),
            "DM3_GATEWAY__CHAIN__ALLOW_PRIVATE_GATEWAYS": "true",
            "DM3_GATEWAY__SERVER__PORT": str(self.port),
        }

    async def types(self, *arguments: str) -> Done:
        """Run a command to its end."""
        process = await self._start(*arguments)
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        return Done(process.returncode or 0, output.decode())

    @asynccontextmanager
    async def serves(self, http: httpx2.AsyncClient) -> AsyncIterator[None]:
        """A node that answers."""
        process = await self._start("serve")

        async def look() -> bool | None:
            assert process.returncode is None
            try:
                return (await http.get(f"http://127.0.0.1:{self.port}/healthz")).status_code == 200 or None
            except httpx2.HTTPError:
                return None

        try:
            await until(look, 60)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.communicate(), 30)

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        program = "tests.support.patient_doctor" if arguments[0] == "doctor" else "gateway"
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", program, *arguments),
            cwd=self.folder,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


def wrong(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    """What is not ok, by group, check and state."""
    return {
        (group, each["check"], each["state"])
        for group, findings in report["groups"].items()
        for each in findings
        if each["state"] != "ok"
    }


async def test_from_nothing_to_a_node(tmp_path: Path) -> None:
    """Step by step; `doctor` says at each what is missing, and in the end that nothing is but what no trial has."""
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
    operator = Operator(tmp_path, port)
    async with running_chain() as chain, httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        url, resolver = f"http://127.0.0.1:{port}", future_resolver(chain)
        flags = ("--parent", "gw.eth", "--public-url", url, "--rpc", chain.url, "--chain-id", str(chain.chain_id))
        done = await operator.types("init", "--yes", *flags, "--resolver", resolver)
        assert done.code == 0, done.output
        assert f"{url}/ccip/{resolver}/{{data}}.json?via={{sender}}" in done.output
        signer = re.search(r"signers: (0x[0-9a-fA-F]{40})", done.output)
        assert signer is not None
        await _found(chain, url, signer[1])

        early = await operator.types("doctor", "--only", "store")
        assert early.code == 1
        assert "run `dm3-gateway migrate`" in early.output
        assert (await operator.types("migrate")).code == 0

        async with operator.serves(http):
            done = await operator.types("doctor", "--json")
            report = json.loads(done.output)
            assert (done.code, wrong(report)) == (0, ONLY_ON_LOOPBACK), done.output
            assert sum(report["counts"].values()) >= 25
            shown = await operator.types("doctor", "--only", "names,relay")
            assert re.search(r"^\d+ checks in \d+\.\d s: \d+ ok$", shown.output, re.MULTILINE), shown.output

        stopped = await operator.types("doctor", "--only", "relay")
        assert (stopped.code, "start the gateway" in stopped.output) == (1, True)


async def _found(chain: RunningChain, url: str, signer: str) -> None:
    await asyncio.to_thread(found_parent, chain, EnsName("gw.eth"), url, EthAddress(signer.lower()))


async def test_a_world_that_does_not_answer_takes_no_finding_away(tmp_path: Path) -> None:
    """Servers that take connections and say nothing: each check ends by itself, before its group is broken off."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        operator = Operator(tmp_path, 0)
        flags = ("--parent", "gw.eth", "--public-url", url, "--rpc", url, "--resolver", "0x" + "12" * 20)
        assert (await operator.types("init", "--yes", *flags)).code == 0
        config = tmp_path / "gateway.toml"
        settings = changed(load_settings(config, {}), store={"url": f"sqlite:///{tmp_path}/none.db"})
        found = await examined(settings, config)
    checks = {each.check for findings in found.values() for each in findings}
    assert "examination" not in checks, found
    assert {"rpc-1", "resolver", "get", "look-up", "ready", "json-rpc", "socket.io"} <= checks
    assert finding(found["names"], "look-up").state is State.FAIL
