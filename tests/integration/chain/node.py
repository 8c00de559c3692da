"""A chain as its JSON-RPC shows it: deploy, send and ask, the same for every implementation."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from eth.vm.forks.london.transactions import UnsignedDynamicFeeTransaction
from eth_abi.abi import decode
from eth_keys.datatypes import PrivateKey

from gateway.demo.chain.accounts import Account
from gateway.demo.chain.artefacts import Artefact, load_artefact
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.rpc import answer
from gateway.dm3.canonical import Json
from gateway.dm3.eth import address_bytes
from gateway.ids import EthAddress

# TIMESTAMP PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
RETURN_TIMESTAMP = "0x425f5260205ff3"
RECEIPT_TIMEOUT_S = 60.0
HTTP_TIMEOUT_S = 20.0
OFFCHAIN_LOOKUP = bytes.fromhex("556f1830")


class CallFailed(Exception):
    """A JSON-RPC error; ``data`` are the revert data."""

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        self.data = data


@dataclass(frozen=True)
class OffchainLookup:
    """The error of ERC-3668, decoded."""

    sender: EthAddress
    urls: tuple[str, ...]
    call_data: bytes
    callback: bytes
    extra_data: bytes

    @classmethod
    def of(cls, failure: CallFailed) -> OffchainLookup:
        assert failure.data[:4] == OFFCHAIN_LOOKUP, failure
        types = ["address", "string[]", "bytes", "bytes4", "bytes"]
        sender, urls, call_data, callback, extra_data = decode(types, failure.data[4:])
        return cls(EthAddress(sender), tuple(urls), call_data, callback, extra_data)


class Node:
    """One endpoint; ``request`` takes and gives JSON-RPC objects."""

    def __init__(self, name: str, request: Callable[[dict[str, Json]], dict[str, Any]]) -> None:
        self.name = name
        self._request = request
        self._ids = itertools.count(1)

    def rpc(self, method: str, *params: Json) -> Any:
        """Result of one method; raises CallFailed."""
        reply = self._request({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)})
        if "error" in reply:
            data = reply["error"].get("data")
            raise CallFailed(reply["error"]["message"], bytes.fromhex(data[2:]) if isinstance(data, str) else b"")
        return reply["result"]

    def now(self) -> int:
        """The time that contracts see now."""
        self.rpc("evm_mine")
        return int(self.rpc("eth_call", {"data": RETURN_TIMESTAMP}, "latest"), 16)

    def pass_time(self, seconds: int) -> None:
        """Set the clock forward and mine, so that every implementation shows it to calls."""
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    def call(self, to: EthAddress, data: bytes, sender: EthAddress | None = None) -> bytes:
        """eth_call; raises CallFailed."""
        request: dict[str, Json] = {"to": to, "data": "0x" + data.hex()}
        if sender is not None:
            request["from"] = sender
        return bytes.fromhex(self.rpc("eth_call", request, "latest")[2:])

    def send(self, sender: Account, to: EthAddress | None, data: bytes, value: int = 0) -> dict[str, Any]:
        """Receipt of a transaction with ``value`` wei; raises CallFailed when it would revert."""
        request: dict[str, Json] = {"from": sender.address, "data": "0x" + data.hex(), "value": hex(value)}
        if to is not None:
            request["to"] = to
        unsigned = UnsignedDynamicFeeTransaction(
            chain_id=int(self.rpc("eth_chainId"), 16),
            nonce=int(self.rpc("eth_getTransactionCount", sender.address, "latest"), 16),
            max_priority_fee_per_gas=int(self.rpc("eth_maxPriorityFeePerGas"), 16),
            max_fee_per_gas=2 * int(self.rpc("eth_gasPrice"), 16),
            gas=int(self.rpc("eth_estimateGas", request), 16),
            to=address_bytes(to) if to else b"",
            value=value,
            data=data,
            access_list=(),
        )
        raw = unsigned.as_signed_transaction(PrivateKey(sender.key)).encode()
        digest = self.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        receipt = self._receipt(digest)
        assert receipt["status"] == "0x1"
        return receipt

    def _receipt(self, digest: str) -> dict[str, Any]:
        """anvil mines a moment after it has taken the transaction."""
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while time.monotonic() < deadline:
            receipt: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", digest)
            if receipt is not None:
                return receipt
            time.sleep(0.002)
        raise AssertionError(f"{digest} was not mined")

    def deploy(self, sender: Account, contract: str | Artefact, *arguments: object) -> Contract:
        """A new contract: one of deploy/contracts by its name, or any other."""
        artefact = load_artefact(contract) if isinstance(contract, str) else contract
        receipt = self.send(sender, None, artefact.creation_code(*arguments))
        return Contract(self, EthAddress(receipt["contractAddress"].lower()), artefact)


def embedded_node(chain: DevChain) -> Node:
    """The embedded chain, asked without a socket."""

    def request(body: dict[str, Json]) -> dict[str, Any]:
        reply = answer(chain, json.dumps(body).encode())
        assert reply is not None
        value: dict[str, Any] = json.loads(reply)
        return value

    return Node("py-evm", request)


@contextmanager
def http_node(name: str, url: str) -> Iterator[Node]:
    """A chain of another process."""
    with httpx2.Client(timeout=HTTP_TIMEOUT_S, trust_env=False) as client:

        def request(body: dict[str, Json]) -> dict[str, Any]:
            value: dict[str, Any] = client.post(url, json=body).json()
            return value

        yield Node(name, request)


@dataclass(frozen=True)
class Contract:
    """A deployed contract; functions are named by their signatures."""

    node: Node
    address: EthAddress
    artefact: Artefact

    def ask(self, signature: str, *arguments: object, sender: EthAddress | None = None) -> Any:
        """What the function returns: the value, or a tuple of several."""
        data = self.node.call(self.address, self.artefact.call(signature, *arguments), sender)
        values = self.artefact.decode(signature, data)
        return values[0] if len(values) == 1 else values

    def do(self, sender: Account, signature: str, *arguments: object, value: int = 0) -> dict[str, Any]:
        """Receipt of a transaction that calls the function, with ``value`` wei."""
        return self.node.send(sender, self.address, self.artefact.call(signature, *arguments), value)
