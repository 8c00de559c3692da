"""Questions to an Ethereum node and what it answers, as values (Ethereum execution API, JSON-RPC 2.0).

An answer is what the chain says, and two nodes that say the same give equal answers, however they spell it: bytes,
a number, or the contract's refusal. What says nothing about the chain is `EndpointFailed`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.dm3.canonical import Json, JsonObject
from gateway.ids import EthAddress

MAX_RETURN: Final = 2**20
"""Bytes of return or revert data that are read."""

_HEX_INSIDE: Final = re.compile(r"0x([0-9a-fA-F]*)")
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
# Nodes differ in code and words for a call that the contract ended; these are errors of the execution.
_EXECUTION: Final = re.compile(
    r"revert|invalid opcode|bad ?instruction|invalid ?jump|out ?of ?gas|gas required exceeds|uint64 overflow"
    r"|stack ?(under|over)flow|stack limit reached|write protection|static ?call|return ?data out of bounds"
    r"|precompile|\bevm error\b|vm execution error|execution halted",
    re.IGNORECASE,
)
_TOO_MUCH: Final = frozenset({-32005, 429})
"""Codes by which nodes say that they were asked too often (EIP-1474; some repeat the HTTP status)."""


class EndpointFailed(Exception):
    """An endpoint cannot serve; another is asked. Never leaves this package.

    ``refused`` is true when it answered and said no to this very request: another form of it may do.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Reverted:
    """The contract ended the call; ``data`` is its reason, empty when it gave none or ran out of gas."""

    data: bytes = field(repr=False)


Answer: TypeAlias = bytes | int | Reverted


@dataclass(frozen=True, slots=True)
class Question:
    """One method and its parameters; ``read`` takes its result and raises EndpointFailed when that is malformed."""

    method: str
    subject: Json
    """The first parameter; the block is the second. None: the method takes no parameters."""
    read: Callable[[Json], Answer]

    def params(self, block: str) -> list[Json]:
        """The parameters at a block: a tag, or a number in hex."""
        return [] if self.subject is None else [self.subject, block]


def contract_call(to: EthAddress, data: bytes, gas: int | None = None) -> Question:
    """What a contract returns; ``gas`` bounds the work that a stranger's contract can cause."""
    call: JsonObject = {"to": to, "data": "0x" + data.hex()}
    if gas is not None:
        call["gas"] = hex(gas)
    return Question("eth_call", call, as_return_data)


def balance_of(address: EthAddress) -> Question:
    """Wei."""
    return Question("eth_getBalance", address, as_quantity)


def transaction_count_of(address: EthAddress) -> Question:
    """Transactions that the address has sent."""
    return Question("eth_getTransactionCount", address, as_quantity)


def code_of(address: EthAddress) -> Question:
    """Code of a contract, empty for a plain account."""
    return Question("eth_getCode", address, as_data)


def as_data(value: Json) -> bytes:
    """Bytes. A stranger's contract chooses them, so they are read by nothing slower than `bytes.fromhex`."""
    if isinstance(value, str) and len(value) <= 2 * MAX_RETURN + 2 and value.startswith("0x"):
        with contextlib.suppress(ValueError):
            data = bytes.fromhex(value[2:])
            # It passes over spaces.
            if 2 * len(data) + 2 == len(value):
                return data
    raise EndpointFailed("result is no data")


def as_return_data(value: Json) -> Answer:
    """What a contract returned. More than is read is its own fault and not the node's, so it counts as a refusal."""
    if isinstance(value, str) and len(value) > 2 * MAX_RETURN + 2 and value.startswith("0x"):
        return Reverted(b"")
    return as_data(value)


def as_quantity(value: Json) -> int:
    """An unsigned integer of up to 256 bits."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise EndpointFailed("result is no number")
    return int(value, 16)


def as_height(value: Json) -> int:
    """The number of a block that was asked for by its tag; null says that there is none."""
    if not isinstance(value, dict):
        raise EndpointFailed("there is no such block", refused=value is None)
    return as_quantity(value.get("number"))


BLOCK_NUMBER: Final = Question("eth_blockNumber", None, as_quantity)
"""Number of the newest block."""


def answer_of(response: object, read: Callable[[Json], Answer]) -> Answer:
    """What a JSON-RPC response says. Raises EndpointFailed when that is nothing about the chain."""
    if not isinstance(response, dict):
        raise EndpointFailed("no JSON-RPC response")
    error = response.get("error")
    if error is not None:
        return _refusal(error)
    if "result" not in response:
        raise EndpointFailed("response without a result")
    return read(response["result"])


def _refusal(error: object) -> Reverted:
    """The contract's refusal; everything else is a fault of the endpoint."""
    if not isinstance(error, dict):
        raise EndpointFailed("malformed error")
    code, message = error.get("code"), str(error.get("message", ""))[:200]
    data = error.get("data")
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    match = _HEX_INSIDE.search(data) if isinstance(data, str) and len(data) <= 2 * MAX_RETURN + 100 else None
    reason = b"" if match is None else bytes.fromhex(match[1][: len(match[1]) & ~1])
    if code == 3 or reason or _EXECUTION.search(message):
        return Reverted(reason)
    raise EndpointFailed(f"error {code}: {message}", refused=code not in _TOO_MUCH)
