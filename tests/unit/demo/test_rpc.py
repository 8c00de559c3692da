"""JSON-RPC of the local chain as bytes in, bytes out: protocol, every method's shape, and hostile input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.demo.chain import methods
from gateway.demo.chain.accounts import ACCOUNT_BALANCE, Account
from gateway.demo.chain.artefacts import load_artefact
from gateway.demo.chain.ens import EnsWorld
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.genesis import REGISTRY
from gateway.demo.chain.methods import METHODS
from gateway.demo.chain.rpc import MAX_BATCH, MAX_BODY_BYTES, answer
from gateway.ids import EnsName

ALICE_FUNDS = hex(ACCOUNT_BALANCE)
NOBODY = "0x" + "77" * 20


def ask(chain: DevChain, request: Any) -> Any:
    """Reply to a request given as a value."""
    reply = answer(chain, json.dumps(request).encode())
    return None if reply is None else json.loads(reply)


def result(chain: DevChain, method: str, *params: Any) -> Any:
    """Result of one call; fails on an error."""
    reply = ask(chain, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert "error" not in reply, reply
    return reply["result"]


def error(chain: DevChain, method: str, *params: Any) -> Any:
    """Error object of one call; fails on a result."""
    reply = ask(chain, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert set(reply) == {"jsonrpc", "id", "error"}
    return reply["error"]


class TestProtocol:
    def test_reply_has_version_id_and_result(self, chain: DevChain) -> None:
        reply = ask(chain, {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"})
        assert reply == {"jsonrpc": "2.0", "id": "a", "result": "0x7a69"}

    @pytest.mark.parametrize("params", [{}, None, []])
    def test_params_may_be_absent_null_or_empty(self, chain: DevChain, params: Any) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"} | ({} if params == {} else {"params": params})
        assert ask(chain, request)["result"] == "0x7a69"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", -32700),
            (b"{", -32700),
            (b"\xff", -32700),
            (b"NaN", -32700),
            (b"[" * 5000, -32700),
            (b'{"jsonrpc":"2.0","id":1,"id":2}', -32700),
            (b"[]", -32600),
            (b"null", -32600),
            (b"5", -32600),
            (b'"eth_chainId"', -32600),
            (b'{"id":1}', -32600),
            (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600),
            (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
            (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', -32600),
            (b'{"jsonrpc":"2.0","id":1,"method":"eth_sign"}', -32601),
            (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', -32602),
            (b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance"}', -32602),
        ],
    )
    def test_malformed(self, chain: DevChain, body: bytes, code: int) -> None:
        reply = json.loads(answer(chain, body) or b"")
        assert reply["error"]["code"] == code
        assert "Traceback" not in reply["error"]["message"]

    def test_too_large(self, chain: DevChain) -> None:
        reply = json.loads(answer(chain, b" " * (MAX_BODY_BYTES + 1)) or b"")
        assert reply["error"]["code"] == -32011

    def test_notification_gets_no_reply(self, chain: DevChain) -> None:
        assert ask(chain, {"jsonrpc": "2.0", "method": "evm_mine"}) is None
        assert chain.head.number == 1

    def test_batch_is_answered_in_order_without_notifications(self, chain: DevChain) -> None:
        replies = ask(
            chain,
            [
                {"jsonrpc": "2.0", "id": 2, "method": "eth_chainId"},
                {"jsonrpc": "2.0", "method": "evm_mine"},
                {"jsonrpc": "2.0", "id": 1, "method": "nonesuch"},
                7,
            ],
        )
        assert [(reply["id"], reply.get("error", {}).get("code")) for reply in replies] == [
            (2, None),
            (1, -32601),
            (None, -32600),
        ]

    def test_batch_of_notifications_gets_no_reply(self, chain: DevChain) -> None:
        assert ask(chain, [{"jsonrpc": "2.0", "method": "evm_mine"}]) is None

    def test_batch_is_bounded(self, chain: DevChain) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
        assert len(ask(chain, [request] * MAX_BATCH)) == MAX_BATCH
        assert ask(chain, [request] * (MAX_BATCH + 1))["error"]["code"] == -32600

    def test_defect_becomes_internal_error_without_details(
        self, chain: DevChain, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def defect(_: DevChain, __: Any) -> Any:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr("gateway.demo.chain.rpc.METHODS", {"eth_chainId": defect})
        assert error(chain, "eth_chainId") == {"code": -32603, "message": "internal error"}


class TestMethods:
    def test_identity(self, chain: DevChain) -> None:
        assert result(chain, "net_version") == "31337"
        assert result(chain, "eth_accounts") == []
        assert result(chain, "eth_syncing") is False
        assert result(chain, "web3_clientVersion").startswith("dm3-gateway-chain/")

    def test_account(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        alice = people["alice"].address
        assert result(chain, "eth_getBalance", alice, "latest") == ALICE_FUNDS
        assert result(chain, "eth_getBalance", alice) == ALICE_FUNDS
        assert result(chain, "eth_getTransactionCount", alice, "pending") == "0x0"
        assert result(chain, "eth_getCode", alice, "latest") == "0x"
        assert len(result(chain, "eth_getCode", REGISTRY, "0x0")) > 1000
        assert result(chain, "eth_getStorageAt", NOBODY, "0x0", "latest") == "0x" + "00" * 32

    def test_call(self, chain: DevChain, people: Mapping[str, Account]) -> None:
        data = "0x" + load_artefact("ENSRegistry").call("owner(bytes32)", bytes(32)).hex()
        assert result(chain, "eth_call", {"to": REGISTRY, "data": data}, "latest").endswith(people["root"].address[2:])

    def test_revert(self, chain: DevChain) -> None:
        data = "0x" + load_artefact("ENSRegistry").call("setTTL(bytes32,uint64)", bytes(32), 5).hex()
        failure = error(chain, "eth_call", {"to": REGISTRY, "data": data}, "latest")
        assert failure["code"] == 3
        assert failure["message"] == "execution reverted: not authorised"
        assert failure["data"].startswith("0x08c379a0")
        assert error(chain, "eth_estimateGas", {"to": REGISTRY, "data": data}) == failure

    def test_blocks(self, chain: DevChain) -> None:
        result(chain, "evm_mine")
        assert result(chain, "eth_blockNumber") == "0x1"
        newest = result(chain, "eth_getBlockByNumber", "latest", False)
        assert newest == result(chain, "eth_getBlockByHash", newest["hash"], True)
        assert newest["parentHash"] == result(chain, "eth_getBlockByNumber", "earliest", False)["hash"]
        assert len(newest["logsBloom"]) == 2 + 512
        assert len(newest["withdrawalsRoot"]) == len(newest["requestsHash"]) == 66

    @pytest.mark.parametrize(
        ("method", "ref"), [("eth_getBlockByNumber", "0x99"), ("eth_getBlockByHash", "0x" + "00" * 32)]
    )
    def test_absent_block_is_null(self, chain: DevChain, method: str, ref: str) -> None:
        assert result(chain, method, ref, False) is None

    def test_state_of_an_absent_block_is_an_error(self, chain: DevChain) -> None:
        assert error(chain, "eth_getBalance", NOBODY, "0x99") == {"code": -32000, "message": "header not found"}

    def test_fees(self, chain: DevChain) -> None:
        for _ in range(3):
            chain.mine()
        history = result(chain, "eth_feeHistory", "0x2", "latest", [25, 75])
        assert history["oldestBlock"] == "0x2"
        assert [len(history[key]) for key in ("baseFeePerGas", "gasUsedRatio", "reward")] == [3, 2, 2]
        assert [len(reward) for reward in history["reward"]] == [2, 2]
        assert int(history["baseFeePerGas"][-1], 16) == chain.next_base_fee
        past = result(chain, "eth_feeHistory", 1, "0x1", None)
        assert past["baseFeePerGas"][-1] == result(chain, "eth_getBlockByNumber", "0x2", False)["baseFeePerGas"]
        tip = int(result(chain, "eth_maxPriorityFeePerGas"), 16)
        assert int(result(chain, "eth_gasPrice"), 16) == chain.next_base_fee + tip

    def test_fee_history_of_more_blocks_than_there_are(self, chain: DevChain) -> None:
        assert len(result(chain, "eth_feeHistory", "0x400", "latest", [])["gasUsedRatio"]) == 1

    def test_time_can_be_set_forward(self, chain: DevChain) -> None:
        before = chain.now()
        assert result(chain, "evm_increaseTime", 60) == "0x3c"
        assert chain.now() == before + 60
        assert error(chain, "evm_increaseTime", 10**12)["code"] == -32602

    def test_absent_transaction_is_null(self, chain: DevChain) -> None:
        assert result(chain, "eth_getTransactionByHash", "0x" + "00" * 32) is None
        assert result(chain, "eth_getTransactionReceipt", "0x" + "00" * 32) is None

    def test_deployment_is_told_in_transaction_and_receipt(self, chain: DevChain, ens: EnsWorld) -> None:
        (digest,) = result(chain, "eth_getBlockByNumber", "latest", False)["transactions"]
        transaction = result(chain, "eth_getTransactionByHash", digest)
        receipt = result(chain, "eth_getTransactionReceipt", digest)
        assert transaction == result(chain, "eth_getBlockByNumber", "latest", True)["transactions"][0]
        assert (transaction["to"], transaction["type"], transaction["chainId"]) == (None, "0x2", "0x7a69")
        assert (receipt["contractAddress"], receipt["status"]) == (ens.public_resolver, "0x1")
        assert receipt["transactionHash"] == transaction["hash"] == digest
        assert receipt["effectiveGasPrice"] == transaction["gasPrice"]

    def test_garbage_transaction(self, chain: DevChain) -> None:
        assert error(chain, "eth_sendRawTransaction", "0x02c0")["code"] == -32000

    def test_the_methods_that_clients_need_are_there(self) -> None:
        assert set(METHODS) >= {
            *("eth_chainId", "net_version", "web3_clientVersion", "eth_blockNumber", "eth_call", "eth_getBalance"),
            *("eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_gasPrice", "eth_feeHistory"),
            *("eth_maxPriorityFeePerGas", "eth_estimateGas", "eth_sendRawTransaction", "eth_getTransactionReceipt"),
            *("eth_getTransactionByHash", "eth_getBlockByNumber", "eth_getBlockByHash", "eth_getLogs"),
            *("eth_accounts", "evm_mine", "evm_increaseTime"),
        }


class TestLogs:
    @pytest.fixture
    def noisy(self, chain: DevChain, ens: EnsWorld) -> DevChain:
        ens.register(EnsName("eth"))
        ens.register(EnsName("a.eth"))
        ens.set_text(EnsName("a.eth"), "url", "https://example")
        return chain

    def test_all(self, noisy: DevChain, ens: EnsWorld) -> None:
        logs = result(noisy, "eth_getLogs", {"fromBlock": "earliest"})
        assert [log["address"] for log in logs] == [REGISTRY] * 4 + [ens.public_resolver]
        assert [log["logIndex"] for log in logs] == ["0x0", "0x1", "0x0", "0x1", "0x0"]

    def test_default_range_is_the_newest_block(self, noisy: DevChain) -> None:
        assert len(result(noisy, "eth_getLogs", {})) == 1

    def test_by_address_and_topic(self, noisy: DevChain, ens: EnsWorld) -> None:
        logs = result(noisy, "eth_getLogs", {"fromBlock": "0x0", "address": REGISTRY})
        new_owner, new_resolver = logs[0]["topics"][0], logs[1]["topics"][0]

        def count(**query: Any) -> int:
            return len(result(noisy, "eth_getLogs", {"fromBlock": "0x0", **query}))

        assert count(topics=[new_owner]) == 2
        assert count(topics=[[new_owner, new_resolver]]) == 4
        assert count(topics=[new_owner, "0x" + "00" * 32]) == 1
        assert count(topics=[None, "0x" + "00" * 32]) == 1
        assert count(topics=[new_resolver, None, None]) == 0
        assert count(address=[REGISTRY, ens.public_resolver], topics=[]) == 5
        assert count(address=[NOBODY]) == 0

    def test_by_block_hash(self, noisy: DevChain) -> None:
        newest = result(noisy, "eth_getBlockByNumber", "latest", False)
        (log,) = result(noisy, "eth_getLogs", {"blockHash": newest["hash"]})
        assert log["blockHash"] == newest["hash"]
        assert log in result(noisy, "eth_getTransactionReceipt", log["transactionHash"])["logs"]

    @pytest.mark.parametrize(
        "query",
        [
            None,
            [],
            {"address": "0x12"},
            {"topics": "0x12"},
            {"topics": [None] * 5},
            {"topics": ["0x12"]},
            {"blockHash": "0x" + "00" * 32, "fromBlock": "0x0"},
            {"fromBlock": "soon"},
        ],
    )
    def test_malformed_filter(self, noisy: DevChain, query: Any) -> None:
        assert error(noisy, "eth_getLogs", query)["code"] == -32602

    def test_bounded(self, noisy: DevChain, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.demo.chain.logs.MAX_RESULTS", 4)
        assert error(noisy, "eth_getLogs", {"fromBlock": "0x0"})["code"] == -32005


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["latest", "0x0", "0x1", REGISTRY, "0x" + "00" * 32, "0x" + "f" * 64, "0x02c0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["to", "from", "data", "gas", "value", "address", "topics", "blockHash", "fromBlock"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
DRIVEN = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@DRIVEN
@given(method=st.sampled_from(sorted(METHODS)), params=st.lists(JSON_VALUES, max_size=4))
def test_no_parameters_bring_forth_an_internal_error(chain: DevChain, method: str, params: list[Any]) -> None:
    reply = ask(chain, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert reply.get("error", {}).get("code") != -32603, reply


@DRIVEN
@given(body=st.binary(max_size=200))
def test_no_bytes_bring_forth_an_internal_error(chain: DevChain, body: bytes) -> None:
    reply = answer(chain, body)
    assert reply is None or b"-32603" not in reply


@DRIVEN
@given(
    raw=st.binary(min_size=1, max_size=200), kind=st.sampled_from([b"", b"\1", b"\2", b"\3", b"\4", b"\xf8", b"\2\xf8"])
)
def test_no_transaction_bytes_bring_forth_an_internal_error(chain: DevChain, raw: bytes, kind: bytes) -> None:
    failure = error(chain, "eth_sendRawTransaction", "0x" + (kind + raw).hex())
    assert failure["code"] == -32000


def test_every_method_is_documented_by_its_name() -> None:
    for name, function in METHODS.items():
        assert name in (function.__doc__ or ""), name
    assert methods.__doc__
