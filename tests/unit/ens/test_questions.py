"""Questions in their JSON form, and answers in every form in which nodes give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import Json
from gateway.ens import questions
from gateway.ens.questions import (
    MAX_RETURN,
    EndpointFailed,
    Question,
    Reverted,
    answer_of,
    as_data,
    as_height,
    as_quantity,
    balance_of,
    code_of,
    contract_call,
    transaction_count_of,
)
from gateway.ids import EthAddress

ALICE = EthAddress("0x" + "a1" * 20)


@pytest.mark.parametrize(
    ("question", "method", "params"),
    [
        (balance_of(ALICE), "eth_getBalance", [ALICE, "finalized"]),
        (transaction_count_of(ALICE), "eth_getTransactionCount", [ALICE, "finalized"]),
        (code_of(ALICE), "eth_getCode", [ALICE, "finalized"]),
        (contract_call(ALICE, b"\1\2"), "eth_call", [{"to": ALICE, "data": "0x0102"}, "finalized"]),
        (contract_call(ALICE, b"", 255), "eth_call", [{"to": ALICE, "data": "0x", "gas": "0xff"}, "finalized"]),
        (questions.BLOCK_NUMBER, "eth_blockNumber", []),
    ],
)
def test_questions(question: Question, method: str, params: list[Json]) -> None:
    assert question.method == method
    assert question.params("finalized") == params


def test_answers_are_alike_however_they_are_spelt() -> None:
    assert answer_of({"result": "0xAB"}, as_data) == answer_of({"result": "0xab"}, as_data) == b"\xab"
    assert answer_of({"result": "0x0A"}, as_quantity) == answer_of({"result": "0xa"}, as_quantity) == 10
    assert answer_of({"result": "0x00"}, as_quantity) == answer_of({"result": "0x0"}, as_quantity) == 0
    upper, lower = ({"error": {"code": 3, "message": "reverted", "data": data}} for data in ("0xAB", "0xab"))
    assert answer_of(upper, as_data) == answer_of(lower, as_data) == Reverted(b"\xab")


@pytest.mark.parametrize(
    "message",
    [
        "execution reverted",
        "Transaction reverted without a reason",
        "VM execution error.",
        "EVM error OutOfGas",
        "EVM error: InvalidFEOpcode",
        "out of gas",
        "Out of gas: Needed 8 - Remaining 0",
        "gas required exceeds allowance (2000000)",
        "gas uint64 overflow",
        "invalid opcode: INVALID",
        "BadInstruction",
        "invalid jump destination",
        "InvalidJump",
        "stack underflow (0 <=> 2)",
        "StackOverflow",
        "stack limit reached 1024 (1023)",
        "write protection",
        "StaticCallViolation",
        "return data out of bounds",
        "PrecompileFailure",
        "Execution halted",
    ],
)
def test_what_the_contract_did_in_the_words_of_nodes(message: str) -> None:
    assert answer_of({"error": {"code": -32000, "message": message}}, as_data) == Reverted(b"")


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        ({"code": -32000, "message": "header not found"}, True),
        ({"code": -32000, "message": "finalized block not found"}, True),
        ({"code": -39001, "message": "Unknown block"}, True),
        ({"code": -32602, "message": "hex string without 0x prefix"}, True),
        ({"code": -32601, "message": "no such method"}, True),
        ({"code": -32000, "message": "missing trie node"}, True),
        ({"code": -32000, "message": "execution aborted (timeout = 5s)"}, True),
        ({"code": -32005, "message": "limit exceeded"}, False),
        ({"code": 429, "message": "slow down"}, False),
        ({"message": None}, True),
        ({}, True),
        ("broken", False),
        ([], False),
        (5, False),
    ],
)
def test_what_is_the_nodes_own_trouble(error: object, refused: bool) -> None:
    """None of these says anything about the contract: to take them for a refusal would turn people away."""
    with pytest.raises(EndpointFailed) as caught:
        answer_of({"error": error}, as_data)
    assert caught.value.refused is refused


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "0",
        "0x0",
        "0xzz",
        "ab",
        "0x" + "00" * (MAX_RETURN + 1),
        [],
        {},
        "0xab\n",
        "0xab cd",
        "0Xab",
        "0xäb",
    ],
)
def test_what_is_no_data(value: Json) -> None:
    with pytest.raises(EndpointFailed):
        as_data(value)


def test_a_contract_that_returns_too_much_is_at_fault_and_not_its_node() -> None:
    question = contract_call(ALICE, b"")
    assert answer_of({"result": "0x" + "00" * (MAX_RETURN + 1)}, question.read) == Reverted(b"")
    assert answer_of({"result": "0x" + "00" * MAX_RETURN}, question.read) == bytes(MAX_RETURN)
    for value in ("0xzz", "00" * (MAX_RETURN + 2), None):
        with pytest.raises(EndpointFailed):
            answer_of({"result": value}, question.read)


@pytest.mark.parametrize("value", [None, 7, True, "", "0x", "0xg", "7", "0x" + "1" * 65, [], {}, "0x1\n"])
def test_what_is_no_number(value: Json) -> None:
    with pytest.raises(EndpointFailed):
        as_quantity(value)


def test_the_number_of_a_block() -> None:
    assert as_height({"number": "0x10", "hash": "0x"}) == 16
    with pytest.raises(EndpointFailed) as missing:
        as_height(None)
    assert missing.value.refused, "null is an answer: there is no such block"
    broken: list[Json] = [{}, {"number": None}, {"number": 5}, [], "0x10"]
    for value in broken:
        with pytest.raises(EndpointFailed) as malformed:
            as_height(value)
        assert not malformed.value.refused


def test_results_up_to_their_bound() -> None:
    assert len(as_data("0x" + "00" * MAX_RETURN)) == MAX_RETURN
    assert as_quantity("0x" + "f" * 64) == 2**256 - 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["result", "error", "code", "message", "data", "number", "id"]) | st.text(max_size=5), inner
        )
    ),
    max_leaves=10,
)


@given(anything, st.sampled_from([as_data, as_quantity, as_height]))
def test_whatever_a_node_sends_is_an_answer_or_a_failure(response: object, read: object) -> None:
    try:
        answer = answer_of(response, read)  # type: ignore[arg-type]
    except EndpointFailed:
        return
    assert isinstance(answer, bytes | int | Reverted)
