"""Both machines: py-evm behind our JSON-RPC, and anvil where Node.js packages are installed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from gateway.demo.chain.accounts import ACCOUNT_BALANCE, Account, accounts
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.genesis import ens_genesis
from tests.integration.chain.node import Contract, Node, embedded_node, http_node
from tests.support.anvil import running_anvil


@pytest.fixture(scope="session")
def people() -> Mapping[str, Account]:
    return accounts()


@pytest.fixture(scope="session")
def embedded(people: Mapping[str, Account]) -> Node:
    return embedded_node(DevChain(ens_genesis(people, int(time.time()))))


@pytest.fixture(scope="session")
def anvil(people: Mapping[str, Account], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_anvil(tmp_path_factory.mktemp("anvil")) as url, http_node("anvil", url) as node:
        for person in people.values():
            node.rpc("anvil_setBalance", person.address, hex(ACCOUNT_BALANCE))
        yield node


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
