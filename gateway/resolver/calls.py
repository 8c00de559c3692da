"""Calls of a resolver in calldata: ``resolve(bytes,bytes)`` (ENSIP-10) and the record calls inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.ens.abi import SELECTOR, read_bytes, read_bytes_array, read_string, read_uint, read_word
from gateway.ens.names import MAX_NAME_BYTES, dns_decode
from gateway.errors import InvalidInput
from gateway.ids import EnsName

RESOLVE: Final = bytes.fromhex("9061b923")
"""resolve(bytes name, bytes data), ENSIP-10."""
ADDR: Final = bytes.fromhex("3b3b57de")
"""addr(bytes32 node), EIP-137."""
ADDR_COIN: Final = bytes.fromhex("f1cb7e06")
"""addr(bytes32 node, uint256 coinType), ENSIP-9."""
TEXT: Final = bytes.fromhex("59d1d43c")
"""text(bytes32 node, string key), ENSIP-5."""
CONTENTHASH: Final = bytes.fromhex("bc1c58d1")
"""contenthash(bytes32 node), ENSIP-7."""
MULTICALL: Final = bytes.fromhex("ac9650d8")
"""multicall(bytes[] calls)."""

MAX_CALLDATA: Final = 32 * 2**10
MAX_CALLS: Final = 64
"""Calls of one request, those inside nested multicalls counted together."""
MAX_NESTING: Final = 2
MAX_KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class AddrCall:
    """Ethereum address as a left-padded word; zeros when there is none."""

    node: bytes


@dataclass(frozen=True, slots=True)
class CoinCall:
    """Address of any chain as bytes; empty when there is none."""

    node: bytes
    coin: int


@dataclass(frozen=True, slots=True)
class TextCall:
    """Text record; empty when there is none."""

    node: bytes
    key: str


@dataclass(frozen=True, slots=True)
class ContenthashCall:
    """Content hash as bytes; empty when there is none."""

    node: bytes


@dataclass(frozen=True, slots=True)
class Multicall:
    """Several calls answered together, under one signature (ENSIP-22)."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class UnsupportedCall:
    """A profile that we do not serve; the answer is empty, which clients read as such."""

    selector: bytes


Call: TypeAlias = AddrCall | CoinCall | TextCall | ContenthashCall | Multicall | UnsupportedCall


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: a name in normal form and the call about it."""

    name: EnsName
    call: Call


def parse_request(calldata: bytes) -> Request:
    """Read the calldata of ``resolve(bytes,bytes)``, selector included.

    Raises InvalidInput (InvalidName for the name) when it is another function, malformed, or passes a bound:
    32 KiB, 64 calls, multicalls two deep, keys of 1024 bytes.
    """
    if len(calldata) > MAX_CALLDATA:
        raise InvalidInput(f"calldata of more than {MAX_CALLDATA} bytes")
    if calldata[:SELECTOR] != RESOLVE:
        raise InvalidInput("calldata is not of resolve(bytes,bytes)")
    arguments = calldata[SELECTOR:]
    name = dns_decode(read_bytes(arguments, 0, max_bytes=MAX_NAME_BYTES + 2))
    return Request(name, _Budget(MAX_CALLS).read(read_bytes(arguments, 1, max_bytes=MAX_CALLDATA), depth=0))


class _Budget:
    """Reads calls while the number of them lasts: shared offsets can fold many calls into little calldata."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def read(self, data: bytes, depth: int) -> Call:
        if self._left == 0:
            raise InvalidInput(f"more than {MAX_CALLS} calls in one request")
        self._left -= 1
        selector, arguments = data[:SELECTOR], data[SELECTOR:]
        if len(selector) != SELECTOR:
            raise InvalidInput("call without a selector")
        if selector == ADDR:
            return AddrCall(read_word(arguments, 0))
        if selector == ADDR_COIN:
            return CoinCall(read_word(arguments, 0), read_uint(arguments, 1))
        if selector == TEXT:
            return TextCall(read_word(arguments, 0), read_string(arguments, 1, max_bytes=MAX_KEY_BYTES))
        if selector == CONTENTHASH:
            return ContenthashCall(read_word(arguments, 0))
        if selector == MULTICALL:
            return self._read_multicall(arguments, depth)
        return UnsupportedCall(selector)

    def _read_multicall(self, arguments: bytes, depth: int) -> Multicall:
        if depth == MAX_NESTING:
            raise InvalidInput(f"multicalls nested deeper than {MAX_NESTING}")
        items = read_bytes_array(arguments, 0, max_items=MAX_CALLS, max_bytes=MAX_CALLDATA)
        return Multicall(tuple(self.read(item, depth + 1) for item in items))
