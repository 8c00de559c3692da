"""Reading the parameters of Ethereum JSON-RPC calls; every function raises InvalidParams on anything odd.

Encodings are those of the Ethereum execution API: quantities are 0x hex without leading zeros (leading zeros are
tolerated, as geth does for some fields), data are 0x hex of even length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gateway.demo.chain.evm import BlockRef
from gateway.demo.chain.execution import ZERO_ADDRESS, Call
from gateway.dm3.canonical import Json, JsonObject
from gateway.errors import InvalidParams
from gateway.ids import EthAddress

_HEX: Final = re.compile(r"0x([0-9a-fA-F]*)\Z")
_NEWEST: Final = frozenset({"latest", "pending", "safe", "finalized"})
_MAX_QUANTITY: Final = 2**256 - 1


def optional(params: Sequence[Json], at: int) -> Json:
    """The parameter at this place, or None."""
    return params[at] if at < len(params) else None


def required(params: Sequence[Json], at: int) -> Json:
    """The parameter at this place."""
    if at >= len(params):
        raise InvalidParams(f"missing value for required argument {at}")
    return params[at]


def data(value: Json) -> bytes:
    """Bytes of any length."""
    match = _HEX.match(value) if isinstance(value, str) else None
    if match is None or len(match[1]) % 2:
        raise InvalidParams("data must be a 0x hex string of even length")
    return bytes.fromhex(match[1])


def fixed(value: Json, size: int) -> bytes:
    """Bytes of just this length."""
    found = data(value)
    if len(found) != size:
        raise InvalidParams(f"expected {size} bytes, got {len(found)}")
    return found


def address(value: Json) -> EthAddress:
    """An address in any spelling."""
    return EthAddress("0x" + fixed(value, 20).hex())


def quantity(value: Json) -> int:
    """A number; JSON numbers are taken too, as test tools send them."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_QUANTITY:
        return value
    match = _HEX.match(value) if isinstance(value, str) and len(value) <= 2 + 64 else None
    if match is None or not match[1]:
        raise InvalidParams("a quantity must be a 0x hex string")
    return int(match[1], 16)


def block_ref(value: Json) -> BlockRef:
    """A block tag, number, hash, or an EIP-1898 object; None means the newest."""
    if isinstance(value, dict):
        if "blockHash" in value:
            return fixed(value["blockHash"], 32)
        value = value.get("blockNumber")
    if value is None or (isinstance(value, str) and value in _NEWEST):
        return None
    if value == "earliest":
        return 0
    if isinstance(value, str) and len(value) == 66:
        return fixed(value, 32)
    return quantity(value)


def call(value: Json) -> Call:
    """The transaction object of eth_call and eth_estimateGas; fees and nonce do not matter to it."""
    if not isinstance(value, dict):
        raise InvalidParams("a call must be an object")
    payload = value.get("input", value.get("data"))
    return Call(
        to=None if value.get("to") is None else fixed(value["to"], 20),
        data=b"" if payload is None else data(payload),
        sender=ZERO_ADDRESS if value.get("from") is None else fixed(value["from"], 20),
        value=0 if value.get("value") is None else quantity(value["value"]),
        gas=None if value.get("gas") is None else quantity(value["gas"]),
    )


def no_overrides(value: Json) -> None:
    """State overrides (third parameter of eth_call) are not offered; silence would give wrong answers."""
    if value:
        raise InvalidParams("state overrides are not supported")


def flag(value: Json) -> bool:
    """A boolean; absent is false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise InvalidParams("expected true or false")


def json_object(value: Json) -> JsonObject:
    """An object."""
    if not isinstance(value, dict):
        raise InvalidParams("expected an object")
    return value
