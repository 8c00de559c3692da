"""Both machines: py-evm behind our JSON-RPC, and anvil where Node.js packages are installed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, Account, accounts
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.genesis import ens_genesis
from gateway.demo.chain.rpc import answer
from gateway.dm3.canonical import Json
from tests.integration.chain.node import Contract, Node
from tests.support.require import require

START_TIMEOUT_S = 20.0


@pytest.fixture(scope="session")
def people() -> Mapping[str, Account]:
    return accounts()


@pytest.fixture(scope="session")
def embedded(people: Mapping[str, Account]) -> Node:
    chain = DevChain(ens_genesis(people, int(time.time())))

    def request(body: dict[str, Json]) -> dict[str, Any]:
        reply = answer(chain, json.dumps(body).encode())
        assert reply is not None
        value: dict[str, Any] = json.loads(reply)
        return value

    return Node("py-evm", request)


@pytest.fixture(scope="session")
def anvil(people: Mapping[str, Account], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    from tests.support.node import node_modules

    binary = next(Path(node_modules()).glob("@foundry-rs/anvil-*/bin/anvil"), None)
    require(binary, "anvil is not installed (npm install in tests/interop/js)")
    assert binary is not None
    # A file and not a pipe: anvil tells of every call, and would stand still as soon as a pipe is full.
    output = tmp_path_factory.mktemp("anvil") / "output"
    with (
        output.open("wb") as sink,
        subprocess.Popen([binary, "--port", "0", "--accounts", "1"], stdout=sink) as process,
        httpx2.Client(timeout=START_TIMEOUT_S, trust_env=False) as client,
    ):
        try:
            url = "http://" + _listening(process, output)

            def request(body: dict[str, Json]) -> dict[str, Any]:
                value: dict[str, Any] = client.post(url, json=body).json()
                return value

            node = Node("anvil", request)
            for person in people.values():
                node.rpc("anvil_setBalance", person.address, hex(ACCOUNT_BALANCE))
            yield node
        finally:
            process.terminate()


@pytest.fixture(scope="session", params=["embedded", "anvil"])
def node(request: pytest.FixtureRequest) -> Node:
    """Each test that asks for this runs on both machines."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Node)
    return found


@pytest.fixture
def registry(node: Node, people: Mapping[str, Account]) -> Contract:
    """A registry whose root belongs to the account root."""
    return node.deploy(people["root"], "ENSRegistry", people["root"].address)


def _listening(process: subprocess.Popen[bytes], output: Path) -> str:
    """Host and port that anvil announces."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        announced = re.search(r"Listening on (\S+)\n", output.read_text())
        if announced is not None:
            return announced[1]
        time.sleep(0.01)
    raise RuntimeError("anvil did not start")
